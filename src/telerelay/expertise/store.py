"""
Where the facts of requests are kept: what is needed of a store, and the built-in one, in the relay's SQLite journal.

Event loop's thread; the disk is the store's own affair.
"""

import logging
from collections.abc import Mapping
from typing import Protocol

from telerelay.expertise.facts import PREFIX, Facts, from_json
from telerelay.journal import Entry, Journal
from telerelay.logs import say


class ExpertiseStore(Protocol):
    """
    A host that keeps requests in a database of its own gives one of these (`Relay(expertise_store=…)`). Whatever is
    raised here goes to whoever gave the command, and the fact has not happened then: a command is one call of `append`.
    """

    async def open(self) -> Mapping[str, Facts]:
        """All facts, in order, of each request that is neither answered nor withdrawn. Once, before anything else."""
        ...

    async def read(self, request: str) -> Facts:
        """All facts of one request, in order; none where there is no such request."""
        ...

    async def append(self, request: str, facts: Facts, sequence: int) -> None:
        """
        Returns when they are durable, all or none. `sequence` is the number of the first one, from 1 and gapless within
        a request: what is there under it already must stay, and be refused (RemoteProtocolError conflict).
        """
        ...


class JournalStore:
    """
    In the relay's journal: chained and anchored as consults are, question and answer sealed under the request's own
    key, which erasure destroys. Hooks are told of what is here, by `on_expertise`.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def open(self) -> Mapping[str, Facts]:
        found = await self._journal.open_consults(lambda name: name.startswith(PREFIX))
        opened = {}
        for name, entries in found.items():
            try:
                opened[name.removeprefix(PREFIX)] = _facts(entries)
            except ValueError as error:
                say(logging.ERROR, "expertise_unreadable", error=type(error).__name__, count=len(entries))
        return opened

    async def read(self, request: str) -> Facts:
        return _facts(await self._journal.read(PREFIX + request))

    async def append(self, request: str, facts: Facts, sequence: int) -> None:
        # One process writes a journal, and each request has one writer in it: the number follows by itself.
        await self._journal.append(PREFIX + request, facts)


def _facts(entries: tuple[Entry, ...]) -> Facts:
    return tuple(from_json(each.kind, each.at, each.clear, each.personal) for each in entries)
