"""
The clock of consults: wall time at the beginning, monotonic from there on.
"""

import pytest

from telerelay.consult.clock import ConsultClock

HOUR_S, YEAR_S = 3600.0, 31_536_000.0


@pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S, YEAR_S, -YEAR_S])
def test_a_wall_clock_that_is_set_is_told_once_and_moves_nothing(by_s: float) -> None:
    """
    An hour or a year, forth or back.
    """
    clock = ConsultClock(1_700_000_000.0, 500.0)
    assert 0.0 == clock.watch(1_700_000_010.0, 510.0)
    assert by_s == clock.watch(1_700_000_020.0 + by_s, 520.0)
    assert 0.0 == clock.watch(1_700_000_030.0 + by_s, 530.0)
    assert -by_s == clock.watch(1_700_000_040.0, 540.0)

    assert 1_700_000_040.0 == clock.now(540.0)


def test_small_steps_are_told_when_they_have_come_to_a_second() -> None:
    """
    And not before.
    """
    clock = ConsultClock(1000.0, 0.0)

    assert [0.0, 0.0, 1.2] == [round(clock.watch(1000.0 + n + 0.4 * n, float(n)), 6) for n in (1, 2, 3)]


def test_a_due_time_is_found_on_the_loops_clock() -> None:
    """
    The one is the other, moved.
    """
    clock = ConsultClock(1_700_000_000.0, 500.0)

    assert 560.0 == clock.monotonic(clock.now(500.0) + 60.0)
