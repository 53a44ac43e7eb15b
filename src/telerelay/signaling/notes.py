"""
What a control process leaves with a worker about the rooms that live there, so that its successor can go on with them.

Event loop's thread; nothing here waits. A note is put whenever what it says has changed, and before anyone outside can
know of the change: what a client was told, a successor knows.

Names, secrets and credentials are in it, and it is in the memory of the worker, beside the SRTP keys: it is on no disk,
and gone with the last transport.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from telerelay.connection import PublishConnection
from telerelay.connection.state import PublishConnectionState, SubscribeConnectionState, WhepConnectionState
from telerelay.dataplane.hosts import NoNotes, NoteStore
from telerelay.measurements import Position
from telerelay.notes import decode, encode
from telerelay.rooms import Participant, Publication

if TYPE_CHECKING:
    from telerelay.signaling.seat import Resource

# Of each participant: those that a client may not have got when its control died. What is older it has.
MAX_EVENTS = 32
MAX_EVENT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class RoomNote:
    """`number` is what C knows the room by; `key` and `sequence` number what the application's hooks are told."""

    name: str
    number: int
    key: str
    sequence: int


@dataclass(frozen=True, slots=True)
class PublicationNote:
    id: str
    attachment: str
    mid: str
    kind: str
    source: str
    is_muted: bool = False
    reason: str | None = None
    is_encrypted: bool = True
    profile: str = ""

    @classmethod
    def of(cls, given: Publication) -> PublicationNote:
        return cls(
            given.id,
            given.attachment,
            given.mid,
            given.kind,
            given.source,
            given.is_muted,
            given.reason,
            given.is_encrypted,
            given.profile,
        )

    def publication(self, participant: str) -> Publication:
        return Publication(
            self.id,
            participant,
            self.attachment,
            self.mid,
            self.kind,
            self.source,
            self.is_muted,
            self.reason,
            self.is_encrypted,
            self.profile,
        )


@dataclass(frozen=True, slots=True)
class ParticipantNote:
    """`seat_until` is in monotonic seconds, which are the machine's and not a process's (CLOCK_MONOTONIC)."""

    id: str
    sub: str
    role: str
    is_admitted: bool
    secret_hash: bytes
    attachments: frozenset[str]
    publications: tuple[PublicationNote, ...] = ()
    paused: frozenset[str] = field(default_factory=frozenset)
    seat_until: float | None = None

    @classmethod
    def of(cls, participant: Participant) -> ParticipantNote:
        return cls(
            id=participant.id,
            sub=participant.sub,
            role=participant.role,
            is_admitted=participant.is_admitted,
            secret_hash=participant.secret_hash,
            attachments=frozenset(participant.attachments),
            publications=tuple(map(PublicationNote.of, participant.publications.values())),
            paused=frozenset(participant.paused),
            seat_until=participant.seat_until,
        )

    def participant(self) -> Participant:
        return Participant(
            id=self.id,
            sub=self.sub,
            role=self.role,
            is_admitted=self.is_admitted,
            attachments=set(self.attachments),
            publications={each.id: each.publication(self.id) for each in self.publications},
            paused=set(self.paused),
            seat_until=self.seat_until,
            resume_hash=self.secret_hash,
        )


@dataclass(frozen=True, slots=True)
class SeatNote:
    """
    `number` is what C knows the participant by; `seq` that of its latest event, or of an earlier one where the latest
    has a note of its own.
    """

    participant: ParticipantNote
    number: int
    seq: int


@dataclass(frozen=True, slots=True)
class ClockNote:
    wall_offset_s: float


