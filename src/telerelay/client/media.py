"""
Media out of nothing: a moving picture and a tone, as aiortc tracks.

Paced by the event loop's clock; a late frame is not made up for by a burst. Event loop of the client.
"""

from __future__ import annotations

import asyncio
import fractions
import time

import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame

VIDEO_CLOCK_HZ = 90_000
AUDIO_CLOCK_HZ = 48_000
AUDIO_FRAME_S = 0.020
AUDIO_FRAME_SAMPLES = 960


class _Paced(MediaStreamTrack):  # type: ignore[misc,unused-ignore]
    """A track whose frames come every `interval_s` seconds, until it is stopped."""

    def __init__(self, interval_s: float) -> None:
        super().__init__()
        self._interval_s = interval_s
        self._next_at: float | None = None
        self._frames = 0

    async def _wait(self) -> int:
        """Wait for the next frame's time; returns its number, counting those that were let out for being late."""
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        if self._next_at is None:
            self._next_at = now
        else:
            self._next_at += self._interval_s
            self._frames += 1
            behind = int((now - self._next_at) / self._interval_s)
            if behind > 2:
                self._next_at += behind * self._interval_s
                self._frames += behind
            elif self._next_at > now:
                await asyncio.sleep(self._next_at - now)
        return self._frames


class MovingPicture(_Paced):
    """A colour gradient that drifts, with a square that runs along it. `hue` 0-255 tells two of them apart."""

    kind = "video"

    def __init__(self, width: int = 640, height: int = 360, fps: int = 15, hue: int = 0) -> None:
        super().__init__(1 / fps)
        if width % 2 or height % 2 or width < 64 or height < 64:
            raise ValueError("width and height are even and at least 64")
        self._fps, self._width, self._height = fps, width, height
        ramp = np.linspace(48, 208, width, dtype=np.float32)
        shade = np.linspace(-24, 24, height, dtype=np.float32)[:, None]
        self._luma = (ramp + shade).astype(np.uint8)
        chroma = np.empty((height // 2, width), dtype=np.uint8)
        chroma[:, : width // 2] = (96 + hue) % 256
        chroma[:, width // 2 :] = (160 - hue) % 256
        self._chroma = chroma

    async def recv(self) -> VideoFrame:
        """The next frame, when its time has come."""
        n = await self._wait()
        frame = VideoFrame.from_ndarray(self.picture(n), format="yuv420p")
        frame.pts = n * VIDEO_CLOCK_HZ // self._fps
        frame.time_base = fractions.Fraction(1, VIDEO_CLOCK_HZ)
        return frame

    def picture(self, n: int) -> np.ndarray:
        """Frame `n` as planes of yuv420p, shape (height * 3 / 2, width), uint8."""
        luma = np.roll(self._luma, 4 * n, axis=1)
        side = self._height // 4
        x = (6 * n) % (self._width - side)
        y = int((self._height - side) * (0.5 + 0.5 * np.sin(n / 10)))
        luma[y : y + side, x : x + side] = 235
        # V follows U, each a quarter of the luma: in this shape, the two halves of the rows, each `width` long.
        half = self._width // 2
        planes = np.concatenate([self._chroma[:, :half].reshape(-1), self._chroma[:, half:].reshape(-1)])
        return np.concatenate([luma, planes.reshape(self._height // 2, self._width)])


class Tone(_Paced):
    """A sine of `frequency_hz`, mono, 48 kHz, 20 ms a frame."""

    kind = "audio"

    def __init__(self, frequency_hz: float = 440.0, volume: float = 0.2) -> None:
        super().__init__(AUDIO_FRAME_S)
        self._frequency_hz, self._volume = frequency_hz, volume

    async def recv(self) -> AudioFrame:
        """The next 20 ms, when their time has come."""
        n = await self._wait()
        frame = AudioFrame.from_ndarray(self.samples(n).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = AUDIO_CLOCK_HZ
        frame.pts = n * AUDIO_FRAME_SAMPLES
        frame.time_base = fractions.Fraction(1, AUDIO_CLOCK_HZ)
        return frame

    def samples(self, n: int) -> np.ndarray:
        """Frame `n`, shape (960,), int16; frames in a row join without a step."""
        at = np.arange(n * AUDIO_FRAME_SAMPLES, (n + 1) * AUDIO_FRAME_SAMPLES, dtype=np.float64) / AUDIO_CLOCK_HZ
        wave = np.sin(2 * np.pi * self._frequency_hz * at)
        return (self._volume * 32767 * wave).astype(np.int16)
