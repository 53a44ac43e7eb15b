"""
What was measured, for people and as JSON. Pure.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

BOUND_S = 5.0
"""From a kill until somebody is where they were, for 95 of 100."""

LONGEST_STILL_S = 60.0


def share(values: Sequence[float], of: float) -> float:
    """The value that this share of all is no more than; not a number of none."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(of * len(ranked)) - 1)] if ranked else math.nan


@dataclass(slots=True)
class Report:
    """`took_s` by how the relay was killed and what came back: {"control media": [1.2, …]}, seconds."""

    kills: Counter[str] = field(default_factory=Counter)
    seed: int = 0
    took_s: dict[str, list[float]] = field(default_factory=dict)
    starts_s: list[float] = field(default_factory=list)
    waited_s: list[float] = field(default_factory=list)
    ran_s: list[float] = field(default_factory=list)
    """Of everybody, what is left of `took_s` without what the relay that started waited for a processor."""
    frozen: int = 0
    """Kills whose times do not count, because the machine did not let this process run for a second and more."""
    stood_still_s: float = 0.0
    """The longest that this process did not get to run at one go."""
    stages: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)
    lasted_s: float = 0.0

    @property
    def all_s(self) -> list[float]:
        return [took for each in self.took_s.values() for took in each]

    @property
    def is_beside_the_point(self) -> bool:
        """People give up, and seats are lost, after two minutes, whoever took these."""
        return self.stood_still_s > LONGEST_STILL_S or max(self.starts_s, default=0.0) > LONGEST_STILL_S

    @property
    def is_reached(self) -> bool:
        return not self.wrong and share(self.all_s, 0.95) <= BOUND_S

    def lines(self) -> list[str]:
        made = [
            f"{sum(self.kills.values())} kills in {self.lasted_s:.0f} s (seed {self.seed}): "
            + ", ".join(f"{count} {kind}" for kind, count in sorted(self.kills.items()))
        ]
        made.append("at a kill consults were: " + ", ".join(f"{n} {stage}" for stage, n in self.stages.most_common()))
        made.append(", ".join(f"{count} {what}" for what, count in self.counted.items()))
        made.append(_line("relay ready again", self.starts_s))
        made.append(_line("  of that without a processor", self.waited_s))
        made += [_line(f"back, {kind}", took) for kind, took in sorted(self.took_s.items())]
        verdict = "reached" if share(self.all_s, 0.95) <= BOUND_S else "MISSED"
        made.append(_line("back, everybody", self.all_s) + f"  (p95 <= {BOUND_S:g} s: {verdict})")
        made.append(_line("  without what the relay waited for a processor", self.ran_s))
        if self.frozen:
            made.append(f"{self.frozen} kills were not timed: the machine stood still meanwhile")
        if self.is_beside_the_point:
            made.append(f"the machine stood still for {self.stood_still_s:.0f} s, or nearly: what is wrong may be that")
        made += [f"WRONG  {each}" for each in self.wrong]
        return made

    def to_json(self) -> dict[str, Any]:
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return plain | {"p95_s": share(self.all_s, 0.95), "is_reached": self.is_reached}


def _line(what: str, values: Sequence[float]) -> str:
    if not values:
        return f"{what}: none"
    return (
        f"{what}: p50 {statistics.median(values):.2f} s, p95 {share(values, 0.95):.2f} s, "
        f"max {max(values):.2f} s of {len(values)}"
    )
