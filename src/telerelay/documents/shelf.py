"""
What of one consult is here and on its way, and whether there is room for more.

Sans-I/O: `now` is the consults' clock, Unix seconds. The bytes are the volume's.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from telerelay.config import DocumentsConfig
from telerelay.documents.declared import Declared
from telerelay.errors import RemoteProtocolError

SENDERS = frozenset({"patient", "companion", "practitioner", "requester", "expert", "assistant", "device"})
"""Roles that may send documents. A rule of the host's may take that away from somebody, and give it to nobody else."""

READERS = frozenset({"patient", "companion", "practitioner", "requester", "expert", "assistant"})
"""Roles that are handed what others send: those that a call is held with."""


@dataclass(slots=True)
class Item:
    """One document: `offset` is how much of it is here, `at` when something last came of it, or it was complete."""

    id: str
    sub: str
    role: str
    declared: Declared
    at: float
    offset: int = 0
    is_complete: bool = False


class Shelf:
    """One consult's."""

    def __init__(self, limits: DocumentsConfig) -> None:
        self._limits = limits
        self.items: dict[str, Item] = {}

    def check(self, sub: str, declared: Declared) -> None:
        """
        Whether one more may come from this person. Raises RemoteProtocolError too_large, too_many_documents.
        """
        limits = self._limits
        if declared.size_bytes > limits.max_bytes:
            raise RemoteProtocolError("too_large", f"a document has at most {limits.max_bytes} bytes")
        if sum(each.sub == sub for each in self.items.values()) >= limits.per_person:
            raise RemoteProtocolError("too_many_documents", f"one person sends at most {limits.per_person}")
        if len(self.items) >= limits.per_consult:
            raise RemoteProtocolError("too_many_documents", f"a consult has at most {limits.per_consult}")
        size_bytes = sum(each.declared.size_bytes for each in self.items.values())
        if size_bytes + declared.size_bytes > limits.consult_bytes:
            raise RemoteProtocolError("too_large", f"a consult has at most {limits.consult_bytes} bytes of documents")

    @property
    def missing_bytes(self) -> int:
        """What is to come of all that is on its way."""
        return sum(each.declared.size_bytes - each.offset for each in self.items.values() if not each.is_complete)

    def expired(self, now: float) -> tuple[Item, ...]:
        """Those on their way that nothing came of for too long."""
        before = now - self._limits.expire_s
        return tuple(each for each in self.items.values() if not each.is_complete and each.at <= before)

    def complete(self) -> Iterable[Item]:
        """Those that are here as a whole, in the order they were begun."""
        return (each for each in self.items.values() if each.is_complete)
