"""
Counts and histograms as values, and what can be said of them.

Pure. The engine's counters only ever grow; a measurement is the difference of two moments.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

BUCKETS_PER_DOUBLING = 64
"""The engine's histograms: a value is known to 1.6 %."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What receivers got of what was published to them; packets unless it says otherwise (tl_tally has the words)."""

    sent: int = 0
    received: int = 0
    lost: int = 0
    in_flight: int = 0
    duplicates: int = 0
    resent_duplicates: int = 0
    repaired: int = 0
    reordered: int = 0
    stale: int = 0
    skipped: int = 0
    auth_failures: int = 0
    corrupted: int = 0
    bytes: int = 0
    frames: int = 0
    keyframes: int = 0
    freezes: int = 0
    freeze_us: int = 0
    nacks: int = 0
    plis: int = 0
    latency_max_us: int = 0

    def since(self, before: "Tally") -> "Tally":
        """
        What happened between two moments. Packets in flight at the first one belong to it, for what became of them is
        seen in it: so sent = received + lost + in_flight holds here as well.
        """
        difference = {each.name: getattr(self, each.name) - getattr(before, each.name) for each in fields(self)}
        difference["sent"] += before.in_flight
        difference["in_flight"] = self.in_flight
        difference["latency_max_us"] = self.latency_max_us
        return Tally(**difference)

    @property
    def unaccounted(self) -> int:
        """What the sum is off by: 0, or the report says so."""
        return self.sent - self.received - self.lost - self.in_flight

    @property
    def loss(self) -> float | None:
        """Lost of sent, a fraction; None where nothing was sent."""
        settled = self.sent - self.in_flight
        return self.lost / settled if settled > 0 else None


@dataclass(frozen=True, slots=True)
class Totals:
    """The engine's counters of one moment (tl_totals)."""

    media: Tally
    audio: Tally
    video: Tally
    published_packets: int = 0
    published_bytes: int = 0
    rx_packets: int = 0
    tx_packets: int = 0
    send_messages: int = 0
    send_errors: int = 0
    receive_overflows: int = 0
    handshake_overflows: int = 0
    buffer_bytes: int = 0
    unknown_packets: int = 0
    unstamped_packets: int = 0
    rtcp_rx: int = 0
    rtcp_tx: int = 0
    cpu_ns: int = 0
    late_p50_us: int = 0
    late_p99_us: int = 0
    late_max_us: int = 0
    events_lost: int = 0
    now_ns: int = 0

    @classmethod
    def counters(cls) -> tuple[str, ...]:
        """The names of all that are plain numbers."""
        return tuple(each.name for each in fields(cls) if each.name not in ("media", "audio", "video"))


def bucket_low(bucket: int) -> int:
    """The least value of a bucket: the first 64 hold one microsecond each, then 64 to each doubling."""
    if bucket < BUCKETS_PER_DOUBLING:
        return bucket
    octave, place = divmod(bucket, BUCKETS_PER_DOUBLING)
    return (BUCKETS_PER_DOUBLING + place) << (octave - 1)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by bucket, in microseconds; `max_us` is exact."""

    buckets: tuple[int, ...]
    sum_us: int = 0
    max_us: int = 0

    @property
    def count(self) -> int:
        return sum(self.buckets)

    @property
    def mean_us(self) -> float | None:
        count = self.count
        return self.sum_us / count if count else None

    def __add__(self, other: "Histogram") -> "Histogram":
        buckets = tuple(a + b for a, b in zip(self.buckets, other.buckets, strict=True))
        return Histogram(buckets, self.sum_us + other.sum_us, max(self.max_us, other.max_us))

    def since(self, before: "Histogram") -> "Histogram":
        """What was added since; its greatest value is known to its bucket only."""
        buckets = tuple(a - b for a, b in zip(self.buckets, before.buckets, strict=True))
        last = max((index for index, count in enumerate(buckets) if count), default=None)
        top = 0 if last is None else min(self.max_us, bucket_low(last + 1) - 1)
        return Histogram(buckets, self.sum_us - before.sum_us, top)

    def value(self, share: float) -> int | None:
        """What `share` of all (0.99) do not exceed: the upper edge of its bucket, never above the greatest."""
        count = self.count
        if not count:
            return None
        wanted = max(1, -(-count * share // 1))
        seen = 0
        for bucket, each in enumerate(self.buckets):
            seen += each
            if seen >= wanted:
                return min(self.max_us, bucket_low(bucket + 1) - 1)
        return self.max_us

    def distribution(self, points: int = 200) -> tuple[tuple[int, float], ...]:
        """(microseconds, share of all at most that), thinned to `points` for a plot."""
        count, seen, found = self.count, 0, []
        for bucket, each in enumerate(self.buckets):
            seen += each
            if each:
                found.append((min(self.max_us, bucket_low(bucket + 1) - 1), seen / count))
        if len(found) <= points:
            return tuple(found)
        step = len(found) / points
        return (*(found[int(index * step)] for index in range(points)), found[-1])


def quantile(values: Sequence[float], share: float) -> float | None:
    """The least of the values that `share` of them do not exceed; None of none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered), -int(-len(ordered) * share // 1)) - 1)]
