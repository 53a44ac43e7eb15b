"""
One room's decisions: who comes, who goes, who hears whom, and what each is told.
"""

from collections.abc import Callable, Iterable

import pytest

from telerelay.errors import RemoteProtocolError
from telerelay.events import (
    Admitted,
    JoinDuplicated,
    MuteChanged,
    ParticipantBack,
    ParticipantInterrupted,
    ParticipantJoined,
    ParticipantLeft,
    Published,
    RoomEnded,
    Unpublished,
)
from telerelay.rooms import (
    AdmissionChanged,
    CloseParticipant,
    Effect,
    Joined,
    Pause,
    Publication,
    Room,
    RoomLimits,
    Rooms,
    Route,
    Tell,
    TrackDescription,
    Unroute,
)
from telerelay.rooms.participant import SOCKET
from telerelay.rooms.policy import ROLES

CAMERA = TrackDescription("1", "video", "camera")
MICROPHONE = TrackDescription("0", "audio", "microphone")


class Scene:
    """A room with numbered ids and secrets."""

    def __init__(
        self, limits: RoomLimits | None = None, door: Callable[[str, str], bool] = lambda sub, role: True
    ) -> None:
        self.room = Room("demo", limits or RoomLimits(), door)
        self.count = 0

    def new_id(self) -> str:
        self.count += 1
        return f"id{self.count}"

    def join(self, sub: str, role: str = "patient", resume: str | None = None, now: float = 0.0) -> Joined:
        return self.room.join(now, sub, role, resume, self.new_id, lambda: f"secret-{self.new_id()}")

    def attach(self, sub: str, attachment: str, role: str = "patient") -> Joined:
        return self.room.attach(0.0, sub, role, attachment, self.new_id)

    def publish(self, participant: str, *tracks: TrackDescription, attachment: str = "socket") -> list[str]:
        decision = self.room.publish(0.0, participant, tracks, self.new_id, attachment)
        return [publication.id for publication in decision.publications]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def told(effects: Iterable[Effect], participant: str) -> list[object]:
    return [each.event for each in effects if isinstance(each, Tell) and each.participant == participant]


def refusal(do: Callable[[], object]) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        do()
    return caught.value.code


def test_a_joiner_is_told_to_the_others_and_hears_what_is_published(scene: Scene) -> None:
    """
    First the news, then the routes.
    """
    alice = scene.join("alice").participant
    (camera,) = scene.publish(alice.id, CAMERA)
    bob, effects, is_resumed = scene.join("bob", "practitioner")

    assert (Tell(alice.id, ParticipantJoined(bob.info())), Route(camera, bob.id)) == effects
    assert (alice.info(),) == scene.room.roster(bob.id)
    assert not is_resumed


def test_a_publication_reaches_all_others_and_not_oneself(scene: Scene) -> None:
    """
    Each is told, then has a route.
    """
    alice, bob, carol = (scene.join(sub).participant for sub in ("alice", "bob", "carol"))
    publications, effects = scene.room.publish(0.0, alice.id, [CAMERA], scene.new_id)
    event = Published(alice.id, publications[0].info())

    assert (
        Tell(bob.id, event),
        Tell(carol.id, event),
        Route(publications[0].id, bob.id),
        Route(publications[0].id, carol.id),
    ) == effects


def test_publishing_again_changes_only_what_differs(scene: Scene) -> None:
    """
    What stays keeps its id, what is missing is unpublished, a mute that differs is told.
    """
    alice, bob = (scene.join(sub).participant for sub in ("alice", "bob"))
    microphone, camera = scene.publish(alice.id, MICROPHONE, CAMERA)
    muted = TrackDescription("0", "audio", "microphone", is_muted=True)
    publications, effects = scene.room.publish(0.0, alice.id, [muted], scene.new_id)

    assert [microphone] == [publication.id for publication in publications]
    assert (
        Unroute(camera, bob.id),
        Tell(bob.id, Unpublished(alice.id, camera)),
        Tell(bob.id, MuteChanged(alice.id, microphone, True)),
    ) == effects


