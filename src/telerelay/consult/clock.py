"""
The clock that consults go by: it begins at the wall's time and goes on with the monotonic one.

Pure: both readings are arguments. A wall clock that is set moves no deadline and makes nothing older than what came
before; it is told, and the next process begins at the wall's time again.
"""

LEAST_JUMP_S = 1.0
"""A leap second, or more. Smaller steps change no deadline that anybody would notice."""


class ConsultClock:
    """`unix_s` and `monotonic_s` are readings of the two clocks taken together, seconds."""

    def __init__(self, unix_s: float, monotonic_s: float) -> None:
        self._ahead_s = unix_s - monotonic_s
        self._wall_ahead_s = self._ahead_s

    def now(self, monotonic_s: float) -> float:
        """The time of consults, Unix seconds."""
        return monotonic_s + self._ahead_s

    def monotonic(self, at: float) -> float:
        """When the monotonic clock shows that time: what a loop is to be woken at."""
        return at - self._ahead_s

    def watch(self, unix_s: float, monotonic_s: float) -> float:
        """By how many seconds the wall clock was set since the last time; 0: it was not. Call it every few seconds."""
        jumped_s = unix_s - monotonic_s - self._wall_ahead_s
        if abs(jumped_s) < LEAST_JUMP_S:
            return 0.0
        self._wall_ahead_s += jumped_s
        return jumped_s
