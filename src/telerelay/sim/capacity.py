"""
What a line carries over time: steps of constant capacity, zero where it is down.

Pure. Times are integer microseconds, rates bit/s.
"""

import itertools
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from telerelay.sim.clock import SECOND_US

NEVER_US = 1 << 60
"""Later than any run lasts."""


class Capacity:
    """Steps of capacity from time 0 on; the last one holds for ever."""

    __slots__ = ("_at", "_rates_bps", "_starts_us")

    def __init__(self, steps: Iterable[tuple[int, int]]) -> None:
        """`steps`: (start in us, bit/s), by rising start; the first starts at 0."""
        pairs = list(steps)
        if not pairs or pairs[0][0] != 0 or any(a[0] >= b[0] for a, b in itertools.pairwise(pairs)):
            raise ValueError("steps must start at 0 and rise")
        self._starts_us = [start for start, _ in pairs]
        self._rates_bps = [rate for _, rate in pairs]
        # Where the last question was answered: questions come in rising time.
        self._at = 0

    @classmethod
    def constant(cls, bps: int) -> "Capacity":
        """The same for ever."""
        return cls([(0, bps)])

    @classmethod
    def in_seconds(cls, *steps: tuple[float, float]) -> "Capacity":
        """From (start in seconds, Mbit/s), as the RFCs write them."""
        return cls((round(start * SECOND_US), round(mbps * 1e6)) for start, mbps in steps)

    @property
    def steps(self) -> Sequence[tuple[int, int]]:
        """(start in us, bit/s) of every step."""
        return list(zip(self._starts_us, self._rates_bps, strict=True))

    def at(self, when_us: int) -> int:
        """Bit/s in that moment."""
        return self._rates_bps[max(0, bisect_right(self._starts_us, when_us) - 1)]

    def finish_us(self, start_us: int, bits: int) -> int:
        """When so many bits are through that start then; NEVER_US where the line stays down."""
        starts, rates, at = self._starts_us, self._rates_bps, self._at
        if starts[at] > start_us:
            at = bisect_right(starts, start_us) - 1
        last = len(starts) - 1
        while at < last and starts[at + 1] <= start_us:
            at += 1
        self._at = at
        need = bits * SECOND_US
        while True:
            rate = rates[at]
            if at == last:
                return start_us + -(-need // rate) if rate else NEVER_US
            end_us = starts[at + 1]
            able = rate * (end_us - start_us)
            if able >= need:
                return start_us + -(-need // rate)
            need -= able
            start_us = end_us
            at += 1

    def bits(self, start_us: int, end_us: int) -> int:
        """What it carries between the two moments."""
        total = 0
        starts, rates = self._starts_us, self._rates_bps
        at = max(0, bisect_right(starts, start_us) - 1)
        while start_us < end_us:
            until_us = min(end_us, starts[at + 1]) if at + 1 < len(starts) else end_us
            total += rates[at] * (until_us - start_us)
            start_us = until_us
            at += 1
        return total // SECOND_US

    def mean_bps(self, end_us: int) -> int:
        """The mean from 0 to there."""
        return self.bits(0, end_us) * SECOND_US // end_us
