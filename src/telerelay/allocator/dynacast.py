"""
What is worth sending of a publication: which of its encodings somebody wants, and where one receiver alone gets it, how
much that one's line carries.

Sans-I/O: times are arguments, nothing waits. One object for each publication; a caller keeps them by whatever key it
has, and tells publishers what they answer with.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace

from telerelay.allocator.tracks import Layer

OFF_US = 4_000_000
"""
An encoding that nobody has wanted for so long is switched off, within five seconds with the way to the publisher: a
line that falls for a moment is back before.
"""


@dataclass(slots=True)
class Dynacast:
    """
    The encodings of one publication that its publisher is to send. Back at once, off after OFF_US; what nobody has
    asked for yet is off from OFF_US after the first word of anyone's.

    A receiver wants what it gets, and what it could climb to next: `Ladder.encodings_below` of what its estimator looks
    for. Of a publication without receivers nothing is worth sending.
    """

    encodings: int
    """How many there are."""
    active: frozenset[int] = field(init=False)
    """Those to be sent."""
    _wanted: dict[Hashable, frozenset[int]] = field(default_factory=dict, init=False)
    _idle_us: dict[int, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.active = frozenset(range(self.encodings))

    @property
    def receivers(self) -> frozenset[Hashable]:
        """Who has said what it wants, and has not left."""
        return frozenset(self._wanted)

    @property
    def is_waiting(self) -> bool:
        """Time alone may change `active`."""
        return not self.active.isdisjoint(self._idle_us)

    def on_wanted(self, receiver: Hashable, encodings: Iterable[int], now_us: int) -> bool:
        """What that receiver has use for from now on; whether `active` is another by that."""
        self._wanted[receiver] = frozenset(encodings)
        return self.on_time(now_us)

    def on_left(self, receiver: Hashable, now_us: int) -> bool:
        """That receiver is gone; whether `active` is another by that."""
        self._wanted.pop(receiver, None)
        return self.on_time(now_us)

    def on_time(self, now_us: int) -> bool:
        """Once a second and after every other call; whether `active` is another."""
        wanted = frozenset[int]().union(*self._wanted.values())
        found = set()
        for encoding in range(self.encodings):
            if encoding in wanted:
                self._idle_us.pop(encoding, None)
                found.add(encoding)
            elif encoding in self.active and now_us - self._idle_us.setdefault(encoding, now_us) < OFF_US:
                found.add(encoding)
        was, self.active = self.active, frozenset(found)
        return was != self.active


LINE_PERCENT = 95
"""Of a line's estimate: an encoder goes over its target for a frame or two."""

UP_PERCENT, DOWN_PERCENT = 108, 97
"""
More is told where it is a twelfth more, less where it is three hundredths less: each change is a message, and most
encoders take 100 ms and a step of ten percent.
"""

UP_US, UP_AT_ONCE_PERCENT = 1_000_000, 125
"""More is told no more often than this, but for a quarter more, as for who has just come; less is told at once."""


@dataclass(slots=True)
class SoleLimit:
    """
    What the publisher of one encoding may send while one receiver alone gets it, bit/s on the wire; None: no limit.

    With more receivers the worst line would decide for all; with layers there is something to choose from instead.
    """

    floor_bps: int
    """Never less: a picture of less is none, and it is the ladder that pauses it."""
    limit_bps: int | None = None
    _told_us: int = 0

    def on_estimate(self, estimate_bps: int, others_bps: int, now_us: int) -> bool:
        """
        The receiver's estimate, and what else goes over that line (voices, copies, other pictures); whether `limit_bps`
        is another by that.
        """
        bps = max(self.floor_bps, estimate_bps * LINE_PERCENT // 100 - others_bps)
        if self.limit_bps is not None:
            is_less = bps * 100 <= self.limit_bps * DOWN_PERCENT
            has_waited = now_us - self._told_us >= UP_US or bps * 100 >= self.limit_bps * UP_AT_ONCE_PERCENT
            is_more = bps * 100 >= self.limit_bps * UP_PERCENT and has_waited
            if not is_less and not is_more:
                return False
        self.limit_bps, self._told_us = bps, now_us
        return True

    def on_receivers(self, count: int) -> bool:
        """How many get it; whether a limit has ended by that."""
        if count == 1 or self.limit_bps is None:
            return False
        self.limit_bps = None
        return True


def following(layer: Layer, floor_bps: int) -> Layer:
    """
    The layer of a source that follows a SoleLimit as a ladder is to see it: it costs its floor, not what it has just
    been measured at, for it comes down with the line before it has to be paused.
    """
    return replace(layer, target_bps=floor_bps)
