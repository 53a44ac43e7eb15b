"""
The journal as the outbox reads it.

Event loop's thread, but for `heads`, which is the store's.
"""

import sqlite3
from collections.abc import Iterator, Sequence

from telerelay.hooks.told import Entry
from telerelay.journal.journal import Journal
from telerelay.journal.schema import OWN


class JournalSource:
    """What of a journal is told: the clear parts. What is sealed stays sealed."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def entries(self, consult: str, after: int, limit: int) -> Sequence[Entry]:
        found = await self._journal.read(consult, after=after, limit=limit)
        return [Entry(each.consult, each.seq, each.at, each.kind, each.clear) for each in found]

    def heads(self, connection: sqlite3.Connection) -> Iterator[tuple[str, int]]:
        yield from connection.execute("SELECT consult, seq FROM consults WHERE consult != ?", (OWN,))
