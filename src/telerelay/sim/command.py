"""
`telerelay simulate`: from flags to runs, tables and a page.

Everything for people goes to stderr; with --json the last line of stdout is the report.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import telerelay
from telerelay.errors import ConfigError, TelerelayError
from telerelay.sim import allocators, board, controllers, kept, page, runner, scoreboard, text, traces
from telerelay.sim.cases import consults, lines, rfc8867, rfc8869, storms, voices
from telerelay.sim.runner import AnyCase, Job, Outcome
from telerelay.sim.voice_world import REPAIRS

OK, LOST, USAGE = 0, 1, 2

TABLES: dict[str, Sequence[AnyCase]] = {
    rfc8867.SUITE: rfc8867.CASES,
    rfc8869.SUITE: rfc8869.CASES,
    lines.SUITE: lines.CASES,
    storms.SUITE: storms.CASES,
    voices.SUITE: voices.CASES,
    "joins": [consults.JOIN],
    "squeeze": consults.SQUEEZES,
}
"""Cases that need no traces, by suite."""

OF_PAIRS = (consults.SUITE, "joins", "squeeze", storms.SUITE)
"""Suites of a controller with an allocator."""

QUIET_S = 5.0
"""Where progress is not overwritten, a line of it no more often."""


def run(options: argparse.Namespace) -> int:
    """Carry the command out; its exit code."""
    try:
        contenders = _contenders(options)
        todo = _jobs(options, contenders)
    except ConfigError as error:
        print(f"telerelay simulate: {error}", file=sys.stderr)
        return USAGE
    outcomes = _outcomes(todo, options)
    contenders = list(dict.fromkeys(job.contender for job in todo))
    report = scoreboard.report(options.suite, outcomes, contenders, options.seeds, telerelay.__version__)
    for line in text.lines(report):
        print(line, file=sys.stderr)
    lost = _check(report) if options.check else []
    if options.html:
        _write(options.html, page.page(report, outcomes, _command(options)))
    if options.markdown:
        _write(options.markdown, text.markdown(report))
    if options.json:
        print(json.dumps(report, allow_nan=False))
    return LOST if lost else OK


def _outcomes(todo: list[Job], options: argparse.Namespace) -> list[Outcome]:
    """In the order of `todo`; those that are kept are not run again, those that are run are kept as they end."""
    store = kept.Kept(Path(options.keep)) if options.keep else None
    found, places = kept.missing(todo, store)
    if found:
        print(f"{len(found)} of {len(todo)} runs are kept", file=sys.stderr)
    spoken = _Progress()

    def progress(done: int, of: int, at: int, outcome: Outcome, share: float) -> None:
        if store is not None:
            store.put(todo[places[at]], outcome)
        spoken(done, of, outcome, share)

    fresh = runner.run_all([todo[at] for at in places], options.jobs or runner.usable_processors(), progress)
    found.update(zip(places, fresh, strict=True))
    return [found[at] for at in range(len(todo))]


def _write(target: str, content: str) -> None:
    try:
        Path(target).write_text(content, "utf-8")
    except OSError as error:
        raise TelerelayError("bad_file", f"cannot write {target}: {error.strerror}") from None


def _check(report: dict[str, Any]) -> list[str]:
    """Say which gates that are held were lost, and which could be held."""
    lost, fresh = board.verdict(report)
    for each in fresh:
        print(f"met, and not in telerelay/sim/held.py yet: {each}", file=sys.stderr)
    for each in lost:
        print(f"LOST: {each}", file=sys.stderr)
    print(f"gates that are held: {'all are met' if not lost else f'{len(lost)} lost'}", file=sys.stderr)
    return lost


def _jobs(options: argparse.Namespace, contenders: list[str]) -> list[Job]:
    keeps_series = options.html is not None
    if options.check and (options.suite != "scoreboard" or options.controller or options.allocator):
        raise ConfigError("usage", "--check belongs to scoreboard, with neither --controller nor --allocator")
    if options.rival_seeds and (options.suite != "scoreboard" or options.check):
        raise ConfigError("usage", "--rival-seeds belongs to scoreboard, without --check")
    if options.suite != "scoreboard":
        return runner.jobs(_cases(options), contenders, options.seeds, keeps_series=keeps_series)
    if options.case:
        raise ConfigError("usage", "--case does not belong to scoreboard: it runs what its rows need")
    folder = Path(options.dir) if options.dir else None
    if options.check:
        return board.check_jobs(_traces(folder), options.seeds, keeps_series=keeps_series)
    return board.jobs(
        _controllers(options),
        _allocators(options),
        _traces(folder),
        options.seeds,
        keeps_series=keeps_series,
        rival_seeds=options.rival_seeds,
    )


def _controllers(options: argparse.Namespace) -> list[str]:
    if options.controller is None:
        return list(controllers.NAMES)
    names = [name.strip() for name in options.controller.split(",") if name.strip()]
    if not names:
        raise ConfigError("usage", "--controller names none")
    for name in names:
        controllers.check(name)
    return list(dict.fromkeys(names))


def _allocators(options: argparse.Namespace) -> list[str]:
    chosen = [each.strip() for each in options.allocator.split(",")] if options.allocator else list(allocators.NAMES)
    for each in chosen:
        allocators.check(each)
    return chosen


def _contenders(options: argparse.Namespace) -> list[str]:
    if options.allocator and options.suite not in (*OF_PAIRS, "scoreboard"):
        raise ConfigError("usage", f"--allocator belongs to {', '.join(OF_PAIRS)} and scoreboard")
    if options.suite == voices.SUITE:
        if options.controller:
            raise ConfigError("usage", "--controller does not belong to voice: a voice is sent whatever the estimate")
        return list(REPAIRS)
    names = _controllers(options)
    return board.pairs(names, _allocators(options)) if options.suite in OF_PAIRS else names


def _cases(options: argparse.Namespace) -> list[AnyCase]:
    if options.dir and options.suite not in ("traces", "consult"):
        raise ConfigError("usage", "--dir belongs to traces, consult and scoreboard")
    folder = Path(options.dir) if options.dir else None
    cases: list[AnyCase]
    if options.suite == "traces":
        cases = list(board.trace_cases(_traces(folder)))
    elif options.suite == "consult":
        cases = [*consults.FIXED, *board.trace_consults(_traces(folder))]
    else:
        cases = list(TABLES[options.suite])
    if options.case:
        wanted = [name.strip() for name in options.case.split(",")]
        known = {case.name: case for case in cases}
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise ConfigError("usage", f"there is no case {unknown[0]}; there are {', '.join(known)}")
        cases = [known[name] for name in wanted]
    return cases


def _traces(folder: Path | None) -> list[traces.Trace]:
    return traces.read_all(folder) if folder is not None else traces.all_made_up()


class _Progress:
    """What is done, and how long the rest will take: one line that is overwritten, or one now and then."""

    def __init__(self) -> None:
        self._begun_s = self._said_s = time.monotonic()

    def __call__(self, done: int, of: int, outcome: Outcome, share: float) -> None:
        now_s = time.monotonic()
        line = f"{done}/{of} {outcome.case} {outcome.contender} seed {outcome.seed}"
        if done < of:
            line += f", {_spoken((now_s - self._begun_s) * (1 - share) / share)} left"
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line}", end="\n" if done == of else "", file=sys.stderr, flush=True)
        elif done == of or now_s - self._said_s >= QUIET_S:
            self._said_s = now_s
            print(line, file=sys.stderr, flush=True)


def _spoken(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _command(options: argparse.Namespace) -> str:
    """What to type to have the same again; a folder by its last name only."""
    parts = ["telerelay", "simulate", options.suite, "--seeds", str(options.seeds)]
    for flag in ("controller", "allocator", "case", "rival_seeds"):
        if getattr(options, flag):
            parts += [f"--{flag.replace('_', '-')}", str(getattr(options, flag))]
    if options.check:
        parts.append("--check")
    if options.dir:
        parts += ["--dir", Path(options.dir).name]
    return shlex.join(parts)
