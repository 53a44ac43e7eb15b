"""
Simulated time: a heap of what is to happen when, in integer microseconds.

Sans-I/O: it reads no clock and sleeps never. Events of one moment happen in the order they were asked for, so the
same run gives the same answer to the last digit.
"""

import heapq
import random
from collections.abc import Callable
from typing import Any

SECOND_US = 1_000_000
MS_US = 1_000

Call = Callable[[int, Any], None]
"""What an event is: a function of the time in microseconds and of one argument."""


class Clock:
    """The time of one run, and everything that is still to come in it."""

    __slots__ = ("_events", "_order", "now_us")

    def __init__(self) -> None:
        self.now_us = 0
        self._events: list[tuple[int, int, Call, Any]] = []
        self._order = 0

    def at(self, when_us: int, call: Call, argument: Any = None) -> None:
        """Let `call(when_us, argument)` happen then; what is asked for in the past happens next."""
        self._order = order = self._order + 1
        heapq.heappush(self._events, (when_us, order, call, argument))

    def run(self, until_us: int) -> None:
        """Let everything up to and including that moment happen."""
        events, pop = self._events, heapq.heappop
        while events and events[0][0] <= until_us:
            when_us, _, call, argument = pop(events)
            if when_us > self.now_us:
                self.now_us = when_us
            call(self.now_us, argument)
        self.now_us = max(self.now_us, until_us)


def randomness(seed: int, *names: object) -> random.Random:
    """
    A generator of its own for each thing that is random, named.

    So that one more draw in one place does not change what is drawn in all others. Seeded by text, which Python
    hashes the same way in every process.
    """
    return random.Random("/".join((str(seed), *map(str, names))))


def laplace(source: random.Random, scale: float) -> float:
    """One draw of a Laplace distribution around 0."""
    # The difference of two exponentials of the same mean is Laplace.
    return scale * (source.expovariate(1.0) - source.expovariate(1.0))
