"""
Two network namespaces joined by a user-space link, for real programs on a bad line (the kernel here has no netem).

`Line` is one direction without sockets or clock: a drop-tail queue in bytes served at a rate, then loss, then delay;
all draws from its seed. `NamespacePair` makes the namespaces, runs a process with both lines between two TUN devices,
and removes all of it. Needs root. The link reports how late it ran: with `late_ms_p99` above 5 the machine was too
busy to measure a time, and a test measures it again.

Run as a program it is that process: netsim.py NS_A ADDRESS_A NS_B ADDRESS_B A_TO_B B_TO_A SEED [EVERY_MS], specs as in
`Shape.parse`. A line "A_TO_B B_TO_A" on its standard input makes the line another one from then on; with EVERY_MS it
says that often what is under way, and asks for a priority that keeps it on time.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import dataclasses
import fcntl
import heapq
import json
import os
import random
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
TOO_LATE_MS = 5.0
MEASUREMENTS = 3
"""Of a time that came out too long while the line itself ran late: after three in a row the test has failed."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One direction of a line. `rate_bps` 0: no limit. Loss 0-1, in bursts of `burst` packets on average."""

    rate_bps: float = 0.0
    queue_bytes: int = 64_000
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    burst: float = 1.0

    def spec(self) -> str:
        """As `parse` reads it."""
        return ",".join(f"{key}={value}" for key, value in dataclasses.asdict(self).items())

    @classmethod
    def parse(cls, spec: str) -> Shape:
        """From "loss=0.02,delay_ms=20". Raises ValueError or TypeError for what is no such field."""
        pairs = (item.split("=", 1) for item in spec.split(",") if item)
        return cls(**{key: int(value) if key == "queue_bytes" else float(value) for key, value in pairs})


class Line:
    """One direction. Time is an argument, in seconds: `push` what enters, `pop` what has arrived."""

    def __init__(self, shape: Shape, seed: int) -> None:
        self.shape = shape
        self.count: collections.Counter[str] = collections.Counter()
        self._random = random.Random(seed)
        self._queue: collections.deque[tuple[float, bytes]] = collections.deque()  # with the time each has been served
        self._queued_bytes = 0
        self._free_at = 0.0
        self._arriving: list[tuple[float, int, bytes]] = []
        self._last_arrival = 0.0
        self._n = 0
        self._in_burst = False

    @property
    def queued_bytes(self) -> int:
        """What waits, the packet that is being served included."""
        return self._queued_bytes

    def reshape(self, shape: Shape, now: float) -> None:
        """Be another line from now on: what waits is served at the new rate, and is not thrown away."""
        self._serve(now)
        old, self.shape = self.shape, shape
        waiting, self._queue = self._queue, collections.deque()
        free_at = now
        for index, (due, packet) in enumerate(waiting):
            bits = len(packet) * 8.0
            if index == 0:  # a part of it has been served; without a rate nothing waits
                bits = min(bits, (due - now) * old.rate_bps)
            free_at += bits / shape.rate_bps if shape.rate_bps else 0.0
            self._queue.append((free_at, packet))
        self._free_at = free_at
        self._serve(now)

    def push(self, packet: bytes, now: float) -> None:
        """A packet enters: it waits its turn, or finds the queue full."""
        self._serve(now)
        self.count["in"] += 1
        if self._queue and self._queued_bytes + len(packet) > self.shape.queue_bytes:
            self.count["queue_drop"] += 1
            return
        took = len(packet) * 8 / self.shape.rate_bps if self.shape.rate_bps else 0.0
        self._free_at = max(self._free_at, now) + took
        self._queue.append((self._free_at, packet))
        self._queued_bytes += len(packet)
        self._serve(now)

    def pop(self, now: float) -> list[tuple[float, bytes]]:
        """What has arrived by now, each with the time it was due."""
        self._serve(now)
        arrived = []
        while self._arriving and self._arriving[0][0] <= now:
            due, _, packet = heapq.heappop(self._arriving)
            self.count["out"] += 1
            self.count["out_bytes"] += len(packet)
            arrived.append((due, packet))
        return arrived

    def next_at(self) -> float:
        """When something happens next; infinity if nothing is under way."""
        times = [self._queue[0][0]] if self._queue else []
        times += [self._arriving[0][0]] if self._arriving else []
        return min(times, default=float("inf"))

    def _serve(self, now: float) -> None:
        while self._queue and self._queue[0][0] <= now:
            served, packet = self._queue.popleft()
            self._queued_bytes -= len(packet)
            # Both draws for every packet, so that a change of delay does not change which are lost.
            chance, late = self._random.random(), self._random.random()
            if self._is_lost(chance):
                self.count["lost"] += 1
                continue
            due = served + (self.shape.delay_ms + late * self.shape.jitter_ms) / 1e3
            self._last_arrival = max(self._last_arrival, due)  # a line keeps the order
            self._n += 1
            heapq.heappush(self._arriving, (self._last_arrival, self._n, packet))

    def _is_lost(self, chance: float) -> bool:
        """Gilbert's two states, chosen so that the mean loss is `loss` and the mean burst `burst` packets."""
        loss, burst = self.shape.loss, self.shape.burst
        if burst <= 1 or loss >= 1:
            return chance < loss
        enter = loss / (1 - loss) / burst
        self._in_burst = chance >= 1 / burst if self._in_burst else chance < enter
        return self._in_burst