def test_another_source_in_the_same_place_is_another_publication(scene: Scene) -> None:
    """
    A camera that becomes a screen is not the same thing to those who watch.
    """
    alice = scene.join("alice").participant
    (camera,) = scene.publish(alice.id, CAMERA)
    (screen,) = scene.publish(alice.id, TrackDescription("1", "video", "screen"))

    assert camera != screen
    assert [screen] == list(scene.room.publications)


def test_who_leaves_takes_everything_along(scene: Scene) -> None:
    """
    Routes to it and from it end, the others are told, its connections are to be closed.
    """
    alice, bob = (scene.join(sub).participant for sub in ("alice", "bob"))
    (camera,) = scene.publish(alice.id, CAMERA)
    (microphone,) = scene.publish(bob.id, MICROPHONE)
    effects = scene.room.leave(1.0, alice.id)

    assert {Unroute(camera, bob.id), Unroute(microphone, alice.id)} == set(effects[:2])
    assert (Tell(bob.id, ParticipantLeft(alice.id, "left")), CloseParticipant(alice.id, "left")) == effects[2:]
    assert [microphone] == list(scene.room.publications)


def test_a_lost_socket_keeps_the_seat_and_the_routes(scene: Scene) -> None:
    """
    The others are told once; the secret brings the seat back, and is another one afterwards.
    """
    alice, bob = (scene.join(sub).participant for sub in ("alice", "bob"))
    (camera,) = scene.publish(alice.id, CAMERA)
    secret = alice.resume
    lost = scene.room.interrupt(10.0, alice.id)
    again = scene.room.interrupt(11.0, alice.id)
    back = scene.join("alice", resume=secret, now=20.0)

    assert ((Tell(bob.id, ParticipantInterrupted(alice.id)),), ()) == (lost, again)
    assert (alice, True, (Tell(bob.id, ParticipantBack(alice.id)),)) == (
        back.participant,
        back.is_resumed,
        back.effects,
    )
    assert frozenset({(camera, bob.id)}) == scene.room.routes
    assert secret != alice.resume
    assert None is scene.room.next_expiry()


def test_who_is_lost_is_told_what_happens_meanwhile(scene: Scene) -> None:
    """
    The events wait for its return.
    """
    alice, bob = (scene.join(sub).participant for sub in ("alice", "bob"))
    scene.room.interrupt(10.0, alice.id)
    effects = scene.room.publish(11.0, bob.id, [CAMERA], scene.new_id).effects

    assert 1 == len(told(effects, alice.id))


@pytest.mark.parametrize(("now", "is_there"), [(129.9, True), (130.0, False)])
def test_a_seat_is_kept_for_seat_s(scene: Scene, now: float, is_there: bool) -> None:
    """
    120 s from the loss, to the moment.
    """
    alice, bob = (scene.join(sub).participant for sub in ("alice", "bob"))
    scene.room.interrupt(10.0, alice.id)
    effects = scene.room.expire(now)

    assert is_there == (alice.id in scene.room.participants)
    assert ([] if is_there else [ParticipantLeft(alice.id, "timeout")]) == told(effects, bob.id)
    assert 130.0 == scene.room.next_expiry() or not is_there


@pytest.mark.parametrize("resume", [None, "", "wrong", "é"])
def test_the_same_sub_without_the_secret_is_the_newest_and_wins(scene: Scene, resume: str | None) -> None:
    """
    The old one is told first and closed; the others see one go and one come.
    """
    alice, bob = (scene.join(sub).participant for sub in ("alice", "bob"))
    (camera,) = scene.publish(alice.id, CAMERA)
    newest, effects, is_resumed = scene.join("alice", resume=resume)

    assert (
        Tell(alice.id, JoinDuplicated()),
        Unroute(camera, bob.id),
        Tell(bob.id, ParticipantLeft(alice.id, "duplicate_join")),
        CloseParticipant(alice.id, "duplicate_join"),
        Tell(bob.id, ParticipantJoined(newest.info())),
    ) == effects
    assert not is_resumed
    assert {bob.id, newest.id} == set(scene.room.participants)


