"""
The lines that calls are put through: what each direction is, and when it becomes another. Pure values.

Times are seconds after everybody sees everybody. N3 is a rural line; R1 to R4 are the lines of a rural household:
an ADSL line that somebody else uses as well, a Wi-Fi that loses, outages, a rate that falls to a tenth and rises again.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from support.netsim import Shape

CUT_BPS = 100_000
"""What is left of a line that is squeezed: too little for a picture, enough for a voice."""


def line(rate_bps: float, queue_ms: float, **rest: float) -> Shape:
    """A direction whose queue holds so many milliseconds at its rate."""
    return Shape(rate_bps=rate_bps, queue_bytes=int(rate_bps * queue_ms / 8000), **rest)


@dataclass(frozen=True, slots=True)
class Step:
    """From `at_s` on: `down` is towards the browser on the bad line."""

    at_s: float
    down: Shape
    up: Shape


@dataclass(frozen=True, slots=True)
class Burst:
    """Somebody else on the same line moves data over TCP: `flows` downloads, or uploads where `is_up`."""

    at_s: float
    length_s: float
    flows: int
    is_up: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """One line over time, for `length_s`."""

    name: str
    says: str
    length_s: float
    steps: tuple[Step, ...]
    bursts: tuple[Burst, ...] = field(default=())

    @property
    def first(self) -> Step:
        return self.steps[0]


def _held(shape: Shape, **changes: float) -> Shape:
    """The same modem, and the same bytes in its queue, at another rate."""
    return dataclasses.replace(shape, **changes)


_N3_DOWN = line(512e3, 400, delay_ms=100, loss=0.05)
_N3_UP = line(256e3, 400, delay_ms=100, loss=0.05)
_R1_DOWN, _R1_UP = line(2e6, 500, delay_ms=20), line(512e3, 1000, delay_ms=20)
_R2 = line(4e6, 300, delay_ms=15, jitter_ms=30, loss=0.1, burst=3)
_R3 = line(3e6, 400, delay_ms=25)
_R4 = line(4e6, 300, delay_ms=25)
_J = line(2e6, 300, delay_ms=25)
_GOOD = line(20e6, 100, delay_ms=10)

# An outage that queues: a modem that keeps what it has until the line is back. 1 bit/s is none in ten seconds.
_NOTHING_BPS = 1.0

N3 = Schedule("N3", "512/256 kbit/s, 200 ms of round trip, 5 % lost", 60, (Step(0, _N3_DOWN, _N3_UP),))
R1 = Schedule(
    "R1",
    "ADSL 2/0.5 Mbit/s; six downloads from 20 to 40 s, an upload from 60 to 75 s",
    90,
    (Step(0, _R1_DOWN, _R1_UP),),
    (Burst(20, 20, 6), Burst(60, 15, 1, is_up=True)),
)
R2 = Schedule("R2", "Wi-Fi 4 Mbit/s, 10 % lost in bursts of 3, 0 to 30 ms of jitter", 60, (Step(0, _R2, _R2),))
R3 = Schedule(
    "R3",
    "3 Mbit/s; 3 s of outage that queues at 20 s, 10 s that drops at 40 s",
    75,
    (
        Step(0, _R3, _R3),
        Step(20, _held(_R3, rate_bps=_NOTHING_BPS), _held(_R3, rate_bps=_NOTHING_BPS)),
        Step(23, _R3, _R3),
        Step(40, _held(_R3, loss=1.0), _held(_R3, loss=1.0)),
        Step(50, _R3, _R3),
    ),
)
R4 = Schedule(
    "R4",
    "4 to 0.4 Mbit/s and back each 15 s",
    75,
    tuple(
        Step(15 * index, *(2 * (_held(_R4, rate_bps=4e5 if index % 2 else 4e6),)))  # as many bytes of queue at both
        for index in range(5)
    ),
)
SQUEEZE = Schedule(
    "squeeze",
    "N3 down to 100 kbit/s each way from 20 to 50 s, and back",
    80,
    (
        Step(0, _N3_DOWN, _N3_UP),
        Step(20, _held(_N3_DOWN, rate_bps=CUT_BPS), _held(_N3_UP, rate_bps=CUT_BPS)),
        Step(50, _N3_DOWN, _N3_UP),
    ),
)
JOIN = Schedule("join", "2 Mbit/s each way, 50 ms of round trip", 20, (Step(0, _J, _J),))

GOOD = Schedule("good", "20 Mbit/s each way, 20 ms of round trip", 60, (Step(0, _GOOD, _GOOD),))

LINES = {each.name: each for each in (N3, R1, R2, R3, R4)}
