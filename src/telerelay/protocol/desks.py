"""
The messages of a desk's WebSocket: who is there, who waits, what rings. docs/signaling.md is normative.

Sans-I/O, as messages.py, with which it shares replies and errors.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from telerelay.consult.presence import AtDesk
from telerelay.protocol.fields import MAX_MESSAGE_BYTES, Field, boolean, decoded, room, text

MAX_SHOWN = 100
"""Consults of one line that a desk is shown: further ones are counted, and come up."""


@dataclass(frozen=True, slots=True)
class Open:
    """The first message: whose desk this is. `is_away`: not to be rung yet."""

    id: int | None
    token: str
    is_away: bool = False


@dataclass(frozen=True, slots=True)
class Away:
    """Somebody steps away from the desk, or is back."""

    id: int | None
    is_away: bool


@dataclass(frozen=True, slots=True)
class Accept:
    id: int | None
    consult: str


@dataclass(frozen=True, slots=True)
class Decline:
    id: int | None
    consult: str


@dataclass(frozen=True, slots=True)
class Take:
    """The next one who waits at a queue of this desk."""

    id: int | None
    queue: str


@dataclass(frozen=True, slots=True)
class GiveBack:
    id: int | None
    consult: str


Request = Open | Away | Accept | Decline | Take | GiveBack

_REQUESTS: dict[str, tuple[dict[str, Field], Callable[[dict[str, Any]], Request]]] = {
    "open": (
        {"token": Field(text(4096)), "away": Field(boolean, is_required=False)},
        lambda f: Open(f.get("id"), f["token"], f.get("away", False)),
    ),
    "away": ({"away": Field(boolean)}, lambda f: Away(f.get("id"), f["away"])),
    "accept": ({"consult": Field(room)}, lambda f: Accept(f.get("id"), f["consult"])),
    "decline": ({"consult": Field(room)}, lambda f: Decline(f.get("id"), f["consult"])),
    "take": ({"queue": Field(text(128))}, lambda f: Take(f.get("id"), f["queue"])),
    "give_back": ({"consult": Field(room)}, lambda f: GiveBack(f.get("id"), f["consult"])),
}


def decode(message: str, max_bytes: int = MAX_MESSAGE_BYTES) -> Request:
    """What somebody at a desk asks. Raises RemoteProtocolError bad_message, naming the member, or too_large."""
    request: Request = decoded(_REQUESTS, message, max_bytes)
    return request


# -------------------------------------------------------------------- relay to desk


@dataclass(frozen=True, slots=True)
class Call:
    """
    A consult that rings at somebody's desk, `since` then and up to `until` (Unix seconds); `is_missed`: it did, and may
    still be answered, for nobody has.
    """

    consult: str
    queue: str
    since: float
    until: float
    is_emergency: bool
    is_missed: bool = False


@dataclass(frozen=True, slots=True)
class InLine:
    """A consult that waits at a queue. `is_free`: it can be taken."""

    consult: str
    queue: str
    since: float
    is_emergency: bool
    people: int
    is_free: bool


def presence(people: Sequence[AtDesk]) -> str:
    """Who is at the queues of a desk."""
    listed = [
        {"queue": each.queue, "sub": each.sub, "role": each.role, "status": each.status, "since": each.since}
        for each in people
    ]
    return _sign({"type": "presence", "people": listed})


def line(consults: Sequence[InLine]) -> str:
    """Who waits at the queues of a desk, each queue's next one first."""
    listed = [
        {
            "consult": each.consult,
            "queue": each.queue,
            "since": each.since,
            "emergency": each.is_emergency,
            "people": each.people,
            "free": each.is_free,
        }
        for each in consults[:MAX_SHOWN]
    ]
    return _sign({"type": "line", "consults": listed, "count": len(consults)})


def ringing(calls: Sequence[Call]) -> str:
    """What rings at a desk, all of it; what is not named rings no more."""
    listed = [
        {
            "consult": each.consult,
            "queue": each.queue,
            "since": each.since,
            "until": each.until,
            "emergency": each.is_emergency,
            "missed": each.is_missed,
        }
        for each in calls
    ]
    return _sign({"type": "ringing", "calls": listed})


def _sign(value: dict[str, object]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
