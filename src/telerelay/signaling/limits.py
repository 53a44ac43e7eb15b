"""
How often somebody may do something: token buckets.

Pure: `now` is an argument, seconds of a monotonic clock.
"""

from collections import OrderedDict


class Bucket:
    """`burst` at once, then `per_s` a second."""

    __slots__ = ("_at", "_left", "burst", "per_s")

    def __init__(self, burst: float, per_s: float, now: float) -> None:
        self.burst = burst
        self.per_s = per_s
        self._left = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Use one up; False, and nothing used, when there is none."""
        self._left = min(self.burst, self._left + (now - self._at) * self.per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class FailureLimit:
    """
    Failed attempts by source address. Only failures count, and only failures are refused: a hospital is one address,
    and one broken client there must not keep the others out.
    """

    # Sources remembered; beyond, the one heard of longest ago is forgotten.
    MAX_SOURCES = 4096

    def __init__(self, burst: float = 20, per_s: float = 1.0) -> None:
        self._burst = burst
        self._per_s = per_s
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def is_over(self, source: str, now: float) -> bool:
        """Count one failure; True when this source has had too many."""
        bucket = self._buckets.get(source)
        if bucket is None:
            bucket = self._buckets[source] = Bucket(self._burst, self._per_s, now)
            if len(self._buckets) > self.MAX_SOURCES:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(source)
        return not bucket.take(now)