Watch = Callable[[dict[str, Any]], None]
WATCH_EVERY_MS = 100


class NamespacePair:
    """
    `with NamespacePair(a_to_b, b_to_a, seed) as net:`, then run what `net.command("a", …)` says. With `is_here`, side
    "a" is the namespace that this process is in already. `watch` is called ten times a second, in a thread, with what
    the link says of itself (`_Report`).
    """

    def __init__(
        self, a_to_b: Shape, b_to_a: Shape, seed: int = 1, *, is_here: bool = False, watch: Watch | None = None
    ) -> None:
        tag = f"{os.getpid() % 100_000}-{random.randrange(16**4):04x}"
        self.a, self.b = f"tr-a-{tag}", f"tr-b-{tag}"
        self.address_a, self.address_b = "10.201.0.1", "10.201.0.2"
        self._shapes = (a_to_b, b_to_a)
        self._seed = seed
        self._is_here = is_here
        self._watch = watch
        self._reader: threading.Thread | None = None
        self._made: list[str] = []
        self._link: subprocess.Popen[str] | None = None
        self.report: dict[str, object] = {}

    def __enter__(self) -> NamespacePair:
        try:
            for name in (self.a, self.b):
                how = ["attach", name, str(os.getpid())] if self._is_here and name == self.a else ["add", name]
                subprocess.run(["ip", "netns", *how], check=True, capture_output=True)
                self._made.append(name)
            shapes = [shape.spec() for shape in self._shapes]
            command = [sys.executable, str(Path(__file__).resolve()), self.a, self.address_a, self.b, self.address_b]
            command += [*shapes, str(self._seed), *([str(WATCH_EVERY_MS)] if self._watch else [])]
            self._link = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            assert self._link.stdout is not None
            if self._link.stdout.readline().strip() != "up":
                raise RuntimeError("the link between the namespaces did not come up")
            if self._watch is not None:
                self._reader = threading.Thread(target=self._read, args=(self._link.stdout, self._watch), daemon=True)
                self._reader.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._link is not None:
            self._link.terminate()
            if self._reader is not None:
                self._reader.join(10)
                self._link.wait(10)
            else:
                out, _err = self._link.communicate(timeout=10)
                lines = out.splitlines()
                self.report = json.loads(lines[-1]) if lines else {}
        for name in self._made:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        self._made = []

    def _read(self, stream: IO[str], watch: Watch) -> None:
        for text in stream:
            said = json.loads(text)
            if "at" in said:
                watch(said)
            else:
                self.report = said

    def lead_out(self) -> None:
        """Side "b" has its default route over the line: a browser without one takes itself for offline."""
        subprocess.run(["ip", "-n", self.b, "route", "add", "default", "dev", "line0"], check=True)

    def reshape(self, a_to_b: Shape, b_to_a: Shape) -> None:
        """Be another line from now on."""
        assert self._link is not None
        assert self._link.stdin is not None
        self._link.stdin.write(f"{a_to_b.spec()} {b_to_a.spec()}\n")
        self._link.stdin.flush()

    def command(self, side: str, *arguments: str) -> list[str]:
        """The command line that runs `arguments` on side "a" or "b"."""
        return ["ip", "netns", "exec", self.a if side == "a" else self.b, *arguments]

    @property
    def was_late(self) -> bool:
        """After the end: the machine could not keep up, and a time that came out too long says nothing."""
        late_ms = self.report.get("late_ms_p99", 0.0)
        return isinstance(late_ms, float) and late_ms > TOO_LATE_MS


