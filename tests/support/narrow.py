"""
One direction of an impairment proxy as a line of a certain rate: a queue in front of it, and loss when that is full.
"""

from __future__ import annotations

import time

from support.impairment import Fate, Impairment

# Of IPv4 and UDP around what a socket hands over.
HEADERS_BYTES = 28


class Narrow(Fate):
    """`bps` may be another at any time, from any thread; 0: as wide as it gets. The clock is this machine's."""

    def __init__(self, bps: int = 0, queue_ms: float = 300.0) -> None:
        super().__init__(Impairment(), 1)
        self.bps = bps
        self.queue_ms = queue_ms
        self._free_at_s = 0.0

    def of(self, datagram: bytes) -> list[float]:
        now_s, bps = time.monotonic(), self.bps
        self.count["in"] += 1
        if not bps:
            return [0.0]
        starts_s = max(now_s, self._free_at_s)
        if (starts_s - now_s) * 1000 > self.queue_ms:
            self.count["lost"] += 1
            return []
        self._free_at_s = starts_s + (len(datagram) + HEADERS_BYTES) * 8 / bps
        return [(self._free_at_s - now_s) * 1000]
