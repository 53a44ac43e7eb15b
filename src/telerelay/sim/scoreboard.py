"""
The scoreboard: one number a row for each contender, with the gate it is held against.

Pure. A row is there where its cases were run. What a row measures is in docs/simulator.md; a gate is for the relay's
own controller, the others are measured so that one knows what they would have had.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, NamedTuple

from telerelay.sim.runner import Outcome

Means = dict[str, dict[str, float]]
"""By case, then by figure: the mean over seeds; figures that a case does not have are not there."""


class Fold(Enum):
    """How the means of several cases become one number."""

    MEAN = "mean"
    MEDIAN = "median"
    LEAST = "least"
    MOST = "most"


_FOLDS: dict[Fold, Callable[[list[float]], float]] = {
    Fold.MEAN: statistics.fmean,
    Fold.MEDIAN: statistics.median,
    Fold.LEAST: min,
    Fold.MOST: max,
}


class Row(NamedTuple):
    """
    One number: `figure` of the cases that have one of `where` as a name or a tag, folded, times `scale`.

    `number` is the scoreboard's; the gate is met `at_most` there, or at least.
    """

    number: int
    label: str
    unit: str
    gate: float
    at_most: bool
    figure: str
    fold: Fold
    where: tuple[str, ...]
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Score:
    """A row's number for one contender. `score` is 1 where the gate is met, less in proportion where not."""

    number: int
    label: str
    unit: str
    gate: float
    at_most: bool
    contender: str
    value: float
    is_met: bool
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


_MEAN, _MEDIAN, _LEAST, _MOST = Fold.MEAN, Fold.MEDIAN, Fold.LEAST, Fold.MOST

ROWS: tuple[Row, ...] = (
    Row(1, "utilisation, wired, mean", "", 0.93, False, "utilisation", _MEAN, ("wired",)),
    Row(1, "utilisation, wired, least", "", 0.90, False, "utilisation", _LEAST, ("wired",)),
    Row(2, "p95 queue, 5.1 and 5.2", "ms", 45, True, "queue_p95_ms", _MOST, ("5.1", "5.2")),
    Row(2, "p95 queue, 5.4 and 5.5", "ms", 30, True, "queue_p95_ms", _MOST, ("5.4", "5.5")),
    Row(2, "p99 queue, wired", "ms", 250, True, "queue_p99_ms", _MOST, ("wired",)),
    Row(3, "utilisation, traces, mean", "", 0.85, False, "utilisation", _MEAN, ("trace",)),
    Row(3, "utilisation, odd traces", "", 0.85, False, "utilisation", _MEAN, ("trace-odd",)),
    Row(3, "utilisation, even traces", "", 0.85, False, "utilisation", _MEAN, ("trace-even",)),
    Row(3, "p95 queue, traces, median", "ms", 150, True, "queue_p95_ms", _MEDIAN, ("trace",)),
    Row(3, "p95 queue, odd traces, median", "ms", 150, True, "queue_p95_ms", _MEDIAN, ("trace-odd",)),
    Row(3, "p95 queue, even traces, median", "ms", 150, True, "queue_p95_ms", _MEDIAN, ("trace-even",)),
    Row(4, "own loss, 5.1 to 5.5", "%", 0.2, True, "own_loss", _MOST, ("5.1", "5.2", "5.3", "5.4", "5.5"), 100),
    Row(4, "own loss, 5.4 and 5.5", "%", 0.0, True, "own_loss", _MOST, ("5.4", "5.5"), 100),
    Row(5, "queue calm after a drop", "s", 1.2, True, "drop_s", _MOST, ("drop",)),
    Row(6, "90 % after the start", "s", 1.5, True, "start_s", _MOST, ("5.1", "5.2", "5.8")),
    Row(6, "90 % after a step up", "s", 3.0, True, "up_s", _MOST, ("up",)),
    Row(6, "90 % after an outage", "s", 2.0, True, "up_s", _MOST, ("outage-3", "outage-10")),
    Row(7, "Jain, three flows (5.4)", "", 0.99, False, "jain", _LEAST, ("5.4",)),
    Row(7, "Jain, five round trips (5.5)", "", 0.95, False, "jain", _LEAST, ("5.5",)),
    Row(7, "share beside a TCP (5.6), at least", "", 0.3, False, "tcp_share", _LEAST, ("5.6",)),
    Row(7, "share beside a TCP (5.6), at most", "", 0.7, True, "tcp_share", _MOST, ("5.6",)),
    Row(8, "utilisation at 5 % loss", "", 0.95, False, "utilisation", _LEAST, ("loss-5",)),
    Row(8, "utilisation at 10 % loss", "", 0.90, False, "utilisation", _LEAST, ("loss-10",)),
    Row(8, "utilisation at 20 % loss", "", 0.75, False, "utilisation", _LEAST, ("loss-20",)),
    Row(8, "p95 queue with loss", "ms", 50, True, "queue_p95_ms", _MOST, ("loss",)),
    Row(8, "utilisation, 5.1 with 2 % loss", "", 0.90, False, "utilisation", _LEAST, ("lossy",)),
    Row(9, "join to top layer, mean", "s", 1.2, True, "top_s", _MEAN, ("join",)),
    Row(10, "wrong layer, fixed lines", "%", 5, True, "wrong_layer", _MEAN, ("fixed",), 100),
    Row(10, "wrong layer, traces", "%", 15, True, "wrong_layer", _MEAN, ("consult-trace",), 100),
    Row(11, "switches a minute, fixed lines", "", 0.2, True, "switches_per_min", _MEAN, ("fixed",)),
    Row(11, "switches a minute, traces", "", 2, True, "switches_per_min", _MEAN, ("consult-trace",)),
    Row(12, "freezes in 10 min, fixed lines", "s", 0.5, True, "freeze_s_per_10_min", _MEAN, ("fixed",)),
    Row(12, "freezes in 10 min, traces", "s", 4, True, "freeze_s_per_10_min", _MEAN, ("consult-fast",)),
    Row(12, "freezes in 10 min, 3G", "s", 15, True, "freeze_s_per_10_min", _MEAN, ("consult-3g",)),
    Row(13, "audio lost, fixed lines", "%", 1, True, "audio_lost", _MOST, ("fixed",), 100),
    Row(13, "audio lost, 3G", "%", 1, True, "audio_lost", _MOST, ("consult-3g",), 100),
    Row(13, "p95 audio queue, fixed lines", "ms", 60, True, "audio_queue_p95_ms", _MOST, ("fixed",)),
    Row(13, "p95 audio queue, traces", "ms", 150, True, "audio_queue_p95_ms", _MEDIAN, ("consult-trace",)),
    Row(14, "feedback of media", "%", 3, True, "feedback_share", _MEAN, ("wired",), 100),
    Row(14, "padding of what is sent", "%", 5, True, "padding_share", _MEAN, ("wired",), 100),
)


