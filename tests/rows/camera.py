"""
A camera of thirty frames a second, encoded beforehand, so that a process that sends it has next to no work.

It sends the same two seconds again and again, a keyframe first, at a rate that follows nothing. Event loop of whoever
sends.
"""

from __future__ import annotations

import asyncio
import fractions
import time
from functools import cache
from typing import Any

import av
import numpy as np
from aiortc.mediastreams import MediaStreamTrack

FPS, FRAMES = 30, 60
CLOCK_HZ = 90_000


@cache
def frames(bps: int, width: int, height: int) -> list[bytes]:
    """Two seconds of VP8 at about that rate."""
    context: Any = av.CodecContext.create("libvpx", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.framerate, context.bit_rate, context.thread_count, context.gop_size = FPS, bps, 1, FRAMES
    context.time_base = fractions.Fraction(1, FPS)
    context.options = {
        "deadline": "realtime",
        "cpu-used": "8",
        "lag-in-frames": "0",
        "auto-alt-ref": "0",
        "minrate": str(bps),
        "maxrate": str(bps),
        "bufsize": str(bps // 2),
    }
    noise = np.random.default_rng(1).integers(-24, 24, (height * 3 // 2, width), dtype=np.int16)
    ramp = np.full((height * 3 // 2, width), 128, dtype=np.int16)
    made = []
    for n in range(FRAMES):
        ramp[:height] = (np.arange(width) // 8 + 64 + n) % 160 + 32
        planes = np.clip(ramp + np.roll(noise, 8 * n, axis=1) // 4, 0, 255).astype(np.uint8)
        picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        picture.pts = n
        made += [bytes(packet) for packet in context.encode(picture)]
    return made + [bytes(packet) for packet in context.encode(None)]


class Encoded(MediaStreamTrack):  # type: ignore[misc,unused-ignore]
    """As a track of aiortc's, which takes packets for what is encoded already."""

    kind = "video"

    def __init__(self, bps: int, width: int, height: int) -> None:
        super().__init__()
        self._frames = frames(bps, width, height)
        self._began = time.monotonic()
        self._n = 0

    async def recv(self) -> av.Packet:
        """The next frame, when its time has come."""
        await asyncio.sleep(max(0.0, self._began + self._n / FPS - time.monotonic()))
        packet = av.Packet(self._frames[self._n % len(self._frames)])
        packet.pts, packet.time_base = self._n * CLOCK_HZ // FPS, fractions.Fraction(1, CLOCK_HZ)
        self._n += 1
        return packet
