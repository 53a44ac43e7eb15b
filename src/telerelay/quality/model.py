"""
From what one leg did to sound and picture to a mean opinion score, and what cost most of it.

Pure. A leg is one person's line in one direction: `up`, what they send as it reaches the relay, or `down`, what the
relay sends as it reaches them. What happened before it is not held against it.

Sound: the E-model of ITU-T G.107 with the delay impairment as Cole and Rosenbluth fitted it (VoIP Monitoring, ACM CCR
2001). Picture: the form of ITU-T G.1070, times what P.1203.3 makes of standing still, taken simpler. These are models
of opinions, made for other codecs: differences between scores mean more than the scores.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import NamedTuple

CAUSES = ("loss", "delay", "jitter", "freeze", "bitrate", "paused", "silent")
"""
What can be named as the worst: packets lost for good; the way is long; packets come unevenly; the picture stood still;
sound or picture is coarse; a picture is held back because the line is weak; nothing comes that should.
"""

# ITU-T G.107, default values: the transmission rating of a connection that nothing impairs.
RATING = 93.2
# Milliseconds of one direction that no leg can be blamed for: a packet's worth of sound (20), devices and playout (30),
# and a good line on the other side of the relay (20).
REST_MS = 70.0
# Opus with NetEq has no value in G.113; 20 lies between G.729A (19) and G.711 with concealment (25.1).
LOSS_ROBUSTNESS = 20.0
# Equipment impairment of Opus by bit/s, likewise not in G.113; between two rows it is a straight line.
IMPAIRMENTS = ((6_000, 20.0), (10_000, 12.0), (16_000, 5.0), (24_000, 0.0))

# ITU-T G.1070 for MPEG-4 in QVGA: v1 to v7, but for v4, which is that of VP8 and H.264 at 640x360.
_V1, _V2, _V3, _V4, _V5, _V6, _V7 = 1.431, 0.02228, 3.759, 375.0, 1.161, 1.446, 0.0003881
# Cameras give no more; the model's optimum goes on rising with the bit rate.
MOST_FRAMES_PER_S = 30.0
# A picture that stands still for this share of the time is worth a third of what it was.
FREEZE_SHARE = 0.15

BEST_MOS = 4.409
"""Of a sound that nothing impairs; it is shown as 5."""
# Where delay begins to be heard (G.107 by Cole and Rosenbluth); up to there it costs a tenth of a point.
SHORT_MS = 177.3
# At 5 there is nothing to explain.
FIVE = 4.5
FINE_MS = SHORT_MS - REST_MS
"""Delay and buffer of a leg, in all, up to which they take nothing from a 5, beside a picture of FINE_BPS too."""
FINE_BPS = 1_200_000
"""Rate of a picture from which on it takes nothing from a 5."""


class AudioLeg(NamedTuple):
    """
    `loss`: share (0 to 1) of packets lost after all repair. `burst_ratio`: mean length of a loss by that of random loss
    (G.107, 3.5), 1 where unknown. `delay_ms`: one way, of this leg. `buffer_ms`: what the player waits because packets
    come unevenly. `rate_bps`: the codec's; None: not judged. `is_silent`: nothing came though something should.
    """

    loss: float = 0.0
    burst_ratio: float = 1.0
    delay_ms: float = 0.0
    buffer_ms: float = 0.0
    rate_bps: int | None = None
    is_silent: bool = False


class VideoLeg(NamedTuple):
    """
    `rate_bps`, `frames_per_s`: None where not known or not this leg's doing. `freeze`: share (0 to 1) of the time in
    which the picture stood still.
    """

    rate_bps: int | None = None
    frames_per_s: float | None = None
    freeze: float = 0.0
    is_paused: bool = False


@dataclass(frozen=True, slots=True)
class Quality:
    """
    `score`: 1.0 to 5.0, so scaled that 5 is what no line can better. `cause`: of CAUSES, "" where the score shows as 5.
    `audio_mos`, `video_mos`: None where there was none.
    """

    score: float
    cause: str
    audio_mos: float | None
    video_mos: float | None


def audio_mos(leg: AudioLeg) -> float:
    """Mean opinion score of sound, 1 to 4.41 (G.107, Annex B)."""
    if leg.is_silent:
        return 1.0
    delay_ms = REST_MS + leg.delay_ms + leg.buffer_ms
    rating = RATING - 0.024 * delay_ms
    if delay_ms > SHORT_MS:
        rating -= 0.11 * (delay_ms - SHORT_MS)
    impairment = 0.0 if leg.rate_bps is None else _impairment(leg.rate_bps)
    if leg.loss > 0:
        percent = 100 * min(1.0, leg.loss)
        impairment += (95 - impairment) * percent / (percent / leg.burst_ratio + LOSS_ROBUSTNESS)
    return _mos(rating - impairment)


def _impairment(rate_bps: int) -> float:
    if rate_bps >= IMPAIRMENTS[-1][0]:
        return 0.0
    below_bps, below = IMPAIRMENTS[0]
    for above_bps, above in IMPAIRMENTS[1:]:
        if rate_bps <= above_bps:
            share = max(0, rate_bps - below_bps) / (above_bps - below_bps)
            return below + share * (above - below)
        below_bps, below = above_bps, above
    return 0.0


def _mos(rating: float) -> float:
    """G.107, Annex B; never below 1, which the cubic is for ratings under 6.5."""
    if rating <= 0:
        return 1.0
    if rating >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * rating + 7e-6 * rating * (rating - 60) * (100 - rating))


def video_mos(leg: VideoLeg) -> float:
    """Mean opinion score of a picture, 1 to 4.76. A paused one has none of it."""
    if leg.is_paused:
        return 1.0
    rate_kbps = None if leg.rate_bps is None else leg.rate_bps / 1000
    quality = _V3
    if rate_kbps is not None:
        quality -= _V3 / (1 + (rate_kbps / _V4) ** _V5)
    if leg.frames_per_s is not None:
        # Where the rate is not judged, the frame rate is held against the most there can be.
        best, spread = MOST_FRAMES_PER_S, _V6 + _V7 * 1000
        if rate_kbps is not None:
            best, spread = min(best, _V1 + _V2 * rate_kbps), _V6 + _V7 * rate_kbps
        frames_per_s = max(0.1, leg.frames_per_s)
        if frames_per_s < best:
            quality *= exp(-((log(frames_per_s) - log(best)) ** 2) / (2 * spread * spread))
    return max(1.0, (1 + quality) * exp(-leg.freeze / FREEZE_SHARE))


def judge(audio: AudioLeg | None, videos: Sequence[VideoLeg]) -> Quality | None:
    """
    The score of one direction; None where neither sound nor picture is due. Sound decides: a bad one is not made good
    by any picture, and a picture counts for a third.
    """
    if audio is None and not videos:
        return None
    heard = None if audio is None else audio_mos(audio)
    seen = _mean([video_mos(each) for each in videos])
    score = _score(heard, seen)
    return Quality(score, "" if score >= FIVE else _worst(audio, videos, heard, seen), heard, seen)


def _mean(scores: Sequence[float]) -> float | None:
    return sum(scores) / len(scores) if scores else None


def _score(heard: float | None, seen: float | None) -> float:
    if heard is None:
        mos = BEST_MOS if seen is None else seen
    elif seen is None:
        mos = heard
    else:
        mos = min(heard, 0.65 * heard + 0.35 * seen)
    return min(5.0, 1 + 4 * (mos - 1) / (BEST_MOS - 1))


def _worst(audio: AudioLeg | None, videos: Sequence[VideoLeg], heard: float | None, seen: float | None) -> str:
    """The one impairment without which the score would be the highest."""
    without: dict[str, float] = {}
    if audio is not None:
        if audio.is_silent:
            return "silent"
        if audio.loss > 0:
            without["loss"] = _score(audio_mos(audio._replace(loss=0.0)), seen)
        # Both act through the whole of the delay, which costs little on good lines: then neither is looked at.
        if REST_MS + audio.delay_ms + audio.buffer_ms > SHORT_MS or not without:
            without["delay"] = _score(audio_mos(audio._replace(delay_ms=0.0)), seen)
            without["jitter"] = _score(audio_mos(audio._replace(buffer_ms=0.0)), seen)
        if audio.rate_bps is not None:
            without["bitrate"] = _score(audio_mos(audio._replace(rate_bps=None)), seen)
    if videos:
        for cause, cured in _CURES.items():
            better = [cured(each) for each in videos]
            if any(mine is not each for mine, each in zip(better, videos, strict=True)):
                gain = _score(heard, _mean([video_mos(each) for each in better]))
                without[cause] = max(gain, without.get(cause, 0.0))
    return max(without, key=lambda cause: without[cause])


_CURES: Mapping[str, Callable[[VideoLeg], VideoLeg]] = {
    "paused": lambda leg: leg._replace(is_paused=False) if leg.is_paused else leg,
    "freeze": lambda leg: leg._replace(freeze=0.0) if leg.freeze else leg,
    "bitrate": lambda leg: (
        leg if leg.rate_bps is None and leg.frames_per_s is None else leg._replace(rate_bps=None, frames_per_s=None)
    ),
}
