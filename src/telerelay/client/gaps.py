"""
How many packets of a stream came, came again, and never came: counted from RTP sequence numbers (RFC 3550, A.1 and
A.3).

Sans-I/O: no clock, no await. What was missing and comes later (reordered, or resent as RTX) is no longer lost.
"""

from __future__ import annotations

# A jump further than this is a new beginning, as in RFC 3550, A.1 (MAX_DROPOUT): not thousands of lost packets.
MAX_DROPOUT = 3000


class GapCounter:
    """One RTP stream as a receiver sees it."""

    __slots__ = ("_first", "_highest", "_missing", "_restart_lost", "duplicates", "received", "restarts")

    def __init__(self) -> None:
        self.received = 0
        self.duplicates = 0
        self.restarts = 0
        self._restart_lost = 0
        self._first: int | None = None
        self._highest = 0
        self._missing: set[int] = set()

    def add(self, seq: int) -> bool:
        """Count the packet with the 16-bit sequence number `seq`; False if it had come before."""
        if self._first is None:
            return self._begin(seq)
        extended = self._highest + (((seq - self._highest) + 0x8000) & 0xFFFF) - 0x8000
        ahead = extended - self._highest
        if abs(ahead) > MAX_DROPOUT:
            self.restarts += 1
            self._restart_lost += len(self._missing)
            return self._begin(seq)
        if ahead > 0:
            self._missing.update(range(self._highest + 1, extended))
            self._highest = extended
        elif extended in self._missing:
            self._missing.remove(extended)
        elif extended < self._first:
            # Older than the first that came: it was overtaken. What lies between may still come.
            self._missing.update(range(extended + 1, self._first))
            self._first = extended
        else:
            self.duplicates += 1
            return False
        self.received += 1
        return True

    def _begin(self, seq: int) -> bool:
        self._first = self._highest = seq
        self._missing = set()
        self.received += 1
        return True

    @property
    def lost(self) -> int:
        """Packets between the first and the highest number that never came, not even as a resend."""
        return self._restart_lost + len(self._missing)

    @property
    def highest(self) -> int:
        """The highest sequence number so far, extended by its rollovers."""
        return self._highest
