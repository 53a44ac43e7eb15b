"""
Delay that differs from packet to packet though no queue does (RFC 8868, 4.4: a truncated normal distribution).

Pure but for its generator, which is an argument.
"""

import random


class Jitter:
    """
    Normal around `offset_us`, cut at three sigma; with 5 ms and 15 ms that is 0 to 30 ms.

    `keeps_order` holds a packet until the one before it has arrived; without it packets may overtake.
    """

    __slots__ = ("_gauss", "_offset_us", "_sigma_us", "keeps_order")

    def __init__(
        self, source: random.Random, *, sigma_us: int = 5_000, offset_us: int = 15_000, keeps_order: bool = True
    ) -> None:
        self._gauss = source.gauss
        self._sigma_us = sigma_us
        self._offset_us = offset_us
        self.keeps_order = keeps_order

    def next_us(self) -> int:
        """How much later the next packet arrives."""
        while True:
            draw = self._gauss(0.0, 1.0)
            if -3.0 <= draw <= 3.0:
                return max(0, round(self._offset_us + self._sigma_us * draw))
