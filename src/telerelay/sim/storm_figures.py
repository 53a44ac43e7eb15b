"""
What a storm of joins came to: what reached the publisher, how soon who saw what, what feedback and padding cost.

Pure: reads a world that has run. docs/simulator.md defines each figure.
"""

import numpy as np

from telerelay.sim.clock import MS_US, SECOND_US
from telerelay.sim.consult_figures import top_s
from telerelay.sim.figures import Figures
from telerelay.sim.storm import StormWorld

AFTER_US = SECOND_US
"""A request so long after the last join is not the join's any more."""

DELAY_US = 60 * MS_US
"""With such a queue nothing should be tried."""

WIDE_BPS = 4_000_000
"""A line that carries the top layer and half as much again."""


def figures(world: StormWorld) -> Figures:
    """Every figure of one run."""
    seats = world.seats
    small_us = round(world.case.small_s[0] * SECOND_US)
    wide = [seat for seat in seats if min(rate for _, rate in seat.link.capacity.steps) >= WIDE_BPS]
    sent = max(1, sum(seat.sender.sent_bytes for seat in seats))
    return {
        "key_storm": float(sum(when <= world.joined_us + AFTER_US for when in world.keys_at_us)),
        "key_requests": float(len(world.keys_at_us)),
        "top_p95_s": float(np.percentile([top_s(seat, small_us) for seat in wide], 95)),
        "off_s": max(world.off_s, default=None),
        "on_s": max(world.on_s, default=None),
        "feedback_share": sum(seat.receiver.feedback_bytes for seat in seats)
        / max(1, sum(seat.receiver.total_bytes for seat in seats)),
        "padding_share": sum(seat.sender.pacer.padding_bytes for seat in seats) / sent,
        "late_padding_share": sum(_late_padding(seat.padding_bytes, seat.waiting_us) for seat in seats) / sent,
    }


def _late_padding(padding_bytes: list[int], waiting_us: list[int]) -> int:
    """What was padded while the line's queue was long when the sample before was taken, too."""
    return sum(
        padding_bytes[at] - padding_bytes[at - 1]
        for at in range(1, len(padding_bytes))
        if min(waiting_us[at - 1], waiting_us[at]) > DELAY_US
    )
