"""
What is known of one request: a fold over its facts, what may be done with it, and what is due of it.

Pure: time is an argument. A command returns the facts that it would add, or raises and adds nothing.
"""

from dataclasses import dataclass, replace
from typing import Any

from telerelay.errors import LocalProtocolError, RemoteProtocolError
from telerelay.expertise.facts import (
    Accepted,
    Answered,
    Declined,
    ExpertiseFact,
    Facts,
    Overdue,
    Reminded,
    Requested,
    WentLive,
    Withdrawn,
)

REQUESTED, ACCEPTED, ANSWERED, WITHDRAWN = "requested", "accepted", "answered", "withdrawn"

MAX_LIVE = 16
"""Consults that one request opens: a line that broke is none of them, for a seat is kept."""

_AFTER: dict[tuple[str, type[ExpertiseFact]], str] = {
    (REQUESTED, Accepted): ACCEPTED,
    (ACCEPTED, Declined): REQUESTED,
    (ACCEPTED, Answered): ANSWERED,
    (REQUESTED, Withdrawn): WITHDRAWN,
    (ACCEPTED, Withdrawn): WITHDRAWN,
}
"""Each state that a fact changes, and to what; of a state and a fact that are not here there is no such fact."""

_STAYS = (Reminded, Overdue, WentLive)
"""What changes no state."""


@dataclass(frozen=True, slots=True)
class ExpertiseStatus:
    """A request as it is: `due_at` and `at` (its last fact) in Unix seconds; `by` asks, `expert` accepted it."""

    request: str
    state: str
    by: str
    queue: str
    images: tuple[str, ...]
    consult: str
    requested_at: float
    remind_at: float
    due_at: float
    at: float
    expert: str = ""
    is_reminded: bool = False
    is_overdue: bool = False
    live: tuple[str, ...] = ()
    """Consults that were opened for it."""
    sequence: int = 1
    """The number of its last fact."""

    @property
    def is_over(self) -> bool:
        return self.state in (ANSWERED, WITHDRAWN)

    def next_due(self) -> float | None:
        """When something is due by itself, Unix seconds; None: nothing is."""
        if self.is_over or self.is_overdue:
            return None
        return self.due_at if self.is_reminded else self.remind_at

    def to_json(self) -> dict[str, Any]:
        return {
            "request": self.request,
            "state": self.state,
            "by": self.by,
            "queue": self.queue,
            "images": list(self.images),
            "consult": self.consult,
            "requested_at": self.requested_at,
            "due_at": self.due_at,
            "expert": self.expert,
            "reminded": self.is_reminded,
            "overdue": self.is_overdue,
            "live": list(self.live),
        }


def begin(request: str, fact: ExpertiseFact) -> ExpertiseStatus:
    """Of the first fact. Raises LocalProtocolError bad_fact for another."""
    if not isinstance(fact, Requested):
        raise LocalProtocolError("bad_fact", "a request begins with being made")
    return ExpertiseStatus(
        request,
        REQUESTED,
        fact.by,
        fact.queue,
        fact.images,
        fact.consult,
        fact.at,
        fact.at + fact.remind_after_s,
        fact.at + fact.due_after_s,
        fact.at,
    )


def fold(status: ExpertiseStatus, *facts: ExpertiseFact) -> ExpertiseStatus:
    """After these. Raises LocalProtocolError bad_fact for one that cannot follow."""
    for fact in facts:
        status = _fold(status, fact)
    return status


def replay(request: str, facts: Facts) -> ExpertiseStatus:
    """All of a request's facts, in order. Raises LocalProtocolError bad_fact."""
    if not facts:
        raise LocalProtocolError("bad_fact", "a request begins with being made")
    return fold(begin(request, facts[0]), *facts[1:])


def _fold(status: ExpertiseStatus, fact: ExpertiseFact) -> ExpertiseStatus:
    if status.is_over or not (isinstance(fact, _STAYS) or (status.state, type(fact)) in _AFTER):
        raise LocalProtocolError("bad_fact", f"{fact.kind} cannot follow in the state {status.state}")
    if fact.at < status.at:
        raise LocalProtocolError("bad_fact", "a fact is not older than the one before it")
    state = _AFTER.get((status.state, type(fact)), status.state)
    status = replace(status, state=state, at=fact.at, sequence=status.sequence + 1)
    match fact:
        case Accepted(by=by):
            return replace(status, expert=by)
        case Declined():
            return replace(status, expert="")
        case Reminded() if not status.is_reminded and not status.is_overdue:
            return replace(status, is_reminded=True)
        case Overdue() if not status.is_overdue:
            return replace(status, is_overdue=True)
        case Reminded() | Overdue():
            raise LocalProtocolError("bad_fact", f"{fact.kind} is told once")
        case WentLive(consult=consult):
            return replace(status, live=(*status.live, consult))
    return status


# -------------------------------------------------------------------- what is due


def due(now: float, status: ExpertiseStatus) -> Facts:
    """
    What has fallen due by now. What is overdue already is reminded of no more: that would come too late to be of use.
    """
    due_at = status.next_due()
    at = max(now, status.at)
    if due_at is None or at < due_at:
        return ()
    if at >= status.due_at:
        return (Overdue(at, status.due_at),)
    return (Reminded(at, status.remind_at),)


# -------------------------------------------------------------------- what may be done


def accept(now: float, status: ExpertiseStatus, by: str) -> Facts:
    """`by` will answer it. Raises RemoteProtocolError conflict: another does, or it is over."""
    _check(status, REQUESTED)
    return (Accepted(max(now, status.at), by),)


def decline(now: float, status: ExpertiseStatus, by: str) -> Facts:
    """Whoever accepted it gives it back. Raises RemoteProtocolError conflict, forbidden."""
    _check(status, ACCEPTED)
    _check_expert(status, by)
    return (Declined(max(now, status.at), by),)


def answer(now: float, status: ExpertiseStatus, by: str, text: str) -> Facts:
    """Whoever accepted it answers; nothing follows. Raises RemoteProtocolError conflict, forbidden."""
    _check(status, ACCEPTED)
    _check_expert(status, by)
    return (Answered(max(now, status.at), by, text),)


def withdraw(now: float, status: ExpertiseStatus, by: str) -> Facts:
    """It is called off; nothing follows. Raises RemoteProtocolError conflict."""
    _check(status, REQUESTED, ACCEPTED)
    return (Withdrawn(max(now, status.at), by),)


def go_live(now: float, status: ExpertiseStatus, by: str, consult: str) -> Facts:
    """Whoever asks, or whoever accepted it, has a consult opened. Raises RemoteProtocolError conflict, forbidden."""
    _check(status, ACCEPTED)
    if by not in (status.by, status.expert):
        raise RemoteProtocolError("forbidden", "whoever asked and whoever accepted it may go live")
    if consult in status.live:
        return ()
    if len(status.live) >= MAX_LIVE:
        raise RemoteProtocolError("too_many_requests", "there are too many consults for this request")
    return (WentLive(max(now, status.at), by, consult),)


def _check(status: ExpertiseStatus, *states: str) -> None:
    if status.state not in states:
        raise RemoteProtocolError("conflict", f"the request is {status.state}")


def _check_expert(status: ExpertiseStatus, by: str) -> None:
    if by != status.expert:
        raise RemoteProtocolError("forbidden", "another accepted it")
