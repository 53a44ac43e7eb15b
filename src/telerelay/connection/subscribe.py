"""
A subscribing connection: the relay offers what a participant is to receive, the client answers.

Event loop's thread. What is wanted is a set; a task of its own brings the worker and the negotiation in line with it,
step by step. So changes are coalesced, one offer is in flight at a time, and nobody ever waits for this participant's
network.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from telerelay.connection.credentials import random_ice_chars
from telerelay.connection.data import DataListener, DataTransport
from telerelay.connection.source import Source
from telerelay.connection.state import SubscribeConnectionState
from telerelay.connection.transport import Connection, Site
from telerelay.dataplane import Inventory, LineEstimate, SenderHeld
from telerelay.errors import NativeError, RemoteProtocolError, TelerelayError
from telerelay.protocol.negotiation import Offer, SubscribedTrack, SubscribeNegotiation, bind_table, red_type, with_red
from telerelay.protocol.parameters import TWCC, SendParameters
from telerelay.tasks import Bell


@dataclass(slots=True)
class Sending:
    """
    One negotiated track on its way to the participant. `found`: the receiver that the worker forwards to it already,
    from before this process.
    """

    sender: int
    params: SendParameters
    bound: Source | None = None
    is_paused: bool = False
    found: int = 0


class SubscribeConnection:
    """What one participant receives. `run` must be running for anything to happen."""

    def __init__(
        self,
        site: Site,
        *,
        participant: int,
        is_admitted: bool,
        on_offer: Callable[[Offer], None],
        on_refused: Callable[[str], None] = lambda publication: None,
        on_state: Callable[[str], None] = lambda state: None,
        on_line: Callable[[LineEstimate | SenderHeld], None] = lambda event: None,
        on_carried: Callable[[], None] = lambda: None,
        data_listener: DataListener | None = None,
    ) -> None:
        self.transport = Connection(
            site,
            participant=participant,
            is_admitted=is_admitted,
            on_state=on_state,
            on_line=on_line,
            data_listener=data_listener,
        )
        self._on_carried = on_carried
        self._is_estimated = site.is_estimated
        self._on_offer = on_offer
        self._on_refused = on_refused
        self._on_state = on_state
        self._negotiation = SubscribeNegotiation(random_ice_chars(16), is_estimated=site.is_estimated)
        self._wanted: dict[str, Source] = {}
        self._paused: set[str] = set()
        self._sending: dict[str, Sending] = {}
        self._answered = 0
        self._wants_data = False
        self._must_restart = False
        self._changed = Bell()
        self._lock = asyncio.Lock()

    # ---------------------------------------------------------------- what is wanted (never waits)

    def want(self, source: Source) -> None:
        """Send this from now on, or go on sending it from its new receiver."""
        self._wanted[source.publication] = source
        self._changed.ring()

    def unwant(self, publication: str) -> None:
        self._wanted.pop(publication, None)
        self._changed.ring()

    def pause(self, publication: str, is_paused: bool) -> None:
        """Stop or resume one publication; it stays negotiated."""
        (self._paused.add if is_paused else self._paused.discard)(publication)
        self._changed.ring()

    def want_data(self) -> DataTransport | None:
        """
        Offer data channels, if that was not done before; they may be opened at once. None: the client refused them.
        """
        if not self._wants_data:
            self._wants_data = True
            self._negotiation.want_data()
            self._changed.ring()
            self.transport.open_data()
        data = self.transport.data
        return None if data is None or data.is_gone else data

    def restart(self) -> None:
        """
        Restart ICE by an offer with other credentials, after the answer to the one in flight; asked for more than once
        meanwhile, it is one restart. Nothing happens before there is a connection.
        """
        self._must_restart = self.transport.is_open
        self._changed.ring()

    # ---------------------------------------------------------------- what is done

    async def run(self) -> None:
        """Bring things in line until cancelled; what the worker refuses ends it as a failed connection."""
        try:
            while True:
                await self._changed.wait()
                async with self._lock:
                    await self._reconcile()
        except TelerelayError:
            self._on_state("failed")

    async def answer(self, offer_id: int, sdp: str) -> None:
        """
        The client's answer to the offer in flight. The latest answer may come again: its reply was lost with a socket.

        Raises RemoteProtocolError, with everything as it was, or bad_message where the connection is gone meanwhile;
        NativeError, with the connection failed.
        """
        async with self._lock:
            if offer_id == self._answered and not self._negotiation.in_flight:
                return
            if self._negotiation.in_flight and not self.transport.is_open:
                raise _gone()
            result = self._negotiation.on_answer(offer_id, sdp)
            self._answered = offer_id
            try:
                applying = () if result.remote is None else self.transport.begin_apply(result.remote)
                await self._send({params.key: params for params in result.senders}, applying)
                if result.has_data_section:
                    self.transport.negotiated_data(result.data if result.remote is not None else None)
                for publication in result.refused:
                    self._on_refused(publication)
                await self._reconcile()
            except NativeError as error:
                if not self.transport.is_open:  # lost under our hands, and told already
                    raise _gone() from error
                self._on_state("failed")
                raise

    def carried(self) -> dict[int, str]:
        """The publication each sender carries."""
        return {sending.sender: publication for publication, sending in self._sending.items()}

    @property
    def is_estimated(self) -> bool:
        """Whether its client tells what its line carries."""
        return self._is_estimated and any(TWCC in each.params.extensions for each in self._sending.values())

    async def close(self) -> None:
        """After an answer that is being carried out: its commands are for a transport that is still there."""
        async with self._lock:
            await self.transport.close()
            self._sending.clear()

    # ---------------------------------------------------------------- from one process to the next

    def snapshot(self) -> SubscribeConnectionState:
        """What a successor of this process has to know to go on with it."""
        return SubscribeConnectionState(
            transport=self.transport.snapshot(),
            sending={name: each.sender for name, each in self._sending.items()},
            negotiation=self._negotiation.state,
            answered=self._answered,
            paused=frozenset(self._paused),
            wants_data=self._wants_data,
            must_restart=self._must_restart,
        )

    def resume(self, state: SubscribeConnectionState, inventory: Inventory) -> bool:
        """
        Go on where another process was; False: the transport is gone. `run` comes after everything that is wanted was
        said.
        """
        self._negotiation = SubscribeNegotiation.of(state.negotiation, is_estimated=self._is_estimated)
        self._answered = state.answered
        self._paused = set(state.paused)
        self._wants_data = state.wants_data
        self._must_restart = state.must_restart
        self._sending = {
            # Whether it is paused is not known, so it is said again.
            each.key: Sending(sender, each, is_paused=each.key not in self._paused, found=found.receiver)
            for each in self._negotiation.senders
            if (sender := state.sending.get(each.key, 0)) and (found := inventory.senders.get(sender)) is not None
        }
        return self.transport.resume(state.transport, inventory)

    async def catch_up(self) -> None:
        """What the client was promised and the worker was not told yet is told now."""
        await self.transport.catch_up((), [each.sender for each in self._sending.values()])
        if self.transport.is_open:
            async with self._lock:
                await self._send({params.key: params for params in self._negotiation.senders})

    async def _reconcile(self) -> None:
        for publication in [publication for publication in self._sending if publication not in self._wanted]:
            await self._drop(publication)
        for publication, sending in self._sending.items():
            # It may have gone while another was being bound; then the next turn drops it.
            if (source := self._wanted.get(publication)) is not None:
                await self._bind(sending, source, publication in self._paused)
        self._negotiation.set_tracks([_track(source) for source in self._wanted.values()])
        if self._negotiation.in_flight:
            return
        if self._must_restart:
            self._must_restart = False
            await self.transport.restart(self.transport.restarted())
            self._negotiation.restart()
        if not self._negotiation.needs_offer():
            return
        if not self.transport.is_open:
            await self.transport.open()
        self._on_offer(self._negotiation.make_offer(self.transport.local, self.transport.new_ssrc))

    async def _send(self, negotiated: dict[str, SendParameters], applying: tuple[Awaitable[object], ...] = ()) -> None:
        """Make the senders those of the answer."""
        for publication, sending in list(self._sending.items()):
            if negotiated.get(publication) != sending.params:
                await self._drop(publication)
        added = {
            publication: self.transport.begin_sender(params)
            for publication, params in negotiated.items()
            if publication not in self._sending
        }
        await self.transport.settle((*applying, *(being_added for _, being_added in added.values())))
        for publication, (sender, _) in added.items():
            self._sending[publication] = Sending(sender, negotiated[publication])
        if added:
            self._on_carried()  # before they are bound: a track is to begin with the layer it is to have

    async def _drop(self, publication: str) -> None:
        await self.transport.remove_sender(self._sending.pop(publication).sender)
        self._on_carried()

    async def _bind(self, sending: Sending, source: Source, is_paused: bool) -> None:
        if sending.is_paused != is_paused:
            await self.transport.pause(sending.sender, is_paused)
            sending.is_paused = is_paused
        if sending.bound == source:
            return
        found, sending.found = sending.found, 0
        if found == source.receiver:  # binding it again would have the peer wait for a keyframe
            sending.bound = source
            return
        tables = bind_table(source.receive, sending.params)
        if await self.transport.bind(sending.sender, source, tables, red_type(sending.params)):
            sending.bound = source


def _gone() -> RemoteProtocolError:
    return RemoteProtocolError("bad_message", "the connection of that offer is gone")


def _track(source: Source) -> SubscribedTrack:
    # One CNAME a participant: the browser plays what shares it in step (RFC 3550, 6.5.1).
    return SubscribedTrack(
        key=source.publication,
        kind=source.kind,
        msid=(source.participant, source.publication),
        codecs=with_red(source.codecs) if source.is_open_voice else source.codecs,
        cname=source.participant,
        extensions=source.extensions,
    )
