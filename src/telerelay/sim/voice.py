"""
One voice from a relay to one receiver: what is sent, sent again and sent twice, what is asked for, what arrives.

Sans-I/O. A voice is no flow of a controller: it is sent whatever the estimate. What is heard of it, playout.py says.
"""

from array import array
from collections.abc import Callable
from dataclasses import dataclass

from telerelay.sim.clock import SECOND_US, Clock
from telerelay.sim.playout import Arrival
from telerelay.sim.redundancy import COPY_BYTES, Redundancy
from telerelay.sim.steady import AUDIO_BYTES, AUDIO_FRAME_US
from telerelay.sim.track import Piece, TrackReceiver

VOICE_BPS = AUDIO_BYTES * 8 * SECOND_US // AUDIO_FRAME_US

KEPT_FRAMES = 256
"""Five seconds: what is older nobody waits for."""

RESEND_GAP_MOST_US = SECOND_US // 2
"""A frame is sent again once a round trip, however long that is thought to be."""


@dataclass(frozen=True, slots=True)
class VoicePiece(Piece):
    """One packet of a voice; `copies` are the frames it brings besides its own."""

    copies: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Repair:
    """How a voice is held against loss: asked for again (NACK), sent twice (RED)."""

    has_nack: bool = True
    has_red: bool = False


Put = Callable[[int, VoicePiece], None]
"""Called with the time and a packet that is to be sent at once."""


class Voice:
    """Both ends. `number` is its own among the receiver's voices; its track is -1 - number."""

    def __init__(self, clock: Clock, number: int, repair: Repair, put: Put, estimate_bps: Callable[[], int]) -> None:
        self.sent_us = array("q")
        self.arrivals: list[Arrival] = []
        self.queue_us = array("q")
        self.queue_sent_us = array("q")
        self.sent_bytes = 0
        self._clock = clock
        self._track = -1 - number
        self._repair = repair
        self._put = put
        self._estimate_bps = estimate_bps
        self._redundancy = Redundancy()
        self._kept: dict[int, tuple[VoicePiece, int]] = {}
        self._missing = TrackReceiver()
        self._stop_us = 0

    def run(self, start_us: int, stop_us: int) -> None:
        """Speak between those moments."""
        self._stop_us = stop_us
        self._clock.at(start_us, self._speak)

    def _speak(self, now_us: int, _: None) -> None:
        if now_us >= self._stop_us:
            return
        self._clock.at(now_us + AUDIO_FRAME_US, self._speak)
        seq = len(self.sent_us)
        self.sent_us.append(now_us)
        distances: tuple[int, ...] = ()
        if self._repair.has_red:
            voice_share = VOICE_BPS / max(1, self._estimate_bps())
            distances = self._redundancy.next_distances(seq, voice_share)
        copies = tuple(seq - each for each in distances if each <= seq)
        size_bytes = AUDIO_BYTES + COPY_BYTES * len(copies)
        piece = VoicePiece(self._track, seq, seq, now_us, 0, 1, size_bytes, True, copies=copies)
        self._kept[seq] = (piece, -RESEND_GAP_MOST_US)
        self._kept.pop(seq - KEPT_FRAMES, None)
        self._send(now_us, piece)

    def _send(self, now_us: int, piece: VoicePiece) -> None:
        self.sent_bytes += piece.size_bytes
        self._put(now_us, piece)

    def on_request(self, now_us: int, seqs: list[int], rtt_us: int) -> None:
        """The receiver asks for these frames again."""
        for seq in seqs:
            self._redundancy.on_request(seq)
            kept = self._kept.get(seq)
            if kept is None or now_us - kept[1] < min(rtt_us, RESEND_GAP_MOST_US):
                continue
            piece = kept[0]
            self._kept[seq] = (piece, now_us)
            again = VoicePiece(piece.track, seq, seq, piece.captured_us, 0, 1, AUDIO_BYTES, True, is_resend=True)
            self._send(now_us, again)

    # ---------------------------------------------------------------- the receiver

    def on_piece(self, now_us: int, piece: VoicePiece, own_us: int) -> None:
        """A packet has arrived; `own_us` is the line's own delay."""
        self._missing.on_piece(now_us, piece)
        self.arrivals.append(Arrival(now_us, piece.seq, piece.captured_us))
        for copy in piece.copies:
            self.arrivals.append(Arrival(now_us, copy, self.sent_us[copy], is_copy=True))
        if not piece.is_resend:
            self.queue_sent_us.append(piece.captured_us)
            self.queue_us.append(now_us - piece.captured_us - own_us)

    def next_nacks(self, now_us: int, rtt_us: int) -> list[int]:
        """What to ask for now."""
        return self._missing.next_nacks(now_us, rtt_us) if self._repair.has_nack else []