def test_another_ones_secret_is_worth_nothing(scene: Scene) -> None:
    """
    It is bound to the seat (A53).
    """
    scene.join("alice")
    bob = scene.join("bob").participant

    assert not scene.join("alice", resume=bob.resume).is_resumed


def test_a_seat_is_not_resumed_under_another_role(scene: Scene) -> None:
    """
    An observer's seat is no practitioner's.
    """
    alice = scene.join("alice", "observer").participant
    newest = scene.join("alice", "practitioner", alice.resume)

    assert (False, "practitioner") == (newest.is_resumed, newest.participant.role)


def test_whip_whep_and_socket_of_one_sub_are_one_participant(scene: Scene) -> None:
    """
    In whichever order they come; the last to go takes the participant along.
    """
    bob = scene.join("bob").participant
    camera, effects, _ = scene.attach("alice", "whip-1", "device")
    (published,) = scene.publish(camera.id, CAMERA, attachment="whip-1")
    joined = scene.join("alice", "device")
    scene.attach("alice", "whep-1", "device")
    (microphone,) = scene.publish(camera.id, MICROPHONE)

    assert [Tell(bob.id, ParticipantJoined(camera.info()))][0].participant == effects[0].participant
    assert (camera, (), False) == joined
    assert {published, microphone} == set(camera.publications)
    gone = scene.room.detach(1.0, camera.id, "whip-1")
    assert (Unroute(published, bob.id), Tell(bob.id, Unpublished(camera.id, published))) == gone
    scene.room.detach(2.0, camera.id, "whep-1")
    assert CloseParticipant(camera.id, "left") == scene.room.detach(3.0, camera.id, "socket")[-1]


def test_a_lost_socket_does_not_take_whip_along(scene: Scene) -> None:
    """
    When the seat's time is over, what WHIP publishes goes on.
    """
    bob = scene.join("bob").participant
    alice = scene.join("alice").participant
    scene.attach("alice", "whip-1")
    (camera,) = scene.publish(alice.id, CAMERA, attachment="whip-1")
    (microphone,) = scene.publish(alice.id, MICROPHONE)
    scene.room.interrupt(0.0, alice.id)
    effects = scene.room.expire(120.0)

    assert [Unpublished(alice.id, microphone), ParticipantBack(alice.id)] == told(effects, bob.id)
    assert [camera] == list(alice.publications)
    assert not alice.has_socket


def test_who_has_no_socket_is_told_nothing(scene: Scene) -> None:
    """
    Events are for those who can hear them.
    """
    camera = scene.attach("camera", "whip-1").participant

    assert [] == told(scene.join("bob").effects, camera.id)


def test_one_sub_has_one_role_at_a_time(scene: Scene) -> None:
    """
    A WHIP resource cannot bring another role than the participant it belongs to.
    """
    scene.join("alice", "observer")

    assert "conflict" == refusal(lambda: scene.attach("alice", "whip-1", "practitioner"))


def test_an_unknown_role_is_forbidden(scene: Scene) -> None:
    """
    Deny by default.
    """
    assert "forbidden" == refusal(lambda: scene.join("alice", "host"))
    assert "forbidden" == refusal(lambda: scene.attach("alice", "whip-1", "host"))
    assert scene.room.is_empty


@pytest.mark.parametrize("role", sorted(ROLES))
def test_observers_and_recorders_do_not_publish(scene: Scene, role: str) -> None:
    """
    All others do; all of them hear (A55).
    """
    other = scene.join("other").participant
    (camera,) = scene.publish(other.id, CAMERA)
    participant = scene.join("someone", role).participant

    assert (camera, participant.id) in scene.room.routes
    if role in ("observer", "recorder"):
        assert "forbidden" == refusal(lambda: scene.publish(participant.id, CAMERA))
    else:
        assert 1 == len(scene.publish(participant.id, CAMERA))


