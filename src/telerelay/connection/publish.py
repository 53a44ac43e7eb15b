"""
A publishing connection: the client offers what it sends, the relay answers (WebSocket `publish`, WHIP).

Event loop's thread; one offer at a time.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from telerelay.connection.data import DataListener
from telerelay.connection.transport import Connection, Site
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
        self._negotiation = PublishNegotiation(policy)
        self._lock = asyncio.Lock()

    async def offer(self, sdp: str) -> str:
        """
        Take an offer, return the answer; `receiving` then holds exactly the sections that are active.

        Raises RemoteProtocolError with everything as it was, or, where the worker refused, with the connection broken.
        """
        async with self._lock:
            if not self.transport.is_open:
                await self.transport.open()
            restarted = self.transport.restarted()
            result = self._negotiation.on_offer(sdp, self.transport.local, restarted)
            try:
                if result.ice_changed:
                    await self.transport.restart(restarted)
                await self.transport.apply(result.remote)
                await self._receive(result.receivers)
                self.transport.negotiated_data(result.data)
            except BaseException as error:
                self.is_broken = True
                if isinstance(error, NativeError):
                    raise RemoteProtocolError(
                        "unsupported_sdp", "the data plane refused the offer", status=422
                    ) from error
                raise
            return result.answer

    async def _receive(self, wanted: tuple[ReceiveParameters, ...]) -> None:
        by_mid = {params.mid: params for params in wanted}
        for mid, current in list(self.receiving.items()):
            if mid not in by_mid or not _is_same(by_mid[mid], current.params):
                del self.receiving[mid]
                await self.transport.remove_receiver(current.receiver)
        for mid, params in by_mid.items():
            if mid not in self.receiving:
                self.receiving[mid] = Receiving(await self.transport.add_receiver(params), params)

    async def close(self) -> None:
        await self.transport.close()
        self.receiving.clear()


def _is_same(new: ReceiveParameters, old: ReceiveParameters) -> bool:
    """Whether a receiver may stay as it is: the name of its media stream is no matter of the data plane."""
    return replace(new, msid=None) == replace(old, msid=None)
