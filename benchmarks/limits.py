"""
The limits of the relay, one row a figure: what was measured, what was to be reached, and whether it was.

The relay (control and worker) is pinned to processor 0, the generator to processor 1; each row starts a relay of its
own, loads it by `telerelay load`, and reads the report. Machines are noisy: run it on a quiet one, and a row twice.
UDP_GRO is off unless --gro asks for it: on loopback it would join what real networks often give one by one.

usage: python benchmarks/limits.py [ROW …] [--json] [--quick] [--gro]     (no row: all of them but surge and workers)
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT / "src") not in sys.path:
    sys.path.insert(0, str(ROOT / "src"))

from telerelay.errors import TelerelayError  # noqa: E402
from telerelay.garbage import INTERVAL_S as GARBAGE_INTERVAL_S  # noqa: E402
from telerelay.load import profiles  # noqa: E402
from telerelay.load.own_relay import OwnRelay  # noqa: E402
from telerelay.load.procfs import Processes  # noqa: E402

RELAY_CPU, GENERATOR_CPU = 0, 1

# After so many rounds of comings and goings what is bounded is full: 4,800 joins.
FILLING_ROUNDS = 4

# Far above any SLO: rows that only read figures are not to fail by it.
NO_SLO = "failed_joins<=1000000"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: `value` in `unit`, to be at least or at most `target`; None was not measured."""

    row: str
    figure: str
    value: float | None
    unit: str
    target: float | None
    is_least: bool = False
    note: str = ""

    @property
    def is_reached(self) -> bool | None:
        if self.target is None:
            return None
        return self.value is not None and (self.value >= self.target if self.is_least else self.value <= self.target)

    def line(self) -> str:
        value = "not measured" if self.value is None else f"{self.value:,.3g} {self.unit}"
        if self.value is not None and abs(self.value) >= 1000:
            value = f"{self.value:,.0f} {self.unit}"
        sign = "at least" if self.is_least else "at most"
        target = "" if self.target is None else f"{sign} {self.target:,g} {self.unit}"
        verdict = {True: "reached", False: "NOT REACHED", None: ""}[self.is_reached]
        return f"{self.row:<11} {self.figure:<58} {value:>18}  {target:<22} {verdict:<12} {self.note}".rstrip()


class Bench:
    """What the rows share: how a relay is started and how a load is run."""

    def __init__(self, *, quick: bool, capacity: int, gro: bool) -> None:
        self.is_quick = quick
        self.capacity = capacity
        self.has_gro = gro
        self.seconds = 5 if quick else 15

    @contextlib.asynccontextmanager
    async def relay(self, *arguments: str, cpu: int | None = RELAY_CPU, **settings: str) -> AsyncIterator[OwnRelay]:
        """A relay for up to a thousand rooms."""
        profile = profiles.with_values(profiles.PROFILES["consult"], {"shape": {"rooms": 1200}})
        env = {f"TELERELAY_{key.upper()}": value for key, value in settings.items()}
        env["TELERELAY_WORKERS_UDP_GRO"] = str(self.has_gro).lower()
        async with OwnRelay(profile, cpu=cpu, arguments=arguments, settings=env) as relay:
            yield relay

    async def load(self, relay: OwnRelay, *flags: str, cpu: int = GENERATOR_CPU, whip: bool = False) -> dict[str, Any]:
        """One run of `telerelay load`; its report."""
        command = [sys.executable, "-m", "telerelay.cli", "load"]
        if whip:
            command += ["--whip", f"{relay.url}/whip/{{room}}", "--whep", f"{relay.url}/whep/{{room}}"]
        else:
            command += [relay.url]
        command += ["--key-file", str(relay.key_file), "--cpu", str(cpu), "--json", "--quiet"]
        if "--slo" not in flags:
            command += ["--slo", NO_SLO]
        # Worker processes are its children, which are counted with it.
        command += ["--server-pid", str(relay.pid)]
        env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        process = await asyncio.create_subprocess_exec(
            *command, *flags, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=env, limit=1 << 26
        )
        out, errors = await process.communicate()
        if not out.strip():
            sys.exit(f"limits: the load did not run:\n{errors.decode()[-2000:]}")
        report: dict[str, Any] = json.loads(out.decode().strip().rpartition("\n")[2])
        for warning in report["warnings"]:
            print(f"  warning: {warning}", file=sys.stderr)
        return report


# -------------------------------------------------------------------- rows


