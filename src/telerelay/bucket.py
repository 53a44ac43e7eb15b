"""
How often something may be done: a token bucket.

Pure: `now` is an argument, seconds of a monotonic clock.
"""


class Bucket:
    """`burst` at once, then `per_s` a second."""

    __slots__ = ("_at", "_left", "burst", "per_s")

    def __init__(self, burst: float, per_s: float, now: float) -> None:
        self.burst = burst
        self.per_s = per_s
        self._left = burst
        self._at = now

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Use that much up; False, and nothing used, when there is not so much."""
        self._left = min(self.burst, self._left + (now - self._at) * self.per_s)
        self._at = now
        if self._left < amount:
            return False
        self._left -= amount
        return True
