"""
What stands between an encoder and the line: a queue let go at the controller's pace, probes and padding.

Sans-I/O. Audio passes at once, resends go before video, and streams of video take turns by bytes, as in a browser: a
large picture on one does not hold up the others.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from telerelay.sim.clock import SECOND_US, Clock
from telerelay.sim.controller import NO_PROBE, Controller, Probe
from telerelay.sim.packet import OVERHEAD_BYTES

DRAIN_US = 2 * SECOND_US
"""What is queued leaves within this time, whatever the pace: libwebrtc's limit of its queue."""

PADDING_LEAST_BYTES, PADDING_MOST_BYTES = 200, 1_200 + OVERHEAD_BYTES
"""A packet of padding: not smaller, or it would not count in a probe; not larger than a packet is."""

PROBE_STEP_US = 4_000
"""A packet of padding is worth so much time of the probe: twice libwebrtc's least distance between bursts."""

AUDIO, RESEND, VIDEO = range(3)
"""What goes first."""

Send = Callable[[int, int, Any, int], None]
"""Called with the time, the size on the wire, the content (None: padding) and the probe it belongs to."""


class Pacing(Protocol):
    """What a sender needs of a pacer; the relay's own, compiled, is one too."""

    @property
    def queued_bytes(self) -> int:
        """What waits, resends included."""

    @property
    def padding_bytes(self) -> int:
        """Padding sent so far."""

    @property
    def is_probing(self) -> bool:
        """Whether a cluster is on its way."""

    def put(self, now_us: int, size_bytes: int, content: Any, rank: int = VIDEO, stream: int = 0) -> None:
        """Queue one packet; audio leaves at once."""

    def waiting_bytes(self, stream: int) -> int:
        """What waits of one stream, resends left out."""

    def start_probe(self, now_us: int, probe: Probe) -> None:
        """Send a cluster."""

    def pad(self, now_us: int, size_bytes: int) -> None:
        """Send so much padding at once, where nothing waits."""


MakePacer = Callable[[Clock, Controller, Send], Pacing]


class Pacer:
    """`send` puts one packet on the route; the pacer never holds what it was not given."""

    __slots__ = (
        "_clock",
        "_controller",
        "_is_set",
        "_latest",
        "_next_us",
        "_probe",
        "_probe_bytes",
        "_probe_packets",
        "_queues",
        "_resends",
        "_send",
        "_served",
        "padding_bytes",
        "queued_bytes",
    )

    def __init__(self, clock: Clock, controller: Controller, send: Send) -> None:
        self.queued_bytes = 0
        self.padding_bytes = 0
        self._clock = clock
        self._controller = controller
        self._send = send
        self._queues: dict[int, deque[tuple[int, Any]]] = {0: deque()}
        self._served: dict[int, int] = {0: 0}
        self._latest = 0
        self._resends: deque[tuple[int, Any]] = deque()
        self._next_us = 0
        self._is_set = False
        self._probe: Probe | None = None
        self._probe_bytes = 0
        self._probe_packets = 0

    def put(self, now_us: int, size_bytes: int, content: Any, rank: int = VIDEO, stream: int = 0) -> None:
        """Queue one packet; audio leaves at once."""
        if rank == AUDIO:
            self._send(now_us, size_bytes, content, NO_PROBE)
            return
        if rank == RESEND:
            self._resends.append((size_bytes, content))
        else:
            queue = self._queues.get(stream)
            if not queue:
                queue = self._begin(stream)
            queue.append((size_bytes, content))
        self.queued_bytes += size_bytes
        if not self._is_set:
            self._is_set = True
            self._clock.at(max(now_us, self._next_us), self._on_time)

    def waiting_bytes(self, stream: int) -> int:
        """What waits of one stream, resends left out."""
        return sum(size_bytes for size_bytes, _ in self._queues.get(stream, ()))

    def start_probe(self, now_us: int, probe: Probe) -> None:
        """Send a cluster: what is queued first, padding where that is not enough. A newer one takes its place."""
        self._probe = probe
        self._probe_bytes = 0
        self._probe_packets = 0
        if not self._is_set:
            self._is_set = True
            self._clock.at(max(now_us, min(self._next_us, now_us + 1)), self._on_time)

    @property
    def is_probing(self) -> bool:
        """Whether a cluster is on its way."""
        return self._probe is not None

    def pad(self, now_us: int, size_bytes: int) -> None:
        """Send so much padding at once, where nothing waits."""
        while size_bytes >= PADDING_LEAST_BYTES and not self.queued_bytes:
            size = min(size_bytes, PADDING_MOST_BYTES)
            size_bytes -= size
            self.padding_bytes += size
            self._send(now_us, size, None, NO_PROBE)

    def _pace_bps(self) -> int:
        return max(self._controller.pacing_bps, self.queued_bytes * 8 * SECOND_US // DRAIN_US, 1)

    def _begin(self, stream: int) -> deque[tuple[int, Any]]:
        """A stream that had nothing waiting has no credit from that time."""
        queue = self._queues.setdefault(stream, deque())
        self._served[stream] = max(self._served.get(stream, 0), self._latest)
        return queue

    def _next_queue(self) -> deque[tuple[int, Any]] | None:
        """The stream that was served least."""
        if self._resends:
            return self._resends
        if len(self._queues) == 1:
            return self._queues[0]
        waiting = [stream for stream, queue in self._queues.items() if queue]
        if not waiting:
            return None
        stream = min(waiting, key=self._served.__getitem__)
        self._latest = self._served[stream]
        self._served[stream] += self._queues[stream][0][0]
        return self._queues[stream]

    def _on_time(self, now_us: int, _: None) -> None:
        queue = self._next_queue()
        probe = self._probe
        if queue:
            size_bytes, content = queue.popleft()
            self.queued_bytes -= size_bytes
        elif probe is not None:
            content = None
            size_bytes = probe.rate_bps * PROBE_STEP_US // SECOND_US // 8
            size_bytes = min(PADDING_MOST_BYTES, max(PADDING_LEAST_BYTES, size_bytes))
            self.padding_bytes += size_bytes
        else:
            self._is_set = False
            return
        if probe is not None:
            self._probe_bytes += size_bytes
            self._probe_packets += 1
            self._send(now_us, size_bytes, content, probe.probe_id)
            rate_bps = probe.rate_bps
            if self._probe_bytes >= probe.least_bytes and self._probe_packets >= probe.least_packets:
                self._probe = None
        else:
            self._send(now_us, size_bytes, content, NO_PROBE)
            rate_bps = self._pace_bps()
        self._next_us = next_us = now_us + size_bytes * 8 * SECOND_US // rate_bps
        if self.queued_bytes or self._probe is not None:
            self._clock.at(next_us, self._on_time)
        else:
            self._is_set = False
