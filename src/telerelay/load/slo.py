"""
What a run has to keep to, and whether it did: `loss<=0.01%,p99<=10ms`.

Pure. A figure that was not measured is not met: silence is no proof.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from telerelay.errors import ConfigError

DEFAULT = "loss<=0.01%,p99<=10ms,failed_joins<=0"
"""A consult that nobody complains of: R01's bounds."""

# What may be bounded: the unit a figure has in the report, and how many of it one of each unit written is.
_TIMES = {"us": 1.0, "ms": 1e3, "s": 1e6}
_COUNT = {"": 1.0}
_SHARE = {"": 1.0, "%": 0.01}
FIGURES: dict[str, dict[str, float]] = {
    "loss": _SHARE,
    "p50": _TIMES,
    "p99": _TIMES,
    "p999": _TIMES,
    "max": _TIMES,
    "join_p50": _TIMES,
    "join_p99": _TIMES,
    "join_max": _TIMES,
    "freezes": _COUNT,
    "failed_joins": _COUNT,
    "auth_failures": _COUNT,
    "duplicates": _COUNT,
    "reordered": _SHARE,
    "back_max": _TIMES,
}
"""Name of each figure to the units it may be given in; times are compared in microseconds, shares as fractions."""

_TERM = re.compile(r"([a-z0-9_.]+)\s*<=\s*([0-9]*\.?[0-9]+)\s*([a-z%]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Bound:
    """One figure and the most it may be; `text` is how it was written."""

    figure: str
    most: float
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """One bound and what was measured, None: nothing was."""

    bound: Bound
    value: float | None

    @property
    def is_met(self) -> bool:
        return self.value is not None and self.value <= self.bound.most


def parse(text: str) -> tuple[Bound, ...]:
    """Bounds with commas between. Raises ConfigError."""
    bounds = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        match = _TERM.fullmatch(part)
        if match is None:
            raise ConfigError("bad_slo", f"--slo: {part!r} is not like loss<=0.01% or p99<=10ms")
        name, number, unit = match.groups()
        name = "p999" if name == "p99.9" else name
        units = FIGURES.get(name)
        if units is None:
            near = difflib.get_close_matches(name, FIGURES, 1, 0.5)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(FIGURES)}"
            raise ConfigError("bad_slo", f"--slo: unknown figure {name!r}{hint}")
        if unit not in units:
            known = ", ".join(each or "none" for each in units)
            raise ConfigError("bad_slo", f"--slo: {part!r} needs a unit that {name} has: {known}")
        bounds.append(Bound(name, float(number) * units[unit], part))
    if not bounds:
        raise ConfigError("bad_slo", "--slo has no bound")
    return tuple(bounds)


def judge(bounds: tuple[Bound, ...], figures: Mapping[str, float | None]) -> tuple[Verdict, ...]:
    """Each bound with its figure, in the units of FIGURES."""
    return tuple(Verdict(bound, figures.get(bound.figure)) for bound in bounds)


def is_met(verdicts: tuple[Verdict, ...]) -> bool:
    return all(verdict.is_met for verdict in verdicts)


def shown(bound: Bound, value: float | None) -> str:
    """A figure as it is said to people, in the unit its bound has."""
    if value is None:
        return "not measured"
    units = FIGURES[bound.figure]
    if units is _TIMES:
        return f"{value / 1e3:.2f} ms"
    if units is _SHARE:
        return f"{value * 100:.4f} %"
    return f"{value:g}"
