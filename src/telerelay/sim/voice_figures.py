"""
What a voice came to: what had to be made up, how long it queued, how late it was heard, how good it is said to be.

Pure: reads voices that have run. docs/simulator.md defines each figure.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from telerelay.quality.model import REST_MS, AudioLeg, audio_mos
from telerelay.sim import playout
from telerelay.sim.clock import MS_US, SECOND_US
from telerelay.sim.figures import Figures
from telerelay.sim.playout import STEP_US, Heard
from telerelay.sim.steady import AUDIO_FRAME_US
from telerelay.sim.voice import Voice

CODEC_MS = 26.5
"""Before a frame can be sent: its 20 ms, and the look-ahead of Opus (RFC 6716, 2)."""

UPLINK_MS = 20.0
"""From the speaker to the relay: half a round trip of a good line, as publishers in consults have."""

Spans = Sequence[tuple[int, int]]
"""(start, end) in us of times that do not count."""


def figures(voices: Sequence[Voice], stop_us: int, down: Spans = (), before_us: int = 0) -> Figures:
    """All voices of one receiver together; what was sent `before_us` before an outage is in its queue as well."""
    heard = [playout.play(voice.arrivals, stop_us) for voice in voices]
    made_up = sum(_counted(each.made_up_us, down) for each in heard) * STEP_US
    late_ms = [late / MS_US for each in heard for when, late in each.frames if not _is_in(when, down)]
    whole = made_up + len(late_ms) * AUDIO_FRAME_US
    share = made_up / whole if whole else 0.0
    ear_ms = CODEC_MS + UPLINK_MS
    queued_ms = [
        queue / MS_US
        for voice in voices
        for sent, queue in zip(voice.queue_sent_us, voice.queue_us, strict=True)
        if not _is_in(sent, down, before_us)
    ]
    has_run = bool(late_ms)
    return {
        "audio_concealed": share,
        "audio_queue_p95_ms": float(np.percentile(queued_ms, 95)) if queued_ms else None,
        "audio_ear_p95_ms": float(np.percentile(late_ms, 95)) + ear_ms if has_run else None,
        "audio_mos": mos(share, _burst_ratio(heard, share), float(np.mean(late_ms)) + ear_ms) if has_run else None,
        "audio_kbps": sum(voice.sent_bytes for voice in voices) * 8 / stop_us * SECOND_US / 1_000,
    }


def mos(made_up: float, burst_ratio: float, mouth_to_ear_ms: float) -> float:
    """1 to 4.41, by the relay's own E-model. `made_up` is the share of frames concealed, all delay the leg's."""
    return audio_mos(AudioLeg(loss=made_up, burst_ratio=burst_ratio, delay_ms=mouth_to_ear_ms - REST_MS))


def _is_in(when_us: int, spans: Spans, before_us: int = 0) -> bool:
    return any(low - before_us <= when_us < high for low, high in spans)


def _counted(times_us: Sequence[int], down: Spans) -> int:
    return sum(not _is_in(when, down) for when in times_us)


def _burst_ratio(heard: Sequence[Heard], share: float) -> float:
    """How much longer runs of made-up frames are than if each frame were lost by itself; at least 1."""
    steps = sum(len(each.made_up_us) for each in heard)
    runs = sum(when - before > STEP_US for each in heard for before, when in itertools.pairwise([0, *each.made_up_us]))
    if not runs or share >= 1:
        return 1.0
    return max(1.0, steps * STEP_US / AUDIO_FRAME_US / runs * (1 - share))
