"""
What is done to a voice on a bad line: copies of what it said before (RED, RFC 2198), and longer packets on a thin one.

Pure. What comes out goes to `Worker.set_redundancy` and `Worker.set_packet_time`, and what copies take to the allocator
as a track's `redundancy_bps`. Why here and not in the worker: what decides is told to control anyway each two seconds
(counts of what was asked for, the estimate), and the allocator must know what copies cost before it gives away more.
"""

from collections import deque
from dataclasses import dataclass

LOOKS = 3
"""What was lost is looked at over so many looks, of two seconds each: one burst is no habit of a line."""

ON_SHARE, OFF_SHARE = 0.04, 0.015
"""
Copies where more than four in a hundred are asked for, none a long way below: so much is annoying where it is not
repaired, and a resend is waited for by a round trip, or not at all where that is long.
"""

HEAVY_SHARE = 0.08
"""From here on one copy leaves about one in a hundred (the share squared)."""

BURST_PACKETS = 1.5
"""Longer runs than that are no chance: random loss of 20 % has 1.25."""

LONG_WAY_MS = 150.0
"""From such a round trip on a browser keeps too little of a voice waiting for copies that come 120 ms later."""

MOST_VOICE_SHARE = 0.4
"""Copies are left out where voices are more than that of what the line carries: they would crowd out themselves."""

THIN_BPS, WIDE_BPS = 40_000, 56_000
"""
For each voice: below the first, packets of 60 ms; above the second, as they come. A voice of 24 kbit/s is 50 kbit/s on
the wire in packets of 20 ms, and 33 in those of 60 ms: so a line that has grown does not fall back by the change.
"""

SAVED_BPS = 20_000
"""What two headers of three are, 33 times a second."""

FULL_SHARE, ROOMY_SHARE = 0.95, 0.75
"""
Packets of 60 ms, too, where voices fill the line by themselves, however much that is: somebody's fan, two who talk at
once. As they come again where they would then leave a quarter of it.
"""

LONG_MS = 60
"""Three frames of a browser's 20 ms: two headers saved of three, and 40 ms later."""

BLOCK_HEADER_BYTES = 4
"""Of RED, for each copy."""


@dataclass(frozen=True, slots=True)
class VoiceLook:
    """
    One voice on its way to one receiver since the last look. `asked` packets were asked for again, each counted once,
    in so many `runs`; `fraction_lost` is what the receiver reports, which counts where nobody asks. `estimate_bps` is
    what the line carries, 0: not known; `voices` go over it, and `voices_bps` is what all of them take on the wire as
    they are sent now, without copies.
    """

    packets: int
    asked: int
    runs: int
    fraction_lost: float = 0.0
    rtt_ms: float = 0.0
    estimate_bps: int = 0
    voices_bps: int = 0
    voices: int = 1


@dataclass(frozen=True, slots=True)
class VoicePlan:
    """`distances` of the copies, in packets; `packet_ms` 0: packets leave as they come."""

    distances: tuple[int, ...] = ()
    packet_ms: int = 0


class VoiceRule:
    """One voice of one receiver. Looked at every two seconds or so; a look changes the plan, or does not."""

    def __init__(self) -> None:
        self.plan = VoicePlan()
        self._looks: deque[VoiceLook] = deque(maxlen=LOOKS)

    def look(self, look: VoiceLook) -> VoicePlan:
        """What holds from now on."""
        self._looks.append(look)
        packet_ms = self._packet_ms(look)
        self.plan = VoicePlan(() if packet_ms else self._distances(look), packet_ms)
        return self.plan

    def _packet_ms(self, look: VoiceLook) -> int:
        if not look.estimate_bps:  # nothing is known: what held goes on
            return self.plan.packet_ms
        if look.estimate_bps < THIN_BPS * look.voices:
            return LONG_MS
        if not self.plan.packet_ms:
            return LONG_MS if look.voices_bps > FULL_SHARE * look.estimate_bps else 0
        shorter_bps = look.voices_bps + SAVED_BPS * look.voices
        is_roomy = look.estimate_bps > WIDE_BPS * look.voices and shorter_bps < ROOMY_SHARE * look.estimate_bps
        return 0 if is_roomy else LONG_MS

    def _distances(self, look: VoiceLook) -> tuple[int, ...]:
        if look.estimate_bps and look.voices_bps > MOST_VOICE_SHARE * look.estimate_bps:
            return ()
        packets = sum(each.packets for each in self._looks)
        asked = sum(each.asked for each in self._looks)
        runs = sum(each.runs for each in self._looks)
        share = max(asked / packets if packets else 0.0, look.fraction_lost)
        if share < OFF_SHARE or not (share > ON_SHARE or self.plan.distances):
            return ()
        if runs and asked > BURST_PACKETS * runs:
            return (3, 6) if look.rtt_ms < LONG_WAY_MS else (1, 3)
        return (1, 2) if share > HEAVY_SHARE else (1,)


def copies_bps(payload_bps: int, packets_per_s: float, copies: int) -> int:
    """What copies add on the wire to a voice of that rate without its headers: a track's `redundancy_bps`."""
    return copies * round(payload_bps + 8 * BLOCK_HEADER_BYTES * packets_per_s)
