"""
What can happen to a consult: one frozen value for each thing that did, and how each is written down.

Pure. A fact is never changed or taken back; what a consult is follows from its facts alone (record.py). Clear parts
hold opaque ids, roles, numbers, and words of fixed lists; what somebody wrote freely is marked personal, so that it can
be sealed and destroyed by itself.
"""

import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar

from telerelay.consult.plan import ConsultPlan
from telerelay.errors import LocalProtocolError, RemoteProtocolError, TelerelayError
from telerelay.protocol.names import is_sub
from telerelay.rooms.policy import ROLES

RELAY = "relay"
"""Who it was where nobody said so: a timer was due."""

ATTACHMENTS = ("socket", "whip", "whep")
LOSSES = ("socket", "transport", "camera")
LEAVE_REASONS = ("left", "timeout", "removed", "denied")
DENY_REASONS = ("", "hook", "full", "identity", "not_now", "wrong_service")
CANCEL_REASONS = ("", "patient", "practitioner", "replaced", "technical")
RING_ENDS = ("accepted", "declined", "unanswered", "absent", "away", "busy")
"""Why it rings there no more; the last three: it never did, for nobody was there, or not for this."""

FAIL_REASONS = ("never_connected", "no_worker", "no_capacity", "hook", "journal")
OUTCOMES = (
    "completed",
    "left",
    "technical_failure",
    "video_sufficient",
    "still_needed",
    "cabin_needed",
    "in_person_needed",
)
"""`left`: all went without a word. The last four are what a doctor says of an examination by video."""

MISSING_SIDES = ("patient_side", "decider")
"""Of a no-show: nobody came who would have to be admitted; or somebody did, and nobody who could admit."""

CONSENTS = ("recording", "third_party", "still", "document", "measurement", "observer", "data_sharing")
BYPASSES = (
    *("media", "data", "subscribe", "publish", "roster", "token", "link", "role", "message", "second_tab"),
    *("document", "still", "recording"),
)
OBJECTS = ("document", "still")
STILL_SOURCES = ("", "photo", "frame")
"""How a still was made: the camera's own photo at its full resolution, or, marked so, a frame of its video."""

RECORDING_STATES = ("asked", "running", "paused", "stopped", "forbidden")
RECORDING_REASONS = ("", "asked", "refused", "withdrawn", "joined", "left", "rule", "full", "failed", "restarted")
"""
Somebody had it stopped; said no; took it back; came in and has not agreed yet; all have left; the host's rule does not
let it be asked; the disk is full; it could not go on; another process goes on, which does not go on with that.
"""

STILL_ANSWERS = ("allowed", "refused", "timeout", "forbidden", "failed", "withdrawn")
"""
The person said yes; or no; or nothing in time; the host's rule does not let it be asked; it was allowed and nothing
came of it; whoever asked wants it no more.
"""

HOOK_FAULTS = ("timeout", "exception", "nonsense", "unreachable", "status", "too_large")
SHAPES = ("value", "wave")
"""Of what is measured: single values, or so many a second."""
CAMERA_OUTCOMES = ("done", "refused", "unsupported", "failed", "timeout", "forbidden")
DIRECTIONS = ("up", "down")
DEGRADES = ("usual", "keep", "audio_only")
MAX_RUNG = 32
"""People one consult rings: a duty roster, not a directory."""

MAX_NOTE_CHARS = 4096
"""A page. A relay keeps no records of health: what is longer belongs to the host."""


def check_word(name: str, value: str, words: tuple[str, ...]) -> None:
    """For what comes from outside. Raises RemoteProtocolError bad_message, which lists the words."""
    if value not in words:
        listed = ", ".join(word or '""' for word in words)
        raise RemoteProtocolError("bad_message", f"{name} must be one of {listed}")


def check_note(note: str) -> None:
    """For what comes from outside. Raises RemoteProtocolError too_large."""
    if len(note) > MAX_NOTE_CHARS:
        raise RemoteProtocolError("too_large", f"a note has at most {MAX_NOTE_CHARS} characters")