@dataclass(frozen=True, slots=True)
class MeasurementsNote:
    """
    Of the room's measurements: whom a successor waits for, by sub, how far each series has got, and how the clocks of
    those who send stand to the relay's, by sub, seconds.
    """

    receivers: tuple[str, ...]
    positions: tuple[Position, ...]
    clocks: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class SessionNote:
    """
    A WHIP session has `publish`, a WHEP session `whep`. The states of their transports are not in it: nobody is told of
    them, the worker has them, and a note for each would be half of what a join notes.
    """

    secret: str
    etag: str
    since: float
    publisher: str | None = None
    publish: PublishConnectionState | None = None
    whep: WhepConnectionState | None = None

    @classmethod
    def of(cls, resource: Resource) -> SessionNote:
        connection = resource.connection
        if isinstance(connection, PublishConnection):
            return cls(resource.secret, resource.etag, resource.since, publish=connection.snapshot(is_told=False))
        return cls(resource.secret, resource.etag, resource.since, resource.publisher, whep=connection.snapshot())


# ---------------------------------------------------------------------- keys: within a room


ROOM_KEY = "room"
MEASUREMENTS_KEY = "measurements"
CLOCK_KEY = "clock"


def seat_key(participant: str) -> str:
    return f"seat/{participant}"


def publish_key(participant: str) -> str:
    return f"publish/{participant}"


def subscribe_key(participant: str) -> str:
    return f"subscribe/{participant}"


def session_key(participant: str, secret: str) -> str:
    return f"session/{participant}/{secret}"


def event_key(participant: str, seq: int) -> str:
    return f"event/{participant}/{seq}"


def put_clock(store: NoteStore, wall_offset_s: float) -> None:
    """What makes monotonic seconds the Unix time of the worker's sender reports: the worker's, not a room's."""
    store.put(CLOCK_KEY, encode(ClockNote(wall_offset_s)))


def clock_note(notes: Mapping[str, bytes], default_s: float) -> float:
    """The same as a process before this one left it; `default_s` where it left none."""
    try:
        return decode(ClockNote, notes[CLOCK_KEY]).wall_offset_s
    except (KeyError, ValueError):
        return default_s


class RoomNotes:
    """The notes of one room, under its number. `store` tells where: another worker's, after one was lost."""

    def __init__(self, number: int, store: Callable[[], NoteStore]) -> None:
        self._prefix = f"{number}/"
        self._store = store
        self._said: dict[str, Any] = {}
        self._events: dict[str, list[tuple[int, int]]] = {}

    @property
    def is_kept(self) -> bool:
        """There may be a successor."""
        return not isinstance(self._store(), NoNotes)

    def later(self, put: Callable[[], None]) -> None:
        """Have `put` called once before anything that was said so far becomes known outside."""
        self._store().later(put)

    def put(self, key: str, value: Any) -> None:
        """A note, if it says anything new; None takes it back."""
        if not self.is_kept:
            return
        if value is None:
            if self._said.pop(key, None) is not None:
                self._store().delete(self._prefix + key)
        # Frozen values, which share what has not changed: comparing them costs a hundredth of encoding one.
        elif self._said.get(key) != value:
            self._said[key] = value
            self._store().put(self._prefix + key, encode(value))

    def keep_only(self, prefix: str, names: Container[str]) -> None:
        """Take back the notes under a prefix, but for these."""
        for key in [each for each in self._said if each.startswith(prefix)]:
            if key.removeprefix(prefix) not in names:
                self.put(key, None)

    def event(self, participant: str, seq: int, text: str, confirmed: int = 0) -> None:
        """
        One of the latest events of a participant, as it goes to it; of those before, the ones up to `confirmed` are
        known to have come. The latest stays in any case, for its number is noted nowhere else.
        """
        if not self.is_kept:
            return
        body = text.encode()
        events = self._events.setdefault(participant, [])
        events.append((seq, len(body)))
        self._store().put(self._prefix + event_key(participant, seq), body)
        while (
            len(events) > MAX_EVENTS
            or sum(size for _, size in events) > MAX_EVENT_BYTES
            or (len(events) > 1 and events[0][0] <= confirmed)
        ):
            oldest, _ = events.pop(0)
            self._store().delete(self._prefix + event_key(participant, oldest))

    def seq_to_note(self, participant: str, seq: int) -> int:
        """
        What the note of a seat is to say of `seq`, the number of its latest event: as before, where that event is noted
        and says it. Otherwise each event would cost a second note, that of all there is to know of the seat.
        """
        events, said = self._events.get(participant), self._said.get(seat_key(participant))
        return said.seq if isinstance(said, SeatNote) and events and events[-1][0] == seq else seq

    def adopt(self, written: dict[str, bytes]) -> None:
        """What the store has of this room already, by key: it is said again once, and can be taken back."""
        for key in sorted(written):
            kind, _, rest = key.partition("/")
            if kind == "event":
                participant, _, seq = rest.rpartition("/")
                self._events.setdefault(participant, []).append((int(seq), len(written[key])))
            else:
                self._said[key] = written[key]
        for events in self._events.values():
            events.sort()

    def forget(self, participant: str) -> None:
        """The participant is gone."""
        for key in (seat_key(participant), publish_key(participant), subscribe_key(participant)):
            self.put(key, None)
        self.keep_only(session_key(participant, ""), ())
        if self._events.pop(participant, None) is not None:
            self._store().delete_under(f"{self._prefix}event/{participant}/")

    def close(self) -> None:
        """The room is gone."""
        if self.is_kept:
            self._store().delete_under(self._prefix)
        self._said.clear()
        self._events.clear()

    def renew(self) -> None:
        """The store is another one, and empty."""
        self._said.clear()
        self._events.clear()


