"""
One transport on a worker, and what hangs on it.

Event loop's thread. Owns the ids it took: whatever happens, `close` gives every one of them back.
"""

import asyncio
import ipaddress
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from telerelay.allocator import Rung
from telerelay.bucket import Bucket
from telerelay.connection.credentials import new_credentials
from telerelay.connection.data import DataListener, DataTransport
from telerelay.connection.sctp import chunk_count
from telerelay.connection.source import Source
from telerelay.connection.state import ChannelState, TransportState
from telerelay.dataplane import (
    DataReceived,
    Inventory,
    LineEstimate,
    PathChanged,
    SenderHeld,
    StatsReport,
    Tapped,
    TransportStateChanged,
    Worker,
    WorkerEvent,
)
from telerelay.dataplane.inventory import TransportFound
from telerelay.errors import LocalProtocolError, NativeError
from telerelay.protocol.data import DataParameters
from telerelay.protocol.parameters import (
    Candidate,
    Fingerprint,
    IceParameters,
    LocalTransport,
    ReceiveParameters,
    RemoteTransport,
    SendParameters,
)

# SCTP chunks that one transport may send: some 4 MB/s of a file, at about a tenth of a millisecond each. What is beyond
# waits its turn, so nobody's messages keep signalling waiting, and the peer, whose acknowledgements come later, slows
# down without losing anything.
CHUNKS_PER_S = 4000
CHUNK_BURST = 1000
# Several times what the window of a peer lets it send in full packets. Who sends more than that is not slowed down by
# waiting, and loses it.
MAX_WAITING_PACKETS = 1024
# Twenty chunks more each time.
TURN_S = 0.005

UNTOLD = "new"
"""The state in a note that does not say it."""

LOST = "worker_lost"
"""Why a transport failed whose worker is gone."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a room lives: its worker, the worker's candidates, and the number that keeps its media from other rooms."""

    worker: Worker
    fingerprint: Fingerprint
    candidates: tuple[Candidate, ...]
    room: int
    is_estimated: bool = True
    """Whether a subscriber's line is estimated, from its client's feedback, and what it is sent follows it."""


