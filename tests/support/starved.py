"""
How long this process did not get to run: a thread that wants a turn each 10 ms and counts what it waits beyond.

What a test's own event loop is kept from by its own code is not counted: the thread has its turns meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from statistics import median
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


class Waits:
    """How long main threads of this process's children stand ready and wait for a processor, by the kernel's count."""

    def __init__(self) -> None:
        self._worst: list[float] = []

    @property
    def most(self) -> float:
        """Of the process that waited most, in the span in which it did, as a share of that span."""
        return max(self._worst, default=0.0)

    @property
    def usual(self) -> float:
        """The same of a span as most of them are."""
        return median(self._worst) if self._worst else 0.0

    async def look(self, every_s: float) -> None:
        """Until it is cancelled, span by span."""
        before, since = _waited_s(), time.monotonic()
        while True:
            await asyncio.sleep(every_s)
            after, now = _waited_s(), time.monotonic()
            shares = [(waited - before[pid]) / (now - since) for pid, waited in after.items() if pid in before]
            # Where all of us were stopped for a while nobody waited, and this came too late.
            self._worst.append(max((now - since) / every_s - 1.0, *shares, 0.0))
            before, since = after, now


def _waited_s() -> dict[int, float]:
    """By process: seconds so far (Documentation/scheduler/sched-stats.rst: the second number, in ns)."""
    found = {}
    for pid in map(int, Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()):
        try:
            found[pid] = int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
        except OSError:  # it ended
            continue
    return found
