"""
The same load against telerelay, Janus and an SFU on aiortc, on one processor each, in one run.

Each server is pinned to processor 0 and the generator to processor 1; they take turns, so that a noisy machine is noisy
for all. Janus is the Debian package with the configuration beside this file; it takes no loopback address, so all of it
runs in a network namespace of its own with one more address (needs root).

usage: python benchmarks/peers/run.py [--servers telerelay,janus,aiortc] [--consults 50] [--find-max] [--json]
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SERVER_CPU, GENERATOR_CPU = 0, 1

# An address that is not loopback, of documentation's block (RFC 5737): it never leaves the namespace.
ADDRESS = "192.0.2.77"

TELERELAY = (sys.executable, "-m", "telerelay.cli")
START_TIMEOUT_S = 30.0

# aiortc forwards each packet in Python: more than this is past what it carries.
AIORTC_CONSULTS = 4


@dataclass(frozen=True, slots=True)
class Running:
    """A server that can take calls: flags of the load tester, and its process."""

    flags: tuple[str, ...]
    pid: int


def env() -> dict[str, str]:
    # None of the others takes runs from its socket (UDP_GRO).
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TELERELAY_WORKERS_UDP_GRO": "false"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def process(command: list[str], *, port: int, log: Path) -> Iterator[int]:
    """A process on the server's processor, once it listens on `port`; ended afterwards."""
    with log.open("w") as out:
        child = subprocess.Popen(["taskset", "-c", str(SERVER_CPU), *command], stdout=out, stderr=out, env=env())
        try:
            wait_for(port, child, log)
            yield child.pid
        finally:
            for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    child.send_signal(number)
                try:
                    child.wait(3)
                    break
                except subprocess.TimeoutExpired:
                    continue


