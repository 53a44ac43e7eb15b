"""
What a forwarded packet costs the worker's thread where subscribers' lines are estimated and paced, against where not.

native/bench/bench_forward.c, as in forwarding.py: a worker on processor 0, real peers over loopback on processor 1.
With it on, packets have transport-wide numbers, the peers tell ten times a second when they came, and each line is
taken to carry so many times what is sent to it: three times, where a frame leaves as it came, and 1.2 times, where
most packets of a frame wait.
Off and on alternate, row by row, several times, and which is first; what is printed is the median of each turn's own
ratio. `room` is what was measured: the least that any line was estimated at, as control was told, of what left to each.

Frames come by the clock, as cameras' do, for a pace means nothing to who sends as fast as it goes.

usage: python benchmarks/adapting.py [--runs 5] [--seconds 3] [--rooms 60] [--fanout 1 3] [--rate FRAMES_PER_S]
                                     [--crypto ipsec-mb openssl] [--against DIR] [--json]

--against DIR has another clone's relay measured in the same turns, on, against our own off: what a change has saved.
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from forwarding import PROGRAMS, Row, build, processor, program, run

BOUNDS = {3.0: 1.25, 1.2: 1.8}
"""What a line carries, times what is sent to it, and what a packet may cost there, times what it costs without."""

COST = "ns_per_forwarded_packet"


@dataclass(frozen=True, slots=True)
class Result:
    """
    Medians of one row; `paced_share` is of the packets that were forwarded with it on, `room` what their lines were
    found to carry, times what left to them; `least` and `most` are of the turns' ratios.
    """

    fanout: int
    crypto: str
    wanted_room: float
    room: float
    runs: int
    off_ns: float
    on_ns: float
    ratio: float
    least: float
    most: float
    against_ratio: float | None
    paced_share: float
    bound: float

    @property
    def is_met(self) -> bool:
        return self.ratio <= self.bound


def measure(row: Row, room: float, options: argparse.Namespace) -> Result | None:
    """Off and on in turn; None where this crypto backend is not available."""
    path = PROGRAMS / "bench_forward"
    other = program("ideal", options.against)
    turns = []
    for turn in range(options.runs):
        print(f"\rfan-out {row.fanout}, room {room:g}: run {turn + 1}/{options.runs} ", end="", file=sys.stderr)
        # What comes second finds the processor as the first has left it: so they take turns in that, too.
        wanted = {"off": (path, 0.0), "on": (path, room)} | ({"other": (other, room)} if options.against else {})
        found = {}
        for name in sorted(wanted, reverse=turn % 2 == 1):
            result = run(wanted[name][0], row, options.seconds, options.rate, has_gro=False, room=wanted[name][1])
            if result is None:
                return None
            found[name] = result
        turns.append(found)
    ratios = [found["on"][COST] / found["off"][COST] for found in turns]
    others = [found["other"][COST] / found["off"][COST] for found in turns if "other" in found]
    return Result(
        fanout=row.fanout,
        crypto=row.crypto,
        wanted_room=room,
        room=statistics.median(found["on"]["room"] for found in turns),
        runs=len(turns),
        off_ns=statistics.median(found["off"][COST] for found in turns),
        on_ns=statistics.median(found["on"][COST] for found in turns),
        ratio=statistics.median(ratios),
        least=min(ratios),
        most=max(ratios),
        against_ratio=statistics.median(others) if others else None,
        paced_share=statistics.median(found["on"]["paced_share"] for found in turns),
        bound=BOUNDS[room],
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="thread time of a forwarded packet, with lines estimated and paced")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rooms", type=int, default=60)
    parser.add_argument("--fanout", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--rate", type=float, default=30.0, help="frames a second and room, of five packets each")
    parser.add_argument("--crypto", nargs="+", default=["ipsec-mb"], choices=["ipsec-mb", "openssl"])
    parser.add_argument("--against", type=Path, metavar="DIR", help="another clone's relay, measured in the same turns")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if (os.cpu_count() or 1) < 2:
        sys.exit("adapting: needs two processors: one for what is measured, one for the peers")
    build()
    results = []
    for fanout, crypto, room in itertools.product(options.fanout, options.crypto, BOUNDS):
        result = measure(Row(fanout, options.rooms, "gcm", crypto), room, options)
        if result is not None:
            results.append(result)
    print(file=sys.stderr)
    machine = f"{processor()}, {os.cpu_count()} processors, Linux {platform.release()}"
    out = sys.stderr if options.json else sys.stdout
    load = f"{options.rooms} rooms, {options.rate:g} frames/s of 5 packets"
    print(f"{machine}; {load}; medians of {options.runs}", file=out)
    names = ("fan-out", "crypto", "room", "paced", "off ns", "on ns", "ratio", "from", "to", "bound")
    print("{:>7} {:>9} {:>5} {:>6} {:>7} {:>7} {:>6} {:>5} {:>5} {:>6}".format(*names), file=out)
    for each in results:
        print(
            f"{each.fanout:>7} {each.crypto:>9} {each.room:>5.2f} {each.paced_share:>6.0%} {each.off_ns:>7.0f} "
            f"{each.on_ns:>7.0f} {each.ratio:>6.2f} {each.least:>5.2f} {each.most:>5.2f} {each.bound:>6.2f}"
            f"{'' if each.is_met else ' missed'}"
            f"{'' if each.against_ratio is None else f' (the other {each.against_ratio:.2f})'}",
            file=out,
        )
    if options.json:
        print(json.dumps({"machine": machine, "rows": [asdict(each) for each in results]}))
    return 0 if results else 1


if __name__ == "__main__":
    sys.exit(main())
