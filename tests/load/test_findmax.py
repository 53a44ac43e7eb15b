"""
The search for the most rooms, with a server that is only a function.
"""

from collections.abc import Callable

import pytest

from telerelay.load.findmax import Found, Trial, find_max


async def search(
    is_met: Callable[[int, int], bool], *, first: int = 20, most: int = 2000, limited: bool = False
) -> Found:
    """`is_met` is asked with the rooms and how often they were measured before."""
    times: dict[int, int] = {}

    async def measure(rooms: int) -> Trial:
        before = times.get(rooms, 0)
        times[rooms] = before + 1
        met = is_met(rooms, before)
        return Trial(rooms, met, limited and not met)

    return await find_max(measure, first=first, most=most)


@pytest.mark.parametrize("capacity", [1, 2, 7, 19, 20, 21, 60, 125, 407, 1999])
async def test_it_finds_the_capacity_within_its_precision(capacity: int) -> None:
    """
    Never above, at most five in a hundred (or one room) below.
    """
    found = await search(lambda rooms, _: rooms <= capacity)

    assert found.rooms <= capacity
    assert capacity - found.rooms <= max(1, 0.05 * capacity)
    assert found.broke_at is not None
    assert found.broke_at > capacity
    assert "high" == found.confidence


async def test_a_server_that_carries_nothing_has_no_maximum() -> None:
    """
    Zero, and broken at one.
    """
    found = await search(lambda rooms, _: False)

    assert (0, 1) == (found.rooms, found.broke_at)


async def test_where_nothing_breaks_the_bound_is_said() -> None:
    """
    The result is the end of the search, not the server's.
    """
    found = await search(lambda rooms, _: True, most=100)

    assert (100, None, "bound") == (found.rooms, found.broke_at, found.confidence)


async def test_the_result_was_met_twice() -> None:
    """
    A run that passed by luck is not a result.
    """
    found = await search(lambda rooms, _: rooms <= 100)

    assert 2 <= sum(trial.is_met for trial in found.trials if trial.rooms == found.rooms)


async def test_a_result_that_does_not_repeat_is_lowered_and_its_confidence_is_low() -> None:
    """
    The search goes on below it.
    """
    found = await search(lambda rooms, before: rooms <= 90 or (rooms <= 100 and before == 0))

    assert 85 <= found.rooms <= 90
    assert "low" == found.confidence


async def test_a_generator_that_was_the_limit_is_named() -> None:
    """
    Then the figure is the generator's.
    """
    found = await search(lambda rooms, _: rooms <= 50, limited=True)

    assert "generator" == found.confidence


async def test_it_does_not_take_many_runs() -> None:
    """
    Each takes half a minute.
    """
    found = await search(lambda rooms, _: rooms <= 407)

    assert len(found.trials) <= 16
