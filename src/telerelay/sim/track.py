"""
One track's packets: a frame cut into payloads, what arrives of it, what is asked for again, what is shown when.

Sans-I/O. A decoder is modelled by its needs alone: every frame needs the one before it, a key frame needs none.
"""

import itertools
from array import array
from dataclasses import dataclass

from telerelay.sim.clock import MS_US, SECOND_US

PAYLOAD_BYTES = 1_200
"""The largest payload of one packet."""

NACK_TRIES = 10
"""libwebrtc asks so often for one packet."""

NACK_GAP_LEAST_US = 20_000
"""It is asked for again after a round trip, and no sooner than libwebrtc's timer goes."""

NACK_KEPT = 1_000
"""More packets than this are never missing at once: then a key frame is cheaper."""

KEY_WAIT_US = 1 * SECOND_US
"""Without a frame that can be shown for so long, a key frame is asked for; and not more often."""

DELAY_MOST_US = 2 * SECOND_US
"""A jitter buffer grows no further."""

DELAY_FALL = 0.05
"""How fast a jitter buffer shrinks back: 50 ms a second."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One packet of one frame. `seq` is the track's own number; `frame` counts what was sent, without gaps."""

    track: int
    seq: int
    frame: int
    captured_us: int
    index: int
    count: int
    size_bytes: int
    is_key: bool
    layer: int = 0
    is_resend: bool = False


def cut(size_bytes: int) -> tuple[int, int]:
    """(how many packets, payload of each) for a frame: evenly, none above the limit."""
    count = -(-size_bytes // PAYLOAD_BYTES)
    return count, -(-size_bytes // count)


class TrackReceiver:
    """What one receiver knows of one track. Ask `next_nacks` and `wants_key` every 20 ms."""

    __slots__ = (
        "_asked",
        "_buffer_us",
        "_buffer_us_at",
        "_frames",
        "_highest",
        "_last_key_wish_us",
        "_next_frame",
        "_shown_at_us",
        "first_us",
        "nacks",
        "received_pieces",
        "recovered_pieces",
        "shown_captured_us",
        "shown_us",
        "skipped_frames",
    )

    def __init__(self) -> None:
        self.shown_us = array("q")
        self.shown_captured_us = array("q")
        self.received_pieces = 0
        self.recovered_pieces = 0
        self.nacks = 0
        self.skipped_frames = 0
        self.first_us: int | None = None
        self._highest = -1
        self._asked: dict[int, tuple[int, int]] = {}
        self._frames: dict[int, _Frame] = {}
        self._next_frame = -1
        self._shown_at_us = 0
        self._buffer_us = 0.0
        self._buffer_us_at = 0
        self._last_key_wish_us = 0

    def on_piece(self, now_us: int, piece: Piece) -> None:
        """One packet of it has arrived."""
        if self.first_us is None:
            self.first_us = self._last_key_wish_us = self._shown_at_us = now_us
        self.received_pieces += 1
        seq = piece.seq
        if seq > self._highest:
            for missing in range(self._highest + 1 if self._highest >= 0 else seq, seq):
                self._asked[missing] = (0, now_us)
            self._highest = seq
            if len(self._asked) > NACK_KEPT:
                self._asked.clear()
        elif self._asked.pop(seq, None) is not None:
            self.recovered_pieces += 1
        number = piece.frame
        if number < self._next_frame:
            return
        frame = self._frames.get(number)
        if frame is None:
            frame = self._frames[number] = _Frame(piece.captured_us, piece.count, piece.is_key)
        if frame.add(piece.index) and frame.is_complete:
            self._decode(now_us, number, frame)

    def _decode(self, now_us: int, number: int, frame: "_Frame") -> None:
        if number != self._next_frame:
            if not frame.is_key:
                return
            self.skipped_frames += max(0, number - self._next_frame) if self._next_frame >= 0 else 0
            self._next_frame = number
            for old in [each for each in self._frames if each < number]:
                del self._frames[old]
        while True:
            following = self._frames.get(self._next_frame)
            if following is None or not following.is_complete:
                return
            del self._frames[self._next_frame]
            self._next_frame += 1
            self._show(now_us, following.captured_us)

    def _show(self, now_us: int, captured_us: int) -> None:
        late_us = now_us - captured_us
        self._buffer_us -= DELAY_FALL * (now_us - self._buffer_us_at)
        self._buffer_us_at = now_us
        self._buffer_us = min(float(DELAY_MOST_US), max(self._buffer_us, late_us))
        shown_us = max(now_us, captured_us + round(self._buffer_us), self._shown_at_us)
        self._shown_at_us = shown_us
        self.shown_us.append(shown_us)
        self.shown_captured_us.append(captured_us)

    def next_nacks(self, now_us: int, rtt_us: int) -> list[int]:
        """What to ask for now."""
        wanted = []
        gap_us = max(NACK_GAP_LEAST_US, rtt_us)
        for seq, (tries, when_us) in list(self._asked.items()):
            if when_us > now_us:
                continue
            if tries >= NACK_TRIES:
                del self._asked[seq]
                continue
            self._asked[seq] = (tries + 1, now_us + gap_us)
            wanted.append(seq)
        self.nacks += len(wanted)
        return wanted

    def wants_key(self, now_us: int) -> bool:
        """Whether to ask for a key frame now: pieces come, and nothing could be shown for long."""
        if self.first_us is None or not self._frames:
            return False
        if now_us - max(self._shown_at_us, self._last_key_wish_us) < KEY_WAIT_US:
            return False
        self._last_key_wish_us = now_us
        return True


class _Frame:
    __slots__ = ("_have", "captured_us", "count", "is_key")

    def __init__(self, captured_us: int, count: int, is_key: bool) -> None:
        self.captured_us = captured_us
        self.count = count
        self.is_key = is_key
        self._have: set[int] = set()

    def add(self, index: int) -> bool:
        """Whether it was new."""
        if index in self._have:
            return False
        self._have.add(index)
        return True

    @property
    def is_complete(self) -> bool:
        return len(self._have) >= self.count


FREEZE_WINDOW = 30
"""A freeze is measured against the last thirty gaps between frames (W3C webrtc-stats, freezeCount)."""

FREEZE_LEAST_FRAMES = 5

FREEZE_EXTRA_US = 150 * MS_US


def freezes(shown_us: "array[int]") -> list[tuple[int, int]]:
    """
    (start, length) in us of each freeze: a gap of at least max(3 x average, average + 150 ms), W3C's rule.

    The average is over the last thirty gaps, and there is none before the fifth.
    """
    found = []
    gaps: list[int] = []
    total = 0
    for before, now in itertools.pairwise(shown_us):
        gap = now - before
        if len(gaps) >= FREEZE_LEAST_FRAMES:
            average = total / len(gaps)
            if gap >= max(3 * average, average + FREEZE_EXTRA_US):
                found.append((before, gap))
        gaps.append(gap)
        total += gap
        if len(gaps) > FREEZE_WINDOW:
            total -= gaps.pop(0)
    return found
