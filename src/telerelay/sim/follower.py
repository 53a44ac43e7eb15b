"""
A publisher of one picture that follows the line of its one receiver, as the relay tells it to (`limits`).

Sans-I/O. The rule is the relay's own, `SoleLimit`, asked as often as the relay's control asks it.
"""

from telerelay.adaptation.room import BACK_BPS, FLOOR_BPS
from telerelay.allocator import SoleLimit
from telerelay.sim.choices import WIRE
from telerelay.sim.clock import MS_US
from telerelay.sim.simulcast import Publisher

LOOK_US = 500 * MS_US
"""Limits are decided on twice a second."""


class Follower:
    """One such publisher, on a line that `others_bps` go over besides."""

    def __init__(self, publisher: Publisher, others_bps: int) -> None:
        self._publisher = publisher
        self._others_bps = others_bps
        self._sole = SoleLimit(FLOOR_BPS)
        self._looked_us = -LOOK_US

    def on_estimate(self, now_us: int, estimate_bps: int, *, is_paused: bool) -> None:
        """What the line carries now. A paused picture is kept at the rate at which it comes back."""
        if now_us - self._looked_us < LOOK_US:
            return
        self._looked_us = now_us
        if is_paused:
            estimate_bps = max(estimate_bps, BACK_BPS + self._others_bps)
        if self._sole.on_estimate(estimate_bps, self._others_bps, now_us) and self._sole.limit_bps is not None:
            self._publisher.limit(now_us, round(self._sole.limit_bps / WIRE))
