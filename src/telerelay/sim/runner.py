"""
Runs of cases: every case with every contender and every seed, one process or several, the same answer either way.

Starts processes; the runs themselves are pure. A contender is a controller; of consults a controller and an allocator
with a plus between them (`gcc+livekit`), or the oracle.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from telerelay.sim import consult_figures, figures, storm_figures, world
from telerelay.sim.case import Case
from telerelay.sim.consult import ConsultCase, ConsultWorld
from telerelay.sim.figures import Figures
from telerelay.sim.storm import StormCase, StormWorld
from telerelay.sim.voice_world import VoiceCase, VoiceWorld

AnyCase = Case | ConsultCase | StormCase | VoiceCase

CONSULT_WEIGHT = 5
"""A consult's publishers, voices and repair take as long as that many flows."""


SEAT_WEIGHT = 6
"""A seat in a join storm has one track on a line that carries all of it."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run to do; `keeps_series` if plots are made of it."""

    case: AnyCase
    contender: str
    seed: int
    keeps_series: bool = False

    @property
    def weight(self) -> float:
        """About how long it takes, in no unit: what is simulated times what is in it."""
        case = self.case
        if isinstance(case, ConsultCase):
            return case.duration_s * CONSULT_WEIGHT
        if isinstance(case, StormCase):
            return case.duration_s * SEAT_WEIGHT * len(case.lines)
        if isinstance(case, VoiceCase):
            return case.duration_s
        return case.duration_s * (1 + len(case.flows) + len(case.tcps))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    suite: str
    case: str
    title: str
    tags: tuple[str, ...]
    contender: str
    seed: int
    figures: Figures
    series: dict[str, Any] | None = None


Progress = Callable[[int, int, int, Outcome, float], None]
"""Called with how many are done, of how many, which one just is and what it came to, and the share of the work done."""


def jobs(cases: Iterable[AnyCase], contenders: Sequence[str], seeds: int, *, keeps_series: bool) -> list[Job]:
    """All runs; series of the first seed only."""
    return [
        Job(case, contender, seed, keeps_series and seed == 1)
        for case in cases
        for contender in contenders
        for seed in range(1, seeds + 1)
    ]


def run(job: Job) -> Outcome:
    """Do one."""
    case = job.case
    found: Figures
    drawn: dict[str, Any] | None = None
    if isinstance(case, ConsultCase):
        consult = ConsultWorld(case, job.contender, job.seed)
        consult.run()
        found = consult_figures.figures(consult)
        drawn = consult_figures.series(consult) if job.keeps_series else None
    elif isinstance(case, StormCase):
        storm = StormWorld(case, job.contender, job.seed)
        storm.run()
        found = storm_figures.figures(storm)
    elif isinstance(case, VoiceCase):
        alone = VoiceWorld(case, job.contender, job.seed)
        alone.run()
        found = alone.figures()
    else:
        made = world.build(case, job.contender, job.seed)
        made.run()
        found = figures.figures(made)
        drawn = figures.series(made) if job.keeps_series else None
    return Outcome(case.suite, case.name, case.title, tuple(sorted(case.tags)), job.contender, job.seed, found, drawn)


def run_all(todo: Sequence[Job], processes: int, progress: Progress) -> list[Outcome]:
    """Do all of them, the longest first; in the order given whatever order they end in."""
    found: dict[int, Outcome] = {}
    whole = sum(job.weight for job in todo)
    done = 0.0
    for at, outcome in _outcomes(todo, processes):
        found[at] = outcome
        done += todo[at].weight
        progress(len(found), len(todo), at, outcome, done / whole)
    return [found[at] for at in range(len(todo))]


def _outcomes(todo: Sequence[Job], processes: int) -> Iterator[tuple[int, Outcome]]:
    if processes <= 1 or len(todo) <= 1:
        yield from ((at, run(job)) for at, job in enumerate(todo))
        return
    with ProcessPoolExecutor(min(processes, len(todo))) as pool:
        # The longest first, or the last one runs alone.
        order = sorted(range(len(todo)), key=lambda at: -todo[at].weight)
        waiting = {pool.submit(run, todo[at]): at for at in order}
        try:
            for future in as_completed(waiting):
                yield waiting.pop(future), future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def usable_processors() -> int:
    """How many processes there may be at once."""
    return len(os.sched_getaffinity(0))
