"""
How often somebody may fail: token buckets by source, refusals in a row.

Pure: `now` is an argument, seconds of a monotonic clock.
"""

from collections import OrderedDict

from telerelay.bucket import Bucket

__all__ = ["MAX_REFUSED_IN_A_ROW", "Bucket", "FailureLimit"]

MAX_REFUSED_IN_A_ROW = 100
"""Of a socket's messages: so many are no mistake any more."""


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
