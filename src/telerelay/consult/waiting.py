"""
Who waits at whose desk, across consults: emergencies first, then by when they came; and who is handed out to whom.

Pure. All of it follows from the consults' records, so it is the same in another process: `see` each record whenever it
has changed. A consult stands in line once, with all of its people who wait; who was held for lack of room (surge.py)
stands in that line and not in this one.
"""

from collections import defaultdict
from dataclasses import dataclass, replace

from telerelay.consult import states
from telerelay.consult.record import Record
from telerelay.errors import RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Waiter:
    """One consult in line. `since` is when the first of `subs` came, Unix seconds."""

    consult: str
    queue: str
    since: float
    is_emergency: bool
    subs: tuple[str, ...]
    is_free: bool = True
    """Nobody who could admit is there, and it is handed out to nobody."""

    @property
    def rank(self) -> tuple[bool, float, str]:
        return (not self.is_emergency, self.since, self.consult)


class WaitingQueue:
    """All desks of one relay, by name."""

    def __init__(self) -> None:
        self._waiters: dict[str, Waiter] = {}
        self._lines: dict[str, list[Waiter]] = {}  # sorted; made when somebody asks, dropped with each change
        self._busy: dict[str, dict[str, None]] = defaultdict(dict)  # by decider: the consults that have them
        self._deciders: dict[str, tuple[str, ...]] = {}  # by consult
        self._handed: dict[str, str] = {}  # by consult: to whom, until a record says so

    def see(self, record: Record) -> None:
        """
        What is so now of one consult; of one that is over, nothing. A record in which a consult could still be handed
        out does not take back that it was: it may be from before, where facts are seen as they become durable.
        """
        consult = record.plan.consult
        self._forget(consult)
        deciders = [each.sub for each in record.there if record.is_decider(each.role)]
        if record.taken_by and not record.is_over:
            deciders.append(record.taken_by)
        waiting = [each for each in record.waiting if record.is_emergency or not each.held_at]
        if record.state != states.WAITING or not waiting or deciders:
            self._handed.pop(consult, None)
        elif consult in self._handed:
            deciders.append(self._handed[consult])
        self._note(consult, *deciders)
        if record.state != states.WAITING or not waiting:
            return
        self._waiters[consult] = Waiter(
            consult,
            record.plan.queue,
            min(each.since for each in waiting),
            record.is_emergency,
            tuple(each.sub for each in waiting),
            is_free=not deciders,
        )

    def _note(self, consult: str, *deciders: str) -> None:
        self._deciders[consult] = deciders
        for sub in deciders:
            self._busy[sub][consult] = None

    def _forget(self, consult: str) -> None:
        self._waiters.pop(consult, None)
        self._lines.clear()
        for sub in self._deciders.pop(consult, ()):
            self._busy[sub].pop(consult, None)
            if not self._busy[sub]:
                del self._busy[sub]

    def line(self, queue: str) -> tuple[Waiter, ...]:
        """Who waits there, the next one first."""
        if queue not in self._lines:
            at_desk = (each for each in self._waiters.values() if each.queue == queue)
            self._lines[queue] = sorted(at_desk, key=lambda each: each.rank)
        return tuple(self._lines[queue])

    def position(self, consult: str) -> int:
        """How many are called up to this one, itself included: 1 is the next. 0: it does not stand in line."""
        waiter = self._waiters.get(consult)
        if waiter is None:
            return 0
        return 1 + self.line(waiter.queue).index(waiter)

    def consults_of(self, decider: str) -> tuple[str, ...]:
        """Where this one is in, or was handed out to."""
        return tuple(self._busy.get(decider, ()))

    def take(self, queue: str, by: str) -> str:
        """
        The consult that is next at that desk, for a decider who has none. It is handed out from now on; `Consult.take`
        makes it a fact. Where that was refused, `see` of its record says why, and it is handed out no longer.

        Raises RemoteProtocolError busy (has one), not_found (nobody waits).
        """
        if self._busy.get(by):
            raise RemoteProtocolError("busy", "whoever has a patient is not handed another")
        waiter = next((each for each in self.line(queue) if each.is_free), None)
        if waiter is None:
            raise RemoteProtocolError("not_found", "nobody waits")
        self._handed[waiter.consult] = by
        self._note(waiter.consult, by)
        self._waiters[waiter.consult] = replace(waiter, is_free=False)
        self._lines.pop(queue)
        return waiter.consult
