"""
The life of a consult, and of each person in it, as tables: (state, event) to the next state; what no row lists changes
nothing.

Pure. Both drive record.py: an event is a fact, by the word of `event_of` and `person_event_of`. docs/states.md has the
same rows, and tests hold the two to each other.
"""

from collections.abc import Mapping

from telerelay.consult.facts import Arrived, Denied, Fact
from telerelay.states import Table

SCHEDULED = "scheduled"
"""It exists; nobody has come."""

WAITING = "waiting"
"""Somebody has come: those who have to be admitted wait, or a decider waits for them."""

ADMITTED = "admitted"
"""Somebody was let in; the call is not whole yet."""

IN_PROGRESS = "in_progress"
INTERRUPTED = "interrupted"
"""Somebody of the call was lost, or went; nothing is ended by that."""

ENDED = "ended"
CANCELLED = "cancelled"
NO_SHOW = "no_show"
"""Not the end: whoever comes late, while the consult is open, waits as others do."""

DENIED = "denied"
FAILED = "failed"

STATES = (SCHEDULED, WAITING, ADMITTED, IN_PROGRESS, INTERRUPTED, ENDED, CANCELLED, NO_SHOW, DENIED, FAILED)
CALLS = frozenset({IN_PROGRESS, INTERRUPTED})
"""It has come to a call: from here on it can only end."""

BEFORE_CALL = frozenset({SCHEDULED, WAITING, NO_SHOW, ADMITTED})

CONSULT: Table = {
    (SCHEDULED, "arrived"): WAITING,
    (SCHEDULED, "decider arrived"): WAITING,
    (SCHEDULED, "cancelled"): CANCELLED,
    (SCHEDULED, "no_show"): NO_SHOW,
    (SCHEDULED, "failed"): FAILED,
    (WAITING, "admitted"): ADMITTED,
    (WAITING, "in_progress"): IN_PROGRESS,  # all of them are deciders: nobody has to be let in
    (WAITING, "denied last"): DENIED,
    (WAITING, "rescheduled"): SCHEDULED,
    (WAITING, "cancelled"): CANCELLED,
    (WAITING, "no_show"): NO_SHOW,
    (WAITING, "ended"): ENDED,
    (WAITING, "failed"): FAILED,
    (WAITING, "closed"): NO_SHOW,  # told before; somebody came late, and went
    (NO_SHOW, "arrived"): WAITING,
    (NO_SHOW, "in_progress"): IN_PROGRESS,
    (NO_SHOW, "rescheduled"): SCHEDULED,
    (NO_SHOW, "cancelled"): CANCELLED,
    (NO_SHOW, "failed"): FAILED,
    (ADMITTED, "in_progress"): IN_PROGRESS,
    (ADMITTED, "ended"): ENDED,
    (ADMITTED, "failed"): FAILED,
    (IN_PROGRESS, "interrupted"): INTERRUPTED,
    (IN_PROGRESS, "ended"): ENDED,
    (INTERRUPTED, "resumed"): IN_PROGRESS,
    (INTERRUPTED, "ended"): ENDED,
}
"""One consult."""

ABSENT, AT_DOOR, LET_IN, INSIDE, REFUSED = "absent", "waiting", "admitted", "inside", "denied"
THERE = frozenset({AT_DOOR, LET_IN, INSIDE})
"""Has a seat."""

PERSON: Table = {
    (ABSENT, "arrived"): AT_DOOR,
    (ABSENT, "decider arrived"): LET_IN,
    (AT_DOOR, "admitted"): LET_IN,
    (AT_DOOR, "denied"): REFUSED,
    (AT_DOOR, "left"): ABSENT,
    (LET_IN, "entered"): INSIDE,
    (LET_IN, "left"): ABSENT,
    (INSIDE, "left"): ABSENT,
    (REFUSED, "rescheduled"): ABSENT,
}
"""One sub in one consult. A loss is beside it: whoever is lost keeps the state until the seat's time is over."""

TABLES: Mapping[str, Table] = {"consult": CONSULT, "person": PERSON}


def event_of(fact: Fact) -> str:
    """The word a fact has in CONSULT."""
    match fact:
        case Arrived(is_waiting=False):
            return "decider arrived"
        case Denied(is_last=True):
            return "denied last"
    return fact.kind


def person_event_of(fact: Fact) -> str:
    """The word a fact has in PERSON."""
    return "decider arrived" if isinstance(fact, Arrived) and not fact.is_waiting else fact.kind
