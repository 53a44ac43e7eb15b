"""
One voice alone on a line that loses packets: how far each way of repair brings it.

Sans-I/O. Alone, because beside a video most packets of a burst are the video's: here they are the voice's own.
"""

from dataclasses import dataclass, field
from typing import Any

from telerelay.sim import voice_figures, world
from telerelay.sim.case import LinePlan
from telerelay.sim.clock import MS_US, SECOND_US, Clock
from telerelay.sim.figures import Figures
from telerelay.sim.packet import Packet
from telerelay.sim.voice import Repair, Voice, VoicePiece

TODAY, PLANNED, NOTHING = "nack", "nack-red", "no-repair"

REPAIRS: dict[str, Repair] = {TODAY: Repair(), PLANNED: Repair(has_red=True), NOTHING: Repair(has_nack=False)}
"""What the relay does; what it does with redundancy, where adaptation is on; and neither, for contrast."""

REQUEST_BYTES = 28 + 16 + 14
"""IP and UDP, a NACK with one entry, SRTCP."""


@dataclass(frozen=True, slots=True)
class VoiceCase:
    """One voice on one line."""

    suite: str
    name: str
    title: str
    duration_s: float
    line: LinePlan
    tags: frozenset[str] = field(default_factory=frozenset)


class VoiceWorld:
    """Everything of one run, to be read after `run`."""

    def __init__(self, case: VoiceCase, contender: str, seed: int) -> None:
        self.clock = Clock()
        self._case = case
        self._link = world.make_link(self.clock, case.line, seed, "forward", 0)
        self._back = world.make_link(self.clock, LinePlan(delay_ms=case.line.delay_ms), seed, "backward", 0)
        self._own_us = round(case.line.delay_ms * MS_US)
        self._rtt_us = 2 * self._own_us + round(case.line.jitter_ms * MS_US)
        self.voice = Voice(self.clock, 0, REPAIRS[contender], self._put, lambda: round(case.line.steps[0][1] * 1e6))

    def run(self) -> None:
        """Let it all happen."""
        stop_us = world.seconds(self._case.duration_s)
        self.voice.run(0, stop_us - 2 * SECOND_US)
        self.clock.run(stop_us)

    def figures(self) -> Figures:
        """Every figure of the run."""
        return voice_figures.figures([self.voice], world.seconds(self._case.duration_s) - 2 * SECOND_US)

    def _put(self, now_us: int, piece: VoicePiece) -> None:
        Packet((self._link, self), piece.size_bytes, now_us, content=piece).start(now_us)

    def take(self, now_us: int, packet: Packet) -> None:
        """A packet of the voice at the receiver, or a request at the relay."""
        content: Any = packet.content
        if isinstance(content, VoicePiece):
            self.voice.on_piece(now_us, content, self._own_us)
            seqs = self.voice.next_nacks(now_us, self._rtt_us)
            if seqs:
                Packet((self._back, self), REQUEST_BYTES, now_us, content=seqs).start(now_us)
        else:
            self.voice.on_request(now_us, content, self._rtt_us)