PERSONAL = "personal"
"""Marks a part that somebody wrote freely."""

_ROLES, _INTERRUPTIONS = tuple(ROLES), (*LOSSES, "left")


@dataclass(frozen=True, slots=True)
class Fact:
    """
    What all facts have. `at` is Unix seconds by the consult's clock (clock.py), never earlier than the fact before.

    Raises LocalProtocolError bad_fact for a value that no fact may have.
    """

    kind: ClassVar[str] = ""

    at: float

    def __post_init__(self) -> None:
        for name, (wanted, words) in _shape(type(self)).items():
            value = getattr(self, name)
            if wanted is float and type(value) is int:
                object.__setattr__(self, name, float(value))
                value = float(value)
            if not _is_valid(value, wanted, words):
                raise LocalProtocolError("bad_fact", f"{self.kind}.{name} is not what it may be")

    def to_json(self) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """(kind, clear parts, personal parts); `at` is kept beside them. What has its default is left out."""
        clear: dict[str, Any] = {}
        personal: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "at" or value == each.default:
                continue
            if isinstance(value, ConsultPlan):
                value = value.to_json()
                if "labels" in value:
                    personal["labels"] = value.pop("labels")
            (personal if _shape(type(self))[each.name][1] == PERSONAL else clear)[each.name] = value
        return self.kind, clear, personal


# -------------------------------------------------------------------- the consult


@dataclass(frozen=True, slots=True)
class Scheduled(Fact):
    kind: ClassVar[str] = "scheduled"
    plan: ConsultPlan
    by: str = RELAY


@dataclass(frozen=True, slots=True)
class Rescheduled(Fact):
    """Links made before are dead from here on."""

    kind: ClassVar[str] = "rescheduled"
    starts_at: float
    by: str = RELAY


@dataclass(frozen=True, slots=True)
class Cancelled(Fact):
    kind: ClassVar[str] = "cancelled"
    by: str
    reason: Annotated[str, CANCEL_REASONS] = ""
    note: Annotated[str, PERSONAL] = ""


@dataclass(frozen=True, slots=True)
class InProgress(Fact):
    """For the first time a decider and somebody else have both entered."""

    kind: ClassVar[str] = "in_progress"


@dataclass(frozen=True, slots=True)
class Interrupted(Fact):
    """The call is not whole any more; `what` is the loss that did it, or "left" where somebody went."""

    kind: ClassVar[str] = "interrupted"
    sub: str
    what: Annotated[str, _INTERRUPTIONS]


@dataclass(frozen=True, slots=True)
class Resumed(Fact):
    kind: ClassVar[str] = "resumed"


@dataclass(frozen=True, slots=True)
class PrioritySet(Fact):
    kind: ClassVar[str] = "priority_set"
    is_emergency: bool
    by: str
    is_host: bool = False


@dataclass(frozen=True, slots=True)
class NoShow(Fact):
    kind: ClassVar[str] = "no_show"
    missing: Annotated[str, MISSING_SIDES]


@dataclass(frozen=True, slots=True)
class Ended(Fact):
    """Its attestation is due."""

    kind: ClassVar[str] = "ended"
    by: str
    outcome: Annotated[str, OUTCOMES]
    is_host: bool = False
    note: Annotated[str, PERSONAL] = ""


@dataclass(frozen=True, slots=True)
class Failed(Fact):
    """It never came to a call, and not by anybody's will."""

    kind: ClassVar[str] = "failed"
    reason: Annotated[str, FAIL_REASONS]


@dataclass(frozen=True, slots=True)
class Closed(Fact):
    """Nothing follows: the last fact of a consult that has no attestation."""

    kind: ClassVar[str] = "closed"


@dataclass(frozen=True, slots=True)
class Attested(Fact):
    """Nothing follows: the last fact of a consult that ended. `digest` is the attestation's SHA-256, in hex."""

    kind: ClassVar[str] = "attested"
    digest: str
    key_id: str


