"""
When so many have gone that what they left is looked for.
"""

from __future__ import annotations

from telerelay.departures import LEAST_GONE, Departures


def test_a_look_is_due_once_as_many_have_gone_as_are_there() -> None:
    """
    300 present: 299 gone are too few, the 300th makes one due; the same departures make no second one.
    """
    departures = Departures()

    due = [departures.is_look_due(taken, 300) for taken in (300, 599, 600, 600, 899, 900)]

    assert [False, False, True, False, False, True] == due


def test_few_who_leave_others_behind_are_not_worth_a_look() -> None:
    """
    One below LEAST_GONE is not, LEAST_GONE are.
    """
    departures = Departures()

    assert not departures.is_look_due(LEAST_GONE, 1)
    assert departures.is_look_due(LEAST_GONE + 1, 1)


def test_whoever_was_the_last_to_leave_is_worth_one_look() -> None:
    """
    Of an empty relay, once.
    """
    departures = Departures(times=7)

    assert [False, True, False] == [departures.is_look_due(taken, 0) for taken in (0, 1, 1)]


def test_seven_times_as_many_as_are_there_are_most_of_them() -> None:
    """
    800 came, 101 of them are still there: 699 are less than seven times as many; of 100, 700 are as many.
    """
    departures = Departures(times=7)

    assert [False, True] == [departures.is_look_due(800, present) for present in (101, 100)]
