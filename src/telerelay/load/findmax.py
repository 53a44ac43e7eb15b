"""
The most rooms a server carries within an SLO: steps up until it breaks, then halves the gap, then looks twice.

Pure: what measures is given. One run may fail by bad luck and another pass by good luck, so both ends are measured
again, and how sure the result is, is said.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

# How much more each step up is: a doubling would overload a server so much that its calls do not even begin.
GROWTH = 1.5


@dataclass(frozen=True, slots=True)
class Trial:
    """One measurement: `is_met`, and whether the generator itself was the limit."""

    rooms: int
    is_met: bool
    is_generator_limited: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """
    `rooms` is the most that met the SLO (0: not even the first step did), `broke_at` the least that did not (None: the
    bound of the search was reached). `confidence`: "high" when both were measured twice and agreed, "low" when a
    repeat contradicted, "bound" when nothing broke, "generator" when the generator was the limit.
    """

    rooms: int
    broke_at: int | None
    confidence: str
    trials: tuple[Trial, ...] = field(default=())


async def find_max(
    measure: Callable[[int], Awaitable[Trial]], *, first: int, most: int, precision: float = 0.05, repeats: int = 2
) -> Found:
    """
    Search between `first` and `most` rooms until the gap is at most `precision` of the result (at least 1 room).

    The result is measured until it met the SLO `repeats` times in a row; a contradiction lowers it.
    """
    trials: list[Trial] = []

    async def run(rooms: int) -> bool:
        trial = await measure(rooms)
        trials.append(trial)
        return trial.is_met

    good, bad = 0, None
    rooms = max(1, min(first, most))
    while bad is None and good < most:
        if await run(rooms):
            good = rooms
            rooms = min(most, max(rooms + 1, int(rooms * GROWTH)))
        elif good == 0 and rooms > 1:
            # Even the first step was too much: begin lower.
            rooms = max(1, rooms // 2)
            if any(trial.rooms == rooms for trial in trials):
                bad = min(trial.rooms for trial in trials)
        else:
            bad = rooms
    if any(not trial.is_met for trial in trials):
        bad = min(trial.rooms for trial in trials if not trial.is_met and trial.rooms > good)
    is_contradicted = False
    while True:
        while bad is not None and bad - good > max(1, int(precision * good)):
            middle = (good + bad) // 2
            if await run(middle):
                good = middle
            else:
                bad = middle
        if good == 0 or all([await run(good) for _ in range(repeats - _met_in_a_row(trials, good))]):
            break
        is_contradicted = True
        bad, good = good, max((trial.rooms for trial in trials if trial.is_met and trial.rooms < good), default=0)
    return Found(good, bad, _confidence(trials, good, bad, is_contradicted), tuple(trials))


def _met_in_a_row(trials: list[Trial], rooms: int) -> int:
    return sum(trial.is_met for trial in trials if trial.rooms == rooms)


def _confidence(trials: list[Trial], good: int, bad: int | None, is_contradicted: bool) -> str:
    if bad is None:
        return "bound"
    if any(trial.is_generator_limited and not trial.is_met and trial.rooms == bad for trial in trials):
        return "generator"
    return "low" if is_contradicted else "high"