# -------------------------------------------------------------------- its people


@dataclass(frozen=True, slots=True)
class Arrived(Fact):
    """Somebody is at the door: `is_waiting` until a decider decides, or in at once, by role."""

    kind: ClassVar[str] = "arrived"
    sub: str
    role: Annotated[str, _ROLES]
    attachment: Annotated[str, ATTACHMENTS]
    is_waiting: bool


@dataclass(frozen=True, slots=True)
class Admitted(Fact):
    kind: ClassVar[str] = "admitted"
    sub: str
    by: str
    is_host: bool = False


@dataclass(frozen=True, slots=True)
class Denied(Fact):
    """`is_last`: nobody is left whom the consult could be held with."""

    kind: ClassVar[str] = "denied"
    sub: str
    by: str
    reason: Annotated[str, DENY_REASONS] = ""
    is_host: bool = False
    is_last: bool = False
    note: Annotated[str, PERSONAL] = ""


@dataclass(frozen=True, slots=True)
class Entered(Fact):
    """Admitted, and connected."""

    kind: ClassVar[str] = "entered"
    sub: str


@dataclass(frozen=True, slots=True)
class Lost(Fact):
    kind: ClassVar[str] = "lost"
    sub: str
    what: Annotated[str, LOSSES]


@dataclass(frozen=True, slots=True)
class Back(Fact):
    kind: ClassVar[str] = "back"
    sub: str
    what: Annotated[str, LOSSES]


@dataclass(frozen=True, slots=True)
class Left(Fact):
    """For good: the seat is free, and whoever had to be admitted has to be again."""

    kind: ClassVar[str] = "left"
    sub: str
    reason: Annotated[str, LEAVE_REASONS] = "left"


@dataclass(frozen=True, slots=True)
class Held(Fact):
    """There is no room for another call: whoever waits stands in line, `position` people from its head, from 1."""

    kind: ClassVar[str] = "held"
    sub: str
    position: int


@dataclass(frozen=True, slots=True)
class Released(Fact):
    kind: ClassVar[str] = "released"
    sub: str


@dataclass(frozen=True, slots=True)
class Taken(Fact):
    """The queue handed this consult out to `by`, who has no other."""

    kind: ClassVar[str] = "taken"
    by: str


@dataclass(frozen=True, slots=True)
class Returned(Fact):
    """Whom it was handed out to did not come, or gave it back."""

    kind: ClassVar[str] = "returned"
    by: str


@dataclass(frozen=True, slots=True)
class Routed(Fact):
    """
    It is for this desk, and these people are rung for it, the first one first. `is_now`: whether or not anybody waits.
    """

    kind: ClassVar[str] = "routed"
    queue: str
    people: tuple[str, ...] = ()
    attempt: int = 1
    by: str = RELAY
    is_now: bool = False


@dataclass(frozen=True, slots=True)
class Rung(Fact):
    """Somebody's desks ring."""

    kind: ClassVar[str] = "rung"
    sub: str


@dataclass(frozen=True, slots=True)
class RingEnded(Fact):
    """They do not, or no longer. Where the consult was taken, left or ended meanwhile, that fact says so instead."""

    kind: ClassVar[str] = "ring_ended"
    sub: str
    why: Annotated[str, RING_ENDS]


@dataclass(frozen=True, slots=True)
class Consent(Fact):
    """`by`: who said so for this person, the host's word; "": the person."""

    kind: ClassVar[str] = "consent"
    sub: str
    what: Annotated[str, CONSENTS]
    is_given: bool
    by: str = ""


@dataclass(frozen=True, slots=True)
class DocumentReceived(Fact):
    """
    A document or still is here as a whole. `sha256`, in hex, was declared by who sent it and found by the relay;
    `label` is the sender's word for what it is; of a still, `request` is what it answers. Its name may name somebody.
    """

    kind: ClassVar[str] = "document_received"
    document: str
    sub: str
    what: Annotated[str, OBJECTS]
    size_bytes: int
    sha256: str
    media_type: str
    label: str = ""
    request: str = ""
    source: Annotated[str, STILL_SOURCES] = ""
    name: Annotated[str, PERSONAL] = ""