def wait_for(port: int, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and child.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    sys.exit(f"peers: a server did not start:\n{log.read_text()[-2000:]}")


@contextlib.contextmanager
def telerelay(folder: Path) -> Iterator[Running]:
    port, key = free_port(), folder / "key"
    key.unlink(missing_ok=True)
    subprocess.run([*TELERELAY, "token", "--new-key", str(key)], check=True, env=env())
    command = [*TELERELAY, "serve", "--http", f"127.0.0.1:{port}", "--udp", f"{ADDRESS}:0", "--key-file", str(key)]
    with process([*command, "--cpus", str(SERVER_CPU)], port=port, log=folder / "telerelay.log") as pid:
        yield Running((f"http://127.0.0.1:{port}", "--key-file", str(key)), pid)


@contextlib.contextmanager
def janus(folder: Path) -> Iterator[Running]:
    """The package's program, with our configuration and the port filled in."""
    port = free_port()
    for source in (HERE / "janus").glob("*.jcfg"):
        (folder / source.name).write_text(source.read_text().replace("WS_PORT", str(port)))
    with process(["janus", "-F", str(folder)], port=port, log=folder / "janus.log") as pid:
        yield Running(("--janus", f"ws://127.0.0.1:{port}"), pid)


@contextlib.contextmanager
def aiortc(folder: Path) -> Iterator[Running]:
    port = free_port()
    command = [sys.executable, str(HERE / "aiortc_sfu.py"), str(port)]
    with process(command, port=port, log=folder / "aiortc.log") as pid:
        url = f"http://127.0.0.1:{port}"
        flags = ("--whip", f"{url}/whip/{{room}}", "--whep", f"{url}/whep/{{room}}")
        yield Running((*flags, "--token-command", "echo {participant}"), pid)


SERVERS = {"telerelay": telerelay, "janus": janus, "aiortc": aiortc}


def load(server: Running, *flags: str) -> dict[str, Any]:
    """One run of the load tester; its report."""
    command = [*TELERELAY, "load", *server.flags, "--server-pid", str(server.pid)]
    # libnice answers no loopback address, so peers have sockets at ours, for all servers alike.
    command += ["--bind", ADDRESS, "--cpu", str(GENERATOR_CPU), "--json", "--quiet", *flags]
    done = subprocess.run(command, capture_output=True, text=True, env=env(), check=False)
    if not done.stdout.strip():
        sys.exit(f"peers: the load did not run:\n{done.stderr[-2000:]}")
    report: dict[str, Any] = json.loads(done.stdout.strip().rpartition("\n")[2])
    for warning in report["warnings"]:
        print(f"    warning: {warning}", file=sys.stderr)
    return report


# -------------------------------------------------------------------- what is measured


def at_one_load(names: list[str], arguments: argparse.Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    """Each server `--runs` times in turn; medians."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for turn in range(arguments.runs):
        for name in names:
            consults = min(arguments.consults, AIORTC_CONSULTS) if name == "aiortc" else arguments.consults
            print(f"  run {turn + 1}: {name}, {consults} consults", file=sys.stderr)
            place = folder / f"{name}-{turn}"
            place.mkdir()
            with SERVERS[name](place) as server:
                report = load(
                    server, "--consults", str(consults), "--duration", str(arguments.duration), "--rate", "20"
                )
            report["consults"] = consults
            found[name].append(report)
    return {name: summary(reports) for name, reports in found.items()}


def summary(reports: list[dict[str, Any]]) -> dict[str, Any]:
    def median(*path: str) -> float | None:
        values = []
        for report in reports:
            value: Any = report
            for key in path:
                value = value[key] if value is not None else None
            if value is not None:
                values.append(float(value))
        return statistics.median(values) if values else None

    return {
        "consults": reports[0]["consults"],
        "cpu_ns_per_packet": median("server_cpu_ns_per_packet"),
        "latency_p50_us": median("latency_us", "p50"),
        "latency_p99_us": median("latency_us", "p99"),
        "loss": median("loss"),
        "join_p50_ms": median("joins", "both_ways_ms", "p50"),
        "memory_per_participant_bytes": median("server", "memory_per_participant_bytes"),
        "failed_joins": sum(report["joins"]["failed"] for report in reports),
        "generator_limited": any(report["generator_limited"] for report in reports),
    }


def most(names: list[str], arguments: argparse.Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    """The most consults of each, in turn."""
    found = {}
    for name in names:
        print(f"  the most of {name}", file=sys.stderr)
        place = folder / f"{name}-most"
        place.mkdir()
        first = {"telerelay": "150", "janus": "40", "aiortc": "2"}[name]
        with SERVERS[name](place) as server:
            flags = ("--find-max", "--find-first", first, "--duration", str(arguments.duration), "--rate", "20")
            report = load(server, *flags)
        found[name] = report["find_max"] | {"generator_limited": report["generator_limited"]}
    return found


def table(results: dict[str, dict[str, Any]], maxima: dict[str, dict[str, Any]]) -> list[str]:
    lines = [f"{'':<28}" + "".join(f"{name:>14}" for name in results)]
    shown = (
        ("consults", "consults", 1.0),
        ("CPU per forwarded packet, ns", "cpu_ns_per_packet", 1.0),
        ("latency p50, ms", "latency_p50_us", 1e-3),
        ("latency p99, ms", "latency_p99_us", 1e-3),
        ("loss, %", "loss", 100.0),
        ("click to both pictures, ms", "join_p50_ms", 1.0),
        ("memory per person, KiB", "memory_per_participant_bytes", 1 / 1024),
        ("failed joins", "failed_joins", 1.0),
    )
    for label, key, scale in shown:
        cells = [result[key] for result in results.values()]
        lines.append(f"{label:<28}" + "".join(f"{'–' if c is None else format(c * scale, ',.4g'):>14}" for c in cells))
    if maxima:
        lines.append(f"{'most consults in the SLO':<28}" + "".join(f"{maxima[name]['rooms']:>14}" for name in results))
    base, other = results.get("telerelay"), results.get("janus")
    if base and other and base["cpu_ns_per_packet"] and other["cpu_ns_per_packet"]:
        lines.append(
            f"CPU per packet, telerelay to Janus: {base['cpu_ns_per_packet'] / other['cpu_ns_per_packet']:.2f}"
        )
        if maxima and maxima["janus"]["rooms"]:
            lines.append(f"most consults, ratio: {maxima['telerelay']['rooms'] / maxima['janus']['rooms']:.1f}")
    return lines


def enter_namespace() -> None:
    """Run this program again in a network namespace of its own, which ends with it."""
    if os.geteuid() != 0:
        sys.exit("peers: needs root, for a network namespace of its own")
    os.execvp("unshare", ["unshare", "--net", "--", sys.executable, *sys.argv, "--inside"])


def prepare_namespace() -> None:
    for command in (
        "ip link set lo up",
        "ip link add peers0 type veth peer name peers1",
        f"ip address add {ADDRESS}/32 dev peers0",
        "ip link set peers0 up",
        "ip link set peers1 up",
    ):
        subprocess.run(command.split(), check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="the same load against several servers")
    parser.add_argument("--servers", default="telerelay,janus,aiortc", help="which, with commas")
    parser.add_argument("--consults", type=int, default=50)
    parser.add_argument("--duration", type=float, default=10.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--find-max", action="store_true", help="also search for the most consults of each")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = arguments.servers.split(",")
    if unknown := set(names) - SERVERS.keys():
        parser.error(f"no such server: {', '.join(sorted(unknown))}; there are {', '.join(SERVERS)}")
    if "janus" in names and shutil.which("janus") is None:
        sys.exit("peers: no janus here: apt-get install --no-install-recommends janus")
    if not arguments.inside:
        enter_namespace()
    prepare_namespace()
    with tempfile.TemporaryDirectory(prefix="telerelay-peers-") as folder:
        results = at_one_load(names, arguments, Path(folder))
        maxima = most(names, arguments, Path(folder)) if arguments.find_max else {}
    for line in table(results, maxima):
        print(line, file=sys.stderr)
    if arguments.json:
        print(json.dumps({"machine": platform.platform(), "servers": results, "most": maxima}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
