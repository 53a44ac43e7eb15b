"""
A publishing connection: the client offers what it sends, the relay answers (WebSocket `publish`, WHIP).

Event loop's thread; one offer at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace

from telerelay.connection.data import DataListener
from telerelay.connection.state import PublishConnectionState, ReceivingState
from telerelay.connection.transport import Connection, Site
from telerelay.dataplane import Inventory
from telerelay.errors import NativeError, RemoteProtocolError
from telerelay.protocol.negotiation import CodecPolicy, PublishNegotiation
from telerelay.protocol.parameters import ReceiveParameters


@dataclass(frozen=True, slots=True)
class Receiving:
    """One active section: the id of its receiver and what was negotiated."""

    receiver: int
    params: ReceiveParameters


class PublishConnection:
    """What one participant sends. `receiving` maps the MID of each active section to its receiver."""

    def __init__(
        self,
        site: Site,
        policy: CodecPolicy,
        *,
        participant: int,
        is_admitted: bool,
        on_state: Callable[[str], None] = lambda state: None,
        data_listener: DataListener | None = None,
    ) -> None:
        self.transport = Connection(
            site, participant=participant, is_admitted=is_admitted, on_state=on_state, data_listener=data_listener
        )
        self.receiving: dict[str, Receiving] = {}
        self.is_broken = False
        """The worker refused what was negotiated: only a new connection helps."""
        self._policy = policy
        self._negotiation = PublishNegotiation(policy)
        self._lock = asyncio.Lock()

    async def offer(self, sdp: str, instruments: Collection[str] = ()) -> str:
        """
        Take an offer, return the answer; `receiving` then holds exactly the sections that are active. `instruments` are
        the mids of sound that is a measurement.

        Raises RemoteProtocolError with everything as it was, or, where the worker refused, with the connection broken.
        """
        async with self._lock:
            # The worker has its part to do while this one reads the offer, and is told all that follows in one go.
            opening = None if self.transport.is_open else self.transport.begin_open()
            restarted = self.transport.restarted() if opening is None else self.transport.local
            try:
                result = self._negotiation.on_offer(sdp, self.transport.local, restarted, instruments)
            except BaseException:
                await self.transport.settle((), opening)
                raise
            try:
                if result.ice_changed:
                    await self.transport.restart(restarted)
                await self._receive(result.receivers, opening, self.transport.begin_apply(result.remote))
                self.transport.negotiated_data(result.data)
            except BaseException as error:
                self.is_broken = True
                if isinstance(error, NativeError) and self.transport.is_open:
                    raise RemoteProtocolError(
                        "unsupported_sdp", "the data plane refused the offer", status=422
                    ) from error
                raise
            return result.answer

    # ---------------------------------------------------------------- from one process to the next

    def snapshot(self, *, is_told: bool = True) -> PublishConnectionState:
        """What a successor of this process has to know to go on with it; `is_told` as a transport's."""
        return PublishConnectionState(
            transport=self.transport.snapshot(is_told=is_told),
            receiving={mid: ReceivingState(each.receiver, each.params) for mid, each in self.receiving.items()},
            negotiation=self._negotiation.state,
        )

    def resume(self, state: PublishConnectionState, inventory: Inventory) -> bool:
        """Go on where another process was; False: the transport is gone."""
        self._negotiation = PublishNegotiation(self._policy, state.negotiation)
        self.receiving = {
            mid: Receiving(each.receiver, each.params)
            for mid, each in state.receiving.items()
            if each.receiver in inventory.receivers
        }
        return self.transport.resume(state.transport, inventory)

    async def catch_up(self) -> None:
        await self.transport.catch_up([each.receiver for each in self.receiving.values()], ())

    async def _receive(
        self,
        wanted: tuple[ReceiveParameters, ...],
        opening: Awaitable[object] | None,
        begun: tuple[Awaitable[object], ...],
    ) -> None:
        """Make the receivers those of the offer; all that was begun before is done then, too."""
        by_mid = {params.mid: params for params in wanted}
        for mid, current in list(self.receiving.items()):
            if mid not in by_mid or not _is_same(by_mid[mid], current.params):
                del self.receiving[mid]
                await self.transport.remove_receiver(current.receiver)
        added = {
            mid: self.transport.begin_receiver(params) for mid, params in by_mid.items() if mid not in self.receiving
        }
        await self.transport.settle((*begun, *(being_added for _, being_added in added.values())), opening)
        for mid, (receiver, _) in added.items():
            self.receiving[mid] = Receiving(receiver, by_mid[mid])

    async def close(self) -> None:
        await self.transport.close()
        self.receiving.clear()


def _is_same(new: ReceiveParameters, old: ReceiveParameters) -> bool:
    """Whether a receiver may stay as it is: the name of its media stream is no matter of the data plane."""
    return replace(new, msid=None) == replace(old, msid=None)
