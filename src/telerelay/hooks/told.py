"""
What an application is told: one frozen event a hook, and what a journalled fact becomes.

Pure. A fact is told once as a whole, under one key, to every hook it concerns (`Told`): first to the one about the
person, the timer or the fact, then to `on_state` if the consult changed its state by it, last to `on_end`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from telerelay.consult.facts import FINAL_KINDS
from telerelay.consult.presence import Status

EXPERTISE = "expertise/"
"""Before the id of a request for expertise where a room's name would be: no room has a slash in its name."""

PersonWhat = Literal[
    "joined", "interrupted", "back", "left", "arrived", "admitted", "denied", "entered", "lost", "held", "released"
]
TimerWhat = Literal["set", "cleared", "fired"]
StillWhat = Literal["asked", "allowed", "refused", "timeout", "forbidden", "failed", "withdrawn", "taken"]

ExpertiseWhat = Literal["requested", "accepted", "declined", "reminded", "overdue", "live", "answered", "withdrawn"]


@dataclass(frozen=True, slots=True)
class PersonEvent:
    """
    Someone came, was cut off, came back or left; of a consult also: arrived at its door, was admitted or denied,
    entered, is held for lack of room, is held no longer.

    `sequence` counts the room's events from 1 without gaps; `key` is unique for ever: an event told twice has it twice.
    Of a consult they are those of the fact. `participant` is "" where the person, not a seat of theirs, is meant.
    """

    room: str
    sequence: int
    key: str
    participant: str
    sub: str
    role: str
    what: PersonWhat
    reason: str = ""
    """
    Of `left`: left, timeout, duplicate_join, removed, ended, denied. Of `lost` and `back`: socket, transport, camera.
    """
    at: float = 0.0
    """When, Unix seconds; 0 of a room without a consult."""
    by: str = ""
    """Who admitted or denied: an opaque id."""
    state: str = ""
    """Of the consult, after this."""


@dataclass(frozen=True, slots=True)
class StateEvent:
    """
    A consult changed its state, from `before` to `state`: scheduled, waiting, admitted, in_progress, interrupted,
    ended, cancelled, no_show, denied, failed; `before` is "" at its beginning. `cause` is the kind of the fact.
    """

    room: str
    sequence: int
    key: str
    at: float
    state: str
    before: str
    cause: str


@dataclass(frozen=True, slots=True)
class TimerEvent:
    """
    A timer of a consult was set, cleared, or fired. `due_at` is when it is or was due (Unix seconds), None of a cleared
    one. One that came due while the relay was stopped fires once, late.
    """

    room: str
    sequence: int
    key: str
    at: float
    timer: str
    what: TimerWhat
    due_at: float | None
    state: str = ""


@dataclass(frozen=True, slots=True)
class DocumentEvent:
    """
    A document is here as a whole, from `sub`: `sha256` (hex) was declared by who sent it and found by the relay. It can
    be fetched under its id until the consult is over. `label` and `media_type` are the sender's own words.
    """

    room: str
    sequence: int
    key: str
    at: float
    document: str
    sub: str
    role: str
    size_bytes: int
    sha256: str
    media_type: str
    label: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class StillEvent:
    """
    A still was asked for of `sub` by `by`; or was allowed, refused, not answered in time (timeout), forbidden by the
    host's rule, failed, withdrawn; or is here (taken). Of `taken` the rest is as in DocumentEvent, and `source` is
    photo or, of lesser quality, frame.
    """

    room: str
    sequence: int
    key: str
    at: float
    what: StillWhat
    request: str
    sub: str
    role: str
    by: str = ""
    document: str = ""
    size_bytes: int = 0
    sha256: str = ""
    media_type: str = ""
    label: str = ""
    source: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class ExpertiseEvent:
    """
    A request for expertise was made, accepted, given back (declined), fell due to be reminded of, is overdue, has a
    consult opened for it (live), was answered or withdrawn. `sequence` counts what happened to it from 1 without gaps;
    `key` is unique for ever. `by` is whoever did it, "" where time did; `due_at` is when what fell due was due, Unix
    seconds. `consult` is the one that was opened, or of `requested` the one it came out of; `queue` and `images`
    (SHA-256 in hex) are those of `requested`. Question and answer are told to nobody: ask for them.
    """

    request: str
    sequence: int
    key: str
    at: float
    what: ExpertiseWhat
    by: str = ""
    queue: str = ""
    images: tuple[str, ...] = ()
    consult: str = ""
    due_at: float | None = None


@dataclass(frozen=True, slots=True)
class FactEvent:
    """
    Any other fact of a consult, such as `consent`, `measured`, `attested`, `hook_failed`: `kind` and what of it may be
    read by anyone (ids, numbers, words from fixed lists). So the numbers of all that is told have no gap.
    """

    room: str
    sequence: int
    key: str
    at: float
    kind: str
    clear: Mapping[str, Any] = field(default_factory=dict)
    state: str = ""


