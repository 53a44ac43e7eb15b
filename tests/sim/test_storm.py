"""
The join storm: what reaches a publisher when twenty people join it within a second, and layers that nobody wants.
"""

import itertools

import pytest

from telerelay.sim import runner, storm_figures
from telerelay.sim.case import LinePlan
from telerelay.sim.cases import storms
from telerelay.sim.clock import SECOND_US, Clock, randomness
from telerelay.sim.encoder import Frame
from telerelay.sim.simulcast import PATIENT, Publisher
from telerelay.sim.storm import StormCase, StormWorld

WIDE = (LinePlan(((0, 10.0),), 10.0, 300, delay_ms=30), LinePlan(delay_ms=30))
SIX = StormCase("test", "x", "x", 14.0, (WIDE,) * 6, (1.0, 2.0), (3.0, 9.0))


def storm(contender: str, case: StormCase = SIX) -> StormWorld:
    world = StormWorld(case, contender, 1)
    world.run()
    return world


def test_relay_asks_once_where_others_ask_for_each_layer() -> None:
    """Who joins within half a second of a key frame is given the frames since then; all see a picture at once."""
    ours, theirs = storm("oracle"), storm("gcc+livekit")
    first_s = [(seat.tracks[0].shown_us[0] - seat.join_us) / SECOND_US for seat in ours.seats]

    assert storm_figures.figures(ours)["key_storm"] == 2
    assert (storm_figures.figures(theirs)["key_storm"] or 0) > 2
    assert max(first_s) < 0.5


def test_no_two_requests_within_half_a_second() -> None:
    """For all layers together, from whomever they come."""
    gaps = [after - before for before, after in itertools.pairwise(storm("oracle").keys_at_us)]

    assert min(gaps) >= SECOND_US // 2


def test_layer_that_nobody_wants_goes_off_and_comes_back() -> None:
    """Off within five seconds after everybody went small, on within a tenth of a second after; frames stop between."""
    world = storm("oracle")
    found = storm_figures.figures(world)

    assert [4.02] * 3 == pytest.approx(world.off_s, abs=0.11)
    assert 0 < (found["on_s"] or 0.0) < 0.1
    assert 2 == world.seats[0].forwards[0].layer


def test_switched_off_layer_makes_no_frames_and_begins_with_a_key_frame() -> None:
    """The layers beside it go on."""
    clock, seen = Clock(), list[tuple[int, int, Frame]]()
    publisher = Publisher(
        clock, 0, PATIENT, randomness(1, "p"), lambda now, _, at, frame: seen.append((now, at, frame))
    )
    publisher.run(0, 10 * SECOND_US)
    clock.at(2 * SECOND_US, lambda now, _: publisher.switch(now, 1, is_on=False))
    clock.at(5 * SECOND_US, lambda now, _: publisher.switch(now, 1, is_on=True))
    clock.run(11 * SECOND_US)
    between = [at for now, at, _ in seen if 2.2 < now / SECOND_US < 4.9]
    after = [frame.is_key for now, at, frame in seen if at == 1 and now > 5 * SECOND_US]

    assert {0, 2} == set(between)
    assert [True, False] == after[:2]


def test_storm_is_the_same_for_the_same_seed_and_counts_every_receiver() -> None:
    """Twenty of them; shares are of all together, and feedback is a small part."""
    (case,) = storms.CASES
    runs = [runner.run(runner.Job(SIX, "gcc+livekit", 1)) for _ in range(2)]

    assert runs[0] == runs[1]
    assert (20, 5) == (len(case.lines), sum(back.steps[0][1] < 1 for _, back in case.lines))
    assert 0 < (runs[0].figures["feedback_share"] or 0.0) < 0.03
