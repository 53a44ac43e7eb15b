"""
R24, equipped sites (D3): a probe tells pass or fail with a plain reason for camera, microphone, UDP, TCP 443, rates,
loss and jitter within 15 s, without entering a consult.

The site and the relay are in two network namespaces with a line between them, which is as it is said to be; the site's
firewall is nftables'. What stands for camera and microphone are files.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rows.figures import EXAMPLES, Figure, is_short
from support.netsim import NamespacePair, Shape
from support.starved import Starved

_figure = partial(Figure, "R24", example="site_check", is_least=False)

N1 = Shape(rate_bps=10e6, delay_ms=25.0), Shape(rate_bps=10e6, delay_ms=25.0)
N2 = Shape(rate_bps=5e6, delay_ms=25.0), Shape(rate_bps=2e6, delay_ms=25.0)
LOSSY = Shape(rate_bps=5e6, delay_ms=25.0, loss=0.2), Shape(rate_bps=2e6, delay_ms=25.0)
"""Relay to site, site to relay."""
WITHIN_S = 15.0
TRIES = 4
LOSSY_TRIES = 3
"""What a line that loses by chance lets through is chance."""
VOID_S, START_S = 1.0, 2.0
"""A run says nothing of the site where we, or the command's own start, which takes 0.7 s, had to wait for the CPU."""
QUIET = asyncio.subprocess.DEVNULL
NO_UDP = "meta l4proto udp drop"
NO_443 = "tcp dport 443 drop"
BLOCKED = {"udp": "no_answer", "tcp_443": "no_answer", "loss": "unknown", "jitter": "unknown"}
HTTP_PORT = 8080

Result = dict[str, Any]


async def measure() -> list[Figure]:
    tries = 1 if is_short() else 5
    with tempfile.TemporaryDirectory() as folder:
        picture, sound = await asyncio.to_thread(_equipment, Path(folder))
        devices = ("--camera", str(picture), "--microphone", str(sound))
        async with _site(*N1) as net:
            good = [await _probe(net, *devices) for _ in range(tries)]
            bare = await _probe(net, "--camera", "/dev/video99", "--microphone", "none", language="fr")
            with _firewall(net, NO_UDP, NO_443):
                blocked = await _probe(net, *devices)
        async with _site(*N2) as net:
            narrow = await _probe(net, *devices)
        async with _site(*LOSSY) as net:
            lossy = [await _probe(net, *devices) for _ in range(LOSSY_TRIES)]
    everything = (*good, bare, blocked, narrow, *lossy)
    names = {"camera", "microphone", "tcp", "tcp_443", "udp", "up", "down", "loss", "jitter", "delay"}
    is_french = _text(bare, "camera").startswith("Aucune caméra")
    took_s = [each["took_s"] for each in everything]
    unsaid = [each for each in everything if {check["name"] for check in each["checks"] if check["text"]} != names]
    return [
        _figure(
            "a good site: checks of all that do not pass", float(sum(len(_failed(each)) for each in good)), "", 0.0
        ),
        _figure("from the command's start to its end, median", statistics.median(took_s), "s", WITHIN_S),
        _figure("the same as the probe counts it, at most", max(each["seconds"] for each in everything), "s", WITHIN_S),
        _figure("probes that do not say something of each thing", float(len(unsaid)), "", 0.0),
        _figure("UDP and TCP 443 blocked: not said so", float(_failed(blocked) != BLOCKED), "", 0.0),
        _figure("no camera: said otherwise than so, in French", float(not is_french), "", 0.0),
        _figure("a fifth of the data lost: not said, median", statistics.median(map(_unsaid_loss, lossy)), "", 0.0),
        *_rates(narrow, "up", 2.0),
        *_rates(narrow, "down", 5.0),
    ]