def scores(outcomes: Sequence[Outcome]) -> list[Score]:
    """Every row that can be measured, for every contender."""
    found = []
    names = list(dict.fromkeys(each.contender for each in outcomes))
    means_of = {name: means([each for each in outcomes if each.contender == name]) for name in names}
    words = {each.case: {each.case, *each.tags} for each in outcomes}
    for row in ROWS:
        for name in names:
            values = [
                case_means[row.figure]
                for case, case_means in means_of[name].items()
                if row.figure in case_means and words[case].intersection(row.where)
            ]
            if not values:
                continue
            value = _FOLDS[row.fold](values) * row.scale
            is_met = value <= row.gate if row.at_most else value >= row.gate
            score = 1.0 if is_met else (row.gate / value if row.at_most else value / row.gate)
            found.append(
                Score(row.number, row.label, row.unit, row.gate, row.at_most, name, value, is_met, max(0.0, score))
            )
    return found


def composite(scored: Sequence[Score], contender: str) -> float | None:
    """100 where every gate is met: a trend line, not a verdict."""
    theirs = [each.score for each in scored if each.contender == contender]
    return 100 * statistics.fmean(theirs) if theirs else None


def report(
    suite: str, outcomes: Sequence[Outcome], contenders: Sequence[str], seeds: int, version: str
) -> dict[str, Any]:
    """Everything but the series, as JSON would have it."""
    scored = scores(outcomes)
    return {
        "suite": suite,
        "version": version,
        "contenders": list(contenders),
        "seeds": seeds,
        "cases": [
            {
                "case": case,
                "title": next(each.title for each in outcomes if each.case == case),
                "means": {
                    name: means([each for each in outcomes if each.case == case and each.contender == name])[case]
                    for name in contenders
                },
            }
            for case in dict.fromkeys(each.case for each in outcomes)
        ],
        "scores": [asdict(each) for each in scored],
        "composite": {name: composite(scored, name) for name in contenders},
        "runs": [
            {"case": each.case, "contender": each.contender, "seed": each.seed, "figures": each.figures}
            for each in outcomes
        ],
    }
