"""
Rows that are played at the same time: all begin together, and none ends while another still has rounds to play.
"""

from __future__ import annotations

import asyncio

from rows.figures import Figure
from rows.place import Rounds, merged


def figure(value: float, what: str = "took", unit: str = "s", *, is_least: bool = False) -> Figure:
    return Figure("R00", what, value, unit, 1.0, is_least, "none")


async def test_a_quick_row_goes_on_until_the_slowest_had_its_rounds() -> None:
    """
    So each round of each is measured beside all others.
    """
    rounds = Rounds(2, 2)
    turns = asyncio.Semaphore(0)
    counts = {"quick": 0, "slow": 0}

    async def quick() -> list[Figure]:
        counts["quick"] += 1
        turns.release()
        await asyncio.sleep(0)
        return []

    async def slow() -> list[Figure]:
        for _ in range(5):
            await turns.acquire()
        counts["slow"] += 1
        return []

    async with asyncio.TaskGroup() as group:
        group.create_task(rounds.play(quick))
        group.create_task(rounds.play(slow))

    assert 2 == counts["slow"]
    assert counts["quick"] >= 10


async def test_nobody_begins_before_all_are_there() -> None:
    """
    Starting forty processes is no part of what is measured.
    """
    rounds, began = Rounds(2, 1), []

    async def once() -> list[Figure]:
        began.append(True)
        return []

    first = asyncio.create_task(rounds.play(once))
    await asyncio.sleep(0)
    assert [] == began
    await asyncio.gather(first, rounds.play(once))
    assert len(began) >= 2


def test_of_times_the_median_counts_and_of_what_is_counted_the_worst() -> None:
    """
    One slow round is the machine's; one wrong answer is ours.
    """
    rounds = [
        [figure(taken), figure(wrong, "wrong", ""), figure(kinds, "kinds", "", is_least=True)]
        for taken, wrong, kinds in ((0.1, 0.0, 3.0), (9.0, 1.0, 3.0), (0.2, 0.0, 2.0))
    ]

    assert [0.2, 1.0, 2.0] == [each.value for each in merged(rounds)]
