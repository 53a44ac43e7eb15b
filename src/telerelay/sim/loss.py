"""
Which packets a path loses: at random, or in bursts.

Pure but for its generator, which is an argument.
"""

import random
from typing import Protocol


class Loss(Protocol):
    """A path's losses, asked once for each packet in order."""

    def is_lost(self) -> bool:
        """Whether the next packet is lost."""


class RandomLoss:
    """Each packet by itself, with one probability."""

    __slots__ = ("_random", "_share")

    def __init__(self, share: float, source: random.Random) -> None:
        self._share = share
        self._random = source.random

    def is_lost(self) -> bool:
        """Whether the next packet is lost."""
        return self._random() < self._share


class BurstLoss:
    """
    Gilbert's two states: in the bad one every packet is lost, in the good one none.

    `share` of all packets are lost, in bursts of `burst` on average: it leaves the bad state with probability 1 /
    burst, and enters it as often as gives that share.
    """

    __slots__ = ("_enter", "_is_bad", "_leave", "_random")

    def __init__(self, share: float, burst: float, source: random.Random) -> None:
        self._leave = 1 / burst
        self._enter = self._leave * share / (1 - share)
        self._is_bad = False
        self._random = source.random

    def is_lost(self) -> bool:
        """Whether the next packet is lost."""
        if self._random() < (self._leave if self._is_bad else self._enter):
            self._is_bad = not self._is_bad
        return self._is_bad
