"""
Which calls are put through which lines, and what is asked of them. Pure values.
"""

from __future__ import annotations

from dataclasses import dataclass

from lines import shapes
from lines.shapes import Schedule


@dataclass(frozen=True, slots=True)
class Case:
    """
    One call: a browser behind `schedule`, and `others` people with good lines. `kind` is what is asked of it: `call`
    (figures only), `squeeze`, `join`, `apart` or `good` (each with limits of its own).
    """

    name: str
    kind: str
    others: int
    schedule: Schedule

    @property
    def is_simulcast(self) -> bool:
        """Whether the others send three sizes: where there are several receivers."""
        return self.others > 1


CASES = {
    each.name: each
    for each in (
        *(Case(f"two-{name}", "call", 1, schedule) for name, schedule in shapes.LINES.items()),
        *(Case(f"three-{name}", "call", 2, schedule) for name, schedule in shapes.LINES.items()),
        Case("squeeze", "squeeze", 1, shapes.SQUEEZE),
        Case("join", "join", 1, shapes.JOIN),
        Case("apart", "apart", 2, shapes.SQUEEZE),
        Case("good", "good", 1, shapes.GOOD),
        Case("good-three", "good", 2, shapes.GOOD),
    )
}
GROUPS = {name: [each for each in CASES if each.startswith(f"{name}-")] for name in ("two", "three")}


def chosen(names: list[str]) -> list[Case]:
    """The cases of these names; a group's name stands for all of it, none for all there are. KeyError: no such case."""
    flat = [each for name in names for each in GROUPS.get(name, [name])]
    return [CASES[name] for name in flat or CASES]
