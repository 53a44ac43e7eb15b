"""
When media went up a line and came down another, and what of a silence is the relay's.
"""

from __future__ import annotations

import itertools
import time

OVERLAP_S = 0.01  # a silence of the publisher begins that much earlier at most than what it causes


class Arrivals:
    """
    When media went up the line, from the publisher, and came down it, to the subscriber. A watch of an impairment, or
    told with `sent` and `came`.
    """

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {"up": [], "down": []}

    def __call__(self, way: str, datagram: bytes) -> None:
        if 128 <= datagram[0] <= 191 and not 192 <= datagram[1] <= 223:
            self.times[way].append(time.monotonic())

    def sent(self) -> None:
        self.times["up"].append(time.monotonic())

    def came(self) -> None:
        self.times["down"].append(time.monotonic())

    def silences(self, way: str, begin: float, end: float) -> list[tuple[float, float]]:
        """The times without a packet between two moments, both counted as packets."""
        return list(itertools.pairwise([begin, *(at for at in self.times[way] if begin <= at <= end), end]))

    def gaps_ms(self, begin: float, end: float) -> tuple[float, float]:
        """
        The longest silence towards the subscriber; and the longest of the relay's making: of each, what the longest
        silence of the publisher in that time leaves unexplained. On an idle machine the second is next to nothing.
        """
        up, down = self.silences("up", begin, end), self.silences("down", begin, end)
        whole = made_by_relay = 0.0
        for since, until_then in down:
            gap = until_then - since
            before = [b - a for a, b in up if a < until_then and b > since - OVERLAP_S]
            whole, made_by_relay = max(whole, gap), max(made_by_relay, gap - max(before, default=0.0))
        return 1e3 * whole, 1e3 * made_by_relay
