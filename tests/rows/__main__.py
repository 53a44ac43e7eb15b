"""
`make rows ARGS="R06"`: plays the rows named, or all, one after the other, and prints a line for each figure.

The last line is one JSON object with --json. Exits 1 if a bound is missed or a row could not be played.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import sys
import time
from dataclasses import asdict

from rows.figures import SHORT, Figure, rows

TOGETHER = "TOGETHER"
"""Ten rows at once, at one relay."""


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    known = [*rows(), TOGETHER]
    parser = argparse.ArgumentParser(prog="make rows", description="plays the health systems of docs/systems.md")
    parser.add_argument("row", nargs="*", help=f"of {', '.join(known)}; all without")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--short", action="store_true", help="a fifth of the tries")
    options = parser.parse_args(arguments)
    wanted = [name.upper() for name in options.row] or known
    if unknown := [name for name in wanted if name not in known]:
        parser.error(f"there is no row {', '.join(unknown)}; there are {', '.join(known)}")
    if options.short:
        os.environ[SHORT] = "1"
    figures: list[Figure] = []
    failed: list[str] = []
    for name in wanted:
        began = time.monotonic()
        try:
            measured = asyncio.run(importlib.import_module(_module(name)).measure())
        except Exception as error:
            failed.append(name)
            print(f"{name}  could not be played: {type(error).__name__}: {error}", flush=True)
            continue
        for figure in measured:
            print(figure.line(), flush=True)
        print(f"{name}  played in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        figures += measured
    is_reached = not failed and all(figure.is_reached for figure in figures)
    if options.json:
        plain = [asdict(figure) | {"is_reached": figure.is_reached} for figure in figures]
        print(json.dumps({"figures": plain, "failed": failed, "is_reached": is_reached}), flush=True)
    return 0 if is_reached else 1


def _module(name: str) -> str:
    return "rows.together" if name == TOGETHER else f"rows.row_{name.lower()}"


if __name__ == "__main__":
    sys.exit(main())