class Connection:
    """A transport with its receivers and senders. `open` must be acknowledged before an offer or answer leaves."""

    def __init__(
        self,
        site: Site,
        *,
        participant: int,
        is_admitted: bool,
        on_state: Callable[[str], None] = lambda state: None,
        on_line: Callable[[LineEstimate | SenderHeld], None] = lambda event: None,
        data_listener: DataListener | None = None,
        on_tapped: Callable[[Tapped], None] | None = None,
    ) -> None:
        self._on_tapped = on_tapped
        self._worker = site.worker
        self._site = site
        self._room = site.room
        self._participant = participant
        self._is_admitted = is_admitted
        self._on_state = on_state
        self.on_line = on_line
        """Who hears of the line's estimates, and of what is held back on it."""
        # Lists, of few: a set has 216 bytes while it is empty, and everybody has eight of these.
        self.held: list[int] = []
        """Senders that the worker holds back for lack of room on the line."""
        self.is_found = False
        """It is from before this process."""
        self.local = LocalTransport(
            ice=new_credentials(site.worker.index), fingerprint=site.fingerprint, candidates=site.candidates
        )
        self.state = "new"
        self.uplink = ""
        """The address that the peer's media comes from, an IPv6 one without its host part; "" until it is known."""
        self.srtp_profile = ""
        self.reason = ""
        self._transport = 0
        self._remote: RemoteTransport | None = None
        self._receivers: list[int] = []
        self._senders: list[int] = []
        self._ssrcs: list[int] = []
        self.data: DataTransport | None = None
        """Data channels, once they are wanted on this connection or were negotiated."""
        self._data_listener = data_listener or DataListener()
        self._found: TransportFound | None = None
        self._found_data: tuple[DataParameters | None, tuple[ChannelState, ...]] = (None, ())
        self._chunks: Bucket | None = None  # once there is data
        self._waiting: list[bytes] = []  # not a deque: that is 760 bytes while it is empty

    @property
    def is_open(self) -> bool:
        return self._transport != 0

    @property
    def id(self) -> int:
        """The worker's number of it, 0 before it is open."""
        return self._transport

    async def open(self) -> None:
        """Create the transport. Raises NativeError; nothing is left behind then."""
        await self.settle((), self.begin_open())

    def begin_open(self) -> Awaitable[object]:
        """
        As `open`, for whoever has something to do meanwhile. The worker takes commands in order, so what is asked of
        the transport next need not wait; `settle` does, for all of it.
        """
        self._transport = self._worker.transports.take()
        self._worker.listen(self._transport, self._on_event)
        return self._worker.add_transport(
            transport=self._transport,
            room=self._room,
            participant=self._participant,
            is_admitted=self._is_admitted,
            ufrag=self.local.ice.ufrag,
            pwd=self.local.ice.pwd,
            is_tap=self._on_tapped is not None,
        )

    async def settle(self, begun: Iterable[Awaitable[object]], opening: Awaitable[object] | None = None) -> None:
        """
        All that was begun is done. Raises what the first says that failed, a NativeError; where that is `opening`, the
        transport is not open, and nothing is left behind.
        """
        failed: NativeError | None = None
        if opening is not None:
            try:
                await opening
            except NativeError as error:
                failed = error
            except BaseException:
                await self.close()
                raise
        is_open = failed is None
        for each in begun:
            try:
                await each
            except NativeError as error:
                failed = failed or error
        if failed is not None:
            if not is_open:
                await self.close()
            raise failed

    async def apply(self, remote: RemoteTransport) -> None:
        """Tell the worker who the peer is; asked again with the same values, it does nothing."""
        await self.settle(self.begin_apply(remote))

    def begin_apply(self, remote: RemoteTransport) -> tuple[Awaitable[object], ...]:
        """As `apply`, to be settled with what else is begun; if it fails, the connection is of no more use."""
        if remote == self._remote:
            return ()
        self._remote = remote
        return (self._worker.set_remote(self._transport, remote),)

    @property
    def remote_ice(self) -> IceParameters | None:
        """The peer's credentials, once it has said them."""
        return None if self._remote is None else self._remote.ice

    def restarted(self) -> LocalTransport:
        """What this transport is to be after an ICE restart: fresh credentials, all else as it is."""
        return self.local.restarted(new_credentials(self._worker.index))

    async def restart(self, local: LocalTransport) -> None:
        """
        Begin an ICE restart as `local`, which `restarted` made; `apply` with the peer's new credentials completes it.

        Acknowledged by the worker when it returns, so the credentials may be told. Media goes on over the old path
        until the peer nominates one of the new session.
        """
        await self._worker.restart_ice(self._transport, ufrag=local.ice.ufrag, pwd=local.ice.pwd)
        self.local = local
        self._remote = None

    async def restart_for(self, ice: IceParameters) -> LocalTransport:
        """An ICE restart that the peer began, told by its new credentials alone (RFC 9725, 4.3.3)."""
        if self._remote is None:
            raise LocalProtocolError("state", "the transport has no peer yet")
        if ice != self._remote.ice:
            remote = replace(self._remote, ice=ice)
            await self.restart(self.restarted())
            await self.apply(remote)
        return self.local

    def open_data(self) -> DataTransport:
        """The data channels of this connection: what is opened on them waits for the negotiation and for DTLS."""
        if self.data is None:
            self.data = DataTransport(self._send_data, self._data_listener)
        return self.data

    def negotiated_data(self, remote: DataParameters | None) -> None:
        """What the peer said of data channels, after `apply`; None: it has none, or no longer."""
        if remote is None:
            if self.data is not None:
                self.data.close()
                self.data = None
            return
        assert self._remote is not None
        self.open_data().describe(remote, is_dtls_client=self._remote.is_dtls_client)
        self._start_data()

    def _start_data(self) -> None:
        if self.data is not None and self.state == "connected":
            self.data.start()

    def _send_data(self, packet: bytes) -> None:
        if self._transport:
            self._worker.send_data(self._transport, packet)

    @property
    def is_lost(self) -> bool:
        """`lost` was called, and nothing else will come of it."""
        return self.reason == LOST

    def lost(self) -> None:
        """The transport is gone, without our doing: its worker ended, or never had it."""
        transport, self._transport = self._transport, 0
        self._worker.unlisten(transport)
        if self.data is not None:
            self.data.close()
        self._receivers.clear()
        self._senders.clear()
        self.reason = LOST
        self._changed("failed")

    def _changed(self, state: str) -> None:
        self.state = state
        if state in ("failed", "closed") and self.data is not None:
            self.data.close()
        self._start_data()
        self._on_state(state)

    # ---------------------------------------------------------------- from one process to the next

    def snapshot(self, *, is_told: bool = True) -> TransportState:
        """
        What a successor of this process has to know to go on with it. `is_told`: a client hears of its states, so the
        successor has to know which it was told last; of others the worker knows enough.
        """
        data = self.data if self.data is not None and not self.data.is_gone else None
        return TransportState(
            transport=self._transport,
            ice=self.local.ice,
            name=self.local.name,
            remote=self._remote,
            state=self.state if is_told else UNTOLD,
            ssrcs=tuple(sorted(self._ssrcs)),
            data=None if data is None else data.remote,
            channels=() if data is None else data.snapshot(),
        )

    def resume(self, state: TransportState, inventory: Inventory) -> bool:
        """
        Go on with a transport that another process had opened, instead of `open`. False: it is not there any more, and
        `lost` is all that is left to do. `catch_up` comes when all the rest goes on too.
        """
        site = self._site
        self.local = LocalTransport(state.ice, site.fingerprint, site.candidates, state.name)
        self._remote = state.remote
        self._ssrcs = list(state.ssrcs)
        self.state = state.state
        if not state.transport:
            return True
        found = inventory.transports.get(state.transport)
        if found is None or found.room != self._room:
            return False
        self._transport = state.transport
        self.is_found = True
        self.held = [
            sender for sender in inventory.senders_of.get(state.transport, ()) if inventory.senders[sender].is_held
        ]
        self._found = found
        self._found_data = (state.data, state.channels)
        self.srtp_profile = found.srtp_profile
        self._receivers = list(inventory.receivers_of.get(state.transport, ()))
        self._senders = list(inventory.senders_of.get(state.transport, ()))
        self._worker.listen(self._transport, self._on_event)
        return True

    def take_found_state(self) -> str:
        """
        The state, where nobody was told it before: as the worker has it. Only that the transport has ended is left to
        `catch_up`, to be told as news.
        """
        if self._found is not None and self._found.state not in ("failed", "closed"):
            self.state = self._found.state
        return self.state

    async def catch_up(self, receivers: Collection[int], senders: Collection[int]) -> None:
        """
        What happened while nobody was here is told; receivers and senders that are not of these are leftovers, and go.
        """
        found, self._found = self._found, None
        if found is None:
            return
        for receiver in set(self._receivers) - set(receivers):
            await self.remove_receiver(receiver)
        for sender in set(self._senders) - set(senders):
            await self.remove_sender(sender)
        if receivers:
            await self.set_limit(0)  # whoever gave it one gives it again
        if found.is_admitted != self._is_admitted:
            await self.set_admitted(self._is_admitted)
        if found.state != self.state:
            self._changed(found.state)
        remote, channels = self._found_data
        if remote is not None and self._remote is not None and found.state not in ("failed", "closed"):
            data = self.open_data()
            data.describe(remote, is_dtls_client=self._remote.is_dtls_client)
            data.go_on(channels)
            self._start_data()

    async def set_admitted(self, is_admitted: bool) -> None:
        await self.begin_admitted(is_admitted)

    def begin_admitted(self, is_admitted: bool) -> Awaitable[object]:
        """
        Whether media may pass, from now on: what is asked of the worker after this finds it so. Before the transport is
        opened it only says how it will be.
        """
        self._is_admitted = is_admitted
        if self.is_open:
            return self._worker.set_admitted(self._transport, is_admitted)
        return _nothing()

    async def set_limit(self, bps: int) -> None:
        """What the peer may send in all, told by REMB where that was negotiated; 0: no limit."""
        if self.is_open:
            try:
                await self._worker.set_limit(self._transport, bps)
            except NativeError as error:
                if self._worker.is_running and not error.is_not_found:
                    raise

    def begin_downlink(self, *, start_bps: int, least_bps: int, most_bps: int) -> Awaitable[object]:
        """Have the worker estimate the line, from what is remembered of it, and tell of it."""
        return self._worker.set_downlink(self._transport, start_bps=start_bps, least_bps=least_bps, most_bps=most_bps)

    def begin_ladder(self, rungs: Sequence[Rung]) -> Awaitable[object]:
        """What the senders get of what the line carries."""
        return self._worker.set_ladder(self._transport, rungs)

    def begin_receiver(self, params: ReceiveParameters) -> tuple[int, Awaitable[object]]:
        """The id of a new receiver, and its being there."""
        receiver = self._worker.receivers.take()
        self._receivers.append(receiver)
        return receiver, self._worker.add_receiver(receiver, self._transport, params)

    async def remove_receiver(self, receiver: int) -> None:
        await self._worker.remove_receiver(receiver)
        _discard(self._receivers, receiver)
        self._worker.receivers.give_back(receiver)

    def begin_sender(self, params: SendParameters) -> tuple[int, Awaitable[object]]:
        """The id of a new sender, bound to nothing, and its being there."""
        sender = self._worker.senders.take()
        self._senders.append(sender)
        return sender, self._worker.add_sender(sender, self._transport, params)

    async def remove_sender(self, sender: int) -> None:
        await self._worker.remove_sender(sender)
        _discard(self._senders, sender)
        _discard(self.held, sender)
        self._worker.senders.give_back(sender)

    async def bind(self, sender: int, source: Source, tables: tuple[list[int], list[int]], red_pt: int = 0) -> bool:
        """
        Forward a source to a sender; `red_pt`: as which its peer takes RED around Opus. False where the source is gone
        meanwhile: news of that is on its way.
        """
        return await self.bound(self.begin_bind(sender, source, tables, red_pt))

    def begin_bind(
        self, sender: int, source: Source, tables: tuple[list[int], list[int]], red_pt: int = 0
    ) -> Awaitable[object]:
        """As `bind`, for whoever has several; `bound` awaits one."""
        is_open = source.is_open_voice
        return self._worker.bind_sender(
            sender, source.receiver, *tables, red_pt=red_pt if is_open else 0, may_join=is_open
        )

    async def bound(self, begun: Awaitable[object]) -> bool:
        """What `begin_bind` began is done."""
        try:
            await begun
        except NativeError as error:
            if error.is_not_found:
                return False
            raise
        return True

    async def unbind(self, sender: int) -> None:
        await self._worker.bind_sender(sender, 0)

    async def pause(self, sender: int, is_paused: bool) -> None:
        await self._worker.pause_sender(sender, is_paused)

    def new_ssrc(self) -> int:
        """Random (RFC 3550, 8.1), never 0, never the same twice on this connection."""
        while (ssrc := secrets.randbits(32)) == 0 or ssrc in self._ssrcs:
            pass
        self._ssrcs.append(ssrc)
        return ssrc

    async def stats(self) -> StatsReport:
        return await self._worker.transport_stats(self._transport)

    async def close(self) -> None:
        """Remove the transport and all that hangs on it. Safe twice, and after the worker stopped."""
        transport, self._transport = self._transport, 0
        if not transport:
            return
        if self.data is not None:
            self._transport = transport  # so that the peer is told
            self.data.close()
            self._transport = 0
        self._worker.unlisten(transport)
        self.state = "closed"
        try:
            await self._worker.remove_transport(transport)
        except NativeError as error:
            if self._worker.is_running and not error.is_not_found:
                raise  # it still lives: its ids must not be given to another
        for pool, taken in (
            (self._worker.receivers, self._receivers),
            (self._worker.senders, self._senders),
            (self._worker.transports, [transport]),
        ):
            for each in taken:
                pool.give_back(each)
        self._receivers.clear()
        self._senders.clear()
        self.held.clear()

    def _on_event(self, event: WorkerEvent) -> None:
        if isinstance(event, DataReceived):
            self._on_data(event.data)
        elif isinstance(event, Tapped):
            if self._on_tapped is not None:
                self._on_tapped(event)
        elif isinstance(event, LineEstimate):
            self.on_line(event)
        elif isinstance(event, SenderHeld):
            _discard(self.held, event.sender)
            if event.is_held:
                self.held.append(event.sender)
            self.on_line(event)
        elif isinstance(event, PathChanged):
            self.uplink = line_of(event.remote)
        elif isinstance(event, TransportStateChanged):
            self.srtp_profile = event.srtp_profile
            self.reason = event.reason
            self._changed(event.state)

    def _on_data(self, packet: bytes) -> None:
        if self.data is None:
            return
        if not self._waiting and self._may_feed(packet):
            self.data.feed(packet)
        elif len(self._waiting) < MAX_WAITING_PACKETS:
            self._waiting.append(packet)
            if len(self._waiting) == 1:
                asyncio.get_running_loop().call_later(TURN_S, self._take_turn)

    def _may_feed(self, packet: bytes) -> bool:
        now = time.monotonic()
        if self._chunks is None:
            self._chunks = Bucket(CHUNK_BURST, CHUNKS_PER_S, now)
        return self._chunks.take(now, chunk_count(packet))

    def _take_turn(self) -> None:
        while self._waiting:
            if self.data is None or self.data.is_gone:
                self._waiting.clear()
            elif self._may_feed(self._waiting[0]):
                self.data.feed(self._waiting.pop(0))
            else:
                asyncio.get_running_loop().call_later(TURN_S, self._take_turn)
                return


def line_of(remote: str) -> str:
    """What of "address port" is the same for all behind one line: an IPv4 address, the first 64 bits of an IPv6 one."""
    try:
        address = ipaddress.ip_address(remote.rpartition(" ")[0])
    except ValueError:  # a path without an address
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _discard(ids: list[int], id: int) -> None:
    if id in ids:
        ids.remove(id)


async def _nothing() -> None:
    """There is nothing to wait for."""
