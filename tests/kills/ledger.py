"""
What somebody was told is so: each of it has to be on the disk, whatever was killed afterwards.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Told:
    """
    An answer, a message or a webhook's request that said so: a fact of `consult` with this `kind` and, among its clear
    parts, these `members`. `after_kills` is how many kills there had been.
    """

    consult: str
    kind: str
    members: tuple[tuple[str, Any], ...]
    after_kills: int

    def is_in(self, entries: list[tuple[str, Mapping[str, Any]]]) -> bool:
        """Whether one of these (kind, clear parts) is it."""
        wanted = dict(self.members)
        return any(kind == self.kind and wanted.items() <= dict(clear).items() for kind, clear in entries)


class Ledger:
    """All that was acknowledged, in order; `kills` counts on."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.timers: list[tuple[str, str, float]] = []
        """(consult, timer, due_at) of each timer that was taken."""
        self.kills = 0

    def note(self, consult: str, kind: str, **members: Any) -> None:
        self.told.append(Told(consult, kind, tuple(members.items()), self.kills))
