"""
One call over an emulated line: the relay and the people with good lines in this process's network namespace, Chromium
in another one behind the line, and everything that any of them counted.

Needs root. Runs on one event loop; libwebrtc has threads of its own. `own_network` comes first, once in a process.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

os.environ.setdefault("WRTC_ALLOW_LOOPBACK", "1")

import webrtc
from consulting import Person
from playwright.async_api import Browser

from lines.cases import Case
from lines.recording import ONE_HEIGHT, TOP_HEIGHT, Recording, Watched
from lines.shapes import Burst, Schedule
from lines.somebody import Somebody
from support.chromium import chromium
from support.netsim import NamespacePair
from support.relay_process import RelayProcess, free_port, read_metrics
from telerelay.config import MediaConfig

HERE = Path(__file__).resolve().parent
CLONE_NEWNET = 0x40000000
HTTP, UDP = "10.201.0.1:18080", "10.201.0.1:40000"
TRAFFIC_PORT = 18090

_SETTING = "adaptation" if "adaptation" in MediaConfig.__dataclass_fields__ else "downlink_estimate"
ADAPTATION = {is_on: {f"TELERELAY_MEDIA_{_SETTING.upper()}": str(is_on).lower()} for is_on in (True, False)}
"""Settings of the relay, as environment variables; a relay that only estimates does nothing by it."""

EVERY_S = 0.25
# The others have found the rate of their own good lines by then.
WARM_S = 5.0
# A browser on a line that is too weak may never see anybody; the line goes its way all the same.
SEEN_S = 20.0

# Like the page's own camera; and a size of which libwebrtc makes three, small enough for two cores to encode it twice.
ONE_PICTURE, ONE_MAX_BPS = (640, ONE_HEIGHT, 30), 1_500_000
JOIN_PICTURE, JOIN_MAX_BPS = (960, 540, 30), 2_500_000
THREE_PICTURES = (960, TOP_HEIGHT, 30)
ENCODINGS = (("q", 4, 120_000), ("h", 2, 350_000), ("f", 1, 1_200_000))


def own_network() -> None:
    """This process leaves the machine's network for one of its own. Before it has any thread; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "a network namespace (needs root)")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def _processor(pids: Iterable[int]) -> tuple[float, float, int]:
    """Of all threads of these processes so far: seconds that they ran, that they were ready and did not, and turns."""
    ran_ns = waited_ns = turns = 0
    for pid in pids:
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):  # it has ended
                ran, waited, taken = map(int, path.read_text().split())
                ran_ns, waited_ns, turns = ran_ns + ran, waited_ns + waited, turns + taken
    return ran_ns / 1e9, waited_ns / 1e9, turns


def _pids(net: NamespacePair, relay: RelayProcess) -> dict[str, list[int]]:
    there = subprocess.run(["ip", "netns", "pids", net.b], capture_output=True, text=True, check=True).stdout
    return {
        "the relay": [relay.pid, *relay.worker_pids],
        "the browser": [int(each) for each in there.split()],
        "the others": [os.getpid()],
    }


@contextmanager
def _relay(is_adaptive: bool) -> Iterator[tuple[RelayProcess, str]]:
    """`telerelay serve` at the near end of the line, and where its metrics are."""
    port = free_port()
    before = dict(os.environ)
    os.environ.update(ADAPTATION[is_adaptive], TELERELAY_HTTP_ADMIN_PORT=str(port))
    try:
        with RelayProcess(http=HTTP, udp=UDP) as relay:
            yield relay, f"http://127.0.0.1:{port}/metrics"
    finally:
        os.environ.clear()
        os.environ.update(before)


@asynccontextmanager
async def _far_chromium(net: NamespacePair) -> AsyncIterator[Browser]:
    """Chromium at the far end; a page of the relay's may have its camera though it came by plain HTTP."""
    with tempfile.TemporaryDirectory(prefix="telerelay-lines-") as folder:
        program = Path(folder) / "chromium-there"
        command = " ".join(net.command("b", "chromium"))
        program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        program.chmod(0o755)
        more = [
            f"--unsafely-treat-insecure-origin-as-secure=http://{HTTP}",
            f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {net.address_a}",
        ]
        async with chromium(program=str(program), more=more) as browser:
            yield browser


async def _until(at: float) -> None:
    await asyncio.sleep(max(0.0, at - time.time()))


async def _change(net: NamespacePair, schedule: Schedule, began_at: float) -> None:
    for step in schedule.steps[1:]:
        await _until(began_at + step.at_s)
        net.reshape(step.down, step.up)


async def _disturb(net: NamespacePair, burst: Burst, began_at: float) -> None:
    await _until(began_at + burst.at_s)
    verb = "put" if burst.is_up else "get"
    arguments = [verb, net.address_a, str(TRAFFIC_PORT), str(burst.flows), str(burst.length_s)]
    command = net.command("b", sys.executable, str(HERE / "traffic.py"), *arguments)
    process = await asyncio.create_subprocess_exec(*command)
    await process.wait()


