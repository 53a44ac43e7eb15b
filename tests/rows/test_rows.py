"""
The health systems of docs/systems.md, a fifth of each: `make rows` plays them whole.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import math

import pytest

from rows import together
from rows.__main__ import main
from rows.figures import SHORT, Figure, judged, p95, rows
from rows.process import Failed


def figure(value: float, *, is_least: bool = False) -> Figure:
    return Figure("R00", "something", value, "s", 1.0, is_least, "none")


@pytest.mark.rows
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("row", rows())
async def test_the_row_is_reached(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Each bound, measured at client processes over public interfaces. Where a quantity misses its own, or somebody waited
    in vain, the row is played twice more, and the median counts; what may never happen is not asked for again.
    """
    monkeypatch.setenv(SHORT, "1")
    plays: list[list[Figure]] = []
    in_vain: list[Failed] = []
    for _ in range(3):
        try:
            async with asyncio.timeout(300):
                plays.append(await importlib.import_module(f"rows.row_{row.lower()}").measure())
        except Failed as error:
            if error.code != "TimeoutError" or in_vain:
                raise
            in_vain.append(error)
            print(error)
            continue
        missed = [each for each in judged(plays) if not each.is_reached]
        has_held = not missed and len(plays) > len(in_vain)
        if has_held or any(each.is_never for each in missed):
            break
        print(*(each.line() for each in plays[-1] if not each.is_reached), sep="\n")

    assert plays[0]
    assert {row} == {each.row for each in plays[0]}
    assert [] == [each.line() for each in missed]


@pytest.mark.rows
@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_ten_rows_hold_beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Fifty people in ten examples at once on one relay: each bound, while all others go on.
    """
    monkeypatch.setenv(SHORT, "1")
    figures = await together.measure()

    assert 10 == len({each.example for each in figures})
    assert [] == [each.line() for each in figures if not each.is_reached]


@pytest.mark.parametrize(
    ("value", "is_least", "expected"),
    [(1.0, False, True), (1.1, False, False), (1.0, True, True), (0.9, True, False), (math.nan, False, False)],
)
def test_a_bound_is_the_most_or_the_least(value: float, is_least: bool, expected: bool) -> None:
    """
    What was not measured reaches neither.
    """
    assert expected == figure(value, is_least=is_least).is_reached


def test_of_several_plays_the_median_counts_and_of_what_may_not_happen_the_worst() -> None:
    """
    What was not measured is worse than anything; a bound that is the least has its worst below.
    """
    plays = [
        [
            figure(took_s),
            Figure("R00", "a rate", rate, "/s", 1.0, True, "none"),
            Figure("R00", "lost", lost, "", 0.0, False, "none"),
        ]
        for took_s, rate, lost in ((3.0, 0.5, 0.0), (math.nan, 0.7, 1.0), (0.5, math.nan, 0.0))
    ]

    assert [3.0, 0.5, 1.0] == [each.value for each in judged(plays)]
    assert [3.0, 0.5, 0.0] == [each.value for each in judged(plays[:1])]
    assert [False, False, True] == [each.is_never for each in plays[0]]


def test_the_95th_of_a_hundred() -> None:
    """
    Five may be worse; of none there is no figure.
    """
    assert 95 == p95([*range(1, 101)])
    assert 1 == p95([1])
    assert math.isnan(p95([]))


@pytest.mark.parametrize(("value", "code", "word"), [(1.0, 0, "reached"), (1.1, 1, "MISSED")])
def test_a_missed_bound_is_an_exit_code(
    value: float, code: int, word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A line a figure, and one JSON object as the last line.
    """
    row = rows()[0]

    async def measure() -> list[Figure]:
        return [figure(value)]

    monkeypatch.setattr(importlib.import_module(f"rows.row_{row.lower()}"), "measure", measure)
    found = main([row, "--json"])
    lines = capsys.readouterr().out.splitlines()

    assert code == found
    assert word in lines[0]
    assert bool(code) != json.loads(lines[-1])["is_reached"]
