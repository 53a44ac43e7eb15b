"""What a document beside a call does to the voice on the same line, in time that is an argument: the same each time."""

from __future__ import annotations

from functools import cache

import pytest

from support.file_on_a_line import FileOnALine, Waits
from support.netsim import Shape
from telerelay.documents.pace import Pace, Trip

N2 = Shape(rate_bps=2e6, queue_bytes=50_000, delay_ms=25)
NARROW = Shape(rate_bps=1e6, queue_bytes=50_000, delay_ms=25)
N3 = Shape(rate_bps=256e3, queue_bytes=32_000, delay_ms=100)
RUN_S = 20.0


class Deaf(Pace):
    """Hears no round trip, and has a window of one size: what this is held against."""

    window_bytes = 16_384

    def __init__(self, most_bps: float, now: float) -> None:
        super().__init__(most_bps, now)
        self.bps = most_bps

    def hear(self, now: float, trip: Trip) -> None:
        pass


@cache
def quiet(line: Shape, picture_bps: float) -> Waits:
    return FileOnALine(line, picture_bps).run(RUN_S)


def beside(line: Shape, picture_bps: float, pace: Pace) -> tuple[float, float, float]:
    """How much longer it is from one packet of sound to the next, how much later they come, p95, ms; kbit/s of it."""
    found, before = FileOnALine(line, picture_bps, pace).run(RUN_S), quiet(line, picture_bps)
    return 1e3 * (found.gap_s - before.gap_s), 1e3 * (found.late_s - before.late_s), found.file_bps / 1e3


@pytest.mark.parametrize(
    ("line", "picture_bps", "most_later_ms", "least_kbps"),
    [(N2, 1.2e6, 10, 300), (N2, 1.6e6, 40, 80), (NARROW, 0.6e6, 70, 100)],
)
def test_a_voice_is_as_even_beside_a_document(
    line: Shape, picture_bps: float, most_later_ms: float, least_kbps: float
) -> None:
    """
    From one packet to the next no more than 10 ms are added, and the document comes.
    """
    grew_ms, later_ms, kbps = beside(line, picture_bps, Pace(600_000.0, 0.0))

    assert grew_ms <= 10
    assert later_ms <= most_later_ms
    assert kbps >= least_kbps


def test_a_pace_that_hears_nothing_is_what_a_voice_waits_for() -> None:
    """
    The same line, with a rate alone and a window of 16 KiB: bursts of it are what the voice waits behind.
    """
    grew_ms, later_ms, _ = beside(N2, 1.2e6, Deaf(600_000.0, 0.0))

    assert grew_ms > 30
    assert later_ms > 40


def test_a_line_that_is_full_is_given_back_to_the_voice() -> None:
    """
    Of 256 kbit/s, a voice and a small picture leave 100: a document stands no second in its queue.
    """
    _, later_ms, kbps = beside(N3, 80e3, Pace(600_000.0, 0.0))
    _, deaf_ms, _ = beside(N3, 80e3, Deaf(600_000.0, 0.0))

    assert later_ms <= 200
    assert deaf_ms > 600
    assert kbps >= 40