@asynccontextmanager
async def _traffic(net: NamespacePair, schedule: Schedule) -> AsyncIterator[None]:
    if not schedule.bursts:
        yield
        return
    command = [sys.executable, str(HERE / "traffic.py"), "serve", net.address_a, str(TRAFFIC_PORT)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        yield
    finally:
        process.terminate()
        await process.wait()


async def _watch_people(people: list[Somebody]) -> None:
    """Samples of the people on good lines."""
    while True:
        began = time.monotonic()
        for person in people:
            await person.look()
        await asyncio.sleep(max(0.0, EVERY_S - (time.monotonic() - began)))


async def _watch_relay(metrics_url: str, recording: Recording) -> None:
    """What the relay counts, each second."""
    while True:
        with contextlib.suppress(OSError):
            recording.metrics.append((time.time(), await asyncio.to_thread(read_metrics, metrics_url)))
        await asyncio.sleep(1)


async def _others(case: Case, relay: RelayProcess, room: str) -> list[Somebody]:
    people = []
    for index in range(case.others):
        person = Somebody(relay, room, f"dr-{index}")
        people.append(person)
        await person.join()
        if case.is_simulcast:
            encodings = [
                webrtc.RTCRtpEncodingParameters(rid=rid, scale_resolution_down_by=by, max_bitrate=most_bps)
                for rid, by, most_bps in ENCODINGS
            ]
            await person.publish(video=THREE_PICTURES, encodings=encodings, prefer="VP8")
        else:
            is_join = case.kind == "join"
            picture, most_bps = (JOIN_PICTURE, JOIN_MAX_BPS) if is_join else (ONE_PICTURE, ONE_MAX_BPS)
            await person.publish(video=picture, max_bitrate_bps=most_bps, prefer="VP8")
    return people


async def record(case: Case, *, is_adaptive: bool, seed: int) -> Recording:
    """One run of a case. Raises what Playwright or the relay raise where a call did not come about at all."""
    schedule = case.schedule
    recording = Recording(case.name, is_adaptive)
    first = schedule.first
    with NamespacePair(first.down, first.up, seed, is_here=True, watch=recording.link.append) as net:
        net.lead_out()
        with _relay(is_adaptive) as (relay, metrics_url):
            async with _traffic(net, schedule), _far_chromium(net) as browser:
                await _call(case, net, relay, metrics_url, browser, recording)
    recording.link_report = net.report
    return recording


async def _call(
    case: Case, net: NamespacePair, relay: RelayProcess, metrics_url: str, browser: Browser, recording: Recording
) -> None:
    room, schedule = "lines", case.schedule
    token = relay.token(room, "patient", "patient")
    script = (HERE / "sampler.js").read_text()
    person = await Person.open(browser, f"http://{HTTP}", room=room, token=token, script=script)
    people = await _others(case, relay, room)
    watching = [asyncio.create_task(each) for each in (_watch_people(people), _watch_relay(metrics_url, recording))]
    changing: list[asyncio.Task[None]] = []
    try:
        await asyncio.sleep(WARM_S)
        recording.joined_at = time.time()
        pids = _pids(net, relay)
        before = {name: _processor(each) for name, each in pids.items()}
        await person.join()
        if case.kind == "join":  # what counts begins with the button
            recording.began_at = recording.joined_at
        else:
            with contextlib.suppress(AssertionError):
                await person.sees(case.others, within_s=SEEN_S)
                recording.is_seen = True
            recording.began_at = time.time()
        changing = [asyncio.create_task(_change(net, schedule, recording.began_at))]
        changing += [asyncio.create_task(_disturb(net, burst, recording.began_at)) for burst in schedule.bursts]
        await _until(recording.began_at + schedule.length_s)
        recording.ended_at = time.time()
        for name, (ran, waited, turns) in before.items():
            now = _processor(pids[name])
            recording.processor[name] = (now[0] - ran, now[1] - waited, now[2] - turns)
        await asyncio.gather(*changing)
        kept = await person.page.evaluate("kept")
        recording.complaints = list(person.complaints)
    finally:
        for task in (*watching, *changing):
            task.cancel()
        await asyncio.gather(*watching, *changing, return_exceptions=True)
        for each in people:
            recording.peers[each.participant] = each.watched
            await each.leave()
        await person.context.close()
    recording.browser = Watched(
        samples=[(at_ms / 1e3, rows) for at_ms, rows in kept["samples"]],
        signs=[(at_ms / 1e3, sign) for at_ms, sign in kept["signs"]],
        words=[(at_ms / 1e3, text) for at_ms, text in kept["words"]],
    )
