"""
The facts that one command adds, and those that follow from them by themselves: a call that begins, breaks, or is whole
again; a third party who goes, for a patient no longer consents.

Pure: a draft is made of a record and thrown away; the record it began with stays what it was.
"""

from telerelay.consult import states, timers
from telerelay.consult.facts import (
    RELAY,
    Closed,
    Ended,
    Fact,
    Failed,
    InProgress,
    Interrupted,
    Left,
    NoShow,
    Resumed,
    Returned,
    RingEnded,
    StillAnswered,
    TimerFired,
)
from telerelay.consult.record import Person, Record, fold
from telerelay.consult.recording import follows
from telerelay.consult.timers import Timer, timers_of

CONVERSING = frozenset({"patient", "companion", "practitioner", "requester", "expert", "assistant"})
"""Roles that a call is held with. An interpreter, observer, recorder or device is in it, and no call by itself."""

Facts = tuple[Fact, ...]


class Draft:
    """A record, and what is to come: `add` facts, `settle`, and take the `facts`. Raises what `fold` raises."""

    def __init__(self, record: Record, now: float) -> None:
        # No fact is older than the one before it.
        self.now = max(now, record.at)
        self.record = record
        self._facts: list[Fact] = []

    @property
    def facts(self) -> Facts:
        return tuple(self._facts)

    def add(self, *facts: Fact) -> "Draft":
        for fact in facts:
            self.record = fold(self.record, fact)
            self._facts.append(fact)
        return self

    def settle(self) -> Facts:
        """Add what follows by itself, and hand out all of it."""
        while (fact := _following(self.record, self.now)) is not None:
            self.add(fact)
        return self.facts

    def tick(self) -> Facts:
        """Fire what is due, one after the other, each with what follows from it."""
        self.settle()
        while (due := timers_of(self.record)) and due[0].due_at <= self.now:
            self._fire(due[0])
            self.settle()
        return self.facts

    def _fire(self, timer: Timer) -> None:
        now, record = self.now, self.record
        self.add(TimerFired(now, timer.name, timer.due_at, timer.sub))
        match timer.name:
            case timers.SEAT:
                self.add(Left(now, timer.sub, "timeout"))
            case timers.NO_SHOW:
                self.add(NoShow(now, "patient_side"))
            case timers.TAKE:
                self.add(Returned(now, record.taken_by))
            case timers.RING:
                self.add(RingEnded(now, timer.sub, "unanswered"))
            case timers.STILL:
                answer = "timeout" if record.stills[timer.key].state == "asked" else "failed"
                self.add(StillAnswered(now, timer.key, timer.sub, answer))
            case timers.CLOSE:
                if not record.was_no_show:
                    self.add(NoShow(now, _missing(record)))
                self.add(Closed(now))
            case timers.EMPTY if record.state in states.CALLS:
                was_lost = record.last_left is not None and record.last_left.reason == "timeout"
                self.add(Ended(now, RELAY, "technical_failure" if was_lost else "left"))
            case timers.EMPTY:
                self.add(Failed(now, "never_connected"), Closed(now))


def _missing(record: Record) -> str:
    if not record.has_come:
        return "patient_side"
    return "patient_side" if any(record.is_decider(each.role) for each in record.people.values()) else "decider"


# -------------------------------------------------------------------- the call


def is_call(record: Record) -> bool:
    """Two people in different roles have entered and miss nothing, one of them a decider where there is such a role."""
    roles = {each.role for each in _inside(record) if not each.lost}
    return len(roles) >= 2 and (not record.plan.deciders or any(record.is_decider(role) for role in roles))


def broken(record: Record) -> Person | None:
    """The first of the call who misses something."""
    return next((each for each in _inside(record) if each.lost), None)


def _inside(record: Record) -> list[Person]:
    return [each for each in record.there if each.status == states.INSIDE and each.role in CONVERSING]


def _following(record: Record, now: float) -> Fact | None:
    if record.is_over:
        return None
    if record.unconsented:
        return Left(now, record.unconsented[0].sub, "removed")
    if (recording := follows(record, now)) is not None:
        return recording
    if record.state in states.BEFORE_CALL and record.state != states.SCHEDULED:
        return InProgress(now) if is_call(record) else None
    lost = broken(record)
    if record.state == states.IN_PROGRESS:
        if lost is not None:
            return Interrupted(now, lost.sub, min(lost.lost))
        if not is_call(record):
            return Interrupted(now, record.last_left.sub if record.last_left is not None else "", "left")
    if record.state == states.INTERRUPTED and lost is None and is_call(record):
        return Resumed(now)
    return None
