"""
How long this process did not get to run: a thread that wants a turn each 10 ms and counts what it waits beyond.

What a test's own event loop is kept from by its own code is not counted: the thread has its turns meanwhile.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType

# What a busy interpreter takes from a thread now and then, twice its switch interval and a scheduler's turn.
USUAL_S = 0.02
EVERY_S = 0.01


class Starved:
    """`with Starved() as starved:`; then `starved.total_s`, seconds."""

    def __init__(self) -> None:
        self.total_s = 0.0
        self.spells: list[tuple[float, float]] = []
        """From when until when it did not, of the monotonic clock."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Starved:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        before = time.monotonic()
        while not self._over.wait(EVERY_S):
            now = time.monotonic()
            late_s = now - before - EVERY_S
            if late_s > USUAL_S:
                self.total_s += late_s
                self.spells.append((before, now))
            before = now
