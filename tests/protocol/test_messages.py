"""
Messages are decoded against one table, whatever is not in it is refused; events are written as the docs say.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerelay import events
from telerelay.allocator import Profile
from telerelay.errors import RemoteProtocolError
from telerelay.events import OfferedTrackInfo, ParticipantInfo, PublicationInfo
from telerelay.protocol import messages

CAMERA = PublicationInfo("pub", "video", "camera", is_muted=True)
ALICE = ParticipantInfo("p1", "s1", "patient", publications=(CAMERA,))


def refusal(text: str) -> tuple[str, str]:
    with pytest.raises(RemoteProtocolError) as caught:
        messages.decode(text)
    return caught.value.code, str(caught.value)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"type": "join", "id": 1, "room": "r", "token": "t"}, messages.Join(1, "r", "t")),
        (
            {"type": "join", "id": 1, "room": "r", "token": "t", "resume": "s", "media": "keep", "last_seq": 0},
            messages.Join(1, "r", "t", "s", True, 0),
        ),
        ({"type": "join", "room": "r", "token": "t", "media": "new"}, messages.Join(None, "r", "t")),
        ({"type": "publish", "id": 2, "sdp": "v=0\r\n"}, messages.Publish(2, "v=0\r\n")),
        (
            {"type": "publish", "id": 2, "sdp": "", "tracks": [{"mid": "0", "source": "screen", "muted": True}]},
            messages.Publish(2, "", (messages.PublishedTrack("0", "screen", True),)),
        ),
        (
            {"type": "publish", "sdp": "", "tracks": [{"mid": "0", "source": "microphone", "encrypted": False}]},
            messages.Publish(None, "", (messages.PublishedTrack("0", "microphone", is_encrypted=False),)),
        ),
        (
            {"type": "publish", "sdp": "", "tracks": [{"mid": "1", "profile": "motion"}]},
            messages.Publish(None, "", (messages.PublishedTrack("1", "camera", profile="motion"),)),
        ),
        ({"type": "answer", "id": 3, "offer_id": 7, "sdp": "x"}, messages.Answer(3, 7, "x")),
        (
            {"type": "candidate", "connection": "publish", "candidate": "candidate:1", "sdp_mid": "0"},
            messages.Candidate(None, "publish"),
        ),
        ({"type": "candidate", "connection": "subscribe", "candidate": None}, messages.Candidate(None, "subscribe")),
        ({"type": "mute", "id": 4, "publication": "pub", "muted": False}, messages.Mute(4, "pub", False)),
        (
            {"type": "mute", "id": 4, "publication": "pub", "muted": True, "reason": "device_lost"},
            messages.Mute(4, "pub", True, "device_lost"),
        ),
        ({"type": "pause", "id": 5, "publication": "pub", "paused": True}, messages.Pause(5, "pub", True)),
        ({"type": "stats", "id": 2**31}, messages.Stats(2**31)),
        ({"type": "reconnect", "id": 6, "connection": "subscribe"}, messages.Reconnect(6, "subscribe")),
        (
            {
                "type": "report",
                "id": 8,
                "tracks": [
                    {"publication": "a", "concealed": 0.02, "buffer_ms": 80},
                    {"publication": "b", "frozen": 1, "frames_per_s": 29.5, "limited": True},
                ],
            },
            messages.Report(
                8,
                (
                    messages.ReportedTrack("a", concealed=0.02, buffer_ms=80),
                    messages.ReportedTrack("b", frozen=1, frames_per_s=29.5, is_limited=True),
                ),
            ),
        ),
        ({"type": "leave", "id": 7}, messages.Leave(7)),
        ({"type": "admit", "id": 8, "participant": "p1"}, messages.Admit(8, "p1")),
        ({"type": "deny", "id": 9, "participant": "p1"}, messages.Deny(9, "p1")),
        ({"type": "end", "id": 10}, messages.End(10)),
        (
            {"type": "request_still", "id": 11, "participant": "p1", "label": "mole", "reason": "Please."},
            messages.RequestStill(11, "p1", "mole", "Please."),
        ),
        ({"type": "request_still", "id": 11, "participant": "p1"}, messages.RequestStill(11, "p1")),
        (
            {"type": "answer_still", "id": 12, "request": "s1", "answer": "allowed"},
            messages.AnswerStill(12, "s1", "allowed"),
        ),
        ({"type": "withdraw_still", "id": 13, "request": "s1"}, messages.WithdrawStill(13, "s1")),
        ({"type": "priority", "id": 11, "emergency": True}, messages.Priority(11, True)),
    ],
)
def test_every_request_is_decoded(message: dict[str, Any], expected: messages.Request) -> None:
    """
    One frozen value for each, absent members as the docs default them.
    """
    assert expected == messages.decode(json.dumps(message))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "not JSON"),
        ("nonsense", "not JSON"),
        ("[]", "known type"),
        ("1", "known type"),
        ("{}", "known type"),
        ('{"type":"other"}', "known type"),
        ('{"type":[]}', "known type"),
        ('{"type":"stats","id":0}', "stats.id"),
        ('{"type":"stats","id":2147483649}', "stats.id"),
        ('{"type":"stats","id":true}', "stats.id"),
        ('{"type":"stats","id":1.0}', "stats.id"),
        ('{"type":"stats","id":"1"}', "stats.id"),
        ('{"type":"stats","id":null}', "stats.id"),
        ('{"type":"stats","id":NaN}', "number"),
        ('{"type":"stats","id":1e999}', "stats.id"),
        ('{"type":"stats","id":' + "9" * 5000 + "}", "not JSON"),
        ('{"type":"stats","id":1,"id":1}', "twice"),
        ('{"type":"stats","more":1}', "may not have"),
        ('{"type":"join","token":"t"}', "join.room is missing"),
        ('{"type":"join","room":"","token":"t"}', "join.room"),
        ('{"type":"join","room":"a/b","token":"t"}', "join.room"),
        ('{"type":"join","room":"..","token":"t"}', "join.room"),
        ('{"type":"join","room":"r","token":""}', "join.token"),
        ('{"type":"join","room":"r","token":"a\\u0000b"}', "join.token"),
        ('{"type":"join","room":"r","token":"\\ud800"}', "join.token"),
        ('{"type":"join","room":"r","token":"t","media":"old"}', "join.media"),
        ('{"type":"join","room":"r","token":"t","last_seq":-1}', "join.last_seq"),
        ('{"type":"publish","sdp":1}', "publish.sdp"),
        ('{"type":"publish","sdp":"","tracks":{}}', "publish.tracks"),
        ('{"type":"publish","sdp":"","tracks":[1]}', r"publish.tracks[0]"),
        ('{"type":"publish","sdp":"","tracks":[{"mid":"0","x":1}]}', "may not have"),
        ('{"type":"publish","sdp":"","tracks":[{"mid":"0","muted":1}]}', "muted"),
        ('{"type":"publish","sdp":"","tracks":[{"mid":"0","encrypted":"no"}]}', "encrypted"),
        ('{"type":"publish","sdp":"","tracks":[' + ",".join(['{"mid":"0"}'] * 33) + "]}", "at most 32"),
        ('{"type":"candidate","connection":"both"}', "candidate.connection"),
        ('{"type":"candidate","connection":"publish","candidate":{}}', "candidate.candidate"),
        ('{"type":"mute","publication":"a b","muted":true}', "mute.publication"),
        ('{"type":"mute","publication":"a","muted":true,"reason":"tired"}', "mute.reason"),
        ('{"type":"report","tracks":{}}', "report.tracks"),
        ('{"type":"report","tracks":[{"concealed":0.1}]}', "publication is missing"),
        ('{"type":"report","tracks":[{"publication":"a","concealed":1.5}]}', "concealed"),
        ('{"type":"report","tracks":[{"publication":"a","frozen":1e999}]}', "frozen"),
        ('{"type":"report","tracks":[{"publication":"a","buffer_ms":-1}]}', "buffer_ms"),
        ('{"type":"report","tracks":[{"publication":"a","frames_per_s":true}]}', "frames_per_s"),
        ('{"type":"report","tracks":[{"publication":"a","limited":1}]}', "limited"),
        ('{"type":"report","tracks":[' + ",".join(['{"publication":"a"}'] * 257) + "]}", "at most 256"),
        ('{"type":"stats","id":' + "[" * 60000, "nested too deeply"),
        ('{"type":"stats","id":' + "[" * 900 + "]" * 900 + "}", "stats.id"),
    ],
)
def test_what_is_not_in_the_table_is_refused_naming_the_field(text: str, hint: str) -> None:
    """
    bad_message, and which member is to blame (A48).
    """
    code, message = refusal(text)

    assert ("bad_message", True) == (code, hint in message), message


def test_a_message_has_a_size() -> None:
    """
    64 KiB, counted in bytes and not in characters (A48).
    """
    largest = '{"type":"publish","sdp":"' + "x" * (65536 - 27) + '"}'

    assert isinstance(messages.decode(largest), messages.Publish)
    assert "too_large" == refusal(largest.replace("x", "xx", 1))[0]
    assert "too_large" == refusal(largest.replace("x", "é", 1))[0]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=10,
    ),
    st.sampled_from(["join", "publish", "answer", "candidate", "mute", "pause", "stats", "reconnect", "leave"]),
    st.text(max_size=40),
)
@settings(max_examples=300, deadline=None)
def test_any_text_is_decoded_or_refused(value: Any, kind: str, noise: str) -> None:
    """
    No other exception comes out.
    """
    for text in (noise, json.dumps(value), json.dumps({"type": kind, "id": value, "sdp": value, "tracks": [value]})):
        code = "bad_message"
        try:
            messages.decode(text)
        except RemoteProtocolError as error:
            code = error.code
        messages.request_id(text)
        assert code in ("bad_message", "too_large")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"type":"x","id":5}', 5),
        ('{"type":"x","id":"5"}', None),
        ('{"id":true}', None),
        ("[]", None),
        ("", None),
        ("[" * 60000, None),
    ],
)
def test_a_refusal_can_name_the_request(text: str, expected: int | None) -> None:
    """
    So far as the message was readable at all.
    """
    assert expected == messages.request_id(text)


PUBLICATION = {"id": "pub", "kind": "video", "source": "camera", "muted": True}
PARTICIPANT = {"id": "p1", "sub": "s1", "role": "patient", "interrupted": False, "publications": [PUBLICATION]}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (messages.Reply(1, {"x": 2}), {"type": "reply", "id": 1, "x": 2}),
        (messages.ErrorReply(1, "forbidden", "no"), {"type": "error", "id": 1, "code": "forbidden", "message": "no"}),
        (messages.ErrorReply(None, "draining", "no"), {"type": "error", "code": "draining", "message": "no"}),
        (
            events.OfferMade(3, "v=0", (OfferedTrackInfo("0", "p1", "pub", "video", "camera"),)),
            {
                "type": "offer",
                "offer_id": 3,
                "sdp": "v=0",
                "tracks": [
                    {
                        "mid": "0",
                        "participant": "p1",
                        "publication": "pub",
                        "kind": "video",
                        "source": "camera",
                        "muted": False,
                    }
                ],
            },
        ),
        (events.ParticipantJoined(ALICE), {"type": "participant_joined", "participant": PARTICIPANT}),
        (events.ParticipantLeft("p1", "left"), {"type": "participant_left", "participant": "p1", "reason": "left"}),
        (events.ParticipantInterrupted("p1"), {"type": "participant_interrupted", "participant": "p1"}),
        (events.ParticipantBack("p1"), {"type": "participant_back", "participant": "p1"}),
        (events.Published("p1", CAMERA), {"type": "published", "participant": "p1", "publication": PUBLICATION}),
        (events.Unpublished("p1", "pub"), {"type": "unpublished", "participant": "p1", "publication": "pub"}),
        (
            events.MuteChanged("p1", "pub", True),
            {"type": "muted", "participant": "p1", "publication": "pub", "muted": True},
        ),
        (
            events.MuteChanged("p1", "pub", True, "source"),
            {"type": "muted", "participant": "p1", "publication": "pub", "muted": True, "reason": "source"},
        ),
        (
            events.Published("p1", PublicationInfo("pub", "audio", "microphone", True, "interrupted")),
            {
                "type": "published",
                "participant": "p1",
                "publication": {
                    "id": "pub",
                    "kind": "audio",
                    "source": "microphone",
                    "muted": True,
                    "reason": "interrupted",
                },
            },
        ),
        (
            events.ConnectionChanged("publish", "connected"),
            {"type": "connection", "connection": "publish", "state": "connected"},
        ),
        (
            events.SubscriptionRefused("pub", "no_common_codec"),
            {"type": "refused", "publication": "pub", "code": "no_common_codec"},
        ),
        (events.Admitted(), {"type": "admitted"}),
        (events.JoinDuplicated(), {"type": "duplicate_join"}),
        (events.RoomEnded("over"), {"type": "ended", "reason": "over"}),
        (events.DrainStarted(), {"type": "draining"}),
    ],
)
def test_every_message_is_written_as_the_docs_say(
    message: messages.Reply | messages.ErrorReply | events.Event, expected: dict[str, Any]
) -> None:
    """
    And an event carries its number.
    """
    assert expected == json.loads(messages.encode(message))
    if not isinstance(message, messages.Reply | messages.ErrorReply):
        assert {**expected, "seq": 9} == json.loads(messages.encode(message, 9))


def test_the_bodies_of_replies() -> None:
    """
    What answers a join and a publish.
    """
    body = messages.joined(
        participant="p1",
        sub="s1",
        role="patient",
        resume="secret",
        is_resumed=False,
        is_admitted=True,
        participants=(ALICE,),
        seq=4,
        codecs={"audio": ("opus",), "video": ("VP8",)},
    )

    assert {
        "participant": "p1",
        "sub": "s1",
        "role": "patient",
        "resume": "secret",
        "resumed": False,
        "admitted": True,
        "participants": [PARTICIPANT],
        "seq": 4,
        "ice_servers": [],
        "codecs": {"audio": ["opus"], "video": ["VP8"]},
    } == body
    assert {
        "sdp": "v=0",
        "publications": [{"id": "pub", "mid": "1", "kind": "video", "source": "camera"}],
    } == messages.published("v=0", (("1", CAMERA),))


@pytest.mark.parametrize(
    ("sign", "expected"),
    [
        (
            events.ConsultChanged("waiting", 12.5, True),
            {"type": "consult", "state": "waiting", "since": 12.5, "emergency": True},
        ),
        (
            events.WaitingChanged(2, 12.5, True),
            {"type": "waiting", "position": 2, "since": 12.5, "held": True},
        ),
        (
            events.WaitingContentChanged((events.ContentItem("c1", "video", "/v.mp4", "Knee"),)),
            {
                "type": "waiting_content",
                "items": [{"id": "c1", "kind": "video", "url": "/v.mp4", "title": "Knee"}],
            },
        ),
        (
            events.WaitingRoomChanged((events.WaitingPerson("p1", "s1", "patient", 12.5, True),)),
            {
                "type": "waiting_room",
                "people": [
                    {
                        "participant": "p1",
                        "sub": "s1",
                        "role": "patient",
                        "since": 12.5,
                        "emergency": True,
                        "interrupted": False,
                    }
                ],
            },
        ),
    ],
)
def test_signs_of_a_consult(sign: events.Sign, expected: dict[str, Any]) -> None:
    """
    Where it is, who waits, and where in line.
    """
    assert expected == json.loads(messages.encode(sign))


def test_a_sign_has_no_number() -> None:
    """
    How good the call is belongs to its moment: nobody gets it later.
    """
    sign = events.QualityChanged(events.ScoreInfo(5), events.ScoreInfo(2, "loss"))

    assert {
        "type": "quality",
        "up": {"score": 5, "cause": None},
        "down": {"score": 2, "cause": "loss"},
    } == json.loads(messages.encode(sign))
    assert {"type": "quality", "up": None, "down": None} == json.loads(
        messages.encode(events.QualityChanged(None, None))
    )


def test_limits_say_only_what_is_limited() -> None:
    """
    As a sign; no encodings at all is another thing than all of them.
    """
    sign = events.LimitsChanged(
        (("x1", events.Limit(400_000)), ("x2", events.Limit(rids=("q",))), ("x3", events.Limit(rids=())))
    )

    assert {
        "type": "limits",
        "tracks": [
            {"publication": "x1", "max_bps": 400_000},
            {"publication": "x2", "rids": ["q"]},
            {"publication": "x3", "rids": []},
        ],
    } == json.loads(messages.encode(sign))


def test_what_is_held_back_and_who_speaks_are_signs() -> None:
    """
    The subscriber hears why, the publisher from whom; nobody speaking is null.
    """
    said = (
        events.TrackStateChanged("x1", "paused", "line"),
        events.SeenByChanged("x1", "live", "bob"),
        events.SpeakerChanged("ada"),
        events.SpeakerChanged(None),
    )

    assert [
        {"type": "track_state", "publication": "x1", "state": "paused", "reason": "line"},
        {"type": "seen_by", "publication": "x1", "state": "live", "participant": "bob"},
        {"type": "speaker", "participant": "ada"},
        {"type": "speaker", "participant": None},
    ] == [json.loads(messages.encode(each)) for each in said]


def test_a_profile_that_there_is_not_is_refused_by_name() -> None:
    """
    With the three there are, which are the allocator's.
    """
    text = json.dumps({"type": "publish", "sdp": "", "tracks": [{"mid": "1", "profile": "fast"}]})

    assert ("bad_message", "publish.tracks[0].profile must be one of talk, motion, detail") == refusal(text)
    assert tuple(Profile) == messages.PROFILES
