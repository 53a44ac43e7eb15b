"""
A consult as far as it was told: what a fact means is seen from the facts before it.

Pure. The same facts, read again after a crash, are told in the same words.
"""

from telerelay.consult import facts
from telerelay.consult.record import Record, begin, fold
from telerelay.errors import LocalProtocolError
from telerelay.hooks.told import Entry, Told, told


class Story:
    """One consult's."""

    def __init__(self) -> None:
        self.sequence = 0
        """The last fact that was read."""
        self._record: Record | None = None

    def read(self, entry: Entry) -> Told:
        """The next fact, and how it is told."""
        before = self._record.state if self._record else ""
        self.sequence = entry.sequence
        self._record = _after(self._record, entry)
        state = self._record.state if self._record else ""
        people = self._record.people if self._record else {}
        sub = entry.clear.get("sub")
        role = people[sub].role if isinstance(sub, str) and sub in people else ""
        ended = self._record.ended if self._record else None
        return told(entry, before, state, role, ended.outcome if ended else "")


def _after(record: Record | None, entry: Entry) -> Record | None:
    """The record after a fact; as it was, where the fact is none that can follow: it is told all the same."""
    try:
        fact = facts.from_json(entry.kind, entry.at, entry.clear)
        if record is None:
            return begin(fact) if isinstance(fact, facts.Scheduled) else None
        return fold(record, fact)
    except (ValueError, LocalProtocolError):
        return record
