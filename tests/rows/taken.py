"""
Pictures that know when each was taken.

Event loop of the client that sends them.
"""

from __future__ import annotations

from collections.abc import Callable

from av import VideoFrame

from telerelay.client import MovingPicture


class TakenPicture(MovingPicture):
    """`taken`: a frame's pts (1/90,000 s) to when it was taken, by the given clock."""

    def __init__(self, width: int, height: int, clock: Callable[[], float], hue: int) -> None:
        super().__init__(width, height, hue=hue)
        self._clock = clock
        self.taken: dict[int, float] = {}

    async def recv(self) -> VideoFrame:
        """The next frame."""
        frame = await super().recv()
        self.taken[int(frame.pts)] = self._clock()
        return frame
