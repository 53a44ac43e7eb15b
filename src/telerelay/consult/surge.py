"""
How many calls there is room for, and who stands in line for room: nobody fails for lack of it, and no call that runs is
touched.

Pure. Room is counted in packets, because that is what a worker's core is spent on: a consult costs so many forwarded a
second. A share is kept for emergencies.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, replace

PACKETS_PER_S = 361
"""Two people with 720p30 at 1.2 Mbit/s and Opus, both ways, as docs/load.md measures it."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A consult in line for room, since when (Unix seconds)."""

    consult: str
    since: float
    is_emergency: bool

    @property
    def rank(self) -> tuple[bool, float, str]:
        return (not self.is_emergency, self.since, self.consult)


class Surge:
    """
    `capacity_packets_per_s` of the relay, forwarded; 0: as much as there is. `reserve` is the share of it that only
    emergencies may use. Methods that make room hand out who has it now, in order: tell them, and write it down.
    """

    def __init__(
        self, capacity_packets_per_s: float, reserve: float = 0.1, packets_per_s: float = PACKETS_PER_S
    ) -> None:
        self._capacity = capacity_packets_per_s
        self._reserve = reserve
        self._packets_per_s = packets_per_s
        self._running: dict[str, tuple[bool, float]] = {}  # is an emergency, packets a second
        self._held: dict[str, Holding] = {}
        self._line: list[Holding] = []  # by rank
        self._used = self._routine = 0.0

    @property
    def used_packets_per_s(self) -> float:
        return self._used

    @property
    def running(self) -> frozenset[str]:
        """Consults that have room."""
        return frozenset(self._running)

    def line(self) -> tuple[Holding, ...]:
        """Who stands in line, the next one first."""
        return tuple(self._line)

    def position(self, consult: str) -> int:
        """From 1; 0: it does not stand in line."""
        holding = self._held.get(consult)
        return 0 if holding is None else 1 + bisect_left(self._line, holding.rank, key=_rank)

    def restore(self, running: Iterable[tuple[str, bool]], held: Iterable[Holding]) -> tuple[str, ...]:
        """What another process had: (consult, is an emergency) of those that had room, whether there is any or not."""
        for consult, is_emergency in running:
            self._running[consult] = (is_emergency, self._packets_per_s)
        for holding in held:
            self._queue(holding)
        self._count()
        return self._let_in()

    def ask(self, now: float, consult: str, is_emergency: bool) -> int:
        """
        Somebody came to this consult who has to be admitted. 0: there is room, and it is taken; else the position in
        line. Asked again it says the same, or what has become of it.
        """
        if consult in self._running:
            return 0
        if consult not in self._held:
            self._queue(Holding(consult, now, is_emergency))
            self._let_in()
        return self.position(consult)

    def set_priority(self, consult: str, is_emergency: bool) -> tuple[str, ...]:
        """It is an emergency, or no longer: which moves it in line, or counts it into the reserve, or out of it."""
        if consult in self._running:
            self._running[consult] = (is_emergency, self._running[consult][1])
            self._count()
        elif (holding := self._unqueue(consult)) is not None:
            self._queue(replace(holding, is_emergency=is_emergency))
        return self._let_in()

    def finish(self, consult: str) -> tuple[str, ...]:
        """It is over, or nobody waits there any more: the room is others'."""
        self._unqueue(consult)
        if self._running.pop(consult, None) is not None:
            self._count()
        return self._let_in()

    def measure(self, consult: str, packets_per_s: float) -> tuple[str, ...]:
        """What a call really costs, once it is known: less than was counted makes room, more leaves less for others."""
        if consult not in self._running:
            return ()
        self._running[consult] = (self._running[consult][0], packets_per_s)
        self._count()
        return self._let_in()

    def set_capacity(self, capacity_packets_per_s: float) -> tuple[str, ...]:
        """There is another worker, or one less. Calls that run go on whatever it is."""
        self._capacity = capacity_packets_per_s
        return self._let_in()

    def _let_in(self) -> tuple[str, ...]:
        """From the head of the line, as far as there is room: nobody overtakes."""
        came = []
        while self._line and self._has_room(self._line[0].is_emergency):
            holding = self._line.pop(0)
            del self._held[holding.consult]
            self._running[holding.consult] = (holding.is_emergency, self._packets_per_s)
            self._count()
            came.append(holding.consult)
        return tuple(came)

    def _has_room(self, is_emergency: bool) -> bool:
        if self._capacity <= 0:
            return True
        if self._used + self._packets_per_s > self._capacity:
            return False
        return is_emergency or self._routine + self._packets_per_s <= self._capacity * (1 - self._reserve)

    def _count(self) -> None:
        # Added up anew, not kept up to date: sums of fractions would drift over months.
        self._used = sum(cost for _, cost in self._running.values())
        self._routine = sum(cost for is_urgent, cost in self._running.values() if not is_urgent)

    def _queue(self, holding: Holding) -> None:
        self._held[holding.consult] = holding
        insort(self._line, holding, key=_rank)

    def _unqueue(self, consult: str) -> Holding | None:
        holding = self._held.pop(consult, None)
        if holding is not None:
            self._line.remove(holding)
        return holding


def _rank(holding: Holding) -> tuple[bool, float, str]:
    return holding.rank
