"""
What a stethoscope hears, made up: two sounds a beat, and breath under them.

No two packets of it are alike. Of a tone that fits into a few frames an encoder makes the same few packets again and
again (330 Hz: 22 different ones in all), and who counts different payloads counts those.
"""

from __future__ import annotations

import numpy as np

from telerelay.client import Tone
from telerelay.client.media import AUDIO_CLOCK_HZ, AUDIO_FRAME_SAMPLES

BEATS_PER_S = 1.25
SOUNDS_S = (0.05, 0.35)
"""Within a beat: when its valves close."""
BREATH = 0.02


class HeartSound(Tone):
    """A track of it; a frame's samples depend on its number and the seed alone."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self._seed = seed

    def samples(self, n: int) -> np.ndarray:
        """Frame `n`, shape (960,), int16."""
        at = np.arange(n * AUDIO_FRAME_SAMPLES, (n + 1) * AUDIO_FRAME_SAMPLES, dtype=np.float64) / AUDIO_CLOCK_HZ
        into_s = at % (1 / BEATS_PER_S)
        wave = BREATH * np.random.default_rng((self._seed, n)).standard_normal(AUDIO_FRAME_SAMPLES)
        for sound_s in SOUNDS_S:
            since_s = into_s - sound_s
            wave += 0.4 * np.exp(-((since_s / 0.02) ** 2)) * np.sin(2 * np.pi * 60.0 * since_s)
        return (32767 * np.clip(wave, -1.0, 1.0)).astype(np.int16)
