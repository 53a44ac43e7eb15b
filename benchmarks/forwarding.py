"""
What one forwarded packet costs the worker's thread: real sockets on loopback, real peers, fan-out 1 and 3.

The C program does the measuring (native/bench/bench_forward.c): the worker is pinned to processor 0, the peers to
processor 1, and the worker's own thread time is divided by the packets it forwarded. Each row is run several times, the
rows in turn, and the median is printed: machines are noisy.

usage: python benchmarks/forwarding.py [--runs 5] [--seconds 2] [--rooms 10] [--json]
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "native" / "bench" / "bench_forward"
FANOUTS = (1, 3)
PROFILES = ("gcm", "cm")


def build() -> None:
    """Compile the measuring program; quiet unless it fails."""
    done = subprocess.run(["make", "-C", str(ROOT / "native"), "bench"], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"forwarding: the benchmark does not build:\n{done.stdout}{done.stderr}")


def run(fanout: int, rooms: int, seconds: float, profile: str, crypto: str) -> dict[str, float | str] | None:
    """One measurement, or None where this crypto backend is not available."""
    command = [str(PROGRAM), str(fanout), str(rooms), str(seconds), profile, crypto]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"forwarding: {crypto} {profile} fan-out {fanout}: {done.stderr.strip()}", file=sys.stderr)
        return None
    return json.loads(done.stdout)


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> int:
    parser = argparse.ArgumentParser(description="nanoseconds of worker thread time for each forwarded packet")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rooms", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        sys.exit("forwarding: needs two processors: one for the worker, one for the peers")
    build()
    rows = list(itertools.product(FANOUTS, PROFILES, ("ipsec-mb", "openssl")))
    found: dict[tuple[int, str, str], list[dict[str, float | str]]] = {row: [] for row in rows}
    for turn in range(arguments.runs):
        for number, row in enumerate(rows):
            print(f"\rrun {turn + 1}/{arguments.runs}, row {number + 1}/{len(rows)}", end="", file=sys.stderr)
            result = run(row[0], arguments.rooms, arguments.seconds, row[1], row[2])
            if result:
                found[row].append(result)
    print(file=sys.stderr)
    table = []
    for (fanout, profile, crypto), results in found.items():
        if not results:
            continue
        middle = {
            key: statistics.median(float(result[key]) for result in results)
            for key in ("ns_per_forwarded_packet", "forwarded_per_second", "worker_cpu_share", "packets_per_send_call")
        }
        table.append({"fanout": fanout, "profile": profile, "crypto": crypto, "runs": len(results), **middle})
    machine = f"{processor()}, {os.cpu_count()} processors, Linux {platform.release()}"
    out = sys.stderr if arguments.json else sys.stdout
    print(f"{machine}; {arguments.rooms} rooms, bursts of 5 packets of about 1,200 B, saturation", file=out)
    print(f"{'fan-out':>7} {'profile':>7} {'crypto':>9} {'ns/packet':>10} {'packets/s':>10} {'per send':>9}", file=out)
    for row in table:
        print(
            f"{row['fanout']:>7} {row['profile']:>7} {row['crypto']:>9} {row['ns_per_forwarded_packet']:>10.0f} "
            f"{row['forwarded_per_second']:>10.0f} {row['packets_per_send_call']:>9.1f}",
            file=out,
        )
    if arguments.json:
        print(json.dumps({"machine": machine, "rows": table}))
    return 0 if table else 1


if __name__ == "__main__":
    raise SystemExit(main())
