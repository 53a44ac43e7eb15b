"""
What a row measures, and how it is held against its bound. Pure.

A row is a module `row_rNN.py` beside this file with `async def measure() -> list[Figure]`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent.parent / "examples"

SHORT = "TELERELAY_ROWS_SHORT"
"""Set to 1: a fifth of the tries, as the tests play rows; `make rows` plays them whole."""


@dataclass(frozen=True, slots=True)
class Figure:
    """
    One thing that a row promises, measured. `row` is R06, `example` the folder in examples/, `what` a sentence for
    people, `unit` that of value and bound ("" of a count). The bound is the most that is allowed, with `is_least` the
    least. What must be exactly so many is two figures, or counts what is wrong, with a bound of 0.
    """

    row: str
    what: str
    value: float
    unit: str
    bound: float
    is_least: bool
    example: str

    @property
    def is_never(self) -> bool:
        """Counts what may not happen, and once is too often; other figures are quantities, which vary."""
        return not self.unit and not self.is_least and self.bound == 0

    @property
    def is_reached(self) -> bool:
        """A value that is not a number has reached nothing."""
        return self.value >= self.bound if self.is_least else self.value <= self.bound

    def line(self) -> str:
        """For people: row, example, bound, measured figure, reached or not."""
        sign = ">=" if self.is_least else "<="
        verdict = "reached" if self.is_reached else "MISSED"
        unit = f" {self.unit}" if self.unit else ""
        figures = f"{sign} {_plain(self.bound)}{unit}, measured {_plain(self.value)}{unit}"
        return f"{self.row}  {self.example:<18} {self.what}: {figures}  {verdict}"


def _plain(value: float) -> str:
    return f"{value:.10g}" if math.isfinite(value) and value == round(value) else f"{value:.3f}"


def is_short() -> bool:
    """Whether a fifth of the tries is enough."""
    return os.environ.get(SHORT, "") == "1"


def tries(whole: int = 30) -> int:
    """How often to try: 30 is what a p95 needs at least; a fifth of it where rows are played in short."""
    return max(1, whole // 5) if is_short() else whole


def p95(values: Sequence[float]) -> float:
    """The smallest value that 95 % of them do not exceed; of none, not a number."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1] if values else math.nan


def judged(plays: Sequence[Sequence[Figure]]) -> list[Figure]:
    """Of several plays of a row: the median of each quantity, the worst of each count."""

    def of(figure: Figure) -> Figure:
        same = [each for play in plays for each in play if each.what == figure.what]
        in_order = sorted(same, key=lambda each: (math.isnan(each.value), -each.value if each.is_least else each.value))
        return in_order[-1 if figure.is_never else len(in_order) // 2]

    return [of(figure) for figure in plays[0]]


def rows() -> list[str]:
    """The names of the rows that there are, R06 first."""
    found = (re.fullmatch(r"row_(r\d\d)\.py", path.name) for path in HERE.iterdir())
    return sorted(match[1].upper() for match in found if match is not None)
