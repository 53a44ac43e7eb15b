"""
Measured rates as an allocator sees them: up with the first larger one, down when they have stayed lower.
"""

from telerelay.allocator import SteadyRates

SECOND = 1_000_000


def test_more_is_told_at_once_and_a_little_more_is_not() -> None:
    """
    A tenth more than before, and nothing for less than that.
    """
    rates = SteadyRates()

    assert [True, False, True] == [rates.on_rate(bps, at) for at, bps in enumerate((100_000, 109_000, 111_000))]
    assert 111_000 == rates.bps


def test_less_is_told_after_ten_seconds_as_the_most_of_them() -> None:
    """
    A still scene is not believed before that, and one larger moment begins the ten seconds anew.
    """
    rates = SteadyRates()
    rates.on_rate(100_000, 0)
    still = [rates.on_rate(50_000 if at != 4 else 70_000, at * SECOND) for at in range(1, 12)]
    again = SteadyRates()
    again.on_rate(100_000, 0)
    moved = [again.on_rate(50_000 if at != 4 else 90_000, at * SECOND) for at in range(1, 12)]

    assert [False] * 10 + [True] == still
    assert 70_000 == rates.bps
    assert [False] * 11 == moved
    assert 100_000 == again.bps
