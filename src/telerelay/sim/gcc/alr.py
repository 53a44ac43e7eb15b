"""
Whether the sender has less to send than it may: the application-limited region.

Pure. Times are milliseconds, rates bit/s.
"""

USAGE, START, STOP, WINDOW_MS = 0.65, 0.80, 0.50, 500.0
"""Of 65 % of the estimate, 80 % of half a second unspent begins it and less than 50 % ends it."""


class Alr:
    """A budget that fills with time and is spent by what is sent."""

    __slots__ = ("_last_ms", "_left_bits", "bps", "is_in")

    def __init__(self, bps: float) -> None:
        self.bps = bps
        self.is_in = False
        self._left_bits = 0.0
        self._last_ms: float | None = None

    def on_sent(self, now_ms: float, size_bytes: int) -> None:
        """One packet has left."""
        most = USAGE * self.bps * WINDOW_MS / 1_000
        passed_ms = now_ms - self._last_ms if self._last_ms is not None else 0.0
        self._last_ms = now_ms
        left = max(self._left_bits - size_bytes * 8, -most)
        self._left_bits = left = min(left + USAGE * self.bps * passed_ms / 1_000, most)
        if left > START * most:
            self.is_in = True
        elif left < STOP * most:
            self.is_in = False
