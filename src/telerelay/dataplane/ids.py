"""
Ids of what lives on a worker: generation << 16 | index.

Pure. An index names a slot of a table in C; the generation tells its tenants apart, so that a late command for one that
went cannot reach the one that came. Of those that are free the oldest is handed out, and only while RESTING others are:
that makes a clash of generations late, and no more slots are ever touched than were in use at once and those few.
With new ones first, each join for hours would leave six numbers here and a piece of a page in the worker behind.
"""

from collections import deque
from collections.abc import Iterable

from telerelay.errors import RemoteProtocolError

INDEX_BITS = 16
MAX_INDEXES = 1 << INDEX_BITS
_GENERATIONS = 1 << 16
# Free indexes before one is reused. 65,536 generations of so many are sixteen million joins until an id is the same
# again, which is days of the fastest storm of them; nothing that names an id waits for longer than a minute.
RESTING = 256


class IdPool:
    """Ids for one kind of thing on one worker: transports, receivers or senders."""

    def __init__(self, capacity: int) -> None:
        if not 1 <= capacity <= MAX_INDEXES:
            raise ValueError(f"capacity must lie in 1..{MAX_INDEXES}")
        self.capacity = capacity
        self._fresh = 0  # indexes below were handed out at least once
        self._free: deque[int] = deque()  # ids to be reused, their generation already advanced
        self._taken: set[int] = set()

    def __len__(self) -> int:
        return len(self._taken)

    def take(self) -> int:
        """A new id, never 0. Raises RemoteProtocolError `room_full` when every slot is in use."""
        if self._free and (len(self._free) > RESTING or self._fresh == self.capacity):
            taken = self._free.popleft()
        elif self._fresh < self.capacity:
            taken = (1 << INDEX_BITS) | self._fresh
            self._fresh += 1
        else:
            raise RemoteProtocolError("room_full", "the relay is full")
        self._taken.add(taken)
        return taken

    def adopt(self, taken: Iterable[int]) -> None:
        """
        A pool nothing was taken from goes on from another process's: these are in use. What is free below them gets a
        generation that none of them has, for nobody knows which it had last.
        """
        known = {each & (MAX_INDEXES - 1): each for each in taken}
        generation = max((each >> INDEX_BITS for each in known.values()), default=0) + 1
        self._taken = set(known.values())
        self._fresh = max(known, default=-1) + 1
        self._free.extend(_id(generation, index) for index in range(self._fresh) if index not in known)

    def give_back(self, taken: int) -> None:
        """The thing is gone from the worker; its index may be used again, under the next generation."""
        if taken not in self._taken:
            return
        self._taken.discard(taken)
        self._free.append(_id((taken >> INDEX_BITS) + 1, taken & (MAX_INDEXES - 1)))


def _id(generation: int, index: int) -> int:
    return ((generation if generation < _GENERATIONS else 1) << INDEX_BITS) | index