def _rates(result: Result, name: str, line: float) -> list[Figure]:
    """What was measured of a line of so many Mbit/s: TCP's rate, with its headers beside it."""
    value = next(check["value"] for check in result["checks"] if check["name"] == name)
    measured = float("nan") if value is None else value / 1e6
    what = f"rate {name} of a line of {line:g} Mbit/s, at "
    return [
        _figure(f"{what}least", measured, "Mbit/s", line / 2, is_least=True),
        _figure(f"{what}most", measured, "Mbit/s", line * 1.1),
    ]


def _failed(result: Result) -> dict[str, str]:
    return {check["name"]: check["code"] for check in result["checks"] if check["result"] == "fail"}


def _unsaid_loss(result: Result) -> float:
    return float(_failed(result).get("loss") != "much")


def _text(result: Result, name: str) -> str:
    return next(str(check["text"]) for check in result["checks"] if check["name"] == name)


async def _probe(net: NamespacePair, *flags: str, language: str = "en") -> Result:
    """One run of the command at the site; one that got no CPU says nothing, and is tried again."""
    url = f"http://{net.address_a}:{HTTP_PORT}/consult"
    command = net.command("b", sys.executable, "-m", "telerelay.cli", "probe", url, "--json", "--language", language)
    for _ in range(TRIES):
        began = time.monotonic()
        with Starved() as starved:
            process = await asyncio.create_subprocess_exec(*command, *flags, stdout=asyncio.subprocess.PIPE)
            printed, _ = await process.communicate()
        took_s = time.monotonic() - began
        result: Result = json.loads(printed)
        assert result["passed"] == (process.returncode == 0)
        if starved.total_s < VOID_S and took_s - result["seconds"] < START_S:
            return result | {"took_s": took_s}
    raise RuntimeError(f"the machine is too busy: the command did not get its turn, {TRIES} times in a row")


@contextlib.contextmanager
def _firewall(net: NamespacePair, *rules: str) -> Iterator[None]:
    """What leaves the site is looked at."""
    table = "add table inet site; add chain inet site out { type filter hook output priority 0; };"
    added = "; ".join(f"add rule inet site out {rule}" for rule in rules)
    subprocess.run(net.command("b", "nft", f"{table} {added}"), check=True)
    try:
        yield
    finally:
        subprocess.run(net.command("b", "nft", "delete table inet site"), check=True)


@contextlib.asynccontextmanager
async def _site(down: Shape, up: Shape) -> AsyncIterator[NamespacePair]:
    """The example at one end of such a line, with something that takes TCP at port 443; both are ended."""
    with NamespacePair(down, up) as net:
        address = net.address_a
        environment = {
            **os.environ,
            "TELERELAY_HTTP_HOST": address,
            "TELERELAY_HTTP_PORT": str(HTTP_PORT),
            "TELERELAY_UDP_BINDS": f"{address}:40000",
            "TELERELAY_LOG_LEVEL": "error",
        }
        app = str(EXAMPLES / "site_check" / "app.py")
        port_443 = (sys.executable, "-m", "http.server", "443", "--bind", address, "--directory", "/var/empty")
        started = []
        try:
            for command in ((sys.executable, app), port_443):
                run = net.command("a", *command)
                started.append(await asyncio.create_subprocess_exec(*run, env=environment, stdout=QUIET, stderr=QUIET))
            for port in (HTTP_PORT, 443):
                await asyncio.to_thread(_wait_until_open, net, port)
            yield net
        finally:
            for process in started:
                process.terminate()
                await process.wait()


def _wait_until_open(net: NamespacePair, port: int) -> None:
    look = f"import socket; socket.create_connection(('{net.address_a}', {port}), 1)"
    ends_at = time.monotonic() + 60.0
    while subprocess.run(net.command("b", sys.executable, "-c", look), capture_output=True).returncode:
        assert time.monotonic() < ends_at, f"nothing listens at port {port}"
        time.sleep(0.2)


def _equipment(folder: Path) -> tuple[Path, Path]:
    sys.path.insert(0, str(EXAMPLES / "site_check"))
    try:
        import play  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
        sys.modules.pop("play", None)
    made: tuple[Path, Path] = play.equipment(folder)
    return made