def test_a_room_has_so_many_seats(scene: Scene) -> None:
    """
    room_full; a lost seat counts, the same sub again does not.
    """
    scene = Scene(RoomLimits(max_participants=2))
    alice = scene.join("alice").participant
    scene.join("bob")
    scene.room.interrupt(0.0, alice.id)

    assert "room_full" == refusal(lambda: scene.join("carol"))
    assert "bob" == scene.join("bob").participant.sub


@pytest.mark.parametrize(("seats", "may_wait"), [(1, 1), (2, 1), (3, 2), (16, 14), (100, 88)])
def test_who_waits_leaves_seats_for_who_lets_in(seats: int, may_wait: int) -> None:
    """
    The room is full for one more who waits, and a doctor comes in; the seat of who waits is kept all the same.
    """
    scene = Scene(RoomLimits(max_participants=seats), lambda sub, role: role == "practitioner")
    for number in range(may_wait):
        scene.join(f"p{number}")

    assert "room_full" == refusal(lambda: scene.join("late"))
    assert "room_full" == refusal(lambda: scene.attach("late", "whip-1"))
    for number in range(seats - may_wait):
        assert scene.join(f"d{number}", "practitioner").participant.is_admitted
    assert "room_full" == refusal(lambda: scene.join("d", "practitioner"))
    assert "p0" == scene.join("p0").participant.sub


@pytest.mark.parametrize(("seats", "may_wait"), [(2, 1), (3, 2), (16, 14)])
def test_who_waits_finds_a_seat_beside_who_lets_in(seats: int, may_wait: int) -> None:
    """
    A doctor who came first has his seat already; a second one finds one even then, and he himself when he comes back.
    """
    scene = Scene(RoomLimits(max_participants=seats), lambda sub, role: role == "practitioner")
    doctor = scene.join("doctor", "practitioner").participant
    for number in range(may_wait):
        scene.join(f"p{number}")

    assert "room_full" == refusal(lambda: scene.join("late"))
    scene.room.leave(0.0, doctor.id)
    assert "room_full" == refusal(lambda: scene.join("late"))
    assert scene.join("doctor", "practitioner").participant.is_admitted


def test_a_participant_publishes_only_so_much(scene: Scene) -> None:
    """
    conflict, and nothing is changed.
    """
    scene = Scene(RoomLimits(max_publications=2))
    alice = scene.join("alice").participant
    scene.publish(alice.id, MICROPHONE, CAMERA)
    third = TrackDescription("2", "video", "screen")

    assert "conflict" == refusal(lambda: scene.publish(alice.id, MICROPHONE, CAMERA, third))
    assert "conflict" == refusal(lambda: scene.publish(alice.id, third, attachment="whip-1"))
    assert "bad_message" == refusal(lambda: scene.publish(alice.id, CAMERA, CAMERA))
    assert 2 == len(alice.publications)


def test_muting_is_told_and_only_of_ones_own(scene: Scene) -> None:
    """
    The same again is silent.
    """
    alice, bob = (scene.join(sub).participant for sub in ("alice", "bob"))
    (camera,) = scene.publish(alice.id, CAMERA)

    assert (Tell(bob.id, MuteChanged(alice.id, camera, True)),) == scene.room.mute(0.0, alice.id, camera, True)
    assert () == scene.room.mute(0.0, alice.id, camera, True)
    assert "not_found" == refusal(lambda: scene.room.mute(0.0, bob.id, camera, False))


