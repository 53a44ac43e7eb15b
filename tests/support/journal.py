"""
Facts for tests of the journal that need none of a consult's: a kind, clear parts, personal parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Said:
    """A fact of any kind."""

    at: float = 1_764_000_000.0
    kind: str = "arrived"
    clear: Mapping[str, Any] = field(default_factory=lambda: {"sub": "p1"})
    personal: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> tuple[str, Mapping[str, Any], Mapping[str, Any]]:
        return self.kind, self.clear, self.personal
