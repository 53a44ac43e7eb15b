"""
The scoreboard as one run: every case that its rows need, with the contenders each case is for, and the subset of CI.

Pure: which jobs there are, and what is said of gates that are held. Traces are an argument.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from telerelay.sim import allocators, controllers
from telerelay.sim.case import Case
from telerelay.sim.cases import consults, lines, rfc8867, rfc8869
from telerelay.sim.consult import ConsultCase
from telerelay.sim.held import HELD
from telerelay.sim.rows import BASELINE
from telerelay.sim.runner import Job
from telerelay.sim.text import brief
from telerelay.sim.traces import Trace

OWN = controllers.OWN
OWN_PAIR = f"{OWN}+{OWN}"
"""The relay's own controller with its own allocator: whom the bounds of consults are for."""

STAND_IN = f"{OWN}+livekit"
"""Who stands for it where there is no allocator of the relay's own."""

CHECK_RIVAL_SEEDS = 1
"""Rivals in CI are there for the ratio, not for a verdict: one seed of each."""


def own_pair() -> str:
    """Whom rows of consults are about."""
    return OWN_PAIR if OWN in allocators.MAKERS else STAND_IN


def pairs(names: Sequence[str], chosen: Sequence[str]) -> list[str]:
    """
    Controllers with allocators, then the oracle. The relay's own allocator belongs to its own controller only.
    """
    found = [
        f"{name}+{each}"
        for name in names
        for each in chosen
        if each != allocators.ORACLE and (each != OWN or name == OWN)
    ]
    return found + [each for each in chosen if each == allocators.ORACLE]


def trace_cases(traces: Sequence[Trace]) -> list[Case]:
    """A case for every trace; the first, third, … by name are the odd ones."""
    return [
        replace(case, tags=case.tags | {f"trace-{_parity(at)}"})
        for at, case in enumerate(map(lines.trace_case, traces))
    ]


def trace_consults(traces: Sequence[Trace]) -> list[ConsultCase]:
    """A consult on every trace, its tags once more with odd or even."""
    return [
        replace(case, tags=case.tags | {f"{tag}-{_parity(at)}" for tag in case.tags})
        for at, case in enumerate(map(consults.consult_on, traces))
    ]


def _parity(at: int) -> str:
    return "odd" if at % 2 == 0 else "even"


def jobs(
    names: Sequence[str], allocator_names: Sequence[str], traces: Sequence[Trace], seeds: int, *, keeps_series: bool
) -> list[Job]:
    """Everything."""
    alone: list[Case] = [*rfc8867.CASES, *lines.CASES, *trace_cases(traces), *rfc8869.CASES]
    consulted = [*consults.FIXED, *trace_consults(traces)]
    return [
        Job(case, contender, seed, keeps_series and seed == 1)
        for cases, contenders in ((alone, names), (consulted, pairs(names, allocator_names)))
        for case in cases
        for contender in contenders
        for seed in range(1, seeds + 1)
    ]


def check_jobs(traces: Sequence[Trace], seeds: int, *, keeps_series: bool) -> list[Job]:
    """
    What CI runs: the relay's own on all seeds, each rival on one; without RFC 8869, of which no row is made.
    """
    alone: list[Case] = [*rfc8867.CASES, *lines.CASES, *trace_cases(traces)]
    consulted = [*consults.FIXED, *trace_consults(traces)]
    rivals = [name for name in controllers.NAMES if name != OWN]
    todo = []
    for cases, own, others in (
        (alone, OWN, rivals),
        (consulted, own_pair(), [BASELINE, "gcc+mediasoup", allocators.ORACLE]),
    ):
        for case in cases:
            for name, count in ((own, seeds), *((name, CHECK_RIVAL_SEEDS) for name in others)):
                todo += [Job(case, name, seed, keeps_series and seed == 1) for seed in range(1, count + 1)]
    return todo


def verdict(report: dict[str, Any]) -> tuple[list[str], list[str]]:
    """
    (gates that are held and now missed or not measured, bounds that are met and not held yet), each in words.
    """
    about = {OWN, own_pair()}
    own = {each["label"]: each for each in report["scores"] if each["contender"] in about}
    lost = []
    for label in HELD:
        score = own.get(label)
        if score is None:
            lost.append(f"{label}: not measured")
        elif not score["is_met"]:
            lost.append(f"{label}: {brief(score['value'], 3)}, missed by {brief(score['missed_by'], 2)}")
    fresh = [
        f"{label}: {brief(each['value'], 3)}"
        for label, each in own.items()
        if each["is_met"] and each["kind"] != "shown" and label not in HELD
    ]
    return lost, fresh