@dataclass(frozen=True, slots=True)
class StillRequested(Fact):
    """`by` asks for a still of what `sub` shows; `until` (Unix seconds) is how long the answer may take."""

    kind: ClassVar[str] = "still_requested"
    request: str
    sub: str
    by: str
    until: float
    label: str = ""
    reason: Annotated[str, PERSONAL] = ""


@dataclass(frozen=True, slots=True)
class StillAnswered(Fact):
    """What became of a request; of `allowed`, `until` is how long the still itself may take."""

    kind: ClassVar[str] = "still_answered"
    request: str
    sub: str
    answer: Annotated[str, STILL_ANSWERS]
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class RecordingSet(Fact):
    """
    A recording of the consult is asked for, by whom; runs, for everybody who is in has consented; pauses, or is over.
    """

    kind: ClassVar[str] = "recording_set"
    recording: str
    state: Annotated[str, RECORDING_STATES]
    by: str = RELAY
    why: Annotated[str, RECORDING_REASONS] = ""


@dataclass(frozen=True, slots=True)
class LinkMade(Fact):
    """`link` is the digest of its secret, never the secret."""

    kind: ClassVar[str] = "link_made"
    link: str
    sub: str
    role: Annotated[str, _ROLES]


@dataclass(frozen=True, slots=True)
class LinkUsed(Fact):
    """`nonce` is the digest of what the browser made up that used it, or empty: only that one may ask again."""

    kind: ClassVar[str] = "link_used"
    link: str
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class BypassTried(Fact):
    """Somebody tried what is not his, by waiting, being a stranger, or by role; told once for each `what`."""

    kind: ClassVar[str] = "bypass_tried"
    sub: str
    what: Annotated[str, BYPASSES]


# -------------------------------------------------------------------- time, and the rest


@dataclass(frozen=True, slots=True)
class TimerSet(Fact):
    kind: ClassVar[str] = "timer_set"
    timer: str
    due_at: float
    by: str = RELAY


@dataclass(frozen=True, slots=True)
class TimerCleared(Fact):
    kind: ClassVar[str] = "timer_cleared"
    timer: str


@dataclass(frozen=True, slots=True)
class TimerFired(Fact):
    """`due_at` is when it was due, which may be long before `at` where nothing ran; `sub` is whose, of a seat's."""

    kind: ClassVar[str] = "timer_fired"
    timer: str
    due_at: float
    sub: str = ""


@dataclass(frozen=True, slots=True)
class Restarted(Fact):
    """Another process goes on. Nobody could come back meanwhile: seats are kept anew from here on."""

    kind: ClassVar[str] = "restarted"


@dataclass(frozen=True, slots=True)
class ClockJumped(Fact):
    """The wall clock was set, by so many seconds. The consult's own clock did not follow."""

    kind: ClassVar[str] = "clock_jumped"
    by_s: float


@dataclass(frozen=True, slots=True)
class HookFailed(Fact):
    kind: ClassVar[str] = "hook_failed"
    hook: str
    why: Annotated[str, HOOK_FAULTS]


@dataclass(frozen=True, slots=True)
class Degraded(Fact):
    """A line did not carry everything, and the host said what is given up; "usual": its order, or nothing any more."""

    kind: ClassVar[str] = "degraded"
    sub: str
    direction: Annotated[str, DIRECTIONS]
    how: Annotated[str, DEGRADES]


@dataclass(frozen=True, slots=True)
class Measured(Fact):
    """Totals so far, seconds (seconds.py); the last one counts. `by_height`: (lines of the picture, seconds)."""

    kind: ClassVar[str] = "measured"
    two_way_video_s: float = 0.0
    two_way_audio_s: float = 0.0
    audio_only_s: float = 0.0
    by_height: tuple[tuple[int, float], ...] = ()
    has_unknown_keyframes: bool = False
    missed_s: float = 0.0
    """Seconds of which the relay knows nothing."""


