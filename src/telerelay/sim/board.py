"""
The scoreboard as one run: every case that its rows need, with the contenders each case is for, and the subset of CI.

Pure: which jobs there are, and what is said of gates that are held. Traces are an argument.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from telerelay.sim import allocators, controllers
from telerelay.sim.case import Case
from telerelay.sim.cases import consults, lines, rfc8867, rfc8869, storms, voices
from telerelay.sim.consult import RED, ConsultCase
from telerelay.sim.held import HELD
from telerelay.sim.rows import BASELINE
from telerelay.sim.runner import AnyCase, Job
from telerelay.sim.text import brief
from telerelay.sim.traces import Trace
from telerelay.sim.voice_world import REPAIRS, TODAY

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


def scored_pairs(names: Sequence[str], chosen: Sequence[str]) -> list[str]:
    """Those of the scoreboard: policies of others on GCC; the relay's own, and what its estimator is without it."""
    return [
        each
        for each in pairs(names, chosen)
        if each in (OWN_PAIR, STAND_IN, allocators.ORACLE) or each.startswith(BASELINE.partition("+")[0])
    ]


def with_red(pair: str) -> str:
    """The same with redundant voices, as the relay sends them where adaptation is on."""
    return f"{pair}+{RED}"


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
    names: Sequence[str],
    allocator_names: Sequence[str],
    traces: Sequence[Trace],
    seeds: int,
    *,
    keeps_series: bool,
    rival_seeds: int | None = None,
) -> list[Job]:
    """Everything; bounds are for the relay's own, so rivals may have fewer seeds."""
    alone: list[Case] = [*rfc8867.CASES, *lines.CASES, *trace_cases(traces), *rfc8869.CASES]
    of_alone, of_pairs = (
        {each: seeds if each in (OWN, own_pair()) else rival_seeds or seeds for each in contenders}
        for contenders in (names, scored_pairs(names, allocator_names))
    )
    return _jobs(alone, of_alone, traces, of_pairs, seeds, keeps_series=keeps_series)


def check_jobs(traces: Sequence[Trace], seeds: int, *, keeps_series: bool) -> list[Job]:
    """
    What CI runs: the relay's own on all seeds, each rival on one; without RFC 8869, of which no row is made.
    """
    alone: list[Case] = [*rfc8867.CASES, *lines.CASES, *trace_cases(traces)]
    of_alone = {name: seeds if name == OWN else CHECK_RIVAL_SEEDS for name in controllers.NAMES}
    rivals = (BASELINE, "gcc+mediasoup", allocators.ORACLE)
    of_pairs = {own_pair(): seeds, **{each: CHECK_RIVAL_SEEDS for each in rivals}}
    return _jobs(alone, of_alone, traces, of_pairs, seeds, keeps_series=keeps_series)


def _jobs(
    alone: Sequence[Case],
    of_alone: dict[str, int],
    traces: Sequence[Trace],
    of_pairs: dict[str, int],
    seeds: int,
    *,
    keeps_series: bool,
) -> list[Job]:
    """`of_alone` and `of_pairs` say how many seeds each contender has."""
    on_traces = trace_consults(traces)
    slow = [case for case in on_traces if "consult-3g" in case.tags]
    red = {with_red(own_pair()): seeds} if own_pair() in of_pairs else {}
    joins = {each: consults.JOINS for each in of_pairs}
    todo: list[tuple[Sequence[AnyCase], dict[str, int]]] = [
        (alone, of_alone),
        ([*consults.FIXED, *on_traces], of_pairs),
        ([case for case in consults.FIXED if case.line.loss] + slow, red),
        ([consults.JOIN], joins),
        (consults.SQUEEZES, {own_pair(): consults.SQUEEZE_SEEDS} if own_pair() in of_pairs else {}),
        (storms.CASES, of_pairs),
        (voices.CASES, {each: seeds for each in REPAIRS}),
    ]
    return [
        Job(case, contender, seed, keeps_series and seed == 1 and case is not consults.JOIN)
        for cases, contenders in todo
        for case in cases
        for contender, count in contenders.items()
        for seed in range(1, count + 1)
    ]


def verdict(report: dict[str, Any]) -> tuple[list[str], list[str]]:
    """
    (gates that are held and now missed or not measured, bounds that are met and not held yet), each in words.
    """
    about = {OWN, own_pair(), TODAY}
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
