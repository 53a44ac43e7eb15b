"""
A flow of constant rate that no controller moves: a microphone, or somebody else's UDP.

Sans-I/O.
"""

from array import array

from telerelay.sim.clock import SECOND_US, Clock
from telerelay.sim.packet import Hop, Packet

AUDIO_FRAME_US = 20_000
"""One Opus frame."""

AUDIO_BYTES = 80 + 48
"""Opus of 32 kbit/s in frames of 20 ms, with RTP, UDP and IP headers: 51 kbit/s on the wire."""


class SteadyFlow:
    """A packet of `size_bytes` every `gap_us`, between `start` and `stop`. It is the end of its own route."""

    def __init__(self, clock: Clock, *, size_bytes: int = AUDIO_BYTES, gap_us: int = AUDIO_FRAME_US) -> None:
        self.sent_packets = 0
        self.received_packets = 0
        self.received_bytes = 0
        self.received_at_us = array("q")
        self.queue_us = array("q")
        self.rate_bps = size_bytes * 8 * SECOND_US // gap_us
        self._clock = clock
        self._size_bytes = size_bytes
        self._gap_us = gap_us
        self._route: tuple[Hop, ...] = ()
        self._stop_us = 0

    def connect(self, route: tuple[Hop, ...]) -> None:
        """The hops it takes."""
        self._route = (*route, self)

    def run(self, start_us: int, stop_us: int) -> None:
        """Send between those two moments."""
        self._stop_us = stop_us
        self._clock.at(start_us, self._send)

    def _send(self, now_us: int, _: None) -> None:
        if now_us >= self._stop_us:
            return
        self.sent_packets += 1
        Packet(self._route, self._size_bytes, now_us, self.sent_packets).start(now_us)
        self._clock.at(now_us + self._gap_us, self._send)

    def take(self, now_us: int, packet: Packet) -> None:
        """One has arrived."""
        self.received_packets += 1
        self.received_bytes += packet.size_bytes
        self.received_at_us.append(now_us)
        self.queue_us.append(packet.queue_us)
