"""
The voices that one room's receivers are sent, each by a rule of its own: copies where packets are lost, longer packets
where the line is thin.

Sans-I/O: streams come in every two seconds as they were counted, what is to be another goes out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from telerelay.allocator import VoiceLook, VoicePlan, VoiceRule, copies_bps
from telerelay.quality import Stream

AROUND_BYTES = 28
"""IP and UDP, around each packet as it is counted."""

HEADER_BYTES = 44
"""RTP with its extensions and the tag of SRTP: what of a packet is no voice."""


@dataclass(slots=True)
class _Voice:
    rule: VoiceRule
    posted: VoicePlan | None
    """What its worker was told last; None: by another process, and nobody knows what."""


class Voices:
    """Of one room. Senders that are not looked at are forgotten."""

    def __init__(self) -> None:
        self._voices: dict[int, _Voice] = {}
        self.copies_bps: dict[int, int] = {}
        """What copies take on the wire, by sender."""

    def look(
        self, lines: Mapping[int, Mapping[int, Stream]], estimates: Mapping[int, int], found: frozenset[int]
    ) -> dict[int, VoicePlan]:
        """
        What is to be another, by sender. `lines` has of each transport the voices that are sent on it, `estimates` what
        it carries where that is known, `found` those of before this process.
        """
        before, self._voices, self.copies_bps = self._voices, {}, {}
        changed: dict[int, VoicePlan] = {}
        for transport, streams in lines.items():
            estimate_bps = estimates.get(transport, 0)
            voices_bps = sum(_wire_bps(stream) for stream in streams.values())
            for sender, stream in streams.items():
                voice = before.get(sender)
                if voice is None:
                    voice = _Voice(VoiceRule(), None if transport in found else VoicePlan())
                self._voices[sender] = voice
                plan = voice.rule.look(_look(stream, estimate_bps, voices_bps, len(streams)))
                if plan != voice.posted:
                    voice.posted = changed[sender] = plan
                if plan.distances:
                    self.copies_bps[sender] = copies_bps(_payload_bps(stream), _rate(stream), len(plan.distances))
        return changed


def _rate(stream: Stream) -> float:
    return stream.packets / stream.seconds


def _wire_bps(stream: Stream) -> int:
    return stream.rate_bps + round(8 * AROUND_BYTES * _rate(stream))


def _payload_bps(stream: Stream) -> int:
    return max(0, stream.rate_bps - round(8 * HEADER_BYTES * _rate(stream)))


def _look(stream: Stream, estimate_bps: int, voices_bps: int, voices: int) -> VoiceLook:
    return VoiceLook(
        stream.packets,
        stream.asked,
        stream.gaps,
        stream.fraction_lost,
        stream.rtt_ms,
        estimate_bps,
        voices_bps,
        voices,
    )
