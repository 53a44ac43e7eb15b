"""
What a participant was told, numbered and kept for a while: so that a lost socket loses no event.

Pure. Sequence numbers are 1, 2, 3…, per seat, for as long as the seat lasts.
"""

from collections.abc import Sequence

from telerelay.events import Event
from telerelay.protocol.messages import encode

# All of it must fit into a socket's queue at once, or a replay would cut the socket it is for.
MAX_KEPT_BYTES = 192 * 1024


class EventLog:
    """The latest events of one seat that it may not have, as they went or would have gone over the wire."""

    def __init__(self, max_kept: int) -> None:
        self._max_kept = max_kept
        self._kept: list[str] = []  # some dozens at the most; a deque has 760 bytes while it is empty
        self._kept_bytes = 0
        self.seq = 0
        """Of the latest event; 0 before the first."""

    def restore(self, seq: int, kept: Sequence[str]) -> None:
        """A log of another process goes on here: `kept` are its latest events, up to number `seq`."""
        self.seq = seq
        self._kept = list(kept)
        self._kept_bytes = sum(map(len, kept))

    def add(self, event: Event) -> str:
        """Number an event; returns its text."""
        self.seq += 1
        text = encode(event, self.seq)
        self._kept.append(text)
        self._kept_bytes += len(text)
        while len(self._kept) > self._max_kept or self._kept_bytes > MAX_KEPT_BYTES:
            self._kept_bytes -= len(self._kept.pop(0))
        return text

    def confirm(self, seq: int) -> None:
        """The client has every event up to that number: none of them is kept any more."""
        got = len(self._kept) - (self.seq - seq)
        if got > 0:
            del self._kept[:got]
            self._kept_bytes = sum(map(len, self._kept))

    def since(self, seq: int) -> tuple[str, ...] | None:
        """Every event after that number; None if some are no longer kept, or if it lies ahead of us."""
        missed = self.seq - seq
        if not 0 <= missed <= len(self._kept):
            return None
        return tuple(self._kept[len(self._kept) - missed :])
