"""
A radio channel shared by an access point and its stations: half duplex, aggregated, with retries and residual loss.

Sans-I/O. There is no model of the medium access itself: overhead, aggregation, retries and loss are numbers
(docs/simulator.md says which), and stations with something to send take turns.
"""

import random
from collections import deque

from telerelay.sim.capacity import Capacity
from telerelay.sim.clock import Clock
from telerelay.sim.loss import Loss
from telerelay.sim.packet import Packet, arrive

MAX_AGGREGATE_PACKETS = 64
"""The window of a block acknowledgement (IEEE 802.11n)."""

MAX_AGGREGATE_US = 4_000
"""How long one transmission may hold the channel: the usual limit of an opportunity to transmit."""

QUEUE_PACKETS = 1_000
"""The MAC queue of the RFC 8869 runs."""


class Radio:
    """The channel: whose turn it is, and for how long."""

    __slots__ = (
        "_clock",
        "_is_busy",
        "_next",
        "_random",
        "_stations",
        "capacity",
        "overhead_us",
        "retry_max_us",
        "retry_share",
    )

    def __init__(
        self,
        clock: Clock,
        capacity: Capacity,
        source: random.Random,
        *,
        overhead_us: tuple[int, int] = (300, 1_000),
        retry_share: float = 0.1,
        retry_max_us: int = 30_000,
    ) -> None:
        self.capacity = capacity
        self.overhead_us = overhead_us
        self.retry_share = retry_share
        self.retry_max_us = retry_max_us
        self._clock = clock
        self._random = source
        self._stations: list[WifiLink] = []
        self._next = 0
        self._is_busy = False

    def add(self, station: "WifiLink") -> None:
        """One more that takes turns."""
        self._stations.append(station)

    def wake(self, now_us: int) -> None:
        """Somebody has something to send."""
        if not self._is_busy:
            self._transmit(now_us, None)

    def _transmit(self, now_us: int, _: None) -> None:
        stations, count = self._stations, len(self._stations)
        for step in range(count):
            station = stations[(self._next + step) % count]
            if station.is_ready(now_us):
                self._next = (self._next + step + 1) % count
                break
        else:
            self._is_busy = False
            return
        self._is_busy = True
        low_us, high_us = self.overhead_us
        start_us = now_us + low_us + round((high_us - low_us) * self._random.random())
        packets, end_us = station.aggregate(start_us, self.capacity)
        retry_us = 0
        if self._random.random() < self.retry_share:
            retry_us = round(self.retry_max_us * self._random.random())
        station.deliver(end_us + retry_us, packets)
        self._clock.at(end_us, self._transmit)


class WifiLink:
    """One station's direction on the channel: a queue of its own, propagation, residual loss. A hop like a link."""

    __slots__ = (
        "_clock",
        "_held_until_us",
        "_loss",
        "_queue",
        "_queued_bytes",
        "_radio",
        "delay_us",
        "dropped_packets",
        "lost_packets",
        "passed_bytes",
        "queue_packets",
        "taken_packets",
    )

    def __init__(
        self,
        clock: Clock,
        radio: Radio,
        *,
        delay_us: int = 0,
        queue_packets: int = QUEUE_PACKETS,
        loss: Loss | None = None,
    ) -> None:
        self.delay_us = delay_us
        self.queue_packets = queue_packets
        self.taken_packets = 0
        self.dropped_packets = 0
        self.lost_packets = 0
        self.passed_bytes = 0
        self._clock = clock
        self._radio = radio
        self._loss = loss
        self._queue: deque[tuple[int, Packet]] = deque()
        self._queued_bytes = 0
        self._held_until_us = 0
        radio.add(self)

    def take(self, now_us: int, packet: Packet) -> None:
        """Queue it, or drop it where the queue is full."""
        self.taken_packets += 1
        if len(self._queue) >= self.queue_packets:
            self.dropped_packets += 1
            return
        self._queue.append((now_us, packet))
        self._queued_bytes += packet.size_bytes
        self._radio.wake(now_us)

    def is_ready(self, now_us: int) -> bool:
        """Whether it has something to send and is not waiting for a retry."""
        return bool(self._queue) and self._held_until_us <= now_us

    def aggregate(self, start_us: int, capacity: Capacity) -> tuple[list[tuple[int, Packet]], int]:
        """Take what goes into one transmission that starts then; also when it ends."""
        taken: list[tuple[int, Packet]] = []
        end_us = start_us
        while self._queue and len(taken) < MAX_AGGREGATE_PACKETS:
            after_us = capacity.finish_us(end_us, self._queue[0][1].size_bytes * 8)
            if taken and after_us - start_us > MAX_AGGREGATE_US:
                break
            end_us = after_us
            taken.append(self._queue.popleft())
            self._queued_bytes -= taken[-1][1].size_bytes
        return taken, end_us

    def deliver(self, end_us: int, packets: list[tuple[int, Packet]]) -> None:
        """All of one transmission arrive together; the next one of this station begins after it."""
        self._held_until_us = end_us
        for came_us, packet in packets:
            packet.queue_us += end_us - came_us
            self.passed_bytes += packet.size_bytes
            if self._loss is not None and self._loss.is_lost():
                self.lost_packets += 1
                continue
            self._clock.at(end_us + self.delay_us + packet.extra_us, arrive, packet)
            packet.extra_us = 0
        self._clock.at(end_us, self._ready)

    def _ready(self, now_us: int, _: None) -> None:
        if self._queue:
            self._radio.wake(now_us)

    def waiting_us(self, now_us: int) -> int:
        """Roughly how long a packet that came now would wait: what is queued, at the channel's rate."""
        rate_bps = self._radio.capacity.at(now_us)
        return self._queued_bytes * 8 * 1_000_000 // rate_bps if rate_bps else 0
