"""
A file over TCP on the line of somebody who speaks and is seen, as a relay that paces it reads it: what waits behind it.

Pure and seeded, its time an argument: the line is netsim's, the pace that of telerelay.documents.pace, and TCP what of
it matters here. A sender sends whatever its window allows at once; each segment and each read is answered with the
right edge of the window and the time, which the next segment brings back. Congestion control is left out, since a
window of this size bounds it.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from support.netsim import Line, Shape
from telerelay.documents.pace import SEGMENT_BYTES, Pace, Trip

VOICE_BYTES, VOICE_EVERY_S = 160, 0.02
FRAMES_PER_S, KEY_EVERY, KEY_SIZE = 30, 60, 3
PACKET_BYTES, HEAD_BYTES = 1250, 52
FIRST_BYTES = 10 * SEGMENT_BYTES
"""RFC 6928: what leaves before anything was answered."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Of the voice, p95, seconds: from one packet to the next, and behind the line's own delay; and the file's rate."""

    gap_s: float
    late_s: float
    file_bps: float


class FileOnALine:
    """`FileOnALine(up, picture_bps, pace).run(60.0)`; without a pace there is no file."""

    def __init__(self, up: Shape, picture_bps: float, pace: Pace | None = None) -> None:
        self._line = Line(up, 1)
        self._way_back_s = up.delay_ms / 1e3
        self._base_s = up.delay_ms / 1e3 + VOICE_BYTES * 8 / up.rate_bps
        self._least_s = 2 * up.delay_ms / 1e3 + SEGMENT_BYTES * 8 / up.rate_bps
        self._picture_bps = picture_bps
        self._pace = pace
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = itertools.count()
        self._voice: list[tuple[float, float]] = []
        # The sender's: what it sent, may send, and the newest time it was told.
        self._sent, self._edge, self._told_s = 0, FIRST_BYTES, 0.0
        # The relay's: what came, what was read, what it allowed; the round trip as the kernel smooths it.
        self._came, self._read, self._allowed, self._rtt_s = 0, 0, FIRST_BYTES, 0.0
        self._last_echo_s = 0.0
        self._is_waiting = True

    def run(self, for_s: float) -> Waits:
        """Once."""
        self._at(0.0, self._speak)
        self._at(0.0, lambda now: self._show(now, 0))
        if self._pace is not None:
            self._at(0.0, self._send)
        now = 0.0
        while now < for_s:
            now = min(self._events[0][0], self._line.next_at())
            for due, packet in self._line.pop(now):
                kind, stamp = packet[:1], float(packet[1:33])
                if kind == b"v":
                    self._voice.append((due, due - stamp - self._base_s))
                elif kind == b"f":
                    self._arrive(due, stamp)
            while self._events and self._events[0][0] <= now:
                heapq.heappop(self._events)[2](now)
        gaps = [b[0] - a[0] for a, b in itertools.pairwise(self._voice)]
        return Waits(_p95(gaps), _p95([late for _, late in self._voice]), 8 * self._read / for_s)

    def _at(self, when: float, do: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), do))

    def _put(self, kind: bytes, stamp: float, size: int, now: float) -> None:
        self._line.push((kind + f"{stamp:32.9f}".encode()).ljust(size, b"."), now)

    def _speak(self, now: float) -> None:
        self._put(b"v", now, VOICE_BYTES, now)
        self._at(now + VOICE_EVERY_S, self._speak)

    def _show(self, now: float, number: int) -> None:
        """A keyframe is so many times as large as the others."""
        others = self._picture_bps / 8 / FRAMES_PER_S * KEY_EVERY / (KEY_EVERY - 1 + KEY_SIZE)
        left = int(others * (KEY_SIZE if number % KEY_EVERY == 0 else 1))
        while left > 0:
            self._put(b"p", now, min(left, PACKET_BYTES), now)
            left -= PACKET_BYTES
        self._at(now + 1 / FRAMES_PER_S, lambda at: self._show(at, number + 1))

    def _send(self, now: float) -> None:
        while self._sent + SEGMENT_BYTES <= self._edge:
            self._sent += SEGMENT_BYTES
            self._put(b"f", self._told_s, SEGMENT_BYTES + HEAD_BYTES, now)

    def _arrive(self, now: float, echo_s: float) -> None:
        self._came += SEGMENT_BYTES
        if echo_s > self._last_echo_s:
            self._last_echo_s = echo_s
            sample_s = now - echo_s
            self._rtt_s = sample_s if not self._rtt_s else self._rtt_s + (sample_s - self._rtt_s) / 8
        self._answer(now)
        if self._is_waiting:
            self._is_waiting = False
            self._take(now)

    def _answer(self, now: float) -> None:
        """A window never goes back (RFC 9293, 3.8.6)."""
        assert self._pace is not None
        self._allowed = max(self._allowed, self._read + self._pace.window_bytes)
        self._at(now + self._way_back_s, lambda at, edge=self._allowed, told=now: self._hear(at, edge, told))  # type: ignore[misc]

    def _hear(self, now: float, edge: int, told_s: float) -> None:
        self._edge, self._told_s = max(self._edge, edge), told_s
        self._send(now)

    def _take(self, now: float) -> None:
        """As `received` does."""
        assert self._pace is not None
        self._pace.hear(now, Trip(self._rtt_s, self._least_s))
        piece = self._came - self._read
        if not piece:
            self._is_waiting = True
            return
        self._read = self._came
        self._answer(now)
        self._at(now + self._pace.delay_s(now, piece), self._take)


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))]
