"""
What a connection carries, from when its bytes came.

Pure: `now` is an argument, seconds of a monotonic clock. The relay counts what is sent to it so, the prober the rest.
"""

from __future__ import annotations

WARM_S = 0.5
"""Slow start, and what buffers on the way take in a gulp, is left out of a rate."""
LEAST = 8
"""Pieces that came once it was warm; with fewer, all of them count: the line is very slow, or it was over by then."""


class Rate:
    """Of what came since `began`."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._bytes = self._warm_bytes = self._warm_pieces = 0
        self._warm_at = self._last_at = began

    @property
    def bytes(self) -> int:
        """All that came."""
        return self._bytes

    def add(self, now: float, size: int) -> None:
        """So many bytes came."""
        self._bytes += size
        self._last_at = now
        if now < self._began + WARM_S:
            return
        if self._warm_pieces == 0:
            self._warm_at = now  # the first one was on its way before: only the time from here is known
        else:
            self._warm_bytes += size
        self._warm_pieces += 1

    @property
    def bps(self) -> float | None:
        """Bits a second; None: nothing came."""
        if self._warm_pieces > LEAST and self._last_at > self._warm_at:
            return self._warm_bytes * 8 / (self._last_at - self._warm_at)
        took_s = self._last_at - self._began
        return self._bytes * 8 / took_s if took_s > 0 else None
