"""What a room leaves for the next control process: when it is put, when taken back, and what of it can be read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from telerelay.connection import WhepConnection
from telerelay.dataplane.hosts import NoNotes
from telerelay.notes import decode, encode
from telerelay.rooms import Participant, Publication
from telerelay.signaling.notes import (
    MAX_EVENT_BYTES,
    MAX_EVENTS,
    ParticipantNote,
    PublicationNote,
    RoomNote,
    RoomNotes,
    SeatNote,
    read_rooms,
    seat_key,
    session_key,
)
from telerelay.signaling.seat import Resource, Seat

ROOM = RoomNote("demo", 7, "key", 3)


class Store:
    """What a worker would keep, and how often it was told something."""

    def __init__(self) -> None:
        self.notes: dict[str, bytes] = {}
        self.calls = 0

    def put(self, key: str, body: bytes) -> None:
        self.notes[key] = body
        self.calls += 1

    def delete(self, key: str) -> None:
        self.notes.pop(key, None)
        self.calls += 1

    def delete_under(self, prefix: str) -> None:
        self.notes = {key: body for key, body in self.notes.items() if not key.startswith(prefix)}
        self.calls += 1

    def later(self, put: Callable[[], None]) -> None:
        put()

    def flush(self) -> None:
        """It is here already."""


def seat(id: str, number: int, seq: int = 0) -> SeatNote:
    return SeatNote(ParticipantNote(id, f"sub-{id}", "patient", True, b"hash", frozenset({"socket"})), number, seq)


def test_a_note_is_put_when_it_says_something_new() -> None:
    """
    Saying the same again costs nothing; None takes it back, once.
    """
    store = Store()
    notes = RoomNotes(7, lambda: store)
    for _ in range(3):
        notes.put("room", ROOM)
    assert ({"7/room": encode(ROOM)}, 1) == (store.notes, store.calls)
    for _ in range(3):
        notes.put("room", None)
    assert ({}, 2) == (store.notes, store.calls)


def test_a_worker_in_a_thread_is_told_nothing() -> None:
    """
    It has no successor to leave anything to.
    """
    notes = RoomNotes(7, NoNotes)
    notes.put("room", object())
    notes.event("p", 1, "text")
    notes.forget("p")
    notes.close()
    assert False is notes.is_kept


def test_the_latest_events_of_a_participant_are_kept() -> None:
    """
    So many, and so many bytes, whichever is less.
    """
    store = Store()
    notes = RoomNotes(7, lambda: store)
    for seq in range(1, MAX_EVENTS + 6):
        notes.event("p", seq, "{}")
    assert [f"7/event/p/{seq}" for seq in range(6, MAX_EVENTS + 6)] == list(store.notes)
    notes.event("p", 100, "x" * MAX_EVENT_BYTES)
    assert ["7/event/p/100"] == list(store.notes)


def test_events_that_are_known_to_have_come_are_taken_back() -> None:
    """
    All but the latest, whose number is noted nowhere else: a successor goes on from it.
    """
    store = Store()
    notes = RoomNotes(7, lambda: store)
    notes.put("room", ROOM)
    notes.put(seat_key("p"), seat("p", 3, notes.seq_to_note("p", 0)))
    for seq, confirmed in ((1, 0), (2, 0), (3, 2), (4, 3), (5, 5)):
        notes.event("p", seq, f"text {seq}", confirmed)
        notes.put(seat_key("p"), seat("p", 3, notes.seq_to_note("p", seq)))
    assert ["7/event/p/5"] == [key for key in store.notes if "/event/" in key]
    (found,) = read_rooms(store.notes)
    assert (5, ("text 5",)) == (found.seats[0].seat.seq, found.seats[0].events)


@given(
    st.lists(st.sampled_from(["event", "event", "event", "huge", "change", "save", "renew", "succeed"]), max_size=80)
)
def test_a_successor_knows_the_number_of_the_latest_event(steps: list[str]) -> None:
    """
    Whatever happens, in whatever order: an event too large to be kept, a worker that was lost, a successor before.
    """
    store, seq, is_interrupted = Store(), 0, False
    notes = RoomNotes(7, lambda: store)

    def save() -> None:
        notes.put("room", ROOM)
        told = seat("p", 3, notes.seq_to_note("p", seq))
        participant = dataclasses.replace(told.participant, seat_until=1.0 if is_interrupted else None)
        notes.put(seat_key("p"), dataclasses.replace(told, participant=participant))

    save()
    for step in steps:
        if step in ("event", "huge"):
            seq += 1
            notes.event("p", seq, "x" * (MAX_EVENT_BYTES + 1 if step == "huge" else 3))
        elif step == "change":
            is_interrupted = not is_interrupted
        elif step == "renew":
            store.notes = {}
            notes.renew()
        elif step == "succeed":
            (found,) = read_rooms(store.notes)
            notes = RoomNotes(7, lambda: store)
            notes.adopt(found.written)
        save()
        (found,) = read_rooms(store.notes)
        assert (seq, is_interrupted) == (
            found.seats[0].seat.seq,
            found.seats[0].seat.participant.seat_until is not None,
        )


def test_an_event_costs_one_note() -> None:
    """
    It says its number itself: the note of the seat is put again only when something else has changed.
    """
    store = Store()
    notes = RoomNotes(7, lambda: store)
    notes.put(seat_key("p"), seat("p", 3, notes.seq_to_note("p", 0)))
    for seq in range(1, 4):
        notes.event("p", seq, "{}")
        notes.put(seat_key("p"), seat("p", 3, notes.seq_to_note("p", seq)))

    assert 4 == store.calls


def test_who_goes_is_forgotten_and_so_is_a_room() -> None:
    """
    Of others nothing is.
    """
    store = Store()
    notes, other = RoomNotes(7, lambda: store), RoomNotes(70, lambda: store)
    other.put("room", ROOM)
    for id in ("p", "pp"):
        notes.put(seat_key(id), seat(id, 1))
        notes.put(session_key(id, "secret"), ROOM)
        notes.event(id, 1, "{}")
    notes.forget("p")
    assert ["70/room", "7/seat/pp", "7/session/pp/secret", "7/event/pp/1"] == list(store.notes)
    notes.close()
    assert ["70/room"] == list(store.notes)


def test_a_session_that_ended_is_forgotten_and_its_person_is_not() -> None:
    """
    Another session of the same person's stays.
    """
    store = Store()
    person = Participant("p", "dr-7", "patient", is_admitted=True, attachments={"one", "two"})
    sitting = Seat(person, 1, 8, RoomNotes(7, lambda: store))
    for secret in ("one", "two"):
        connection = SimpleNamespace(snapshot=lambda: None)
        sitting.resources[secret] = Resource(secret, "etag", cast(WhepConnection, connection), "p")
    sitting.save()
    before = set(store.notes)
    del sitting.resources["one"]
    sitting.forget_session("one")
    sitting.save()

    assert {"7/seat/p", "7/session/p/one", "7/session/p/two"} == before
    assert {"7/seat/p", "7/session/p/two"} == set(store.notes)


def test_rooms_are_read_with_their_seats_in_the_order_they_came() -> None:
    """
    An event that was noted after its seat counts; a gap in the events cuts off what is before it.
    """
    notes = {
        "7/seat/b": encode(seat("b", 2)),
        "7/room": encode(ROOM),
        "7/seat/a": encode(seat("a", 1, seq=9)),
        **{f"7/event/a/{seq}": f"{seq}".encode() for seq in (5, 7, 8, 9, 10)},
    }
    (room,) = read_rooms(notes)

    assert ROOM == room.room
    assert [("a", 10, ("7", "8", "9", "10")), ("b", 0, ())] == [
        (each.seat.participant.id, each.seat.seq, each.events) for each in room.seats
    ]


def test_a_participant_comes_out_of_its_note_as_it_went_in() -> None:
    """
    With every publication, muted or not, and why. Of the resume secret only the hash is left.
    """
    before = Participant(
        id="a",
        sub="dr-7",
        role="patient",
        is_admitted=True,
        attachments={"socket"},
        publications={
            "m": Publication("m", "a", "socket", "0", "audio", "microphone", True, "device_lost"),
            "c": Publication("c", "a", "socket", "1", "video", "camera"),
        },
        paused={"x"},
        seat_until=3.5,
        resume_hash=b"hash",
    )
    note = encode(SeatNote(ParticipantNote.of(before), 1, 0))

    assert before == decode(SeatNote, note).participant.participant()


def test_notes_hold_all_of_a_publication() -> None:
    """
    A new field of one has to find its place in its note, or a restart forgets it.
    """
    assert set(Publication.__dataclass_fields__) - {"participant"} == set(PublicationNote.__dataclass_fields__)


def test_what_cannot_be_read_is_passed_over() -> None:
    """
    A seat of another build, alone; a room of one, with its seats.
    """
    notes = {
        "7/room": encode(ROOM),
        "7/seat/a": b"[1,{}]",
        "7/seat/b": encode(seat("b", 2)),
        "7/publish/b": b"null",
        "7/seat/c": encode(seat("c", 3)),
        "8/room": b"[999,{}]",
        "8/seat/d": encode(seat("d", 4)),
        "9/seat/e": encode(seat("e", 5)),
    }
    (room,) = read_rooms(notes)

    assert ["c"] == [each.seat.participant.id for each in room.seats]
    assert 2 == room.unreadable


def test_a_successor_takes_back_what_it_found() -> None:
    """
    Notes that it adopted are its own: the same again is put once at most, and what is gone is deleted.
    """
    store = Store()
    first = RoomNotes(7, lambda: store)
    first.put("room", ROOM)
    first.put(seat_key("p"), seat("p", 1))
    first.event("p", 1, "{}")
    second = RoomNotes(7, lambda: store)
    second.adopt({key.removeprefix("7/"): body for key, body in store.notes.items()})
    calls = store.calls
    for _ in range(3):
        second.put("room", ROOM)
    assert calls + 1 == store.calls
    second.forget("p")
    assert ["7/room"] == list(store.notes)