def _open_tun(namespace: str, address: str, name: str = "line0") -> int:
    """A TUN device with this address inside the namespace; the file descriptor stays usable from outside."""
    libc = ctypes.CDLL(None, use_errno=True)
    own, there = os.open("/proc/self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    if libc.setns(there, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    try:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN_NO_PI))
        for command in ("link set lo up", f"addr add {address}/24 dev {name}", f"link set {name} up txqueuelen 5000"):
            subprocess.run(["ip", *command.split()], check=True)
    finally:
        libc.setns(own, CLONE_NEWNET)
        os.close(own)
        os.close(there)
    return fd


class _Report:
    """What the link says of itself, so often: the time (Unix, s), and of each direction rate, queue and counts."""

    def __init__(self, lines: tuple[Line, Line], every_ms: float) -> None:
        self._lines = lines
        self._every_s = every_ms / 1e3
        self.next_at = time.monotonic() if every_ms else float("inf")

    def say(self, now: float) -> None:
        """If it is time to."""
        if now < self.next_at:
            return
        self.next_at = now + self._every_s
        of_line = [
            {"rate_bps": line.shape.rate_bps, "queued_bytes": line.queued_bytes, **line.count} for line in self._lines
        ]
        print(json.dumps({"at": time.time(), "a_to_b": of_line[0], "b_to_a": of_line[1]}), flush=True)


def _carry(lines: dict[int, tuple[Line, int]], report: _Report) -> list[float]:
    """Move packets between the devices until SIGTERM; returns how late each left, in seconds."""
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    late_s: list[float] = []
    poll = select.epoll()
    told = sys.stdin.fileno()
    for fd in (*lines, told):
        poll.register(fd, select.EPOLLIN)
    print("up", flush=True)
    while not stop:
        wait_s = min(report.next_at, *(line.next_at() for line, _ in lines.values())) - time.monotonic()
        for fd, _ in poll.poll(max(0.0, min(wait_s, 0.5))):
            if fd == told:
                if not (text := os.read(told, 65536).decode()):
                    poll.unregister(told)
                for words in text.splitlines():
                    for (line, _), spec in zip(lines.values(), words.split(), strict=True):
                        line.reshape(Shape.parse(spec), time.monotonic())
                continue
            for _ in range(64):
                try:
                    lines[fd][0].push(os.read(fd, 65536), time.monotonic())
                except BlockingIOError:
                    break
        now = time.monotonic()
        for line, out in lines.values():
            for due, packet in line.pop(now):
                late_s.append(now - due)
                try:
                    os.write(out, packet)
                except OSError:
                    line.count["write_error"] += 1
        report.say(now)
    return late_s


def main(
    name_a: str, address_a: str, name_b: str, address_b: str, a_to_b: str, b_to_a: str, seed: str, every_ms: str = "0"
) -> None:
    """The process between two namespaces that exist already."""
    a, b = _open_tun(name_a, address_a), _open_tun(name_b, address_b)
    if every_ms != "0":
        # Who watches it measures with it: then it is the clients that may be short of time, and not the line as well.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    forth, back = Line(Shape.parse(a_to_b), int(seed)), Line(Shape.parse(b_to_a), int(seed) + 1)
    late_s = sorted(_carry({a: (forth, b), b: (back, a)}, _Report((forth, back), float(every_ms))))
    p99_ms = late_s[int(len(late_s) * 0.99)] * 1e3 if late_s else 0.0
    most_ms = late_s[-1] * 1e3 if late_s else 0.0
    late = {"late_ms_p99": round(p99_ms, 2), "late_ms_most": round(most_ms, 2)}
    print(json.dumps({"a_to_b": forth.count, "b_to_a": back.count, **late}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
