"""
How good a voice is said to be, from what is lost of it and how late it is (ITU-T G.107, with G.113's loss terms).

Pure.
"""

RATING = 93.2
"""Of a perfect narrowband voice: R of G.107 with all defaults."""

ROBUSTNESS = 20.0
"""Bpl of Opus with NetEq. G.113 has no value for it; those of other codecs with concealment are 19 to 25."""

CODEC_MS = 26.5
"""Before a frame can be sent: its 20 ms, and the look-ahead of Opus (RFC 6716, 2)."""


def mos(made_up: float, burst_ratio: float, mouth_to_ear_ms: float) -> float:
    """
    1 to 4.5. `made_up` is the share of frames concealed; `burst_ratio` how much longer their runs are than by chance.

    Ie is 0: Opus at 24 kbit/s and more.
    """
    percent = 100 * made_up
    late = 0.024 * mouth_to_ear_ms + 0.11 * max(0.0, mouth_to_ear_ms - 177.3)
    rating = RATING - late - 95 * percent / (percent / burst_ratio + ROBUSTNESS)
    if rating <= 0:
        return 1.0
    if rating >= 100:
        return 4.5
    # The cubic dips under 1 near 0, which no listener does.
    return max(1.0, 1 + 0.035 * rating + 7e-6 * rating * (rating - 60) * (100 - rating))
