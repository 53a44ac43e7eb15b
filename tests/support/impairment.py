"""
A bad line on loopback: a UDP proxy in front of the relay that loses, delays, reorders and doubles datagrams, by a seed.

A client reaches the relay through it once the port in the relay's candidates is replaced by the proxy's. Each client
gets a socket of its own towards the relay, so the relay sees as many paths as there are clients. The two directions
have a seed each; with the same seed and the same datagrams the same ones are lost. One thread of its own.
"""

from __future__ import annotations

import contextlib
import heapq
import random
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

# Of Linux; Python's socket module does not name it.
SO_TIMESTAMPNS = 35
IP_UDP_BYTES = 28


@dataclass(frozen=True, slots=True)
class Impairment:
    """What happens to each datagram of one direction: probabilities 0-1, times in milliseconds."""

    loss: float = 0.0
    burst: float = 1.0  # mean length of a run of losses; 1: each datagram for itself
    duplicate: float = 0.0
    reorder: float = 0.0  # held back by `reorder_ms`, so that later ones overtake it
    reorder_ms: float = 15.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0  # evenly, on top of the delay
    rate_bps: int = 0  # of datagrams with IPv4 and UDP headers, 0: no limit; what waits longer than `queue_ms` is lost
    queue_ms: float = 500.0


def is_media(datagram: bytes) -> bool:
    """SRTP or SRTCP, by its first byte (RFC 7983)."""
    return bool(datagram) and 128 <= datagram[0] <= 191


class Fate:
    """Decides for one direction. Without sockets or clock: give it a datagram, get how late (ms) each copy leaves."""

    def __init__(self, impairment: Impairment, seed: int) -> None:
        self.impairment = impairment
        self._random = random.Random(seed)
        self._is_losing = False
        self._free_s = 0.0
        self.count: Counter[str] = Counter()

    def _is_lost(self, draw: float) -> bool:
        """Runs end by chance and begin by chance, so that `loss` of all are lost in runs of `burst`."""
        how = self.impairment
        if how.burst <= 1:
            return draw < how.loss
        stays = 1 - 1 / how.burst
        begins = how.loss / (how.burst * (1 - how.loss))
        self._is_losing = draw < (stays if self._is_losing else begins)
        return self._is_losing

    def waits_ms(self, datagram: bytes, now_s: float) -> float | None:
        """How long it is on its way over a line of that rate, behind what is there already; None: the queue is full."""
        how = self.impairment
        if not how.rate_bps:
            return 0.0
        begin_s = max(now_s, self._free_s)
        if begin_s - now_s > how.queue_ms / 1e3:
            self.count["full"] += 1
            return None
        self._free_s = begin_s + (len(datagram) + IP_UDP_BYTES) * 8 / how.rate_bps
        self.count["bytes"] += len(datagram) + IP_UDP_BYTES
        return (self._free_s - now_s) * 1e3

    def of(self, datagram: bytes) -> list[float]:
        """Empty if it is lost. The same number of draws for each datagram, whatever comes out."""
        loss, double, hold, late = (self._random.random() for _ in range(4))
        how = self.impairment
        self.count["in"] += 1
        self.count["media_in"] += is_media(datagram)
        if self._is_lost(loss):
            self.count["lost"] += 1
            self.count["media_lost"] += is_media(datagram)
            return []
        delay_ms = how.delay_ms + late * how.jitter_ms
        if hold < how.reorder:
            self.count["reordered"] += 1
            delay_ms += how.reorder_ms
        if double < how.duplicate:
            self.count["duplicated"] += 1
            return [delay_ms, delay_ms + 1.0]
        return [delay_ms]


