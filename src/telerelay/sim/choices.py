"""
Which layer of a track is forwarded, and what that costs.

Pure.
"""

from dataclasses import dataclass

from telerelay.sim.packet import OVERHEAD_BYTES
from telerelay.sim.simulcast import TrackPlan, rate_bps
from telerelay.sim.track import PAYLOAD_BYTES

WIRE = 1 + OVERHEAD_BYTES / PAYLOAD_BYTES
"""What headers add to a full packet."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which layer of a track to forward: spatial -1 is none."""

    spatial: int = -1
    temporal: int = 2


NONE = Choice()


def cost_bps(plan: TrackPlan, choice: Choice) -> int:
    """What a choice costs on the wire."""
    return 0 if choice.spatial < 0 else round(rate_bps(plan, choice.spatial, choice.temporal) * WIRE)


def best(plan: TrackPlan) -> Choice:
    """All of a track."""
    return Choice(len(plan.layers_kbps) - 1, 2)
