"""
`telerelay simulate`: from flags to runs, tables and a page.

Everything for people goes to stderr; with --json the last line of stdout is the report.
"""

import argparse
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import telerelay
from telerelay.errors import ConfigError, TelerelayError
from telerelay.sim import allocators, controllers, page, runner, scoreboard, text, traces
from telerelay.sim.case import Case
from telerelay.sim.cases import consults, lines, rfc8867, rfc8869
from telerelay.sim.runner import AnyCase, Outcome

OK, USAGE = 0, 2


def run(options: argparse.Namespace) -> int:
    """Carry the command out; its exit code."""
    try:
        contenders = _contenders(options)
        cases = _cases(options)
    except ConfigError as error:
        print(f"telerelay simulate: {error}", file=sys.stderr)
        return USAGE
    todo = runner.jobs(cases, contenders, options.seeds, keeps_series=options.html is not None)
    outcomes = runner.run_all(todo, options.jobs or runner.usable_processors(), _progress)
    report = scoreboard.report(options.suite, outcomes, contenders, options.seeds, telerelay.__version__)
    for line in text.lines(report):
        print(line, file=sys.stderr)
    if options.html:
        try:
            Path(options.html).write_text(page.page(report, outcomes, _command(options)), "utf-8")
        except OSError as error:
            raise TelerelayError("bad_file", f"cannot write {options.html}: {error.strerror}") from None
    if options.json:
        print(json.dumps(report, allow_nan=False))
    return OK


def _controllers(options: argparse.Namespace) -> list[str]:
    if options.controller is None:
        return list(controllers.NAMES)
    names = [name.strip() for name in options.controller.split(",") if name.strip()]
    if not names:
        raise ConfigError("usage", "--controller names none")
    for name in names:
        controllers.check(name)
    return list(dict.fromkeys(names))


def _contenders(options: argparse.Namespace) -> list[str]:
    if options.allocator and options.suite != "consult":
        raise ConfigError("usage", "--allocator belongs to consult")
    names = _controllers(options)
    if options.suite != "consult":
        return names
    chosen = [each.strip() for each in options.allocator.split(",")] if options.allocator else list(allocators.NAMES)
    for each in chosen:
        allocators.check(each)
    pairs = [f"{name}+{each}" for name in names for each in chosen if each != allocators.ORACLE]
    return pairs + [each for each in chosen if each == allocators.ORACLE]


def _cases(options: argparse.Namespace) -> list[AnyCase]:
    if options.dir and options.suite not in ("traces", "consult"):
        raise ConfigError("usage", "--dir belongs to traces and consult")
    folder = Path(options.dir) if options.dir else None
    cases: list[AnyCase]
    if options.suite == "traces":
        cases = list(trace_cases(folder))
    elif options.suite == "consult":
        cases = [*consults.FIXED, *(consults.consult_on(trace) for trace in _traces(folder))]
    else:
        cases = list({"rfc8867": rfc8867, "rfc8869": rfc8869, "lines": lines}[options.suite].CASES)
    if options.case:
        wanted = [name.strip() for name in options.case.split(",")]
        known = {case.name: case for case in cases}
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise ConfigError("usage", f"there is no case {unknown[0]}; there are {', '.join(known)}")
        cases = [known[name] for name in wanted]
    return cases


def trace_cases(folder: Path | None) -> list[Case]:
    """A case for every trace; the first, third, … by name are the odd ones."""
    cases = [lines.trace_case(trace) for trace in _traces(folder)]
    return [
        replace(case, tags=case.tags | {"trace-odd" if at % 2 == 0 else "trace-even"}) for at, case in enumerate(cases)
    ]


def _traces(folder: Path | None) -> list[traces.Trace]:
    return traces.read_all(folder) if folder is not None else traces.all_made_up()


def _progress(done: int, of: int, outcome: Outcome) -> None:
    line = f"{done}/{of} {outcome.case} {outcome.contender} seed {outcome.seed}"
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="\n" if done == of else "", file=sys.stderr, flush=True)
    else:
        print(line, file=sys.stderr, flush=True)


def _command(options: argparse.Namespace) -> str:
    """What to type to have the same again; a folder by its last name only."""
    parts = ["telerelay", "simulate", options.suite, "--seeds", str(options.seeds)]
    for flag in ("controller", "allocator", "case"):
        if getattr(options, flag):
            parts += [f"--{flag}", getattr(options, flag)]
    if options.dir:
        parts += ["--dir", Path(options.dir).name]
    return shlex.join(parts)
