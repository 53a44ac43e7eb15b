"""
What can happen to a request for expertise: one frozen value for each thing that did.

Pure. Written down as the facts of consults are (consult/facts.py), under names that no consult has. Clear parts hold
opaque ids, hashes and numbers; question and answer are personal, sealed by themselves, and told to no hook.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from telerelay.consult.facts import PERSONAL, RELAY, Fact
from telerelay.consult.plan import MAX_IMAGES, MAX_SPAN_S
from telerelay.errors import LocalProtocolError, RemoteProtocolError
from telerelay.hooks.told import EXPERTISE
from telerelay.protocol.names import is_room_name, is_sub

PREFIX = EXPERTISE
"""Before a request's id in the journal."""

REMIND_AFTER_S, DUE_AFTER_S = 20 * 3600.0, 24 * 3600.0
"""An answer within a day, and a word before it is too late, while there is a working half-day left."""

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ExpertiseFact(Fact):
    """What all of them have: `at`, Unix seconds by the consults' clock, never earlier than the fact before."""


@dataclass(frozen=True, slots=True)
class Requested(ExpertiseFact):
    """
    `by` asks those of `queue`. `images` are SHA-256 in hex of the pictures that belong to it, which the host keeps;
    `consult` is the one it came out of, if it did. It is due `due_after_s` after `at`, and reminded of before that.
    """

    kind: ClassVar[str] = "expertise_requested"
    by: str
    queue: str = ""
    images: tuple[str, ...] = ()
    consult: str = ""
    remind_after_s: float = REMIND_AFTER_S
    due_after_s: float = DUE_AFTER_S
    question: Annotated[str, PERSONAL] = ""


@dataclass(frozen=True, slots=True)
class Accepted(ExpertiseFact):
    """`by` will answer it, and nobody else."""

    kind: ClassVar[str] = "expertise_accepted"
    by: str


@dataclass(frozen=True, slots=True)
class Declined(ExpertiseFact):
    """`by` gives it back: others may accept it. Its times stay."""

    kind: ClassVar[str] = "expertise_declined"
    by: str


@dataclass(frozen=True, slots=True)
class Reminded(ExpertiseFact):
    """It was due to be reminded of at `due_at`, and is not answered."""

    kind: ClassVar[str] = "expertise_reminded"
    due_at: float


@dataclass(frozen=True, slots=True)
class Overdue(ExpertiseFact):
    """It was due at `due_at`, and is not answered. It may still be."""

    kind: ClassVar[str] = "expertise_overdue"
    due_at: float


@dataclass(frozen=True, slots=True)
class WentLive(ExpertiseFact):
    """`by` opened a consult for it, whose plan names it and its images."""

    kind: ClassVar[str] = "expertise_live"
    by: str
    consult: str


@dataclass(frozen=True, slots=True)
class Answered(ExpertiseFact):
    kind: ClassVar[str] = "expertise_answered"
    by: str
    answer: Annotated[str, PERSONAL] = ""


@dataclass(frozen=True, slots=True)
class Withdrawn(ExpertiseFact):
    """It is called off."""

    kind: ClassVar[str] = "expertise_withdrawn"
    by: str = RELAY


Facts = tuple[ExpertiseFact, ...]

KINDS: Mapping[str, type[ExpertiseFact]] = {
    each.kind: each for each in (Requested, Accepted, Declined, Reminded, Overdue, WentLive, Answered, Withdrawn)
}


def from_json(kind: str, at: float, clear: Mapping[str, Any], personal: Mapping[str, Any] | None) -> ExpertiseFact:
    """The fact again; `personal` None: destroyed, it is empty then. Raises ValueError."""
    if kind not in KINDS:
        raise ValueError("a fact of a kind that is not known")
    parts = {**clear, **(personal or {})}
    if isinstance(parts.get("images"), list):
        parts["images"] = tuple(parts["images"])
    try:
        return KINDS[kind](at=at, **parts)
    except (TypeError, LocalProtocolError) as error:
        raise ValueError(f"not a fact of the kind {kind}") from error


def check_request(request: str, fact: Requested) -> None:
    """For what comes from outside. Raises RemoteProtocolError bad_message."""
    if not is_room_name(request):
        raise _bad("a request has an id of 1 to 64 letters, digits, dots, dashes and underscores")
    if not is_sub(fact.by):
        raise _bad("a request names who asks")
    if len(fact.images) > MAX_IMAGES or len(set(fact.images)) != len(fact.images):
        raise _bad(f"images must be at most {MAX_IMAGES}, each once")
    if not all(_SHA256.fullmatch(each) for each in fact.images):
        raise _bad("images must be SHA-256, 64 hexadecimal digits each")
    if fact.consult and not is_room_name(fact.consult):
        raise _bad("consult must be a consult's id")
    if not 0.0 < fact.remind_after_s <= fact.due_after_s <= MAX_SPAN_S:
        raise _bad("remind_after_s comes before due_after_s, which is a year at most")


def _bad(message: str) -> RemoteProtocolError:
    return RemoteProtocolError("bad_message", message)
