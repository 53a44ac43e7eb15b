"""
Who is at which desk: there, away, with a patient, or gone.

Pure; of now alone: it follows from the desks that are open, and is lost with the process, whose clients come back.
Somebody may have the desk open in several places, and is there if it is so in one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from telerelay.errors import RemoteProtocolError

Status = Literal["available", "busy", "away", "gone"]
AVAILABLE: Status = "available"
BUSY: Status = "busy"
AWAY: Status = "away"
GONE: Status = "gone"
STATUSES: tuple[Status, ...] = (AVAILABLE, BUSY, AWAY, GONE)

MAX_PLACES = 8
"""Open desks of one person: a surgery, a home, a telephone; more is a page that opens itself."""


@dataclass(frozen=True, slots=True)
class Desk:
    """One that is open: whose, in which role, and the queues it is for."""

    sub: str
    role: str
    queues: tuple[str, ...]
    is_away: bool = False


@dataclass(frozen=True, slots=True)
class AtDesk:
    """Somebody at one queue; `since` is when that status began, Unix seconds."""

    queue: str
    sub: str
    role: str
    status: Status
    since: float


class Presence:
    """All desks of one relay; `key` is whatever tells one from another."""

    def __init__(self) -> None:
        self._desks: dict[object, Desk] = {}
        self._known: dict[tuple[str, str], AtDesk] = {}  # by queue and sub

    def open(self, key: object, desk: Desk) -> None:
        """Raises RemoteProtocolError too_many_requests: this person has as many open as may be."""
        if sum(each.sub == desk.sub for each in self._desks.values()) >= MAX_PLACES:
            raise RemoteProtocolError("too_many_requests", f"one person may have {MAX_PLACES} desks open")
        self._desks[key] = desk

    def set_away(self, key: object, is_away: bool) -> None:
        """Nothing, where it is not open."""
        if (desk := self._desks.get(key)) is not None:
            self._desks[key] = replace(desk, is_away=is_away)

    def close(self, key: object) -> None:
        """Safe twice."""
        self._desks.pop(key, None)

    def look(self, now: float, is_busy: Callable[[str], bool]) -> tuple[AtDesk, ...]:
        """What is another than when this was asked before; who is gone is named once more."""
        found: dict[tuple[str, str], AtDesk] = {}
        for desk in self._desks.values():
            status = AWAY if desk.is_away else BUSY if is_busy(desk.sub) else AVAILABLE
            for queue in desk.queues:
                here = found.get((queue, desk.sub))
                if here is None or here.status == AWAY:
                    found[queue, desk.sub] = AtDesk(queue, desk.sub, desk.role, status, now)
        changes = []
        for place, each in found.items():
            known = self._known.get(place)
            if known is not None and (known.status, known.role) == (each.status, each.role):
                found[place] = known
            else:
                changes.append(each)
        gone = [replace(self._known[place], status=GONE, since=now) for place in self._known.keys() - found.keys()]
        self._known = found
        return (*changes, *gone)

    def at(self, queue: str) -> tuple[AtDesk, ...]:
        """Who is there, as last looked at, longest in that status first."""
        return tuple(sorted((each for each in self._known.values() if each.queue == queue), key=_rank))

    def status(self, sub: str) -> Status:
        """Of one person, at whatever desk, as last looked at."""
        found = [each.status for each in self._known.values() if each.sub == sub]
        return min(found, key=STATUSES.index, default=GONE)


def _rank(person: AtDesk) -> tuple[float, str]:
    return (person.since, person.sub)
