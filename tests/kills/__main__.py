"""
`make kills ARGS="--kills 20 --seed 7"`: kills a served relay at random moments, 200 times without `--kills`.

Prints what was measured and what is wrong; with --json one JSON object as the last line. Exits 1 if anything is wrong
or 95 of 100 people are not back within five seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import signal
import sys

from kills.driver import play_in_a_folder


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="make kills", description="kills a served relay at random moments")
    parser.add_argument("--kills", type=int, default=200, help="how often (200)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31), help="what is random goes by it")
    parser.add_argument("--seconds", type=float, default=math.inf, help="no more of them after so long")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args(arguments)
    # As Ctrl-C, which a shell's background jobs ignore: what was started is ended.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    report = asyncio.run(
        play_in_a_folder(
            options.kills, options.seed, options.seconds, lambda line: print(line, file=sys.stderr, flush=True)
        )
    )
    for line in report.lines():
        print(line, flush=True)
    if options.json:
        print(json.dumps(report.to_json()), flush=True)
    return 0 if report.is_reached else 1


if __name__ == "__main__":
    sys.exit(main())