async def consults(bench: Bench) -> list[Row]:
    """Consults on one core within loss 0.01 % and p99 10 ms."""
    flags = ["--find-max", "--duration", str(bench.seconds), "--rate", "40", "--warmup", "3"]
    flags += ["--find-first", str(bench.capacity // 2), "--slo", "loss<=0.01%,p99<=10ms,failed_joins<=0"]
    async with bench.relay() as relay:
        report = await bench.load(relay, *flags)
    found = report["find_max"]
    bench.capacity = max(1, found["rooms"])
    note = f"confidence {found['confidence']}" + (", generator limited" if report["generator_limited"] else "")
    return [
        Row("consults", "consults on one core, loss <= 0.01 %, p99 <= 10 ms", found["rooms"], "", 400, True, note),
        _per_packet("consults", "CPU per forwarded packet there", report),
    ]


async def latency(bench: Bench) -> list[Row]:
    """Latency at half of that."""
    async with bench.relay() as relay:
        report = await bench.load(
            relay, "--consults", str(max(1, bench.capacity // 2)), "--duration", str(bench.seconds), "--rate", "40"
        )
    note = f"{max(1, bench.capacity // 2)} consults" + _limited(report)
    return [
        Row("latency", "one-way latency at half capacity, p50", _ms(report, "p50"), "ms", 1, note=note),
        Row("latency", "one-way latency at half capacity, p99", _ms(report, "p99"), "ms", 3, note=note),
    ]


async def generator(bench: Bench) -> list[Row]:
    """The generator's own CPU against the relay's."""
    async with bench.relay() as relay:
        report = await bench.load(relay, "--consults", "50", "--duration", str(bench.seconds), "--rate", "40")
    server, own = report["server_cpu_ns_per_packet"], report["generator_cpu_ns_per_packet"]
    return [
        _per_packet("generator", "relay CPU per forwarded packet at 50 consults", report),
        Row("generator", "generator CPU per packet against the relay's", own / server, "x", 1.2, note=f"{own:.0f} ns"),
    ]


async def rooms(bench: Bench) -> list[Row]:
    """1,000 rooms against 100: the same bursts at a tenth of the frame rate, so as many packets."""
    results = []
    with tempfile.TemporaryDirectory(prefix="telerelay-limits-") as folder:
        for count, fps, bits in ((100, 30.0, 1_500_000), (1000, 3.0, 150_000)):
            path = Path(folder) / f"rooms{count}.toml"
            path.write_text(f"[audio]\nis_on = false\n[video]\nfps = {fps}\nbitrate_bps = {bits}\n")
            async with bench.relay() as relay:
                flags = (
                    "--profile",
                    str(path),
                    "--rooms",
                    str(count),
                    "--duration",
                    str(bench.seconds),
                    "--rate",
                    "50",
                )
                results.append(await bench.load(relay, *flags, "--warmup", "5"))
    few, many = results
    rtcp = [report["generator"]["rtcp_rx"] + report["generator"]["rtcp_tx"] for report in results]
    note = f"RTCP apart: {rtcp[0]:,} and {rtcp[1]:,} packets"
    ratio = many["server_cpu_ns_per_packet"] / few["server_cpu_ns_per_packet"]
    # Reports are datagrams like others, and people have theirs however little they send: counted as packets, they are
    # out of the comparison.
    shares = [
        report["received"] / (report["received"] + packets) for report, packets in zip(results, rtcp, strict=True)
    ]
    return [
        _per_packet("rooms", "CPU per forwarded packet, 100 rooms", few),
        _per_packet("rooms", "CPU per forwarded packet, 1,000 rooms", many),
        Row("rooms", "1,000 rooms against 100, RTCP in it", ratio, "x", None, note=note + _limited(many)),
        Row("rooms", "the same, RTCP counted apart", ratio * shares[1] / shares[0], "x", 1.2),
    ]


async def joins(bench: Bench) -> list[Row]:
    """Joins while 100 consults run: complete ones, and handshakes alone (WHIP, nobody watching)."""
    found = []
    steady = ("--consults", "100", "--rate", "40", "--room-prefix", "steady")
    with tempfile.TemporaryDirectory(prefix="telerelay-limits-") as folder:
        alone = Path(folder) / "alone.toml"
        alone.write_text("[shape]\npublishers = 1\n[audio]\nis_on = false\n[video]\nfps = 1\nbitrate_bps = 16000\n")
        quiet = Path(folder) / "quiet.toml"
        quiet.write_text("[audio]\nis_on = false\n[video]\nfps = 5\nbitrate_bps = 50000\n")
        storms = (
            (
                "complete joins a second (click to both pictures)",
                50,
                "per_s",
                quiet,
                ("--rooms", "150", "--rate", "55"),
            ),
            ("DTLS handshakes a second", 200, "handshakes_per_s", alone, ("--rooms", "1000", "--rate", "250")),
        )
        async with bench.relay() as relay:
            before = await bench.load(relay, *steady, "--duration", "10")
            for name, target, key, profile, flags in storms:
                running = asyncio.create_task(bench.load(relay, *steady, "--duration", "12"))
                # The consults are there after five seconds, and measured three later.
                await asyncio.sleep(10)
                shape = ("--profile", str(profile), "--duration", "1", "--warmup", "1", "--room-prefix", "storm")
                storm = await bench.load(relay, *shape, *flags, whip=True)
                during = await running
                rise = (during["latency_us"]["p99"] - before["latency_us"]["p99"]) / 1e3
                failed = storm["joins"]["failed"]
                note = f"{failed} failed" + _limited(storm)
                found += [
                    Row("joins", name, storm["joins"][key], "", target, True, note),
                    Row("joins", "  rise of the 100 consults' p99 meanwhile", rise, "ms", 5, note=_limited(during)),
                    Row("joins", "  packets they lost meanwhile", during["lost"], "", 0),
                ]
    return found


async def reconnect(bench: Bench) -> list[Row]:
    """500 people leave and return at once."""
    flags = ("--profile", "reconnect", "--rooms", "250", "--rate", "50", "--duration", "30")
    async with bench.relay() as relay:
        report = await bench.load(relay, *flags)
    back = report["joins"]["back_ms"]
    note = f"{back['missing']} missing, {report['joins']['failed']} failed" + _limited(report)
    last = None if back["max"] is None or back["missing"] else back["max"] / 1e3
    return [Row("reconnect", "500 people leave and return at once, last one back", last, "s", 8, note=note)]


async def memory(bench: Bench) -> list[Row]:
    """Memory of a participant at call rate."""
    rows = []
    for figure, video_bps, audio_bps in (
        ("the consult's rate, 1.5 Mbit/s and 32 kbit/s", 1_500_000, 32_000),
        ("call rate, 1.2 Mbit/s and 40 kbit/s", 1_200_000, 40_000),
    ):
        with tempfile.TemporaryDirectory(prefix="telerelay-limits-") as folder:
            path = Path(folder) / "call.toml"
            path.write_text(f"[video]\nbitrate_bps = {video_bps}\n[audio]\nbitrate_bps = {audio_bps}\n")
            flags = ("--profile", str(path), "--rooms", "100", "--rate", "40", "--duration", "5")
            async with bench.relay() as relay:
                report = await bench.load(relay, *flags)
        each = report["server"]["memory_per_participant_bytes"] / 1024
        rows.append(Row("memory", f"memory per participant at {figure}", each, "KiB", 300))
    return rows


async def growth(bench: Bench) -> list[Row]:
    """
    What joins and leaves leave behind.

    Measured when nobody is there, for what people hold while they are there swings by more than what they leave: a
    relay without load after each of nine rounds of comings and goings, 1,200 joins each. The first four fill what is
    bounded and kept for the next ones (ids that rest, notes that are remembered, heaps as large as the most people at
    once made them); growth is from their end to the last one's. It is what the processes hold of their own, without
    mapped files, whose share of each moves with who else maps them.
    """
    rows = []
    for name, whip in (("", False), (", WHIP and WHEP", True)):
        async with bench.relay() as relay:
            grown, joined = await growth_bytes(bench, relay, rounds=1 if bench.is_quick else 5, whip=whip)
        figure = f"growth per 1,000 joins and leaves{name}"
        rows.append(Row("growth", figure, grown / joined * 1000 / 1024, "KiB", 64, note=f"over {joined} joins"))
    return rows


async def growth_bytes(bench: Bench, relay: OwnRelay, *, rounds: int, whip: bool = False) -> tuple[int, int]:
    """
    What an empty relay holds more after so many rounds of comings and goings, and how many joins they were. Four rounds
    go before that.
    """
    processes, held, joined = Processes((relay.pid,)), [], []
    with tempfile.TemporaryDirectory(prefix="telerelay-limits-") as folder:
        path = Path(folder) / "comings.toml"
        path.write_text(
            "[shape]\nrooms = 40\n[video]\nbitrate_bps = 100000\nfps = 5\n[timing]\nstay_s = 2\naway_s = 0.5\n"
        )
        for _ in range(FILLING_ROUNDS + rounds):
            churn = await bench.load(relay, "--profile", str(path), "--duration", "30", whip=whip)
            await asyncio.to_thread(_wait_until_empty, relay)
            held.append(processes.private_bytes())
            joined.append(sum(row["joins"] for row in churn["series"]))
    return held[-1] - held[FILLING_ROUNDS - 1], sum(joined[FILLING_ROUNDS:])


def _wait_until_empty(relay: OwnRelay) -> None:
    """
    A seat whose socket was lost is kept for two minutes; those who said good-bye are gone at once. What they left is
    looked for a few seconds later (src/telerelay/garbage.py).
    """
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{relay.url}/metrics", timeout=10) as answer:
            if "\ntelerelay_participants 0.0\n" in answer.read().decode():
                time.sleep(GARBAGE_INTERVAL_S + 1)
                return
        time.sleep(0.5)
    sys.exit("limits: people stayed in the relay after the load had ended")


async def workers(bench: Bench) -> list[Row]:
    """Two workers at 50 consults each against one at 50, by thread time."""
    async with bench.relay() as relay:
        one = await bench.load(relay, "--consults", "50", "--rate", "40", "--duration", str(bench.seconds))
    async with bench.relay("--workers", "2", "--cpus", "0,1", cpu=None) as relay:
        two = await bench.load(relay, "--consults", "100", "--rate", "40", "--duration", str(bench.seconds))
    ratio = two["server_cpu_ns_per_packet"] / one["server_cpu_ns_per_packet"]
    note = "the second shares its processor with the generator"
    return [
        _per_packet("workers", "CPU per forwarded packet, one worker", one),
        _per_packet("workers", "CPU per forwarded packet, two workers", two),
        Row("workers", "two workers against one", ratio, "x", 1.1, note=note),
    ]


async def surge(bench: Bench) -> list[Row]:
    """R01: ten minutes of a growing day."""
    flags = ("--profile", "surge", *(("--duration", "60") if bench.is_quick else ()))
    async with bench.relay() as relay:
        report = await bench.load(relay, *flags)
    slowest = report["joins"]["both_ways_ms"]["max"]
    loss = None if report["loss"] is None else report["loss"] * 100
    note = _limited(report)
    return [
        Row("surge", "failed joins", report["joins"]["failed"], "", 0),
        Row("surge", "click to video both ways, slowest", slowest and slowest / 1e3, "s", 2, note=note),
        Row("surge", "one-way latency p99", _ms(report, "p99"), "ms", 10, note=note),
        Row("surge", "loss", loss, "%", 0.01, note=note),
    ]


async def control(bench: Bench) -> list[Row]:
    """Media while the control process stands still for a minute."""
    still_s = 5 if bench.is_quick else 60
    figure = f"media packets lost while control stood still for {still_s} s"
    try:
        async with bench.relay("--worker-host", "process") as relay:
            if not relay.has_worker_processes:
                return [Row("control", figure, None, "", 0, note="workers are threads here")]
            flags = ("--consults", "20", "--rate", "40", "--duration", str(still_s + 15))
            running = asyncio.create_task(bench.load(relay, *flags))
            # The consults are there after a second, and measured three later.
            await asyncio.sleep(10)
            os.kill(relay.pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(still_s)
            finally:
                os.kill(relay.pid, signal.SIGCONT)
            report = await running
    except TelerelayError as error:
        return [Row("control", figure, None, "", 0, note=str(error))]
    return [Row("control", figure, report["lost"], "", 0, note=f"{report['received']:,} received" + _limited(report))]


def _per_packet(row: str, figure: str, report: dict[str, Any]) -> Row:
    return Row(row, figure, report["server_cpu_ns_per_packet"], "ns", None, note=_limited(report))


def _ms(report: dict[str, Any], key: str) -> float | None:
    value = report["latency_us"][key]
    return None if value is None else value / 1e3


def _limited(report: dict[str, Any]) -> str:
    return " (generator limited)" if report["generator_limited"] else ""


ROWS: dict[str, Callable[[Bench], Awaitable[list[Row]]]] = {
    each.__name__: each
    for each in (consults, latency, generator, rooms, joins, reconnect, memory, growth, control, workers, surge)
}
NOT_BY_DEFAULT = ("workers", "surge")


async def run(names: list[str], bench: Bench) -> list[Row]:
    found = []
    for name in names:
        print(f"{name} …", file=sys.stderr)
        rows_found = await ROWS[name](bench)
        for row in rows_found:
            print(row.line(), file=sys.stderr)
        found += rows_found
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="the limits of the relay, one row a figure")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="shorter: to see that it runs, not for figures")
    parser.add_argument("--capacity", type=int, default=200, help="consults to begin the search at, and to halve (200)")
    parser.add_argument("--gro", action="store_true", help="with UDP_GRO on the relay's sockets, which is its default")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.rows if name not in ROWS]
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if not {RELAY_CPU, GENERATOR_CPU} <= os.sched_getaffinity(0):
        sys.exit("limits: needs processors 0 and 1: one for the relay, one for the generator")
    names = arguments.rows or [name for name in ROWS if name not in NOT_BY_DEFAULT]
    found = asyncio.run(run(names, Bench(quick=arguments.quick, capacity=arguments.capacity, gro=arguments.gro)))
    if arguments.json:
        rows_found = [{**asdict(row), "is_reached": row.is_reached} for row in found]
        print(json.dumps({"machine": platform.platform(), "rows": rows_found}))
    return 1 if any(row.is_reached is False for row in found) else 0


if __name__ == "__main__":
    raise SystemExit(main())
