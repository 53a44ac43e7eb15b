"""
When the standalone relay searches for garbage cycles.
"""

from __future__ import annotations

from telerelay.garbage import LEAST_GONE, Departures


def test_a_search_is_due_once_as_many_have_gone_as_are_there() -> None:
    """
    300 present: 299 gone are too few, the 300th makes one due; the same departures make no second one.
    """
    departures = Departures()

    due = [departures.is_search_due(taken, 300) for taken in (300, 599, 600, 600, 899, 900)]

    assert [False, False, True, False, False, True] == due


def test_few_who_leave_an_empty_relay_are_not_worth_a_search() -> None:
    """
    One below LEAST_GONE is not, LEAST_GONE are.
    """
    departures = Departures()

    assert not departures.is_search_due(LEAST_GONE - 1, 0)
    assert departures.is_search_due(LEAST_GONE, 0)
