"""
From a worker's running counters to what happened to each stream since the last look.

Pure: rows come in every few seconds, differences go out.
"""

from collections.abc import Iterable
from typing import NamedTuple

from telerelay.dataplane.counts import WRAP, Count, packed, unpacked


class Stream(NamedTuple):
    """
    One receiver or sender over the last `seconds`: what came (receiver) or left (sender), what was lost for good, in
    how many gaps, and as it is now its jitter, round trip (0: unknown), encoding and the share of packets that its
    peer's latest report calls lost. `was_flowing`: packets had come before. `asked`: of a sender the packets that its
    peer asked for again, in as many runs as `gaps`.
    """

    seconds: float
    packets: int
    bytes: int
    lost: int
    resent: int
    gaps: int
    jitter_ms: float
    rtt_ms: float
    encoding: int
    fraction_lost: float
    is_active: bool
    was_flowing: bool
    asked: int = 0

    @property
    def is_silent(self) -> bool:
        """Nothing came, where something had before."""
        return self.was_flowing and not self.packets

    @property
    def rate_bps(self) -> int:
        return round(8 * self.bytes / self.seconds)

    @property
    def loss(self) -> float:
        """Of a receiver: the share that never came, not even as a resend."""
        return self.lost / (self.packets + self.lost) if self.lost else 0.0

    @property
    def residual_loss(self) -> float:
        """
        As `loss`, where each packet repeats the one before (RFC 2198): of each run the last one is still there.
        """
        left = max(0, self.lost - self.gaps)
        return left / (self.packets + self.lost) if left else 0.0

    @property
    def burst_ratio(self) -> float:
        """
        Mean length of a loss by that of random loss (G.107, 3.5), before repair; 1 where nothing is known of it.
        """
        missed = self.lost + self.resent
        if not self.gaps or not missed:
            return 1.0
        return max(1.0, missed / self.gaps * (1 - missed / (self.packets + self.lost)))


# Sound has 50 packets a second, or two and a half where nobody speaks (DTX): in less time than this silence is nothing.
LEAST_S = 1.0


class Meter:
    """One worker's streams, between two looks at all of them."""

    def __init__(self) -> None:
        self._before: dict[int, bytes] = {}  # packed: there are four for each person of a relay
        self._now: dict[int, bytes] = {}
        self._at = 0.0
        self._seconds = 0.0
        self._found: dict[int, Stream | None] = {}  # a publication's receiver is asked for by everyone who gets it
        self._fine: set[int] = set()

    def is_due(self, now: float) -> bool:
        """Whether it is long enough since the last look to say anything (monotonic seconds)."""
        return now - self._at >= LEAST_S

    def take(self, now: float, rows: Iterable[Count]) -> None:
        """What the worker counts now (monotonic seconds)."""
        before = self._before = self._now
        self._now = {}
        self._seconds, self._at = now - self._at, now
        self._found.clear()
        self._fine.clear()
        for row in rows:
            key = row.id << 1 | row.is_sender
            self._now[key] = packed(row)
            if not row.fraction_lost and key in before and _is_fine(unpacked(before[key]), row):
                self._fine.add(key)

    def fine_receiver(self, receiver: int) -> Count | None:
        """As it is now, where packets came before and since the last look and none was lost: most of them, mostly."""
        return self._fine_row(receiver << 1)

    def fine_sender(self, sender: int) -> Count | None:
        """As `fine_receiver`; and its peer's latest report calls nothing lost."""
        return self._fine_row(sender << 1 | 1)

    def _fine_row(self, key: int) -> Count | None:
        return unpacked(self._now[key]) if key in self._fine else None

    def rate_bps(self, receiver: int) -> float:
        """Of one that `fine_receiver` finds."""
        key = receiver << 1
        return 8 * ((unpacked(self._now[key]).bytes - unpacked(self._before[key]).bytes) % WRAP) / self._seconds

    def receiver(self, receiver: int) -> Stream | None:
        """None: not there, or not long enough to say anything."""
        return self._stream(receiver << 1)

    def sender(self, sender: int) -> Stream | None:
        """As `receiver`."""
        return self._stream(sender << 1 | 1)

    def _stream(self, key: int) -> Stream | None:
        if key not in self._found:
            self._found[key] = self._difference(key)
        return self._found[key]

    def _difference(self, key: int) -> Stream | None:
        if key not in self._now or key not in self._before or self._seconds <= 0:
            return None
        now, before = unpacked(self._now[key]), unpacked(self._before[key])
        if now.encoding != before.encoding and not now.is_sender:
            return None  # the counters are another encoding's
        lost = (now.lost - before.lost) % WRAP
        return Stream(
            self._seconds,
            (now.packets - before.packets) % WRAP,
            (now.bytes - before.bytes) % WRAP,
            lost if lost < WRAP // 2 else 0,  # what was lost came after all
            (now.resent - before.resent) % WRAP,
            (now.gaps - before.gaps) % WRAP,
            now.jitter_us / 1000,
            now.rtt_us / 1000,
            now.encoding,
            now.fraction_lost / 256,
            bool(now.is_active),
            before.packets != 0,
            (now.asked - before.asked) % WRAP,
        )


def _is_fine(was: Count, row: Count) -> bool:
    """Packets came before and since, none was lost, and they are of the same encoding."""
    return 0 != was.packets != row.packets and row.lost == was.lost and row.encoding == was.encoding
