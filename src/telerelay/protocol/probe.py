"""
The messages of a probe's WebSocket: a test call, rates up and down, and what is thought of it all.

Sans-I/O, as messages.py, with which it shares replies and errors. docs/signaling.md is normative.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from telerelay.probe.judging import DEVICE_CODES, LINE_CODES, UDP_CODES, Found
from telerelay.probe.sentences import LANGUAGES
from telerelay.protocol.fields import (
    MAX_MESSAGE_BYTES,
    Check,
    Field,
    any_text,
    boolean,
    decoded,
    fields_of,
    integer,
    number,
    one_of,
    text,
)

MAX_RATE_S = 5.0
"""How long a rate may be measured."""


@dataclass(frozen=True, slots=True)
class Begin:
    """The first message; a token where the relay wants one."""

    id: int | None
    token: str = ""


@dataclass(frozen=True, slots=True)
class Publish:
    """The offer of a test call: one sound that is sent."""

    id: int | None
    sdp: str


@dataclass(frozen=True, slots=True)
class Receive:
    """The offer of the way back: the same sound, as the relay forwards it."""

    id: int | None
    sdp: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Answered at once."""

    id: int | None


@dataclass(frozen=True, slots=True)
class CallStats:
    """What came of the sound that is sent."""

    id: int | None


@dataclass(frozen=True, slots=True)
class Down:
    """Have binary messages sent for so long."""

    id: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Up:
    """Binary messages come from here on; after so long it is answered what came."""

    id: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Judge:
    """What is thought of what was found, in that language."""

    id: int | None
    found: Found
    language: str


Request = Begin | Publish | Receive | Ping | CallStats | Down | Up | Judge


def _optional(check: Check) -> Field:
    return Field(lambda value, where: None if value is None else check(value, where), is_required=False)


_BPS, _MS = number(0, 1e12), number(0, 1e6)
_FOUND: dict[str, Field] = {
    "camera": _optional(one_of(*DEVICE_CODES)),
    "width": _optional(integer(0, 65535)),
    "height": _optional(integer(0, 65535)),
    "microphone": _optional(one_of(*DEVICE_CODES)),
    "tcp": _optional(one_of(*LINE_CODES)),
    "port": _optional(integer(0, 65535)),
    "tcp_443": _optional(one_of(*LINE_CODES)),
    "is_443_needed": Field(boolean, is_required=False),
    "udp": _optional(one_of(*UDP_CODES)),
    "up_bps": _optional(_BPS),
    "down_bps": _optional(_BPS),
    "lost_up": _optional(number(0, 1)),
    "lost_down": _optional(number(0, 1)),
    "jitter_up_ms": _optional(_MS),
    "jitter_down_ms": _optional(_MS),
    "delay_ms": _optional(_MS),
}


def _found(value: object, where: str) -> Found:
    return Found(**fields_of(value, _FOUND, where))


_REQUESTS: dict[str, tuple[dict[str, Field], Callable[[dict[str, Any]], Request]]] = {
    "begin": ({"token": Field(text(4096), is_required=False)}, lambda f: Begin(f.get("id"), f.get("token", ""))),
    "publish": ({"sdp": Field(any_text)}, lambda f: Publish(f.get("id"), f["sdp"])),
    "receive": ({"sdp": Field(any_text)}, lambda f: Receive(f.get("id"), f["sdp"])),
    "ping": ({}, lambda f: Ping(f.get("id"))),
    "stats": ({}, lambda f: CallStats(f.get("id"))),
    "down": ({"seconds": Field(number(0.1, MAX_RATE_S))}, lambda f: Down(f.get("id"), f["seconds"])),
    "up": ({"seconds": Field(number(0.1, MAX_RATE_S))}, lambda f: Up(f.get("id"), f["seconds"])),
    "judge": (
        {"found": Field(_found), "language": Field(one_of(*LANGUAGES))},
        lambda f: Judge(f.get("id"), f["found"], f["language"]),
    ),
}


def decode(message: str, max_bytes: int = MAX_MESSAGE_BYTES) -> Request:
    """What a probe asks. Raises RemoteProtocolError bad_message, naming the member, or too_large."""
    request: Request = decoded(_REQUESTS, message, max_bytes)
    return request
