"""
Measured rates, held still: a ladder that moved with every keyframe would be a new one each second.

Sans-I/O: times are arguments. One for each encoding and layer; a caller keeps them by whatever key it has.
"""

from dataclasses import dataclass

MORE, LESS = 1.10, 0.80
"""Told anew when a tenth more has been measured, or a fifth less for SETTLE_US."""

SETTLE_US = 10_000_000
"""A scene that has been still for ten seconds may be taken for what it costs."""


@dataclass(slots=True)
class SteadyRates:
    """One layer's rate as an allocator should see it, bit/s."""

    bps: int = 0
    _low_us: int = -1
    _low_bps: int = 0

    def on_rate(self, bps: int, now_us: int) -> bool:
        """A measurement (the mean of a second, or a peak); whether `bps` is another now."""
        if bps > self.bps * MORE:
            self._low_us, self.bps = -1, bps
            return True
        if bps >= self.bps * LESS:
            self._low_us = -1
            return False
        if self._low_us < 0:
            self._low_us, self._low_bps = now_us, bps
        self._low_bps = max(self._low_bps, bps)
        if now_us - self._low_us < SETTLE_US:
            return False
        self._low_us, self.bps = -1, self._low_bps
        return True
