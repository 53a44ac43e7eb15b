"""
A line for two people that is cut to what carries a voice only, and comes back: the picture goes, and returns once.
"""

from types import SimpleNamespace
from typing import Any

import pytest

from telerelay.sim import consult_figures, runner
from telerelay.sim.board import OWN_PAIR
from telerelay.sim.cases import consults
from telerelay.sim.clock import SECOND_US, Clock, randomness
from telerelay.sim.consult import ConsultWorld
from telerelay.sim.follower import Follower
from telerelay.sim.runner import Job
from telerelay.sim.simulcast import Publisher, TrackPlan

CAMERA = TrackPlan("camera", (2_500,), is_following=True)


@pytest.mark.parametrize("case", consults.SQUEEZES, ids=lambda case: case.name)
def test_the_picture_is_gone_within_three_seconds_and_back_within_eleven(case: Any) -> None:
    """Of eight seeds each one; not at once either, for five seconds of 300 kbit/s come before; no more switches."""
    for seed in range(1, 9):
        found = runner.run(Job(case, OWN_PAIR, seed)).figures

        assert 0 < (found["pause_s"] or 0.0) <= 3
        assert 5 <= (found["back_s"] or 0.0) <= 11
        assert 2 == round((found["switches_per_min"] or 0.0) * case.duration_s / 60)


def test_the_publisher_follows_the_line_and_waits_at_what_the_picture_comes_back_with() -> None:
    """Before the cut it fills the line; while it is paused it makes what comes back, not a tenth."""
    world = ConsultWorld(consults.SQUEEZES[0], OWN_PAIR, 1)
    rates: list[tuple[int, int]] = []
    (publisher,) = world._own
    world.clock.at(19 * SECOND_US, lambda now, _: rates.append((now, publisher._sources[0].target_bps)))
    world.clock.at(45 * SECOND_US, lambda now, _: rates.append((now, publisher._sources[0].target_bps)))
    world.run()
    before, paused = (bps for _, bps in rates)

    assert 200_000 < before < 480_000
    assert 200_000 < paused < 320_000


def test_a_limit_is_told_twice_a_second_at_the_most() -> None:
    """And a request takes its way: an encoder obeys after that."""
    clock = Clock()
    publisher = Publisher(clock, 0, CAMERA, randomness(1, "p"), lambda *_: None)
    publisher.run(0, 10 * SECOND_US)
    follower = Follower(publisher, 50_000)
    told: list[int] = []
    publisher.limit = lambda now_us, bps: told.append(bps)  # type: ignore[method-assign]
    for at, estimate_bps in enumerate((1_000_000, 400_000, 200_000, 200_000, 200_000, 200_000)):
        follower.on_estimate(at * SECOND_US // 10, estimate_bps, is_paused=False)

    assert 2 == len(told)
    assert told[1] < told[0]


def test_a_picture_that_is_never_paused_or_never_back_is_held_against_it() -> None:
    """Never paused: until the line is back; never back: until the end. Before the cut nothing counts."""
    steps = [(0, 512_000), (20 * SECOND_US, 100_000), (50 * SECOND_US, 512_000)]

    def of(*switches: tuple[float, int]) -> tuple[float | None, float | None]:
        world: Any = SimpleNamespace(
            case=SimpleNamespace(tags={"squeeze"}),
            link=SimpleNamespace(capacity=SimpleNamespace(steps=steps)),
            forwards=[SimpleNamespace(switches=[(round(at * SECOND_US), layer) for at, layer in switches])],
        )
        found = consult_figures.squeezed(world, 80 * SECOND_US)
        return found["pause_s"], found["back_s"]

    assert (30.0, 0.0) == of((0.5, 0))
    assert (2.0, 30.0) == of((0.5, 0), (22, -1))
    assert (2.0, 8.0) == of((0.5, 0), (5, -1), (6, 0), (22, -1), (58, 0))
    assert (2.0, 12.0) == of((0.5, 0), (22, -1), (40, 0), (44, -1), (58, 0), (60, -1), (62, 0))
