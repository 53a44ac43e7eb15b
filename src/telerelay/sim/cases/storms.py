"""
The join storm: fifteen good lines and five of country ADSL.

Pure: a table.
"""

from telerelay.sim.case import LinePlan
from telerelay.sim.storm import StormCase

SUITE = "storm"


def _adsl(down_mbps: float, up_mbps: float) -> tuple[LinePlan, LinePlan]:
    return (
        LinePlan(((0, down_mbps),), down_mbps, 500, delay_ms=20),
        LinePlan(((0, up_mbps),), up_mbps, 1_000, delay_ms=20),
    )


_GOOD = (LinePlan(((0, 10.0),), 10.0, 300, delay_ms=30), LinePlan(delay_ms=30))

CASES = (
    StormCase(
        SUITE,
        "R6",
        "20 join one publisher within a second, 5 of them on ADSL",
        36,
        (*[_GOOD] * 15, _adsl(1, 0.256), _adsl(2, 0.512), _adsl(4, 0.8), _adsl(8, 0.8), _adsl(1, 0.256)),
        tags=frozenset({"storm"}),
    ),
)
