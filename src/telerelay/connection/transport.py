"""
One transport on a worker, and what hangs on it.

Event loop's thread. Owns the ids it took: whatever happens, `close` gives every one of them back.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from telerelay.connection.credentials import new_credentials
from telerelay.connection.source import Source
from telerelay.dataplane import StatsReport, TransportStateChanged, Worker, WorkerEvent
from telerelay.errors import NativeError
from telerelay.protocol.parameters import (
    Candidate,
    Fingerprint,
    LocalTransport,
    ReceiveParameters,
    RemoteTransport,
    SendParameters,
)


@dataclass(frozen=True, slots=True)
class Site:
    """Where a room lives: its worker, the worker's candidates, and the number that keeps its media from other rooms."""

    worker: Worker
    fingerprint: Fingerprint
    candidates: tuple[Candidate, ...]
    room: int


class Connection:
    """A transport with its receivers and senders. `open` must be acknowledged before an offer or answer leaves."""

    def __init__(
        self, site: Site, *, participant: int, is_admitted: bool, on_state: Callable[[str], None] = lambda state: None
    ) -> None:
        self._worker = site.worker
        self._room = site.room
        self._participant = participant
        self._is_admitted = is_admitted
        self._on_state = on_state
        self.local = LocalTransport(
            ice=new_credentials(site.worker.index), fingerprint=site.fingerprint, candidates=site.candidates
        )
        self.state = "new"
        self.srtp_profile = ""
        self.reason = ""
        self._transport = 0
        self._remote: RemoteTransport | None = None
        self._receivers: set[int] = set()
        self._senders: set[int] = set()
        self._ssrcs: set[int] = set()

    @property
    def is_open(self) -> bool:
        return self._transport != 0

    async def open(self) -> None:
        """Create the transport. Raises NativeError; nothing is left behind then."""
        self._transport = self._worker.transports.take()
        self._worker.listen(self._transport, self._on_event)
        try:
            await self._worker.add_transport(
                transport=self._transport,
                room=self._room,
                participant=self._participant,
                is_admitted=self._is_admitted,
                ufrag=self.local.ice.ufrag,
                pwd=self.local.ice.pwd,
            )
        except BaseException:
            await self.close()
            raise

    async def apply(self, remote: RemoteTransport) -> None:
        """Tell the worker who the peer is; asked again with the same values, it does nothing."""
        if remote != self._remote:
            await self._worker.set_remote(self._transport, remote)
            self._remote = remote

    async def set_admitted(self, is_admitted: bool) -> None:
        self._is_admitted = is_admitted
        if self.is_open:
            await self._worker.set_admitted(self._transport, is_admitted)

    async def add_receiver(self, params: ReceiveParameters) -> int:
        """The id of a new receiver."""
        receiver = self._worker.receivers.take()
        self._receivers.add(receiver)
        await self._worker.add_receiver(receiver, self._transport, params)
        return receiver

    async def remove_receiver(self, receiver: int) -> None:
        await self._worker.remove_receiver(receiver)
        self._receivers.discard(receiver)
        self._worker.receivers.give_back(receiver)

    async def add_sender(self, params: SendParameters) -> int:
        """The id of a new sender, bound to nothing."""
        sender = self._worker.senders.take()
        self._senders.add(sender)
        await self._worker.add_sender(sender, self._transport, params)
        return sender

    async def remove_sender(self, sender: int) -> None:
        await self._worker.remove_sender(sender)
        self._senders.discard(sender)
        self._worker.senders.give_back(sender)

    async def bind(self, sender: int, source: Source, tables: tuple[list[int], list[int]]) -> bool:
        """Forward a source to a sender. False where the source is gone meanwhile: news of that is on its way."""
        try:
            await self._worker.bind_sender(sender, source.receiver, *tables)
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
        self._ssrcs.add(ssrc)
        return ssrc

    async def stats(self) -> StatsReport:
        return await self._worker.transport_stats(self._transport)

    async def close(self) -> None:
        """Remove the transport and all that hangs on it. Safe twice, and after the worker stopped."""
        transport, self._transport = self._transport, 0
        if not transport:
            return
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
            (self._worker.transports, {transport}),
        ):
            for each in taken:
                pool.give_back(each)
        self._receivers.clear()
        self._senders.clear()

    def _on_event(self, event: WorkerEvent) -> None:
        if isinstance(event, TransportStateChanged):
            self.state = event.state
            self.srtp_profile = event.srtp_profile
            self.reason = event.reason
            self._on_state(event.state)
