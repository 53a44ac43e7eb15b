"""
`telerelay demo`: a relay on loopback with the consult page, and two synthetic participants in a process of their own.

The relay runs on this process's event loop, as an application would embed it; the participants are
telerelay.client.bots, joined by a pipe. For people everything goes to stderr; with json_output the last line of
stdout is one JSON object.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import math
import secrets
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import uvloop
from aiohttp import web

from telerelay.config import Config, parse_bind
from telerelay.errors import TelerelayError
from telerelay.protocol.grants import TokenKeys
from telerelay.relay import Relay

ROOM = "demo"
BOTS = {"ada": "practitioner", "bob": "patient"}  # sub and role
BOTS_JOIN_TIMEOUT_S = 30.0
BOTS_LEAVE_TIMEOUT_S = 10.0

# What two participants with a picture and a tone each make of it: each hears and sees the other.
TRACKS_EXPECTED = len(BOTS) * (len(BOTS) - 1) * 2


class DemoError(Exception):
    """Why the demo cannot go on, in a sentence for people."""


@dataclass(slots=True)
class Bots:
    """The participants' process: what it last said, and whether it is still there."""

    process: asyncio.subprocess.Process
    last: dict[str, Any] = field(default_factory=dict)
    failure: str = ""
    joined: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    async def start(cls, url: str, tokens: list[str]) -> Bots:
        """Start the process and tell it where to go."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "telerelay.client.bots",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # so that Ctrl-C reaches the demo alone, which ends the bots in order
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps({"url": url, "room": ROOM, "tokens": tokens}).encode() + b"\n")
        await process.stdin.drain()
        return cls(process)

    async def listen(self) -> None:
        """Take what the process says until it ends."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            message = json.loads(line)
            match message.pop("event"):
                case "joined":
                    self.joined.set()
                case "stats" | "end":
                    self.last = message
                case "failed":
                    self.failure = f"{message['code']}: {message['message']}"
        await self.process.wait()
        self.ended.set()

    async def finish(self) -> None:
        """Close its stdin: it counts once more, leaves and ends. Killed if it does not."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            async with asyncio.timeout(BOTS_LEAVE_TIMEOUT_S):
                await self.ended.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


def run_demo(*, duration: float | None, json_output: bool, config: Config) -> int:
    """
    Run until Ctrl-C or for `duration` seconds. Returns the exit code: 0, or 1 if it could not start, the participants
    died, or a track did not get through.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(_demo(duration, json_output, config))
        except (DemoError, TelerelayError) as error:
            print(f"telerelay demo: {error}", file=sys.stderr)
            return 1


async def _demo(duration_s: float | None, json_output: bool, config: Config) -> int:
    config = replace(config, serve=replace(config.serve, is_demo=True))
    refuse_busy_ports(config)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    keys = TokenKeys.of(secrets.token_bytes(32))
    async with contextlib.AsyncExitStack() as stack:
        relay = await stack.enter_async_context(Relay(config, keys=keys))
        url = await _listen(stack, relay, config)
        bots = await Bots.start(url, [relay.token(room=ROOM, sub=sub, role=role) for sub, role in BOTS.items()])
        listening = asyncio.create_task(bots.listen())
        stack.callback(listening.cancel)
        try:
            say(f"Open {url}/?room={ROOM} in a browser: two synthetic participants wait there. Ctrl-C ends the demo.")
            await _first_of(stop, bots.joined, bots.ended, timeout_s=BOTS_JOIN_TIMEOUT_S)
            result = await _watch(relay, bots, stop, duration_s)
        finally:
            await bots.finish()
        await listening
    result |= counted(bots.last)
    if json_output:
        print(json.dumps(result), flush=True)
    return _verdict(bots, result, was_stopped=stop.is_set())


async def _watch(relay: Relay, bots: Bots, stop: asyncio.Event, duration_s: float | None) -> dict[str, Any]:
    """One status line a second and one at the end; returns the relay's side of the result."""
    begun, cpu_begun_s = time.monotonic(), time.process_time()
    ends_at = math.inf if duration_s is None else begun + duration_s
    cpu_s, at, due_at = cpu_begun_s, begun, begun + 1
    while not (stop.is_set() or bots.ended.is_set()) and at < ends_at:
        # The loop's clock counts milliseconds and may wake a part of one early: waited for again, not shown twice.
        due_at = min(due_at, ends_at)
        await _first_of(stop, bots.ended, timeout_s=max(due_at - time.monotonic(), 1e-3))
        now, cpu_now_s = time.monotonic(), time.process_time()
        if now < due_at and not (stop.is_set() or bots.ended.is_set()):
            continue
        share, cpu_s, at, due_at = (cpu_now_s - cpu_s) / max(now - at, 1e-3), cpu_now_s, now, due_at + 1
        show_status(now - begun, relay_counters(relay), bots.last, 100 * share)
    elapsed_s = max(time.monotonic() - begun, 1e-3)
    end_status()
    counters = relay_counters(relay)
    return {
        "duration_s": round(elapsed_s, 2),
        "rx_packets": counters["rx_packets"],
        "tx_packets": counters["tx_packets"],
        "cpu_percent": round(100 * (time.process_time() - cpu_begun_s) / elapsed_s, 1),
        "drops": counters["drops"],
    }


