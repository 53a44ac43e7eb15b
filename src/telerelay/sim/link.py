"""
One direction of a line: a drop-tail queue, a capacity over time, propagation, jitter and loss.

Sans-I/O. A queue that is first in, first out settles when each packet leaves the moment it enters, so a packet costs
one event for a link.
"""

from collections import deque

from telerelay.sim.capacity import NEVER_US, Capacity
from telerelay.sim.clock import SECOND_US, Clock
from telerelay.sim.jitter import Jitter
from telerelay.sim.loss import Loss
from telerelay.sim.packet import Packet, arrive


class Link:
    """
    `queue_bytes` is what the queue holds, the packet on the line included.

    Loss comes after the queue: a lost packet has taken its share of the line. `drops_when_down` refuses what comes
    while the capacity is 0, as a line does whose modem is off; else it waits.
    """

    __slots__ = (
        "_busy_until_us",
        "_clock",
        "_drops_when_down",
        "_jitter",
        "_last_arrival_us",
        "_loss",
        "_queue",
        "_queued_bytes",
        "capacity",
        "delay_us",
        "dropped_packets",
        "lost_packets",
        "passed_bytes",
        "queue_bytes",
        "taken_packets",
    )

    def __init__(
        self,
        clock: Clock,
        capacity: Capacity,
        *,
        delay_us: int,
        queue_bytes: int,
        loss: Loss | None = None,
        jitter: Jitter | None = None,
        drops_when_down: bool = False,
    ) -> None:
        self.capacity = capacity
        self.delay_us = delay_us
        self.queue_bytes = queue_bytes
        self.taken_packets = 0
        self.dropped_packets = 0
        self.lost_packets = 0
        self.passed_bytes = 0
        self._clock = clock
        self._loss = loss
        self._jitter = jitter
        self._drops_when_down = drops_when_down
        self._queue: deque[tuple[int, int]] = deque()
        self._queued_bytes = 0
        self._busy_until_us = 0
        self._last_arrival_us = 0

    def take(self, now_us: int, packet: Packet) -> None:
        """Queue it, or drop it where the queue is full."""
        self.taken_packets += 1
        size_bytes = packet.size_bytes
        queue = self._queue
        while queue and queue[0][0] <= now_us:
            self._queued_bytes -= queue.popleft()[1]
        if self._queued_bytes + size_bytes > self.queue_bytes and queue:
            self.dropped_packets += 1
            return
        if self._drops_when_down and self.capacity.at(now_us) == 0:
            self.dropped_packets += 1
            return
        start_us = self._busy_until_us
        if start_us < now_us:
            start_us = now_us
        leaves_us = self.capacity.finish_us(start_us, size_bytes * 8)
        self._busy_until_us = leaves_us
        self._queued_bytes += size_bytes
        queue.append((leaves_us, size_bytes))
        packet.queue_us += leaves_us - now_us
        if leaves_us >= NEVER_US:
            return
        self.passed_bytes += size_bytes
        if self._loss is not None and self._loss.is_lost():
            self.lost_packets += 1
            return
        arrives_us = leaves_us + self.delay_us
        if self._jitter is not None:
            arrives_us += self._jitter.next_us()
            if self._jitter.keeps_order:
                arrives_us = max(arrives_us, self._last_arrival_us)
            self._last_arrival_us = arrives_us
        if packet.extra_us:
            arrives_us += packet.extra_us
            packet.extra_us = 0
        self._clock.at(arrives_us, arrive, packet)

    def waiting_us(self, now_us: int) -> int:
        """How long a packet that came now would wait."""
        return max(0, self._busy_until_us - now_us)


def queue_bytes_of(bps: float, queue_us: int, least_bytes: int = 0) -> int:
    """The bytes of a queue that is `queue_us` long at that rate."""
    return max(least_bytes, round(bps * queue_us / SECOND_US / 8))