def test_why_something_is_muted_is_told_and_kept_for_who_comes_later(scene: Scene) -> None:
    """
    Another reason is told again; an offer that repeats the mute keeps it; unmuted there is none.
    """
    alice, bob = (scene.join(sub).participant for sub in ("alice", "bob"))
    (camera,) = scene.publish(alice.id, CAMERA)

    for reason in ("user", "device_lost"):
        told = scene.room.mute(0.0, alice.id, camera, True, reason)
        assert (Tell(bob.id, MuteChanged(alice.id, camera, True, reason)),) == told
    muted = TrackDescription(CAMERA.mid, CAMERA.kind, CAMERA.source, is_muted=True)
    assert () == scene.room.publish(0.0, alice.id, [muted], scene.new_id).effects
    (info,) = scene.room.roster(bob.id)
    assert "device_lost" == info.publications[0].reason

    told = scene.room.mute(0.0, alice.id, camera, False, "user")
    assert (Tell(bob.id, MuteChanged(alice.id, camera, False, None)),) == told


def test_a_subscriber_pauses_what_it_hears(scene: Scene) -> None:
    """
    Nobody else is told; what it does not hear is not there for it.
    """
    alice, bob = (scene.join(sub).participant for sub in ("alice", "bob"))
    (camera,) = scene.publish(alice.id, CAMERA)

    assert (Pause(camera, bob.id, True),) == scene.room.pause(0.0, bob.id, camera, True)
    assert () == scene.room.pause(0.0, bob.id, camera, True)
    assert "not_found" == refusal(lambda: scene.room.pause(0.0, alice.id, camera, True))
    assert "not_found" == refusal(lambda: scene.room.pause(0.0, bob.id, "other", True))


def test_who_waits_is_neither_listed_nor_heard_and_hears_nobody() -> None:
    """
    Until admitted (A56): then all at once, and media is let through first.
    """
    scene = Scene(door=lambda sub, role: role != "patient")
    doctor = scene.join("doctor", "practitioner").participant
    (camera,) = scene.publish(doctor.id, CAMERA)
    patient, effects, _ = scene.join("patient", "patient")
    decision = scene.room.publish(0.0, patient.id, [MICROPHONE], scene.new_id)
    before = (effects, decision.effects, scene.room.roster(patient.id), scene.room.roster(doctor.id), scene.room.routes)
    admitted = scene.room.admit(1.0, patient.id)

    assert ((), (), (), (), frozenset()) == before
    assert (
        AdmissionChanged(patient.id, True),
        Tell(patient.id, Admitted()),
        Tell(patient.id, ParticipantJoined(doctor.info())),
        Tell(doctor.id, ParticipantJoined(patient.info())),
        Route(camera, patient.id),
        Route(decision.publications[0].id, doctor.id),
    ) == admitted
    assert () == scene.room.admit(2.0, patient.id)


def test_who_waits_is_not_missed_when_it_goes() -> None:
    """
    Nobody heard of it coming.
    """
    scene = Scene(door=lambda sub, role: False)
    patient = scene.join("patient").participant

    assert (CloseParticipant(patient.id, "left"),) == scene.room.leave(0.0, patient.id)


def test_the_end_is_told_and_closes_everyone(scene: Scene) -> None:
    """
    News first; the room is empty afterwards.
    """
    alice, bob = (scene.join(sub).participant for sub in ("alice", "bob"))
    (camera,) = scene.publish(alice.id, CAMERA)
    effects = scene.room.end(0.0, "over")

    assert (
        Tell(alice.id, RoomEnded("over")),
        Tell(bob.id, RoomEnded("over")),
        Unroute(camera, bob.id),
        CloseParticipant(alice.id, "ended"),
        CloseParticipant(bob.id, "ended"),
    ) == effects
    assert scene.room.is_empty


def test_what_is_not_there_is_not_found(scene: Scene) -> None:
    """
    Every method that names a participant says so.
    """
    room = scene.room
    for do in (
        lambda: room.leave(0.0, "x"),
        lambda: room.interrupt(0.0, "x"),
        lambda: room.detach(0.0, "x", "socket"),
        lambda: room.admit(0.0, "x"),
        lambda: room.roster("x"),
        lambda: room.publish(0.0, "x", [], scene.new_id),
        lambda: room.mute(0.0, "x", "y", True),
        lambda: room.pause(0.0, "x", "y", True),
    ):
        assert "not_found" == refusal(do)


