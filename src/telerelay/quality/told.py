"""
What is told of a score, and to whom how often: a person hears of changes, an operator of shares.

Pure.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from telerelay.quality.model import Quality

Direction = Literal["up", "down"]
DIRECTIONS: tuple[Direction, Direction] = ("up", "down")

# A score that lies on the border between two numbers stays with the one it had, up to this far beyond the border: a
# sign that flickers says nothing.
STICKY = 0.1


@dataclass(slots=True)
class Told:
    """One person and direction: `score` 1 to 5 and `cause` as they were told last; 0: nothing was."""

    score: int = 0
    cause: str = ""

    @property
    def is_best(self) -> bool:
        return self.score == 5

    def take(self, quality: Quality) -> bool:
        """True if what is to be told is another than before."""
        score = shown(quality.score)
        if self.score and abs(quality.score - self.score) <= 0.5 + STICKY:
            score = self.score
        cause = quality.cause if score < 5 else ""
        if score < 5 and not cause:  # kept below 5 by a hair
            cause = self.cause
        if (score, cause) == (self.score, self.cause):
            return False
        self.score, self.cause = score, cause
        return True

    def forget(self) -> bool:
        """There is nothing to judge any more. True if that is news."""
        had = self.score != 0
        self.score, self.cause = 0, ""
        return had


def shown(score: float) -> int:
    """1 to 5."""
    return min(5, max(1, int(score + 0.5)))


class Tally:
    """How often each score and cause was found, by direction: nothing in it is anybody's."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[Direction, int, str]] = Counter()

    def count(self, direction: Direction, quality: Quality) -> None:
        self.counts[direction, shown(quality.score), quality.cause] += 1

    def count_best(self, direction: Direction) -> None:
        """A score that shows as 5."""
        self.counts[direction, 5, ""] += 1