class UdpImpairment:
    """The proxy: `with UdpImpairment(relay.udp_address, up=…, down=…) as line:` and use `line.port`."""

    def __init__(
        self,
        relay: tuple[str, int],
        up: Impairment | None = None,
        down: Impairment | None = None,
        seed: int = 1,
        watch: Callable[[str, bytes], None] | None = None,
        leave: Callable[[bytes], None] | None = None,
    ) -> None:
        """`watch` is told of all that arrives, and which way it goes; `leave` of what leaves for the relay."""
        self.up, self.down = Fate(up or Impairment(), seed), Fate(down or Impairment(), seed + 1)
        self._relay = relay
        self._watch = watch
        self._leave = leave
        self._front = _socket()
        self._front.bind(("127.0.0.1", 0))
        self.port = int(self._front.getsockname()[1])
        self._to_relay: dict[tuple[str, int], socket.socket] = {}
        self._client_of: dict[int, tuple[str, int]] = {}
        self._due: list[tuple[float, int, socket.socket, bytes, tuple[str, int]]] = []
        self._n = 0
        self.arrived_s = 0.0
        """When the datagram that `watch` is told of arrived, by the kernel's clock: however late this thread was."""
        self._ssrcs_up: set[int] = set()
        self._poll = select.epoll()
        self._poll.register(self._front, select.EPOLLIN)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="impairment", daemon=True)

    def __enter__(self) -> UdpImpairment:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)
        for sock in [self._front, *self._to_relay.values()]:
            sock.close()
        self._poll.close()

    def inject_up(self, datagram: bytes) -> None:
        """Send this to the relay on the very path of the client that spoke first, as a forger on it would."""
        self._send(next(iter(self._to_relay.values())), datagram, self._relay)

    def ssrcs_up(self) -> set[int]:
        """The SSRCs of the RTP packets that have gone up so far: they stand in clear in SRTP."""
        return set(self._ssrcs_up)

    def _run(self) -> None:
        by_fd = {self._front.fileno(): self._front}
        while not self._stop.is_set():
            wait_s = min(self._due[0][0] - time.monotonic(), 0.1) if self._due else 0.1
            for fd, _ in self._poll.poll(max(0.0, wait_s)):
                self._receive(by_fd, fd)
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                _, _, sock, datagram, to = heapq.heappop(self._due)
                self._send(sock, datagram, to)

    def _receive(self, by_fd: dict[int, socket.socket], fd: int) -> None:
        for _ in range(64):
            try:
                datagram, extra, _, source = by_fd[fd].recvmsg(65536, 64)
            except (BlockingIOError, ConnectionRefusedError):
                return
            self.arrived_s = stamp_s(extra)
            if fd == self._front.fileno():
                sock = self._to_relay.get(source)
                if sock is None:
                    sock = self._to_relay[source] = _socket()
                    sock.bind(("127.0.0.1", 0))
                    by_fd[sock.fileno()] = sock
                    self._client_of[sock.fileno()] = source
                    self._poll.register(sock, select.EPOLLIN)
                self._pass("up", self.up, sock, datagram, self._relay)
            else:
                self._pass("down", self.down, self._front, datagram, self._client_of[fd])

    def _pass(self, way: str, fate: Fate, sock: socket.socket, datagram: bytes, to: tuple[str, int]) -> None:
        if way == "up" and len(datagram) >= 12 and is_media(datagram) and not 192 <= datagram[1] <= 223:
            self._ssrcs_up.add(int.from_bytes(datagram[8:12], "big"))
        if self._watch is not None:
            self._watch(way, datagram)
        for delay_ms in fate.of(datagram):
            waits_ms = fate.waits_ms(datagram, time.monotonic())
            if waits_ms is None:
                continue
            delay_ms += waits_ms
            if delay_ms <= 0:
                self._send(sock, datagram, to)
            else:
                self._n += 1
                heapq.heappush(self._due, (time.monotonic() + delay_ms / 1e3, self._n, sock, datagram, to))

    def _send(self, sock: socket.socket, datagram: bytes, to: tuple[str, int]) -> None:
        if self._leave is not None and to == self._relay:
            self._leave(datagram)
        # As lost as on any full line; or the other end is gone already.
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            sock.sendto(datagram, to)


def stamp_s(extra: list[tuple[int, int, bytes]]) -> float:
    """When the kernel had a datagram, from recvmsg's ancillary data: CLOCK_REALTIME, or 0 without a stamp."""
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("qq", data[:16])
            return float(seconds + nanoseconds / 1e9)
    return 0.0


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return sock
