"""
The far end of a transport: what has arrived, told back every 100 ms (draft-holmer-rmcat-transport-wide-cc).

Sans-I/O. Also what every figure of a flow is made of: when each packet came, how large it was, how long it queued.
"""

from array import array
from typing import Any, Protocol

from telerelay.sim.clock import SECOND_US, Clock
from telerelay.sim.controller import LOST
from telerelay.sim.packet import IP_UDP_BYTES, Hop, Packet

FEEDBACK_GAP_US = 100_000
"""The published RMCAT runs and libwebrtc's default."""

STAMP_US = 250
"""The resolution of a time of arrival in the feedback format."""

FIXED_BYTES = IP_UDP_BYTES + 20 + 14
"""Headers of IP, UDP and the feedback itself, and what SRTCP adds (RFC 3711, 3.4, with a tag of 10 bytes)."""

BIN_US = 200_000
"""Time series are sampled so (RFC 8868, 3.1)."""


class Listener(Protocol):
    """Who wants the content of what arrives."""

    def on_content(self, now_us: int, content: Any) -> None:
        """One packet's content, in order of arrival."""


class FeedbackReceiver:
    """The last hop of a transport; `connect` says where its feedback goes."""

    def __init__(self, clock: Clock, *, listener: Listener | None = None, extra_us: int = 0) -> None:
        self.received_us = array("q")
        self.received_bytes = array("q")
        self.queue_us = array("q")
        self.padding_bytes = 0
        self.feedback_bytes = 0
        self.total_bytes = 0
        self._clock = clock
        self._listener = listener
        self._extra_us = extra_us
        self._route: tuple[Hop, ...] = ()
        self._arrivals: dict[int, int] = {}
        self._next_seq = 0
        self._stop_us = 0

    def connect(self, route: tuple[Hop, ...]) -> None:
        """The hops of feedback, its taker included."""
        self._route = route

    def run(self, start_us: int, stop_us: int) -> None:
        """Send feedback between those moments."""
        self._stop_us = stop_us
        self._clock.at(start_us + FEEDBACK_GAP_US, self._report)

    def take(self, now_us: int, packet: Packet) -> None:
        """One packet has arrived."""
        self._arrivals[packet.seq] = now_us
        size_bytes = packet.size_bytes
        self.total_bytes += size_bytes
        self.received_us.append(now_us)
        self.received_bytes.append(size_bytes)
        self.queue_us.append(packet.queue_us)
        content = packet.content
        if content is None:
            self.padding_bytes += size_bytes
        elif self._listener is not None:
            self._listener.on_content(now_us, content)

    def _report(self, now_us: int, _: None) -> None:
        if now_us >= self._stop_us:
            return
        self._clock.at(now_us + FEEDBACK_GAP_US, self._report)
        arrivals = self._arrivals
        if not arrivals:
            return
        seqs = sorted(arrivals)
        report = [(seq, arrivals[seq] // STAMP_US * STAMP_US) for seq in seqs if seq < self._next_seq]
        report += [
            (seq, arrivals[seq] // STAMP_US * STAMP_US if seq in arrivals else LOST)
            for seq in range(self._next_seq, seqs[-1] + 1)
        ]
        self._next_seq = max(self._next_seq, seqs[-1] + 1)
        self._arrivals = {}
        # Two bytes of status for seven packets, one byte of delta for each that came (two where they are far apart).
        size_bytes = FIXED_BYTES + 2 * -(-len(report) // 7) + len(seqs)
        self.feedback_bytes += size_bytes
        Packet(self._route, size_bytes, now_us, content=report, extra_us=self._extra_us).start(now_us)


def binned(times_us: "array[int]", sizes_bytes: "array[int]", end_us: int, bin_us: int = BIN_US) -> list[float]:
    """Bit/s in each bin."""
    bins = [0] * (end_us // bin_us)
    for when_us, size_bytes in zip(times_us, sizes_bytes, strict=True):
        at = when_us // bin_us
        if at < len(bins):
            bins[at] += size_bytes
    return [each * 8 * SECOND_US / bin_us for each in bins]