@dataclass(frozen=True, slots=True)
class PresenceEvent:
    """
    Someone is at a desk, or no longer: `status` is available, busy (in a consult, or was handed one), away (said so) or
    gone; `at` is since when, Unix seconds. A sample, not part of a record: it has no number, and where a hook is slow
    only the latest of each person is told.
    """

    queue: str
    sub: str
    role: str
    is_available: bool
    at: float
    status: Status = "available"


@dataclass(frozen=True, slots=True)
class EndEvent:
    """
    The last one left, for good: the room is gone. Of a consult: nothing follows, it is over in `state` with `outcome`
    ("" where it has none), and attested where it ended.
    """

    room: str
    sequence: int
    key: str
    at: float = 0.0
    state: str = ""
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class QualityEvent:
    """
    How good the call is for one person: `direction` "up" is what they send, as it reaches the relay, "down" what the
    relay sends them. `score` is 1 to 5, 0 where there is nothing to judge any more; `cause` is the worst of what
    keeps it under 5 (docs/signaling.md lists them), else "". The mean opinion scores are None where there is none.

    Told when score or cause is another, every two seconds at most. It is a sample, not part of the room's record: it
    has no number, and where a hook is slow only the latest is told.
    """

    room: str
    participant: str
    sub: str
    role: str
    direction: Literal["up", "down"]
    score: int
    cause: str
    audio_mos: float | None = None
    video_mos: float | None = None


@dataclass(frozen=True, slots=True)
class MeasuredBatch:
    """
    Samples that follow each other, the first with the number `seq`. `times` are Unix seconds by the sender's clock, one
    for each value or, of a wave, that of the first; `device_at` is the instrument's own time of the first; times plus
    `media_offset_s` are by the clock of the relay's sender reports. A value that is None was not measured.
    """

    seq: int
    times: tuple[float, ...]
    values: tuple[float | None, ...]
    device_at: float | None = None
    media_offset_s: float | None = None


@dataclass(frozen=True, slots=True)
class MeasurementEvent:
    """
    Somebody's device measured: batches of one series that follow each other. What returns has them: their sender need
    not keep them any longer. After a failure or a restart they are told again, perhaps in other portions: what counts
    is sub, device, series and the number of a sample. `key` is that of the first.
    """

    room: str
    sub: str
    role: str
    device: str
    series: str
    kind: Literal["value", "wave"]
    of: str
    """What is measured, in the sender's word: ecg, heart_rate."""
    unit: str
    """A UCUM unit, as the sender has it."""
    rate_hz: float
    """Of a wave; else 0."""
    codes: Mapping[str, str]
    """By system, such as `loinc`, as the sender has them."""
    key: str
    batches: tuple[MeasuredBatch, ...]


HookEvent = (
    PersonEvent
    | StateEvent
    | TimerEvent
    | DocumentEvent
    | StillEvent
    | ExpertiseEvent
    | FactEvent
    | PresenceEvent
    | EndEvent
    | QualityEvent
    | MeasurementEvent
)

EVENTS: Mapping[str, type] = {
    "on_state": StateEvent,
    "on_person": PersonEvent,
    "on_quality": QualityEvent,
    "on_timer": TimerEvent,
    "on_document": DocumentEvent,
    "on_still": StillEvent,
    "on_presence": PresenceEvent,
    "on_expertise": ExpertiseEvent,
    "on_fact": FactEvent,
    "on_measurement": MeasurementEvent,
    "on_end": EndEvent,
}
"""Of each event's hook what it is told."""

HOOK_OF: Mapping[type, str] = {event: hook for hook, event in EVENTS.items()}


@dataclass(frozen=True, slots=True)
class Told:
    """
    What is told at once and acknowledged at once, hook by hook in this order. `key` is "" where nothing is repeated.
    """

    room: str
    sequence: int
    key: str
    events: tuple[HookEvent, ...]

    @classmethod
    def of(cls, event: HookEvent) -> "Told":
        """One event by itself."""
        match event:
            case QualityEvent():
                return cls(event.room, 0, "", (event,))
            case PresenceEvent():
                return cls(event.queue, 0, "", (event,))
            case MeasurementEvent():
                return cls(event.room, event.batches[0].seq, event.key, (event,))
            case ExpertiseEvent():
                return cls(EXPERTISE + event.request, event.sequence, event.key, (event,))
            case _:
                return cls(event.room, event.sequence, event.key, (event,))

    @property
    def hook(self) -> str:
        """The first hook that is told: names the whole where something goes wrong."""
        return HOOK_OF[type(self.events[0])]


# -------------------------------------------------------------------- from facts


