"""
What one forwarded packet costs the worker's thread, against the least it can cost.

Two C programs do the measuring over real sockets on loopback: native/bench/bench_forward.c is the relay with real peers
(checks, handshakes, SRTP); native/bench/bench_ideal.c is an ideal loop: the same packets, system calls and ciphers, and
nothing of a relay. What is measured is pinned to processor 0, the peers to processor 1, and thread time is divided by
the packets forwarded. The two alternate, row by row, several times; the medians and their ratio are printed: a machine
that is noisy is noisy for both.

The peers send their frames as GSO runs, and take theirs as GRO runs: they must outrun what is measured. The relay's own
sockets have no UDP_GRO, as the ideal loop has none, unless --gro asks for it.

--against DIR has another clone's relay take the ideal loop's place, built there by `make -C native bench`: the ratio is
then that of a change. BENCH_EXTRA="-O3" as an argument of make is such a change, without one in the sources.

usage: python benchmarks/forwarding.py [--runs 5] [--seconds 1.5] [--rooms 10 …] [--fanout 1 3] [--profile gcm cm]
                                       [--crypto ipsec-mb openssl] [--rate FRAMES_PER_S] [--gro] [--against DIR]
                                       [--json]
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "build" / "native" / "bench"
KINDS = ("ideal", "forward")


def program(kind: str, against: Path | None) -> Path:
    """What is run for a kind: with `against` the first is that clone's relay."""
    if kind == "ideal" and against is not None:
        return against / "build" / "native" / "bench" / "bench_forward"
    return PROGRAMS / f"bench_{kind}"


@dataclass(frozen=True, slots=True)
class Row:
    """What is measured."""

    fanout: int
    rooms: int
    profile: str
    crypto: str


@dataclass(frozen=True, slots=True)
class Result:
    """Medians of one row: nanoseconds of thread time for each forwarded packet, and how much was forwarded."""

    runs: int
    ideal_ns: float
    relay_ns: float
    ratio: float
    relay_packets_per_s: float
    relay_cpu_share: float
    relay_packets_per_send_call: float


def build() -> None:
    """Compile the measuring programs; quiet unless that fails."""
    done = subprocess.run(["make", "-C", str(ROOT / "native"), "bench"], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"forwarding: the benchmark does not build:\n{done.stdout}{done.stderr}")


def run(
    path: Path, row: Row, seconds: float, rate: float, *, has_gro: bool, room: float = 0
) -> dict[str, float] | None:
    """
    One measurement, or None where this crypto backend is not available. `room`: what subscribers' lines carry, times
    what is sent to them; 0: nobody estimates that.
    """
    words = (row.fanout, row.rooms, seconds, row.profile, row.crypto, rate, "gro" if has_gro else "-", room)
    command = [str(path), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"\nforwarding: {path.name}, {row}: {done.stderr.strip()}", file=sys.stderr)
        return None
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def summarise(found: dict[str, list[dict[str, float]]]) -> Result | None:
    """The medians; the ratio is the median of each turn's own."""
    pairs = [(ideal, relay) for ideal, relay in zip(found["ideal"], found["forward"], strict=True) if ideal and relay]
    if not pairs:
        return None

    def middle(key: str, which: int) -> float:
        return statistics.median(pair[which][key] for pair in pairs)

    cost = "ns_per_forwarded_packet"
    return Result(
        runs=len(pairs),
        ideal_ns=middle(cost, 0),
        relay_ns=middle(cost, 1),
        ratio=statistics.median(relay[cost] / ideal[cost] for ideal, relay in pairs),
        relay_packets_per_s=middle("forwarded_per_second", 1),
        relay_cpu_share=middle("worker_cpu_share", 1),
        relay_packets_per_send_call=middle("packets_per_send_call", 1),
    )


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="thread time of a forwarded packet, against an ideal loop")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--rooms", type=int, nargs="+", default=[10])
    parser.add_argument("--fanout", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--profile", nargs="+", default=["gcm", "cm"], choices=["gcm", "cm"])
    parser.add_argument("--crypto", nargs="+", default=["ipsec-mb"], choices=["ipsec-mb", "openssl"])
    parser.add_argument("--rate", type=float, default=0, help="frames a second and room; 0: as many as can be")
    parser.add_argument("--gro", action="store_true", help="the relay's sockets have UDP_GRO")
    parser.add_argument("--against", type=Path, metavar="DIR", help="another clone's relay instead of the ideal loop")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if (os.cpu_count() or 1) < 2:
        sys.exit("forwarding: needs two processors: one for what is measured, one for the peers")
    build()
    rows = [Row(*words) for words in itertools.product(options.fanout, options.rooms, options.profile, options.crypto)]

    other = "other ns" if options.against else "ideal ns"
    paths = {kind: program(kind, options.against) for kind in KINDS}
    if missing := [str(path) for path in paths.values() if not path.exists()]:
        sys.exit(f"forwarding: {missing[0]} is not there; `make -C native bench` builds it")

    found: dict[Row, dict[str, list[dict[str, float]]]] = {row: {kind: [] for kind in KINDS} for row in rows}
    for turn in range(options.runs):
        for number, row in enumerate(rows):
            print(f"\rrun {turn + 1}/{options.runs}, row {number + 1}/{len(rows)}", end="", file=sys.stderr)
            for kind in KINDS:
                has_gro = options.gro and paths[kind].name == "bench_forward"
                found[row][kind].append(run(paths[kind], row, options.seconds, options.rate, has_gro=has_gro) or {})
    print(file=sys.stderr)
    results = {row: result for row in rows if (result := summarise(found[row]))}
    machine = f"{processor()}, {os.cpu_count()} processors, Linux {platform.release()}"
    load = f"{options.rate:g} frames/s a room" if options.rate else "as fast as it goes"
    out = sys.stderr if options.json else sys.stdout
    print(f"{machine}; bursts of 5 packets of about 1,200 B, {load}; medians of {options.runs}", file=out)
    print(
        f"{'fan-out':>7} {'rooms':>6} {'profile':>7} {'crypto':>9} {other:>9} {'relay ns':>9} {'ratio':>6}",
        file=out,
    )
    for row, result in results.items():
        print(
            f"{row.fanout:>7} {row.rooms:>6} {row.profile:>7} {row.crypto:>9} {result.ideal_ns:>9.0f} "
            f"{result.relay_ns:>9.0f} {result.ratio:>6.2f}",
            file=out,
        )
    if options.json:
        table = [{**asdict(row), **asdict(result)} for row, result in results.items()]
        print(json.dumps({"machine": machine, "rows": table}))
    return 0 if results else 1


if __name__ == "__main__":
    sys.exit(main())
