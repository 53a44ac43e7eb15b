"""
The scoreboard: one number a row for each contender, with the gate it is held against.

Pure. A row is there where its cases were run. The bounds are for the relay's own controller and allocator, the others
are measured so that one knows what they would have had.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from telerelay.sim.consult import RED
from telerelay.sim.rows import BASELINE, ROWS, Fold, Kind, Row
from telerelay.sim.runner import Outcome

OF_VOICES = "audio_"
"""Figures of voices begin so; those with redundancy are run where it matters to voices, and tell nothing else."""

Means = dict[str, dict[str, float]]
"""By case, then by figure: the mean over seeds; figures that a case does not have are not there."""


def _percentile(share: float) -> Callable[[list[float]], float]:
    return lambda values: float(np.percentile(values, share))


_FOLDS: dict[Fold, Callable[[list[float]], float]] = {
    Fold.MEAN: statistics.fmean,
    Fold.MEDIAN: statistics.median,
    Fold.LEAST: min,
    Fold.MOST: max,
    Fold.RUNS_P50: _percentile(50),
    Fold.RUNS_P95: _percentile(95),
    Fold.RATIO: statistics.fmean,
}

_OF_RUNS = {Fold.RUNS_P50, Fold.RUNS_P95}


@dataclass(frozen=True, slots=True)
class Score:
    """
    A row's number for one contender. `score` is 1 where the bound is met, less in proportion where not.

    `missed_by` is how far the value is beyond the bound, in the row's unit; 0 where it is met.
    """

    number: int
    label: str
    unit: str
    kind: str
    part: str
    gate: float
    at_most: bool
    contender: str
    value: float
    is_met: bool
    missed_by: float
    score: float


def means(outcomes: Sequence[Outcome]) -> Means:
    """Over the seeds of each case."""
    found: Means = {}
    for case in dict.fromkeys(each.case for each in outcomes):
        rows = [each.figures for each in outcomes if each.case == case]
        found[case] = {}
        for name in rows[0]:
            values = [value for row in rows if (value := row.get(name)) is not None]
            if values:
                found[case][name] = statistics.fmean(values)
    return found


def scores(outcomes: Sequence[Outcome]) -> list[Score]:
    """Every row that can be measured, for every contender."""
    found = []
    names = list(dict.fromkeys(each.contender for each in outcomes))
    by_name = {name: [each for each in outcomes if each.contender == name] for name in names}
    means_of = {name: means(theirs) for name, theirs in by_name.items()}
    words = {each.case: {each.case, *each.tags} for each in outcomes}
    for row in ROWS:
        for name in names:
            values = _values(row, by_name[name], means_of[name], words)
            if not values or (name.endswith(f"+{RED}") and not row.figure.startswith(OF_VOICES)):
                continue
            value = _FOLDS[row.fold](values) * row.scale
            if row.fold is Fold.RATIO:
                base = _values(row, by_name.get(BASELINE, []), means_of.get(BASELINE, {}), words)
                if name == BASELINE or len(base) != len(values) or not any(base):
                    continue
                value /= statistics.fmean(base)
            found.append(_score(row, name, value))
    return found


def _values(row: Row, outcomes: Sequence[Outcome], theirs: Means, words: dict[str, set[str]]) -> list[float]:
    """What the row folds: a value for each case, or for each run."""
    if row.fold in _OF_RUNS:
        return [
            value
            for each in outcomes
            if words[each.case].intersection(row.where) and (value := each.figures.get(row.figure)) is not None
        ]
    return [
        case_means[row.figure]
        for case, case_means in theirs.items()
        if row.figure in case_means and words[case].intersection(row.where)
    ]


def _score(row: Row, name: str, value: float) -> Score:
    is_met = row.kind is Kind.SHOWN or (value <= row.gate if row.at_most else value >= row.gate)
    score = 1.0 if is_met else (row.gate / value if row.at_most else value / row.gate)
    return Score(
        row.number,
        row.label,
        row.unit,
        row.kind.value,
        row.part,
        row.gate,
        row.at_most,
        name,
        value,
        is_met,
        0.0 if is_met else abs(value - row.gate),
        max(0.0, score),
    )


def composite(scored: Sequence[Score], contender: str) -> float | None:
    """100 where every bound is met: a trend line, not a verdict."""
    theirs = [each.score for each in scored if each.contender == contender and each.kind != Kind.SHOWN.value]
    return 100 * statistics.fmean(theirs) if theirs else None


def report(
    suite: str, outcomes: Sequence[Outcome], contenders: Sequence[str], seeds: int, version: str
) -> dict[str, Any]:
    """Everything but the series, as JSON would have it."""
    scored = scores(outcomes)
    of_case: dict[str, dict[str, list[Outcome]]] = {}
    for each in outcomes:
        of_case.setdefault(each.case, {}).setdefault(each.contender, []).append(each)
    return {
        "suite": suite,
        "version": version,
        "contenders": list(contenders),
        "seeds": seeds,
        "cases": [
            {
                "case": case,
                "title": next(iter(theirs.values()))[0].title,
                "means": {name: means(theirs[name])[case] for name in contenders if name in theirs},
            }
            for case, theirs in of_case.items()
        ],
        "scores": [asdict(each) for each in scored],
        "composite": {name: composite(scored, name) for name in contenders},
        "runs": [
            {"case": each.case, "contender": each.contender, "seed": each.seed, "figures": each.figures}
            for each in outcomes
        ],
    }