@dataclass(slots=True)
class SeatFound:
    """One participant as its notes have it; `events` are the texts of its latest, in order."""

    seat: SeatNote
    publish: PublishConnectionState | None
    subscribe: SubscribeConnectionState | None
    sessions: tuple[SessionNote, ...]
    events: tuple[str, ...]


@dataclass(slots=True)
class RoomFound:
    """One room as its notes have it, its participants in the order they came in; `unreadable` counts notes."""

    room: RoomNote
    seats: list[SeatFound]
    written: dict[str, bytes]
    unreadable: int = 0
    measurements: MeasurementsNote | None = None


def read_rooms(notes: Mapping[str, bytes]) -> list[RoomFound]:
    """
    All rooms in a worker's notes. One that cannot be read is passed over, with what only makes sense beside it: its
    participant is not here then, and comes in anew.
    """
    by_number: dict[str, dict[str, bytes]] = {}
    for key, body in notes.items():
        number, _, rest = key.partition("/")
        by_number.setdefault(number, {})[rest] = body
    return [found for written in by_number.values() if (found := _read_room(written)) is not None]


def _read_room(written: dict[str, bytes]) -> RoomFound | None:
    if ROOM_KEY not in written:
        return None
    try:
        found = RoomFound(decode(RoomNote, written[ROOM_KEY]), [], written)
    except ValueError:
        return None
    for key, body in written.items():
        if key.startswith(seat_key("")):
            try:
                found.seats.append(_read_seat(key.removeprefix(seat_key("")), body, written))
            except ValueError:
                found.unreadable += 1
    if MEASUREMENTS_KEY in written:
        try:
            found.measurements = decode(MeasurementsNote, written[MEASUREMENTS_KEY])
        except ValueError:
            found.unreadable += 1
    found.seats.sort(key=lambda each: each.seat.number)
    return found


def _read_seat(participant: str, body: bytes, written: dict[str, bytes]) -> SeatFound:
    publish, subscribe = written.get(publish_key(participant)), written.get(subscribe_key(participant))
    prefix = f"event/{participant}/"
    events = {int(key.removeprefix(prefix)): text for key, text in written.items() if key.startswith(prefix)}
    seat = decode(SeatNote, body)
    # An event is noted before the seat that counts it.
    seq = max(seat.seq, *events) if events else seat.seq
    first = seq
    while first in events:
        first -= 1
    return SeatFound(
        seat=SeatNote(seat.participant, seat.number, seq),
        publish=None if publish is None else decode(PublishConnectionState, publish),
        subscribe=None if subscribe is None else decode(SubscribeConnectionState, subscribe),
        sessions=tuple(
            decode(SessionNote, each) for key, each in written.items() if key.startswith(session_key(participant, ""))
        ),
        events=tuple(events[each].decode() for each in range(first + 1, seq + 1)),
    )
