"""
What an allocator answers with, and what an allocator is.

Pure values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from telerelay.allocator.tracks import Track

MAX_RUNGS = 64
"""As many as go into one command to a worker: TR_MAX_RUNGS."""


@dataclass(frozen=True, slots=True)
class Rung:
    """
    Taken together with those below it, it gives that sender that layer; of a sender the uppermost rung counts.

    `cost_bps` is of everything up to and including this rung, voices too, on the wire.
    """

    sender: int
    cost_bps: int
    encoding: int = 0
    spatial: int = 0
    temporal: int = 0
    is_paused: bool = False


@dataclass(frozen=True, slots=True)
class Ladder:
    """
    Rungs from the ground up, at most MAX_RUNGS; costs never fall. A sender of which no rung is taken is paused.

    The rungs at the foot that pause say what is left when no picture can be sent.
    """

    rungs: tuple[Rung, ...] = ()

    def taken(self, bps: int) -> tuple[Rung, ...]:
        """The rungs that a line of `bps` carries."""
        return tuple(each for each in self.rungs if each.cost_bps <= bps)

    def layers_at(self, bps: int) -> dict[int, Rung]:
        """What each sender has on a line of `bps`; who is paused is not in it."""
        found = {each.sender: each for each in self.taken(bps)}
        return {sender: rung for sender, rung in found.items() if not rung.is_paused}

    def encodings_below(self, bps: int) -> dict[int, frozenset[int]]:
        """Which encodings each sender may have while the line carries no more than `bps`: what dynacast keeps on."""
        found: dict[int, set[int]] = {each.sender: set() for each in self.rungs}
        for rung in self.taken(bps):
            if not rung.is_paused:
                found[rung.sender].add(rung.encoding)
        return {sender: frozenset(encodings) for sender, encodings in found.items()}


class Allocator(Protocol):
    """
    Decides for one receiver what comes first. An application may put its own here.

    It is asked when something but the line has changed: a track came or went, somebody went on stage, rates moved. The
    same tracks must give the same ladder. It must neither wait nor read a clock.
    """

    def allocate(self, tracks: Sequence[Track]) -> Ladder:
        """A ladder over the tracks of one receiver, its voices included, in any order."""
