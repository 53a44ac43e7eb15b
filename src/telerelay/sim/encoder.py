"""
A synthetic encoder: frames whose sizes and times look like those of a real one (RFC 8593, 6).

Sans-I/O. The numbers are those of the published syncodecs where not said otherwise.
"""

import random
from dataclasses import dataclass

from telerelay.sim.clock import SECOND_US, laplace

SIZE_NOISE = 0.15
"""Laplace scale of a frame's size around the mean."""

GAP_NOISE = 0.15
"""Laplace scale of the time between frames around the mean."""

CHANGE_GAP_US = 100_000
"""Least time between two changes of the target that are taken."""

CHANGE_LIMIT = 0.10
"""How far a change goes that is not a big one."""

BIG_CHANGE = 0.50
"""A change beyond this is taken whole, and begins a burst."""

BURST_FRAMES = 10
"""A burst's frames: one large one, and nine that pay it back."""

KEY_FACTOR = 4.0
"""A key frame's size in mean frames: camera pictures have 4 to 6."""

KEY_LEAST_BYTES = 1_500
"""A key frame is never smaller than this, however low the rate: a talking head of 180 lines."""

LEAST_SHARE = 0.2
"""The frames that pay a key frame back keep at least so much of the mean."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its payload, when the camera took it, and whether it needs no other."""

    number: int
    captured_us: int
    size_bytes: int
    is_key: bool


class Encoder:
    """A camera and its encoder, driven by `next_frame` at the times it names itself."""

    __slots__ = (
        "_burst_left",
        "_changed_us",
        "_max_bps",
        "_min_bps",
        "_number",
        "_random",
        "_rest",
        "fps",
        "target_bps",
    )

    def __init__(self, source: random.Random, *, start_bps: int, min_bps: int, max_bps: int, fps: float = 30.0) -> None:
        self.target_bps = start_bps
        self.fps = fps
        self._min_bps = min_bps
        self._max_bps = max_bps
        self._random = source
        self._changed_us = -CHANGE_GAP_US
        self._number = 0
        self._burst_left = BURST_FRAMES
        self._rest = 1.0

    def set_target(self, now_us: int, bps: int) -> None:
        """Ask for another rate of payload; taken as a real encoder would: not too often, not too far at once."""
        bps = min(self._max_bps, max(self._min_bps, bps))
        current = self.target_bps
        if bps == current or now_us - self._changed_us < CHANGE_GAP_US:
            return
        self._changed_us = now_us
        if abs(bps - current) > BIG_CHANGE * current:
            self.target_bps = bps
            self._burst_left = BURST_FRAMES
            return
        low, high = current * (1 - CHANGE_LIMIT), current * (1 + CHANGE_LIMIT)
        self.target_bps = round(min(high, max(low, bps)))

    def want_key_frame(self) -> None:
        """The next frame shall need no other."""
        self._burst_left = BURST_FRAMES

    def next_frame(self, now_us: int) -> tuple[Frame, int]:
        """The frame taken now, and the time until the next one in us."""
        gap_us = SECOND_US / self.fps
        mean_bytes = self.target_bps * gap_us / SECOND_US / 8
        is_key = self._burst_left == BURST_FRAMES
        size = mean_bytes
        if is_key:
            size = max(KEY_FACTOR * mean_bytes, KEY_LEAST_BYTES)
            self._rest = max(LEAST_SHARE, (BURST_FRAMES - size / mean_bytes) / (BURST_FRAMES - 1))
        elif self._burst_left:
            size = mean_bytes * self._rest
        if self._burst_left:
            self._burst_left -= 1
        size *= 1 + laplace(self._random, SIZE_NOISE)
        frame = Frame(self._number, now_us, max(1, round(size)), is_key)
        self._number += 1
        return frame, max(1, round(gap_us * (1 + laplace(self._random, GAP_NOISE))))


class SlideShow:
    """
    A shared screen or image: small frames five times a second, and now and then a whole new picture.

    `scale` brings its mean to a rate: with 1 a small frame has up to 1000 bytes, a new picture 20 to 200 of those.
    """

    __slots__ = ("_is_wanted", "_number", "_random", "_scale", "fps", "target_bps")

    NEW_PICTURE = 0.05
    LEAST, MOST = 20.0, 200.0

    def __init__(self, source: random.Random, *, target_bps: int, fps: float = 5.0) -> None:
        self.target_bps = target_bps
        self.fps = fps
        self._random = source
        self._number = 0
        self._is_wanted = True
        mean = 500 * (1 - self.NEW_PICTURE) + self.NEW_PICTURE * 500 * (self.LEAST + self.MOST) / 2
        self._scale = target_bps / 8 / fps / mean

    def set_target(self, now_us: int, bps: int) -> None:
        """A slide show takes no target: there is nothing to make smaller but its frame rate."""

    def want_key_frame(self) -> None:
        """The next frame shall need no other."""
        self._is_wanted = True

    def next_frame(self, now_us: int) -> tuple[Frame, int]:
        """The frame taken now, and the time until the next one in us."""
        draw = self._random
        size = 1_000 * draw.random()
        is_key = self._is_wanted or draw.random() < self.NEW_PICTURE
        if is_key:
            size *= self.LEAST + (self.MOST - self.LEAST) * draw.random()
        self._is_wanted = False
        frame = Frame(self._number, now_us, max(200, round(size * self._scale)), is_key)
        self._number += 1
        return frame, round(SECOND_US / self.fps)
