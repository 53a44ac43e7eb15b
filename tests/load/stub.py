"""
A server that does exactly so much wrong: the relay behind a proxy that spoils a fixed number of its media packets.

STUN, DTLS and RTCP pass untouched. Of each run of packets the same places are dropped, corrupted, doubled and held
back, and what was done is counted, so a report can be held against it to the packet. One thread of its own.
"""

from __future__ import annotations

import heapq
import socket
import threading
import time
from collections import Counter

from support.impairment import Fate, Impairment, UdpImpairment


def is_rtp(datagram: bytes) -> bool:
    """SRTP, not SRTCP (RFC 5761, 4)."""
    return len(datagram) >= 12 and 128 <= datagram[0] <= 191 and not 192 <= datagram[1] <= 223


# Of every so many packets one, at this place in the run; the places never meet within the packets of one test.
DROP, CORRUPT, DOUBLE, HOLD = (100, 7), (200, 11), (150, 33), (130, 61)

# Many frames' time, so that packets of the same track overtake whatever is held back, on a busy machine too.
HOLD_MS = 300.0


class MediaStub(UdpImpairment):
    """Passes all until `spoil(n)`, then spoils the next n media packets to receivers; `done` counts what it did."""

    def __init__(self, relay: tuple[str, int], delay_ms: float = 0.0) -> None:
        super().__init__(relay)
        self.done: Counter[str] = Counter()
        self.finished = threading.Event()
        self.down = Fate(Impairment(delay_ms=delay_ms), 1)
        self._left = 0
        self._n = 0
        self._order = 0

    def spoil(self, packets: int) -> None:
        """From the next packet on."""
        self._left = packets

    def _pass(self, way: str, fate: Fate, sock: socket.socket, datagram: bytes, to: tuple[str, int]) -> None:
        delay_ms = fate.impairment.delay_ms
        if way == "up" or not is_rtp(datagram) or not self._left:
            self._later(delay_ms if is_rtp(datagram) else 0.0, sock, datagram, to)
            return
        self._left -= 1
        self._n += 1
        self.done["media"] += 1
        if _is_place(self._n, DROP):
            self.done["dropped"] += 1
        elif _is_place(self._n, CORRUPT):
            self.done["corrupted"] += 1
            spoilt = bytearray(datagram)
            spoilt[-20] ^= 0x55
            self._later(delay_ms, sock, bytes(spoilt), to)
        elif _is_place(self._n, HOLD):
            self.done["held"] += 1
            self._later(delay_ms + HOLD_MS, sock, datagram, to)
        else:
            self._later(delay_ms, sock, datagram, to)
            if _is_place(self._n, DOUBLE):
                self.done["doubled"] += 1
                self._later(delay_ms, sock, datagram, to)
        if not self._left:
            self.finished.set()

    def _later(self, delay_ms: float, sock: socket.socket, datagram: bytes, to: tuple[str, int]) -> None:
        if delay_ms <= 0:
            self._send(sock, datagram, to)
        else:
            self._order += 1
            heapq.heappush(self._due, (time.monotonic() + delay_ms / 1e3, self._order, sock, datagram, to))


def _is_place(number: int, rule: tuple[int, int]) -> bool:
    every, place = rule
    return number % every == place
