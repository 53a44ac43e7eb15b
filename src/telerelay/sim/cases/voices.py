"""
A voice alone on lines that lose packets: at random, and in bursts.

Pure: a table.
"""

from telerelay.sim.case import LinePlan
from telerelay.sim.voice_world import VoiceCase

SUITE = "voice"


def _lossy(percent: int, burst: float = 1.0, delay_ms: float = 30.0) -> VoiceCase:
    far = "" if delay_ms == 30.0 else f"-{delay_ms:g}ms"
    name = f"R2-voice-{percent}{'b' if burst > 1 else ''}{far}"
    kind = f"bursts of {burst:g}" if burst > 1 else "random"
    return VoiceCase(
        SUITE,
        name,
        f"a voice, {percent} % loss, {kind}, {delay_ms:g} ms, jitter 0-30 ms",
        300,
        LinePlan(((0, 4.0),), 4.0, 300, delay_ms=delay_ms, loss=percent / 100, burst=burst, jitter_ms=30),
        tags=frozenset({f"voice-{percent}{'b' if burst > 1 else ''}{far}"}),
    )


CASES = (
    _lossy(5),
    _lossy(10),
    _lossy(20),
    _lossy(10, 3.0),
    _lossy(20, 3.0),
    # Where a resend takes a fifth of a second: what asking again alone cannot do well.
    _lossy(10, delay_ms=100.0),
    _lossy(10, 3.0, 100.0),
)
