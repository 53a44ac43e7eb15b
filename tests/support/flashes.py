"""
A picture that flashes and a tone that beeps at the same moments, as aiortc tracks: what is in step shows by that.
"""

import asyncio
import fractions
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from aiortc.mediastreams import MediaStreamTrack
from av import AudioFrame, VideoFrame

FPS = 30
EVERY_S = 1.0
FLASH_S = 0.2
RATE = 48000


class _Timed(MediaStreamTrack):  # type: ignore[misc,unused-ignore]
    """Frame by frame from `start` on, monotonic seconds; who is late goes on at once."""

    def __init__(self, start: float, interval_s: float) -> None:
        super().__init__()
        self._start, self._interval_s, self._count = start, interval_s, 0

    async def _next(self) -> int:
        number, self._count = self._count, self._count + 1
        await asyncio.sleep(max(0.0, self._start + number * self._interval_s - time.monotonic()))
        return number


class Flashing(_Timed):
    """White for a moment at each whole second, else black."""

    kind = "video"

    def __init__(self, start: float) -> None:
        super().__init__(start, 1 / FPS)

    async def recv(self) -> Any:
        number = await self._next()
        frame = VideoFrame(160, 120, "yuv420p")
        is_white = number / FPS % EVERY_S < FLASH_S
        for index, plane in enumerate(frame.planes):
            plane.update(bytes([(235 if is_white else 16) if index == 0 else 128]) * plane.buffer_size)
        frame.pts, frame.time_base = number * 90000 // FPS, fractions.Fraction(1, 90000)
        return frame


class Beeping(_Timed):
    """A tone of 1 kHz as long as the flash, else silence."""

    kind = "audio"

    def __init__(self, start: float) -> None:
        super().__init__(start, 0.02)

    async def recv(self) -> Any:
        number = await self._next()
        at = (np.arange(960) + number * 960) / RATE
        sound = np.where(at % EVERY_S < FLASH_S, 0.5 * np.sin(2 * np.pi * 1000 * at), 0.0)
        frame = AudioFrame.from_ndarray((sound * 32767).astype(np.int16).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, number * 960, fractions.Fraction(1, RATE)
        return frame


def report_exactly(senders: Sequence[Any], started_at: float) -> None:
    """
    Have the sender reports of these senders, on one transport, say when frames were made, `started_at` being the first
    one's time, Unix seconds: aiortc says when it came to send them, which on a busy machine differs track by track.
    """
    transport = senders[0].transport
    send, first = transport._send_rtp, dict[int, int]()
    rates = {each._ssrc: RATE if each.kind == "audio" else 90000 for each in senders}

    async def exact(data: bytes) -> None:
        if 192 <= data[1] <= 223:  # RTCP, by its packet type (RFC 5761, 4)
            ssrc = int.from_bytes(data[4:8], "big")
            if data[1] == 200 and ssrc in first and ssrc in rates:
                timestamp = int.from_bytes(data[16:20], "big")
                at = started_at + ((timestamp - first[ssrc]) & 0xFFFFFFFF) / rates[ssrc]
                ntp = int((at + 2208988800) * (1 << 32))
                data = data[:8] + ntp.to_bytes(8, "big") + data[16:]
        else:
            ssrc = int.from_bytes(data[8:12], "big")
            first.setdefault(ssrc, int.from_bytes(data[4:8], "big"))
        await send(data)

    transport._send_rtp = exact
