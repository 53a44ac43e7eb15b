"""
A WHEP connection (draft-ietf-wish-whep): the client offers sections to receive on, tracks fill them as they come.

Event loop's thread. Sections are fixed by the one offer; a track that ends frees its section for the next of its kind.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from telerelay.connection.data import DataListener
from telerelay.connection.source import Source
from telerelay.connection.state import SendingState, WhepConnectionState
from telerelay.connection.transport import Connection, Site
from telerelay.dataplane import Inventory, LineEstimate, SenderHeld
from telerelay.errors import NativeError, RemoteProtocolError, TelerelayError
from telerelay.protocol.negotiation import CANNOT, CodecPolicy, WhepNegotiation, bind_table
from telerelay.protocol.parameters import TWCC, SendParameters
from telerelay.tasks import Bell


@dataclass(slots=True)
class Section:
    """
    One recvonly section of the client's offer. `found`: the receiver that the worker forwards to it already, from
    before this process.
    """

    sender: int
    params: SendParameters
    bound: Source | None = None
    found: int = 0


def fill(sections: list[tuple[SendParameters, str | None]], sources: list[Source]) -> list[str | None]:
    """
    Which publication each section carries: what it has stays while it lasts, an empty one takes, in the sections'
    order, the oldest source of its kind that no section has and its client can decode.
    """
    alive = {source.publication for source in sources}
    kept = [publication if publication in alive else None for _, publication in sections]
    taken = {publication for publication in kept if publication}
    for index, (params, _) in enumerate(sections):
        if kept[index] is not None:
            continue
        for source in sources:
            fits = source.kind == params.kind and source.publication not in taken
            if fits and any(pt != CANNOT for pt in bind_table(source.receive, params)[0]):
                kept[index] = source.publication
                taken.add(source.publication)
                break
    return kept


class WhepConnection:
    """A subscribing connection whose client offers. `run` must be running for sections to be filled."""

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
            site,
            participant=participant,
            is_admitted=is_admitted,
            on_state=on_state,
            data_listener=data_listener,
        )
        self._on_carried: Callable[[], None] = lambda: None
        self.sections: list[Section] = []
        self._on_state = on_state
        self._policy = policy
        self._is_estimated = site.is_estimated
        self._negotiation = WhepNegotiation(policy, is_estimated=self._is_estimated)
        self._wanted: dict[str, Source] = {}
        self._changed = Bell()

    def on_adapting(self, on_line: Callable[[LineEstimate | SenderHeld], None], on_carried: Callable[[], None]) -> None:
        """Who is to hear of its line, and of what it carries, from now on."""
        self.transport.on_line, self._on_carried = on_line, on_carried

    def want(self, source: Source) -> None:
        self._wanted[source.publication] = source
        self._changed.ring()

    def unwant(self, publication: str) -> None:
        self._wanted.pop(publication, None)
        self._changed.ring()

    async def offer(self, sdp: str) -> str:
        """Take the one offer, return the answer. Raises RemoteProtocolError; close the connection then."""
        opening = self.transport.begin_open()
        try:
            result = self._negotiation.on_offer(sdp, self.transport.local, self.transport.new_ssrc)
        except BaseException:
            await self.transport.settle((), opening)
            raise
        try:
            applying = self.transport.begin_apply(result.remote)
            added = [self.transport.begin_sender(params) for params in result.sections]
            await self.transport.settle((*applying, *(being_added for _, being_added in added)), opening)
            self.transport.negotiated_data(result.data)
            self.sections = [
                Section(sender, params) for (sender, _), params in zip(added, result.sections, strict=True)
            ]
        except NativeError as error:
            if not self.transport.is_open:
                raise
            raise RemoteProtocolError("unsupported_sdp", "the data plane refused the offer", status=422) from error
        return result.answer

    # ---------------------------------------------------------------- from one process to the next

    def snapshot(self) -> WhepConnectionState:
        """What a successor of this process has to know to go on with it. No client hears of its states."""
        return WhepConnectionState(
            transport=self.transport.snapshot(is_told=False),
            sections=tuple(SendingState(each.sender, each.params) for each in self.sections),
            negotiation=self._negotiation.state,
        )

    def resume(self, state: WhepConnectionState, inventory: Inventory) -> bool:
        """
        Go on where another process was; False: the transport is gone, or not whole. `run` comes after everything that
        is wanted was said.
        """
        self._negotiation = WhepNegotiation(self._policy, state=state.negotiation, is_estimated=self._is_estimated)
        for each in state.sections:
            found = inventory.senders.get(each.sender)
            if found is None:
                return False
            self.sections.append(Section(each.sender, each.params, found=found.receiver))
        return self.transport.resume(state.transport, inventory)

    async def catch_up(self) -> None:
        await self.transport.catch_up((), [each.sender for each in self.sections])

    # ---------------------------------------------------------------- what is done

    async def run(self) -> None:
        """Fill sections until cancelled; a worker's refusal ends it as a failed connection."""
        try:
            while True:
                await self._changed.wait()
                await self._reconcile()
        except TelerelayError:
            self._on_state("failed")

    def carried(self) -> dict[int, str]:
        """The publication each sender carries."""
        return {each.sender: each.bound.publication for each in self.sections if each.bound is not None}

    @property
    def found(self) -> set[int]:
        """The receivers of what another process had it carry, until it is looked at what that is."""
        return {each.found for each in self.sections if each.found}

    @property
    def is_estimated(self) -> bool:
        """Whether its client tells what its line carries."""
        return self._is_estimated and any(TWCC in each.params.extensions for each in self.sections)

    async def close(self) -> None:
        await self.transport.close()
        self.sections.clear()

    async def _reconcile(self) -> None:
        for section in self.sections:
            if section.found:  # binding it again would have the peer wait for a keyframe
                found, section.found = section.found, 0
                section.bound = next((each for each in self._wanted.values() if each.receiver == found), None)
                if section.bound is None:
                    await self.transport.unbind(section.sender)
        before = [(section.params, section.bound.publication if section.bound else None) for section in self.sections]
        chosen = fill(before, list(self._wanted.values()))
        binding: list[tuple[Section, Source, Awaitable[object]]] = []
        for section, publication in zip(self.sections, chosen, strict=True):
            source = self._wanted.get(publication) if publication else None
            if section.bound == source:
                continue
            if source is None:
                await self.transport.unbind(section.sender)
                section.bound = None
            else:
                tables = bind_table(source.receive, section.params)
                binding.append((section, source, self.transport.begin_bind(section.sender, source, tables)))
        for section, source, begun in binding:
            if await self.transport.bound(begun):
                section.bound = source
        self._on_carried()
