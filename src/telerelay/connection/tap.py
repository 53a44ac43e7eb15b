"""
A tap: a subscribing connection without a peer. What the worker would send somebody comes to this process as it is.

Event loop's thread. It is a subscriber like any other to the worker, which forwards nothing to it across rooms, nor
before it is admitted; a packet that finds the ring of events half full is dropped, and nobody else's call notices.
"""

from collections.abc import Callable, Collection

from telerelay.connection.source import Source
from telerelay.connection.transport import Connection, Site
from telerelay.dataplane import Tapped
from telerelay.errors import TelerelayError
from telerelay.protocol.negotiation import bind_table
from telerelay.protocol.parameters import NegotiatedCodec, SendParameters
from telerelay.tasks import Bell


class TapConnection:
    """
    Takes the wanted sources whose first codec of `codecs` (names in small letters) it is told of: `on_source` by the
    SSRC that its packets bear, before the first of them, None: no longer. `run` must be running for that.
    """

    def __init__(
        self,
        site: Site,
        *,
        participant: int,
        is_admitted: bool,
        codecs: Collection[str],
        on_source: Callable[[int, Source | None, str], None],
        on_packet: Callable[[Tapped], None],
        on_state: Callable[[str], None] = lambda state: None,
    ) -> None:
        self.transport = Connection(
            site, participant=participant, is_admitted=is_admitted, on_state=on_state, on_tapped=on_packet
        )
        self._codecs = frozenset(codecs)
        self._on_source = on_source
        self._on_state = on_state
        self._wanted: dict[str, Source] = {}
        self._sending: dict[str, tuple[int, int, Source]] = {}
        self._changed = Bell()

    def want(self, source: Source) -> None:
        """Send this from now on."""
        self._wanted[source.publication] = source
        self._changed.ring()

    def unwant(self, publication: str) -> None:
        """Send this no longer."""
        self._wanted.pop(publication, None)
        self._changed.ring()

    async def run(self) -> None:
        """Bring the worker in line with what is wanted, until cancelled."""
        try:
            await self.transport.open()
            while True:
                await self._changed.wait()
                await self._reconcile()
        except TelerelayError:
            self._on_state("failed")

    async def close(self) -> None:
        await self.transport.close()
        self._sending.clear()

    async def _reconcile(self) -> None:
        for publication, (sender, ssrc, source) in tuple(self._sending.items()):
            if self._wanted.get(publication) != source:
                del self._sending[publication]
                await self.transport.remove_sender(sender)
                self._on_source(ssrc, None, "")
        for publication, source in tuple(self._wanted.items()):
            if publication not in self._sending:
                await self._begin(source)

    async def _begin(self, source: Source) -> None:
        codecs = tuple(each for each in source.receive.codecs if each.codec.name.lower() in self._codecs)
        if not codecs:
            return
        ssrc = self.transport.new_ssrc()
        params = _parameters(source, ssrc, codecs)
        sender, being_added = self.transport.begin_sender(params)
        await being_added
        self._sending[source.publication] = (sender, ssrc, source)
        self._on_source(ssrc, source, codecs[0].codec.name.lower())
        if not await self.transport.bind(sender, source, bind_table(source.receive, params)):
            self._changed.ring()  # it is gone, and that is on its way


def _parameters(source: Source, ssrc: int, codecs: tuple[NegotiatedCodec, ...]) -> SendParameters:
    """One codec: what a file begins with it goes on with. Others of the publisher's are not forwarded to it."""
    name = codecs[0].codec.name
    return SendParameters(
        key=source.publication,
        mid="",
        kind=source.kind,
        ssrc=ssrc,
        rtx_ssrc=0,
        cname=source.participant[:32],
        codecs=tuple(each for each in codecs if each.codec.name == name),
        extensions={},
    )
