"""
A picture that flashes and a tone that beeps at the same moments, as aiortc tracks, and when they do in a file: what is
in step shows by that.
"""

from __future__ import annotations

import asyncio
import fractions
import io
import time
from collections.abc import Sequence
from typing import Any

import av
import numpy as np
from aiortc.mediastreams import MediaStreamTrack

FPS = 25
EVERY_S = 1.0
FLASH_S = 0.2
RATE = 48000
VIDEO_RATE = 90000


class _Timed(MediaStreamTrack):  # type: ignore[misc,unused-ignore]
    """Frame by frame from `start` on, monotonic seconds, each `lag_s` late; who is later still goes on at once."""

    def __init__(self, start: float, interval_s: float, lag_s: float) -> None:
        super().__init__()
        self._start, self._interval_s, self._count = start + lag_s, interval_s, 0

    async def _next(self) -> int:
        number, self._count = self._count, self._count + 1
        await asyncio.sleep(max(0.0, self._start + number * self._interval_s - time.monotonic()))
        return number


class Flashing(_Timed):
    """White for a moment at each whole second, else black."""

    kind = "video"

    def __init__(self, start: float, lag_s: float = 0.0) -> None:
        super().__init__(start, 1 / FPS, lag_s)

    async def recv(self) -> Any:
        number = await self._next()
        frame = av.VideoFrame(160, 120, "yuv420p")
        is_white = number / FPS % EVERY_S < FLASH_S
        for index, plane in enumerate(frame.planes):
            plane.update(bytes([(235 if is_white else 16) if index == 0 else 128]) * plane.buffer_size)
        frame.pts, frame.time_base = number * VIDEO_RATE // FPS, fractions.Fraction(1, VIDEO_RATE)
        return frame


class Beeping(_Timed):
    """A tone of 1 kHz as long as the flash, else silence."""

    kind = "audio"

    def __init__(self, start: float, lag_s: float = 0.0) -> None:
        super().__init__(start, 0.02, lag_s)

    async def recv(self) -> Any:
        number = await self._next()
        at = (np.arange(960) + number * 960) / RATE
        sound = np.where(at % EVERY_S < FLASH_S, 0.5 * np.sin(2 * np.pi * 1000 * at), 0.0)
        samples = (sound * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, number * 960, fractions.Fraction(1, RATE)
        return frame


def report_exactly(senders: Sequence[Any], started_at: float) -> None:
    """
    Have the sender reports of these senders, on one transport, say when frames were made, `started_at` being the first
    one's time, Unix seconds: aiortc says when it came to send them.
    """
    transport = senders[0].transport
    send, first = transport._send_rtp, dict[int, int]()
    rates = {each._ssrc: RATE if each.kind == "audio" else VIDEO_RATE for each in senders}

    async def exact(data: bytes) -> None:
        if 192 <= data[1] <= 223:  # RTCP, by its packet type (RFC 5761, 4)
            ssrc = int.from_bytes(data[4:8], "big")
            if data[1] == 200 and ssrc in first and ssrc in rates:
                timestamp = int.from_bytes(data[16:20], "big")
                at = started_at + ((timestamp - first[ssrc]) & 0xFFFFFFFF) / rates[ssrc]
                ntp = int((at + 2208988800) * (1 << 32))
                data = data[:8] + ntp.to_bytes(8, "big") + data[16:]
        else:
            first.setdefault(int.from_bytes(data[8:12], "big"), int.from_bytes(data[4:8], "big"))
        await send(data)

    transport._send_rtp = exact


def flashes_of(data: bytes) -> list[float]:
    """When each flash begins in this file, seconds, by its times; one whose picture before is missing tells nothing."""
    found, before = list[float](), None
    with av.open(io.BytesIO(data)) as file:
        for frame in file.decode(video=0):
            is_bright = float(frame.to_ndarray(format="gray").mean()) > 128
            if before is not None and is_bright and not before[1] and frame.time - before[0] < 1.5 / FPS:
                found.append(frame.time)
            before = frame.time, is_bright
    return found


def beeps_of(data: bytes) -> list[float]:
    """The same of beeps."""
    beeps, loud_at = list[float](), -1.0
    with av.open(io.BytesIO(data)) as file:
        for frame in file.decode(audio=0):
            samples = np.abs(frame.to_ndarray()[0]).astype(float)
            scale = 32768.0 if frame.format.name.startswith("s16") else 1.0
            for index in np.nonzero(samples / scale > 0.1)[0]:
                at = frame.time + int(index) / frame.sample_rate
                if at - loud_at > 0.2 and loud_at >= 0.0:
                    beeps.append(at)
                loud_at = at
    return beeps


def apart(flashes: Sequence[float], beeps: Sequence[float]) -> list[float]:
    """Of each flash, how much later the beep that is nearest to it begins, seconds."""
    nearest = [min(beeps, key=lambda beep: abs(beep - flash)) for flash in flashes] if beeps else []
    return [beep - flash for flash, beep in zip(flashes, nearest, strict=False)]
