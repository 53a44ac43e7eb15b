"""
When a voice is sent with copies of what it said before (RFC 2198), and with which: a rule, and what it costs.

Pure. The simulator's own; that of the relay is allocator/survival.py.
"""

from telerelay.sim.steady import AUDIO_BYTES

COPY_BYTES = AUDIO_BYTES - 48 + 4
"""A frame once more, and its header; the first frame's own header of one byte is left out."""

WINDOW_FRAMES = 250
"""What was lost is looked at over five seconds."""

ON_SHARE, OFF_SHARE = 0.04, 0.015
"""
On where more than four in a hundred are asked for, off a long way below: so much is annoying where it is not repaired,
and a resend is waited for by a round trip, or not at all where that is long.
"""

BURST_FRAMES = 1.5
"""Longer than that is no chance: random loss of 20 % has 1.25."""

HEAVY_SHARE = 0.08
"""From here on one copy leaves about one in a hundred (the share squared)."""

VOICE_SHARE = 0.4
"""Copies are left out where voices are more than that of what the line carries."""


class Redundancy:
    """What the receiver asks for tells what is lost, and in which runs."""

    __slots__ = ("_asked", "distances")

    def __init__(self) -> None:
        self.distances: tuple[int, ...] = ()
        self._asked: set[int] = set()

    def on_request(self, seq: int) -> None:
        """The receiver asks for a frame."""
        self._asked.add(seq)

    def next_distances(self, seq: int, voice_share: float) -> tuple[int, ...]:
        """How far back the copies in packet `seq` are; none: ()."""
        if seq % 25 == 0:
            self._decide(seq, voice_share)
        return self.distances

    def _decide(self, seq: int, voice_share: float) -> None:
        asked = self._asked = {each for each in self._asked if each >= seq - WINDOW_FRAMES}
        share = len(asked) / WINDOW_FRAMES
        if voice_share > VOICE_SHARE or share < OFF_SHARE:
            self.distances = ()
        elif share > ON_SHARE or self.distances:
            runs = sum(each - 1 not in asked for each in asked)
            if len(asked) > BURST_FRAMES * runs:
                self.distances = (1, 3)
            else:
                self.distances = (1, 2) if share > HEAVY_SHARE else (1,)
