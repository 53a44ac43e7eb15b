"""
One stream's packets in the order of their numbers, with what never came told as a gap.

Sans-I/O: `now` in seconds, of whatever clock. What comes late is waited for as long as the relay may still repair it,
and no longer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

WAIT_S = 0.6
"""The relay asks a publisher five times within some round trips; what is not here then does not come."""

MAX_WAITING = 512
"""Half a second of a picture of 8 Mbit/s. With more behind a hole it is one."""

RESTART = 3000
"""A jump of more numbers than that is another beginning, not a loss: RFC 3550, A.1 has MAX_DROPOUT."""


class Numbered(Protocol):
    """What has an RTP sequence number, 16 bits."""

    sequence_number: int


P = TypeVar("P", bound=Numbered)


@dataclass(frozen=True, slots=True)
class Gap:
    """So many packets never came; 0: nobody knows how many."""

    count: int


class Reorder(Generic[P]):
    """One stream. `gaps` and `lost` count what never came: runs, and packets."""

    def __init__(self) -> None:
        self.gaps = 0
        self.lost = 0
        self._next: int | None = None
        self._waiting: dict[int, tuple[float, P]] = {}

    def add(self, now: float, packet: P) -> Iterator[P | Gap]:
        """A packet came: what is next now."""
        number = packet.sequence_number & 0xFFFF
        if self._next is None:
            self._next = number
        ahead = (number - self._next) & 0xFFFF
        if ahead >= 0x8000:
            if 0x10000 - ahead < RESTART:
                return  # it came before, or was given up
            ahead = RESTART
        if ahead >= RESTART:
            yield from self.flush()
            self.gaps += 1
            yield Gap(0)
            self._next = number
        self._waiting.setdefault(number, (now, packet))
        yield from self.take(now)

    def take(self, now: float) -> Iterator[P | Gap]:
        """What is next by now: also where nothing comes any more."""
        while self._waiting and self._next is not None:
            if (found := self._waiting.pop(self._next, None)) is not None:
                self._next = (self._next + 1) & 0xFFFF
                yield found[1]
                continue
            oldest = min(at for at, _ in self._waiting.values())
            if now - oldest < WAIT_S and len(self._waiting) < MAX_WAITING:
                return
            yield self._skip()

    def flush(self) -> Iterator[P | Gap]:
        """All there is: nothing more comes."""
        while self._waiting:
            yield from self.take(float("inf"))

    def _skip(self) -> Gap:
        assert self._next is not None
        start = self._next
        count = min((number - start) & 0xFFFF for number in self._waiting)
        self._next = (start + count) & 0xFFFF
        self.gaps += 1
        self.lost += count
        return Gap(count)
