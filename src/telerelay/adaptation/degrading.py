"""
When a line no longer carries everything, and what the application wants given up on it.

Sans-I/O: times are arguments, microseconds. One `Lack` for each line and direction; it is asked about once for each
stretch in which not everything is carried, and the answer holds until everything has been again for a while.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from telerelay.allocator import Rung

How = Literal["usual", "keep", "audio_only"]

LACKING_US = 5_000_000
"""So long something is missing before anybody is asked: a call that begins, or a burst, is over by then."""

CARRYING_US = 10_000_000
"""So long everything is carried before what was given up comes back: people mind a picture that comes and goes."""

ASKED_US = 30_000_000
"""From one question of a line to the next at least, however its line behaves."""

BLIND_US = 60_000_000
"""A picture that was given up at its source is tried again after that: nothing tells what its line would carry."""


@dataclass(slots=True)
class Lack:
    """One line in one direction."""

    how: How = "usual"
    is_asked: bool = False
    """It was asked, and everything has not been carried since."""

    _since_us: int | None = None
    _carried_us: int | None = None
    _asked_us: int | None = None
    _answered_us: int = 0

    def on_lacking(self, now_us: int) -> bool:
        """Not everything is carried; whether it is to be asked now."""
        self._carried_us = None
        if self._since_us is None:
            self._since_us = now_us
        was_just_asked = self._asked_us is not None and now_us - self._asked_us < ASKED_US
        if self.is_asked or was_just_asked or now_us - self._since_us < LACKING_US:
            return False
        self.is_asked, self._asked_us = True, now_us
        return True

    def on_carried(self, now_us: int) -> bool:
        """Everything is; whether what was given up is to come back now."""
        self._since_us = None
        if self._carried_us is None:
            self._carried_us = now_us
        if not self.is_asked or now_us - self._carried_us < CARRYING_US:
            return False
        return self._over()

    def on_blind(self, now_us: int) -> bool:
        """Nothing can be told; whether what was given up is to be tried again."""
        self._since_us = None
        return self.is_asked and now_us - self._answered_us >= BLIND_US and self._over()

    def on_answer(self, how: How, now_us: int) -> bool:
        """What the application said; whether it changes anything. Too late where all is carried again."""
        self._answered_us = now_us
        if not self.is_asked or how == self.how:
            return False
        self.how = how
        return True

    def _over(self) -> bool:
        was, self.how, self.is_asked = self.how, "usual", False
        return was != "usual"


def degraded(rungs: Sequence[Rung], how: How) -> tuple[Rung, ...]:
    """
    A ladder as the answer has it. Costs stay, so that a line is looked into as it would be otherwise, and the rung that
    it is on says the same of it.

    audio_only: every rung pauses. keep: the first picture is sent in its least layer whatever the line carries.
    """
    if how == "audio_only":
        return tuple(replace(each, encoding=0, spatial=0, temporal=0, is_paused=True) for each in rungs)
    least = next((each for each in rungs if not each.is_paused), None)
    if how == "keep" and least is not None:
        below = rungs.index(least)
        return (*(replace(least, cost_bps=1) for _ in rungs[: below + 1]), *rungs[below + 1 :])
    return tuple(rungs)
