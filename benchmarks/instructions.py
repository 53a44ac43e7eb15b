"""
Instructions of one forwarded packet, counted by callgrind over a fixed script: the same on a noisy machine.

native/bench/bench_script.c sends the same packets through the same engine each time, without sockets, threads or a
clock. Instructions are told apart: those of our own sources, and those of libraries (ciphers, memory copies), which
depend on the processor. Ours are held against benchmarks/instructions.json: more than TOLERANCE above it is a failure.
Another compiler makes other code: then the figures are printed and nothing is held against anything.

usage: python benchmarks/instructions.py [--json] [--write]      --write makes the present figures the ones to hold to
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "native" / "bench" / "bench_script"
HELD = Path(__file__).with_suffix(".json")
TOLERANCE = 0.03
ROWS = (
    (1, "gcm", ""),
    (3, "gcm", ""),
    (1, "cm", ""),
    (3, "cm", ""),
    (1, "gcm", "downlink"),
    (3, "gcm", "downlink"),
    (1, "gcm", "ample"),
    (3, "gcm", "ample"),
    (1, "gcm", "paced"),
    (3, "gcm", "paced"),
)
"""
Fan-out, profile, and the mode of the script: numbered and estimated by feedback; that, and the estimate is ample, or
packets wait for it.
"""

# "881,920 ( 3.16%)  native/src/writer.c:tr__writer_write [...]"
LINE = re.compile(r"^\s*([\d,]+)\s*(?:\([^)]*\))?\s+(\S+?):")


def compiler() -> str:
    first = subprocess.run(["cc", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return first.strip()


def build() -> None:
    done = subprocess.run(["make", "-C", str(ROOT / "native"), "bench"], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"instructions: the script does not build:\n{done.stdout}{done.stderr}")


def count(fanout: int, profile: str, mode: str) -> dict[str, float]:
    """Instructions for each forwarded packet: `own` and `libraries`."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "callgrind.out"
        command = [
            "valgrind",
            "--tool=callgrind",
            "--toggle-collect=run_script",
            f"--callgrind-out-file={out}",
            str(PROGRAM),
            str(fanout),
            profile,
            "ipsec-mb",
            *([mode] if mode else []),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"instructions: the script failed:\n{done.stdout}{done.stderr}")
        forwarded = json.loads(done.stdout)["forwarded"]
        listing = subprocess.run(
            ["callgrind_annotate", "--threshold=100", "--auto=no", str(out)], capture_output=True, text=True, check=True
        ).stdout
    own = libraries = 0
    for line in listing.splitlines():
        if "PROGRAM TOTALS" in line or not (match := LINE.match(line)):
            continue
        number = int(match[1].replace(",", ""))
        # Inlined functions of headers stand without the path to them.
        if "native/src/" in match[2] or match[2].endswith((".h", "bench_script.c")):
            own += number
        else:
            libraries += number
    return {"own": round(own / forwarded, 1), "libraries": round(libraries / forwarded, 1)}


def main() -> int:
    parser = argparse.ArgumentParser(description="instructions of one forwarded packet")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("instructions: valgrind is not installed (apt-get install valgrind)")
    build()
    found = {}
    for fanout, profile, mode in ROWS:
        name = f"{profile} {fanout} {mode}".rstrip()
        print(f"\r{name} ", end="", file=sys.stderr)
        found[name] = count(fanout, profile, mode)
    print(file=sys.stderr)
    if options.write:
        HELD.write_text(json.dumps({"compiler": compiler(), "rows": found}, indent=2) + "\n")
    held = json.loads(HELD.read_text()) if HELD.exists() else {"compiler": "", "rows": {}}
    comparable = held["compiler"] == compiler()
    worse = []
    out = sys.stderr if options.json else sys.stdout
    print(f"{'profile, fan-out':>18} {'own':>8} {'held to':>8} {'libraries':>10}", file=out)
    for row, figures in found.items():
        before = held["rows"].get(row, {}).get("own")
        print(f"{row:>18} {figures['own']:>8.0f} {before or 0:>8.0f} {figures['libraries']:>10.0f}", file=out)
        if comparable and before and figures["own"] > before * (1 + TOLERANCE):
            worse.append(row)
    if not comparable:
        print(f"not held against anything: made with {held['compiler'] or 'nothing'}", file=out)
    if worse:
        print(f"more than {TOLERANCE:.0%} above what they are held to: {', '.join(worse)}", file=out)
    if options.json:
        print(json.dumps({"compiler": compiler(), "rows": found, "worse": worse}))
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