@dataclass(frozen=True, slots=True)
class Entry:
    """One fact of a consult's journal as far as it is told: what is sealed of it stays there."""

    room: str
    sequence: int
    at: float
    kind: str
    clear: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The idempotency key: no two facts have the same, and a fact told again has it again."""
        return f"{self.room}:{self.sequence}"


_PEOPLE: Mapping[str, PersonWhat] = {
    "arrived": "arrived",
    "admitted": "admitted",
    "denied": "denied",
    "entered": "entered",
    "lost": "lost",
    "back": "back",
    "left": "left",
    "held": "held",
    "released": "released",
}
_TIMERS: Mapping[str, TimerWhat] = {"timer_set": "set", "timer_cleared": "cleared", "timer_fired": "fired"}


def told(entry: Entry, before: str, state: str, role: str, outcome: str) -> Told:
    """
    What is told of a fact that brought its consult from state `before` to `state`; `role` is that of the person it is
    about, `outcome` the consult's so far.
    """
    if entry.room.startswith(EXPERTISE):
        return Told(entry.room, entry.sequence, entry.key, (_expertise(entry),))
    events: list[HookEvent] = [_first(entry, state, role)]
    if state != before:
        events.append(StateEvent(entry.room, entry.sequence, entry.key, entry.at, state, before, entry.kind))
    if entry.kind in FINAL_KINDS:
        events.append(EndEvent(entry.room, entry.sequence, entry.key, entry.at, state, outcome))
    return Told(entry.room, entry.sequence, entry.key, tuple(events))


def _first(entry: Entry, state: str, role: str) -> HookEvent:
    room, sequence, key, at, clear = entry.room, entry.sequence, entry.key, entry.at, entry.clear
    if entry.kind in _PEOPLE:
        return PersonEvent(
            room=room,
            sequence=sequence,
            key=key,
            participant="",
            sub=_text(clear, "sub"),
            role=role,
            what=_PEOPLE[entry.kind],
            reason=_text(clear, "reason") or _text(clear, "what"),
            at=at,
            by=_text(clear, "by"),
            state=state,
        )
    if entry.kind in _TIMERS:
        due_at = clear.get("due_at")
        due_at_s = float(due_at) if isinstance(due_at, int | float) else None
        return TimerEvent(room, sequence, key, at, _text(clear, "timer"), _TIMERS[entry.kind], due_at_s, state)
    if entry.kind in _OBJECTS:
        return _object(entry, state, role)
    return FactEvent(room, sequence, key, at, entry.kind, dict(clear), state)


def _expertise(entry: Entry) -> ExpertiseEvent:
    clear = entry.clear
    due_at, images = clear.get("due_at"), clear.get("images")
    return ExpertiseEvent(
        request=entry.room.removeprefix(EXPERTISE),
        sequence=entry.sequence,
        key=entry.key,
        at=entry.at,
        what=cast(ExpertiseWhat, entry.kind.removeprefix("expertise_")),
        by=_text(clear, "by"),
        queue=_text(clear, "queue"),
        images=tuple(images) if isinstance(images, list | tuple) else (),
        consult=_text(clear, "consult"),
        due_at=float(due_at) if isinstance(due_at, int | float) else None,
    )


_OBJECTS = frozenset({"document_received", "still_requested", "still_answered"})


def _object(entry: Entry, state: str, role: str) -> DocumentEvent | StillEvent:
    room, sequence, key, at, clear = entry.room, entry.sequence, entry.key, entry.at, entry.clear
    is_here = entry.kind == "document_received"
    size = clear.get("size_bytes")
    size_bytes = size if isinstance(size, int) else 0
    if is_here and _text(clear, "what") != "still":
        return DocumentEvent(
            room=room,
            sequence=sequence,
            key=key,
            at=at,
            document=_text(clear, "document"),
            sub=_text(clear, "sub"),
            role=role,
            size_bytes=size_bytes,
            sha256=_text(clear, "sha256"),
            media_type=_text(clear, "media_type"),
            label=_text(clear, "label"),
            state=state,
        )
    what = "taken" if is_here else "asked" if entry.kind == "still_requested" else _text(clear, "answer")
    return StillEvent(
        room=room,
        sequence=sequence,
        key=key,
        at=at,
        what=cast(StillWhat, what),
        request=_text(clear, "request"),
        sub=_text(clear, "sub"),
        role=role,
        by=_text(clear, "by"),
        document=_text(clear, "document"),
        size_bytes=size_bytes,
        sha256=_text(clear, "sha256"),
        media_type=_text(clear, "media_type"),
        label=_text(clear, "label"),
        source=_text(clear, "source"),
        state=state,
    )


def _text(clear: Mapping[str, Any], name: str) -> str:
    value = clear.get(name)
    return value if isinstance(value, str) else ""
