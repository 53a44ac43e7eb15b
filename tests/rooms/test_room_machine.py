"""
A room under whatever order of joins, losses, returns, publications and expiries.

Beside the room stands a model that only carries its effects out, as the rest of the relay does.
"""

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from telerelay.errors import RemoteProtocolError
from telerelay.events import (
    MuteChanged,
    ParticipantBack,
    ParticipantInterrupted,
    ParticipantJoined,
    ParticipantLeft,
    Published,
    Unpublished,
)
from telerelay.rooms import CloseParticipant, Effect, Room, RoomLimits, Route, Tell, TrackDescription, Unroute

SEAT_S = 120.0
SUBS = st.sampled_from(["ann", "ben", "cyd", "waiting-dan", "waiting-eve"])
TRACKS = st.sets(st.sampled_from(["0", "1", "2"])).map(
    lambda mids: [TrackDescription(mid, "video" if mid == "1" else "audio", "camera") for mid in sorted(mids)]
)


class RoomMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.numbers = itertools.count(1)
        self.room = Room("demo", RoomLimits(max_participants=4, seat_s=SEAT_S), lambda sub, role: "waiting" not in sub)
        self.routes: set[tuple[str, str]] = set()
        self.closed: set[str] = set()
        self.lost_at: dict[str, float] = {}
        self.seen: dict[str, dict[str, tuple[bool, dict[str, bool]]]] = {}
        """What each participant knows of the others from its roster and its events alone."""

    def new_id(self) -> str:
        return f"id{next(self.numbers)}"

    def carry_out(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Route(publication, subscriber):
                    assert (publication, subscriber) not in self.routes, "each route exactly once"
                    self.routes.add((publication, subscriber))
                case Unroute(publication, subscriber):
                    self.routes.remove((publication, subscriber))
                case CloseParticipant(participant):
                    assert participant not in self.closed, "closed once"
                    self.closed.add(participant)
                    self.seen.pop(participant, None)
                    self.lost_at.pop(participant, None)
                case Tell(participant, event):
                    assert participant not in self.closed, "nothing is told to who has left"
                    if participant in self.seen:
                        self.hear(self.seen[participant], event)

    def hear(self, known: dict[str, tuple[bool, dict[str, bool]]], event: object) -> None:
        """Events come in an order that makes sense to whoever knows only events."""
        match event:
            case ParticipantJoined(info):
                assert info.id not in known
                known[info.id] = (info.is_interrupted, {each.id: each.is_muted for each in info.publications})
            case ParticipantLeft(participant):
                del known[participant]
            case ParticipantInterrupted(participant):
                assert not known[participant][0]
                known[participant] = (True, known[participant][1])
            case ParticipantBack(participant):
                assert known[participant][0]
                known[participant] = (False, known[participant][1])
            case Published(participant, publication):
                assert publication.id not in known[participant][1]
                known[participant][1][publication.id] = publication.is_muted
            case Unpublished(participant, publication):
                del known[participant][1][publication]
            case MuteChanged(participant, publication, is_muted):
                assert known[participant][1][publication] != is_muted
                known[participant][1][publication] = is_muted

    def remember_roster(self, participant: str) -> None:
        self.seen[participant] = {
            info.id: (info.is_interrupted, {each.id: each.is_muted for each in info.publications})
            for info in self.room.roster(participant)
        }

    def check_full(self, error: RemoteProtocolError, sub: str) -> None:
        """Of four seats one is kept from those who wait."""
        assert "room_full" == error.code
        assert self.room.by_sub(sub) is None
        assert len(self.room.participants) >= (3 if "waiting" in sub else 4)

    def pick(self, index: int) -> str:
        return list(self.room.participants)[index % len(self.room.participants)]

    @rule(sub=SUBS, knows_secret=st.booleans())
    def join(self, sub: str, knows_secret: bool) -> None:
        current = self.room.by_sub(sub)
        secret = current.resume if current is not None and knows_secret else None
        had_socket = current is not None and current.has_socket
        try:
            joined = self.room.join(self.now, sub, "patient", secret, self.new_id)
        except RemoteProtocolError as error:
            self.check_full(error, sub)
            return
        assert joined.is_resumed == (had_socket and secret is not None)
        self.carry_out(joined.effects)
        self.lost_at.pop(joined.participant.id, None)
        if not joined.is_resumed:
            self.remember_roster(joined.participant.id)

    @rule(sub=SUBS, attachment=st.sampled_from(["whip", "whep"]))
    def attach(self, sub: str, attachment: str) -> None:
        try:
            self.carry_out(self.room.attach(self.now, sub, "patient", attachment, self.new_id).effects)
        except RemoteProtocolError as error:
            self.check_full(error, sub)

    @precondition(lambda self: self.room.participants)
    @rule(index=st.integers(0, 9), attachment=st.sampled_from(["whip", "whep"]))
    def detach(self, index: int, attachment: str) -> None:
        self.carry_out(self.room.detach(self.now, self.pick(index), attachment))

    @precondition(lambda self: self.room.participants)
    @rule(index=st.integers(0, 9))
    def interrupt(self, index: int) -> None:
        participant = self.pick(index)
        self.carry_out(self.room.interrupt(self.now, participant))
        if self.room.participants[participant].has_socket:
            self.lost_at.setdefault(participant, self.now)

    @precondition(lambda self: self.room.participants)
    @rule(index=st.integers(0, 9))
    def leave(self, index: int) -> None:
        self.carry_out(self.room.leave(self.now, self.pick(index)))

    @precondition(lambda self: self.room.participants)
    @rule(index=st.integers(0, 9))
    def admit(self, index: int) -> None:
        participant = self.pick(index)
        self.carry_out(self.room.admit(self.now, participant))

    @precondition(lambda self: self.room.participants)
    @rule(index=st.integers(0, 9), tracks=TRACKS, attachment=st.sampled_from(["socket", "whip"]))
    def publish(self, index: int, tracks: list[TrackDescription], attachment: str) -> None:
        participant = self.pick(index)
        if attachment in self.room.participants[participant].attachments:
            self.carry_out(self.room.publish(self.now, participant, tracks, self.new_id, attachment).effects)

    @precondition(lambda self: self.room.publications)
    @rule(index=st.integers(0, 9), is_muted=st.booleans())
    def mute(self, index: int, is_muted: bool) -> None:
        publication = list(self.room.publications.values())[index % len(self.room.publications)]
        self.carry_out(self.room.mute(self.now, publication.participant, publication.id, is_muted))

    @rule(seconds=st.sampled_from([1.0, 59.0, SEAT_S]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.carry_out(self.room.expire(self.now))
        for participant, lost in list(self.lost_at.items()):
            is_kept = participant in self.room.participants and self.room.participants[participant].has_socket
            assert is_kept == (self.now < lost + SEAT_S), "a seat is kept for seat_s and no longer"
            if not is_kept:
                del self.lost_at[participant]
                self.seen.pop(participant, None)

    @invariant()
    def every_route_that_should_be_is(self) -> None:
        people = self.room.participants.values()
        expected = {
            (publication, subscriber.id)
            for publisher in people
            for publication in publisher.publications
            for subscriber in people
            if publisher is not subscriber and publisher.is_admitted and subscriber.is_admitted
        }
        assert expected == self.routes == self.room.routes

    @invariant()
    def everyone_knows_what_there_is_to_know(self) -> None:
        for participant, known in self.seen.items():
            if not self.room.participants[participant].has_socket:
                continue
            assert known == {
                info.id: (info.is_interrupted, {each.id: each.is_muted for each in info.publications})
                for info in self.room.roster(participant)
            }

    @invariant()
    def nobody_is_there_twice(self) -> None:
        people = list(self.room.participants.values())
        assert len({person.sub for person in people}) == len(people) <= 4
        assert not self.closed & self.room.participants.keys()
        assert set(self.room.publications) == {each for person in people for each in person.publications}

    @invariant()
    def the_next_expiry_is_known(self) -> None:
        expected = min((lost + SEAT_S for lost in self.lost_at.values()), default=None)
        assert expected == self.room.next_expiry()


RoomMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestRoomMachine = RoomMachine.TestCase
