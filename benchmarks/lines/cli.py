"""
    python benchmarks/lines [CASE …] [--runs 5] [--adaptation on|off|both] [--json] [--html FILE] [--keep FOLDER]

Calls of a real Chromium over emulated lines: rural lines, a squeeze to 100 kbit/s, a join, three people of whom one has
a bad line. Needs root, for network namespaces, and takes one to two minutes a run. Medians of the runs that count; a
run in which the line was late or a client short of processor is void, and said to be.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from lines import figures, report
from lines.call import own_network, record
from lines.cases import CASES, GROUPS, Case, chosen
from lines.recording import Recording

# A void run is tried again, but a machine that is busy for good must not keep it up for ever.
TRIES_PER_RUN = 2


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _keep(run: Recording, folder: Path | None, name: str) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(run.as_dict()))


async def _runs(case: Case, is_adaptive: bool, wanted: int, folder: Path | None) -> list[Recording]:
    """So many runs that count, or twice as many at the most."""
    mode = "on" if is_adaptive else "off"
    runs: list[Recording] = []
    counted = 0
    while counted < wanted and len(runs) < TRIES_PER_RUN * wanted:
        seed = len(runs) + 1
        run = await record(case, is_adaptive=is_adaptive, seed=seed)
        runs.append(run)
        _keep(run, folder, f"{case.name}-{mode}-{seed}")
        reasons = figures.void_reasons(run)
        counted += not reasons
        found = figures.figures(run)
        said = ", ".join(f"{name} {report.word(found.get(name))}" for name in report.OWN.get(case.kind, report.SHORT))
        _progress(f"  {case.name}, adaptation {mode}, run {seed}: {'; '.join(reasons) or 'counts'}\n    {said}")
    return runs


async def _all(
    cases: list[Case], modes: list[bool], wanted: int, folder: Path | None
) -> dict[tuple[str, bool], list[Recording]]:
    return {(case.name, mode): await _runs(case, mode, wanted, folder) for case in cases for mode in modes}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/lines",
        description="Calls of a real Chromium over emulated lines.",
        epilog=f"cases: {', '.join(CASES)}; {', '.join(GROUPS)} stand for all of theirs",
    )
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--adaptation", choices=("on", "off", "both"), default="on")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep what everybody counted, one file a run")
    given = parser.parse_args()
    try:
        cases = chosen(given.cases)
    except KeyError as error:
        parser.error(f"no such case: {error.args[0]}; there are {', '.join([*GROUPS, *CASES])}")
    modes = {"on": [True], "off": [False], "both": [True, False]}[given.adaptation]
    own_network()
    runs = asyncio.run(_all(cases, modes, given.runs, given.keep))
    results = [report.result(case, mode, found) for (case, mode), found in runs.items()]
    if given.html is not None:
        words = " ".join(["python benchmarks/lines", *sys.argv[1:]])
        given.html.parent.mkdir(parents=True, exist_ok=True)
        given.html.write_text(report.page(results, runs, words))
    print(json.dumps(results, indent=1) if given.json else report.table(results))
    return 0
