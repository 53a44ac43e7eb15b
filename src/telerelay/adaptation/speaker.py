"""
Who speaks, by how loud everybody has been of late: one at a time, and not another for every cough.

Sans-I/O: times are arguments, microseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

LOUD = 77
"""Mean audio level that is speech: 50 dB below the loudest (RFC 6464), between a quiet voice and a quiet room."""

LOUDER = 6
"""So many decibels more than who speaks now: two who talk at once do not take turns by the syllable."""

TAKES_US = 900_000
"""Who is louder for so long takes over; in a pause of who spoke before, at once."""

LEAST_US = 2_000_000
"""Nobody speaks for less: a layout that moves more often is worse than one that is late."""


@dataclass(slots=True)
class Speaker:
    """`participant` speaks now, or spoke last; None: nobody has yet, or that one is gone."""

    participant: str | None = None
    _since_us: int = 0
    _rival: str | None = None
    _rival_since_us: int = 0

    def on_levels(self, levels: Mapping[str, int], now_us: int) -> bool:
        """
        How loud each participant who is here is, 0 to 127; whether another speaks than before. Each half second.
        """
        before = self.participant
        if self.participant is not None and self.participant not in levels:
            self.participant = self._rival = None
        loudest = max(levels, key=lambda each: levels[each], default=None)
        if loudest is None or levels[loudest] < LOUD or loudest == self.participant:
            self._rival = None
            return before != self.participant
        if loudest != self._rival:
            self._rival, self._rival_since_us = loudest, now_us
        if self._may_take(levels, loudest, now_us):
            self.participant, self._since_us, self._rival = loudest, now_us, None
        return before != self.participant

    def _may_take(self, levels: Mapping[str, int], rival: str, now_us: int) -> bool:
        if self.participant is None:
            return True
        if now_us - self._since_us < LEAST_US:
            return False
        level = levels[self.participant]
        return level < LOUD or (levels[rival] >= level + LOUDER and now_us - self._rival_since_us >= TAKES_US)
