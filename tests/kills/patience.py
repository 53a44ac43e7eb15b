"""
How long is waited, by the turns that this process had: a machine that stood still, or was too busy, is not the relay's.

Event loop of whoever waits.
"""

from __future__ import annotations

import time

LONGEST_TURN_S = 0.5


class Patience:
    """`while patience:` a turn at a time. Of each turn no more than half a second counts."""

    def __init__(self, seconds: float) -> None:
        self._left_s = seconds
        self._before = time.monotonic()

    def __bool__(self) -> bool:
        now = time.monotonic()
        self._left_s -= min(now - self._before, LONGEST_TURN_S)
        self._before = now
        return self._left_s > 0
