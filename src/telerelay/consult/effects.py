"""
What is to be done because a fact has become one: carried out once the fact is durable, never before.

Pure. Carrying one out twice does no harm: after a restart `owed` says again what may not have been done.
"""

from dataclasses import dataclass

from telerelay.consult import states
from telerelay.consult.facts import (
    Admitted,
    Arrived,
    Closed,
    Denied,
    Ended,
    Fact,
    Held,
    Left,
    PrioritySet,
    Released,
    Rescheduled,
    TimerFired,
)
from telerelay.consult.record import Record, fold


@dataclass(frozen=True, slots=True)
class Admit:
    """This person's transports may carry media; it is in the room now. The only effect that lets media pass."""

    sub: str


@dataclass(frozen=True, slots=True)
class Remove:
    """This person is no longer in the room, nor at its door. `reason`: left, timeout, removed, denied."""

    sub: str
    reason: str


@dataclass(frozen=True, slots=True)
class TellState:
    """All who are there, and the host, are told the state, which is another than it was."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class TellDesk:
    """Who waits, or how urgently, is not what it was: deciders who are in are told, and the queue's others."""


@dataclass(frozen=True, slots=True)
class KillLinks:
    """Whoever has a link from before has none: the consult's time is another."""


@dataclass(frozen=True, slots=True)
class TellTimer:
    """The host is told that a timer was due."""

    timer: str
    due_at: float
    sub: str = ""


@dataclass(frozen=True, slots=True)
class EndRoom:
    """Everyone is told and goes. `reason`: ended, cancelled, no_show, denied, failed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Attest:
    """One attestation is to be made of all facts, and then Attested is the next one."""


@dataclass(frozen=True, slots=True)
class Forget:
    """Nothing follows: the consult need not be held in memory."""


Effect = Admit | Remove | TellState | TellDesk | KillLinks | TellTimer | EndRoom | Attest | Forget

_DESK = (Arrived, Admitted, Denied, Left, Held, Released, PrioritySet)


def effects_of(before: Record, fact: Fact) -> tuple[Effect, ...]:
    """What this fact, the next one of that record, has done. Raises LocalProtocolError bad_fact if it cannot be."""
    return effects_between(before, fact, fold(before, fact))


def effects_between(before: Record, fact: Fact, record: Record) -> tuple[Effect, ...]:
    """As `effects_of`, where the record after the fact is known."""
    effects: list[Effect] = []
    match fact:
        case Admitted(_, sub):
            effects.append(Admit(sub))
        case Arrived(_, sub, is_waiting=False):
            effects.append(Admit(sub))
        case Denied(_, sub):
            effects.append(Remove(sub, "denied"))
        case Left(_, sub, reason):
            effects.append(Remove(sub, reason))
        case Rescheduled():
            effects.append(KillLinks())
        case TimerFired(_, timer, due_at, sub):
            effects.append(TellTimer(timer, due_at, sub))
    if record.state != before.state:
        effects.append(TellState(before.state, record.state))
    if isinstance(fact, _DESK):
        effects.append(TellDesk())
    if isinstance(fact, Ended):
        effects += [EndRoom(states.ENDED), Attest()]
    elif isinstance(fact, Closed):
        effects.append(EndRoom(record.state))
    if record.is_closed:
        effects.append(Forget())
    return tuple(effects)


def owed(record: Record) -> tuple[Effect, ...]:
    """What a process that goes on from the journal carries out again: it may not have been done."""
    if record.is_closed:
        return (EndRoom(record.state), Forget())
    if record.ended is not None:
        return (EndRoom(states.ENDED), Attest())
    return tuple(Admit(person.sub) for person in record.there if person.is_admitted)