def test_rooms_are_made_when_needed_and_go_when_empty() -> None:
    """
    And there are only so many.
    """
    rooms = Rooms(RoomLimits(), max_rooms=1)
    room = rooms.open("demo")
    alice = room.join(0.0, "alice", "patient", None, lambda: "p1").participant

    assert (room, None, False) == (rooms.open("demo"), rooms.get("other"), rooms.close_if_empty("demo"))
    assert "room_full" == refusal(lambda: rooms.open("other"))
    room.leave(0.0, alice.id)
    assert (True, 0) == (rooms.close_if_empty("demo"), len(rooms))


def test_a_secret_is_not_printed(scene: Scene) -> None:
    """
    Nor compared in a way that tells how much of it was right.
    """
    alice = scene.join("alice").participant

    assert alice.resume not in repr(alice)
    assert alice.may_resume(alice.resume)
    assert not alice.may_resume(alice.resume[:-1])


def test_a_room_goes_on_from_another_process(scene: Scene) -> None:
    """
    With the routes there were, and the seats: their secrets are known by hash alone, and every socket is lost.
    """
    alice, bob = scene.join("alice").participant, scene.join("bob").participant
    scene.room.publish(0.0, alice.id, [TrackDescription("0", "audio", "microphone")], scene.new_id)
    secret = alice.resume
    for each in (alice, bob):
        each.resume_hash, each.resume = each.secret_hash, ""
    again = Room("demo", RoomLimits(seat_s=100.0))
    again.restore(50.0, [alice, bob])

    assert scene.room.routes == again.routes
    assert [150.0, 150.0] == [each.seat_until for each in again.participants.values()]
    assert not alice.may_resume("") and not alice.may_resume(secret + "x")  # noqa: PT018
    joined = again.join(60.0, "alice", alice.role, secret, scene.new_id)
    assert (alice, True, None) == (joined.participant, joined.is_resumed, alice.seat_until)
    assert joined.participant.resume not in ("", secret)
    assert not alice.may_resume(secret)
    assert 150.0 == again.next_expiry()


def test_only_a_voice_said_to_be_in_the_clear_may_be_taken_apart() -> None:
    """
    Not what is encrypted end to end, or may be; not what an instrument hears; not a picture.
    """
    said = {
        (kind, source, is_encrypted): Publication(
            "x", "p", SOCKET, "0", kind, source, is_encrypted=is_encrypted
        ).is_open_voice
        for kind, source in (("audio", "microphone"), ("audio", "stethoscope"), ("video", "microphone"))
        for is_encrypted in (False, True)
    }

    assert [("audio", "microphone", False)] == [what for what, is_open in said.items() if is_open]


def test_what_was_said_of_a_profile_holds_until_something_else_is_said(scene: Scene) -> None:
    """
    It is the same publication all the while.
    """
    ada = scene.join("ada").participant.id
    said = []
    for profile in (None, "motion", None, "talk"):
        (name,) = scene.publish(ada, TrackDescription("0", "video", "camera", profile=profile))
        said.append((name, scene.room.publications[name].profile))

    assert 1 == len({name for name, _ in said})
    assert ["", "motion", "motion", "talk"] == [profile for _, profile in said]


def test_what_was_said_of_encryption_holds_until_something_else_is_said(scene: Scene) -> None:
    """
    A client that offers anew without a word keeps its publication, and what it is; another word makes another one.
    """
    ada = scene.join("ada").participant.id
    clear = TrackDescription("0", "audio", "microphone", is_encrypted=False)
    unsaid = TrackDescription("0", "audio", "microphone")
    (first,) = scene.publish(ada, clear)
    assert [first] == scene.publish(ada, unsaid)
    assert scene.room.publications[first].is_open_voice
    (second,) = scene.publish(ada, TrackDescription("0", "audio", "microphone", is_encrypted=True))
    assert second != first
    (third,) = scene.publish(ada, TrackDescription("1", "audio", "microphone"))
    assert scene.room.publications[third].is_encrypted