@dataclass(frozen=True, slots=True)
class SamplesCounted(Fact):
    """
    Of one series so far, in samples that were handed over to all who were to have them; the last one counts. What was
    measured is in no fact.
    """

    kind: ClassVar[str] = "samples_counted"
    sub: str
    device: str
    series: str
    shape: Annotated[str, SHAPES]
    samples: int


@dataclass(frozen=True, slots=True)
class CameraMoved(Fact):
    """`by` moved the camera of `sub`, or tried to."""

    kind: ClassVar[str] = "camera_moved"
    sub: str
    by: str
    outcome: Annotated[str, CAMERA_OUTCOMES]


@dataclass(frozen=True, slots=True)
class Noted(Fact):
    kind: ClassVar[str] = "noted"
    by: str
    note: Annotated[str, PERSONAL] = ""


KINDS: Mapping[str, type[Fact]] = {each.kind: each for each in Fact.__subclasses__() if each.kind}
"""Every fact there is, by the word it is written under."""

FINAL_KINDS = frozenset({Attested.kind, Closed.kind})
"""After one of these a consult has no more facts: it need not be read again."""


def from_json(kind: str, at: float, clear: Mapping[str, Any], personal: Mapping[str, Any] | None = None) -> Fact:
    """
    The fact again. `personal` None: destroyed, or not to be read; it is empty then.

    Raises ValueError for a kind, a part or a value there is not.
    """
    if kind not in KINDS:
        raise ValueError("a fact of a kind that is not known")
    wanted = KINDS[kind]
    try:
        parts = dict(clear)
        if wanted is Scheduled:
            labels = {"labels": personal["labels"]} if personal and "labels" in personal else {}
            parts["plan"] = ConsultPlan.from_json({**parts["plan"], **labels})
        else:
            parts.update(personal or {})
        if wanted is Routed:
            if not isinstance(parts.get("people", ()), list | tuple):
                raise ValueError("people must be a list")
            parts["people"] = tuple(parts.get("people", ()))
        if wanted is Measured:
            parts["by_height"] = tuple((int(height), float(s)) for height, s in parts.get("by_height", ()))
        return wanted(at=at, **parts)
    except (TypeError, ValueError, KeyError, OverflowError, TelerelayError) as error:
        raise ValueError(f"not a fact of the kind {kind}") from error


# -------------------------------------------------------------------- what a value may be


_SHAPES: dict[type[Fact], Mapping[str, tuple[Any, Any]]] = {}


def _shape(kind: type[Fact]) -> Mapping[str, tuple[Any, Any]]:
    """By the name of the part: its type, and its words, PERSONAL, or None."""
    if kind in _SHAPES:
        return _SHAPES[kind]
    hints = typing.get_type_hints(kind, include_extras=True)
    shape: dict[str, tuple[Any, Any]] = {}
    for each in fields(kind):
        hint = hints[each.name]
        shape[each.name] = (typing.get_args(hint)[0], *hint.__metadata__) if _is_marked(hint) else (hint, None)
    _SHAPES[kind] = shape
    return shape


def _is_marked(hint: Any) -> bool:
    return typing.get_origin(hint) is Annotated


def _is_valid(value: Any, wanted: Any, words: Any) -> bool:
    if words == PERSONAL:
        return isinstance(value, str) and len(value) <= MAX_NOTE_CHARS
    if words is not None:
        return value in words
    if wanted is str:
        return isinstance(value, str) and (value == "" or is_sub(value))
    if wanted is float:
        return type(value) is float and math.isfinite(value)
    if wanted in (bool, int, ConsultPlan):
        return type(value) is wanted
    if wanted == tuple[str, ...]:
        is_list = isinstance(value, tuple) and len(value) <= MAX_RUNG
        return is_list and all(isinstance(each, str) and is_sub(each) for each in value)
    return isinstance(value, tuple)