def relay_counters(relay: Relay) -> dict[str, Any]:
    """Datagrams in and out and drops by reason, of all workers together."""
    drops: dict[str, int] = {}
    rx_packets = tx_packets = 0
    for stats in relay.stats():
        rx_packets, tx_packets = rx_packets + stats.rx_packets, tx_packets + stats.tx_packets
        for reason, count in stats.drops.items():
            drops[reason] = drops.get(reason, 0) + count
    return {"rx_packets": rx_packets, "tx_packets": tx_packets, "drops": drops}


def counted(last: Mapping[str, Any]) -> dict[str, Any]:
    """The receiving clients' side of the result: what they counted from the sequence numbers that reached them."""
    return {
        "participants": last.get("participants", 0),
        "tracks_forwarded": last.get("tracks_forwarded", 0),
        "lost_packets": last.get("lost_packets", 0),
        "repaired_packets": last.get("repaired_packets", 0),
        "received_packets": last.get("rx_packets", 0),
    }


def _verdict(bots: Bots, result: Mapping[str, Any], *, was_stopped: bool) -> int:
    """The exit code, with the reason said if it is not 0."""
    if bots.failure:
        say(f"The synthetic participants failed: {bots.failure}")
    elif bots.process.returncode != 0:
        say(f"The synthetic participants died (exit code {bots.process.returncode}).")
    elif result["tracks_forwarded"] < TRACKS_EXPECTED and not was_stopped:
        say(f"Only {result['tracks_forwarded']} of {TRACKS_EXPECTED} tracks got through.")
    else:
        return 0
    return 1


# ------------------------------------------------------------------ listening


def refuse_busy_ports(config: Config) -> None:
    """Raises DemoError, naming the flag that changes it, if the TCP or a UDP port is taken."""
    wanted = [(socket.SOCK_STREAM, "--http", config.http.host, config.http.port)]
    wanted += [(socket.SOCK_DGRAM, "--udp", *parse_bind(bind)) for bind in config.udp.binds]
    for kind, flag, host, port in wanted:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, kind) as probe:
            if kind is socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                what = "UDP" if kind is socket.SOCK_DGRAM else "TCP"
                why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
                example = f"{host}:{port + 1 if port < 65535 else port - 1}"
                raise DemoError(f"{what} port {port} on {host} {why}; choose another with {flag} {example}") from None


async def _listen(stack: contextlib.AsyncExitStack, relay: Relay, config: Config) -> str:
    """Serve the relay's application; returns the address to open."""
    runner = web.AppRunner(relay.app(), access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, config.http.host, config.http.port, shutdown_timeout=1.0)
    await site.start()
    host, port = runner.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


# ------------------------------------------------------------------ words for people


def say(text: str) -> None:
    """A line for people."""
    print(text, file=sys.stderr, flush=True)


def status_line(elapsed_s: float, counters: Mapping[str, Any], bots: Mapping[str, Any], cpu_percent: float) -> str:
    """One second of the demo on one line."""
    minutes, seconds = divmod(int(elapsed_s), 60)
    dropped = sum(counters["drops"].values())
    return (
        f"{minutes:d}:{seconds:02d}  {bots.get('tracks_forwarded', 0)} tracks forwarded"
        f"  {counters['rx_packets']} packets in, {counters['tx_packets']} out"
        f"  {bots.get('lost_packets', 0)} lost, {dropped} dropped  CPU {cpu_percent:.0f} %"
    )


def show_status(elapsed_s: float, counters: Mapping[str, Any], bots: Mapping[str, Any], cpu_percent: float) -> None:
    """Over the last one on a terminal, below it anywhere else."""
    line = status_line(elapsed_s, counters, bots, cpu_percent)
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
    else:
        say(line)


def end_status() -> None:
    """Leave the last status line standing."""
    if sys.stderr.isatty():
        say("")


async def _first_of(*events: asyncio.Event, timeout_s: float) -> None:
    """Wait until one of the events is set, or for so long."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
