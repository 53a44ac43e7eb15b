"""Signalling over the WebSocket: joining, and which messages are refused. What comes after has files of its own."""

import asyncio

import aiohttp
import pytest

from support.live_relay import Live, MakeLive

# ---------------------------------------------------------------------- joining


async def test_a_join_is_answered_with_the_room(live: Live) -> None:
    """
    The reply has everything a client needs to begin: who it is, who is there, what may be sent.
    """
    alice = await live.join("alice", role="patient")

    expected = {
        "sub": "alice",
        "role": "patient",
        "resumed": False,
        "participants": [],
        "seq": 0,
        "ice_servers": [],
        "codecs": {"audio": ["opus"], "video": ["VP8", "H264", "VP9", "AV1", "H265"]},
    }
    assert expected == {key: alice.joined[key] for key in expected}
    assert len(alice.joined["participant"]) >= 16
    assert len(alice.joined["resume"]) >= 32


async def test_everyone_is_told_of_everyone(live: Live) -> None:
    """
    Who was there hears of who comes, who comes finds them in its reply, and who leaves is heard of.
    """
    alice = await live.join("alice")
    bob = await live.join("bob", role="patient")
    joined = (await alice.event("participant_joined"))["participant"]
    await bob.ask("leave")

    assert (bob.id, "bob", "patient", False, []) == tuple(
        joined[key] for key in ("id", "sub", "role", "interrupted", "publications")
    )
    assert [alice.id] == [other["id"] for other in bob.joined["participants"]]
    left = await alice.event("participant_left")
    assert (bob.id, "left") == (left["participant"], left["reason"])
    assert 1000 == await bob.close_code()


@pytest.mark.parametrize(
    ("room", "token", "code", "close_code"),
    [
        ("r1", "not.a.token", "unauthorized", 4001),
        ("r2", "r1", "forbidden", 4003),
        ("no-such-room", "r1", "forbidden", 4003),
    ],
)
async def test_a_refused_join_is_told_why_and_closed(
    live: Live, room: str, token: str, code: str, close_code: int
) -> None:
    """
    A foreign room and a missing one are refused alike; the close code says the class of the error.
    """
    await live.join("somebody", room="r2")
    peer = await live.connect()
    reply = await peer.ask("join", room=room, token=live.token("alice", "r1") if token == "r1" else token)

    assert ("error", code) == (reply["type"], reply["code"])
    assert close_code == await peer.close_code()


async def test_nothing_comes_before_the_join(live: Live) -> None:
    """
    Any other first message ends the connection.
    """
    peer = await live.connect()
    reply = await peer.ask("stats")

    assert "bad_message" == reply["code"]
    assert 4008 == await peer.close_code()


async def test_who_does_not_join_in_time_is_closed(make_live: MakeLive) -> None:
    """
    A connection that says nothing is not kept.
    """
    live = await make_live({"limits": {"join_timeout_s": 0.1}})
    peer = await live.connect()

    assert 4008 == await peer.close_code()
    assert "timeout" == peer.events[0]["code"]


async def test_failed_tokens_of_one_address_are_held_back_but_good_ones_are_not(make_live: MakeLive) -> None:
    """
    A hospital is one address: a broken client there does not keep the others out.
    """
    live = await make_live({"limits": {"auth_failure_burst": 2, "auth_failures_per_s": 0.01}})
    codes = []
    for _ in range(4):
        peer = await live.connect()
        codes.append((await peer.ask("join", room="r1", token="wrong"))["code"])

    assert ["unauthorized", "unauthorized", "too_many_requests", "too_many_requests"] == codes
    assert (await live.join("alice")).joined["sub"] == "alice"


@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://evil.example", 403), ("null", 403), ("https://clinic.example", 101), ("same", 101), ("", 101)],
)
async def test_only_listed_origins_may_open_a_socket(make_live: MakeLive, origin: str, status: int) -> None:
    """
    The page's own origin may, listed ones may, clients that are no browser may; `null` is nobody.
    """
    live = await make_live({"http": {"allowed_origins": ["https://clinic.example"]}})
    headers = {"Origin": live.root if origin == "same" else origin} if origin else {}
    if status == 101:
        assert not (await live.connect(**headers)).ws.closed
    else:
        with pytest.raises(aiohttp.WSServerHandshakeError) as error:
            await live.connect(**headers)
        assert status == error.value.status


async def test_the_newest_of_two_joins_wins(live: Live) -> None:
    """
    The old connection is told and closed within a second; the others see one leave and one come.
    """
    alice = await live.join("alice")
    first = await live.join("bob")
    second = await live.join("bob")

    async with asyncio.timeout(1.0):
        assert 4009 == await first.close_code()
    assert "duplicate_join" == first.events[-1]["type"]
    assert "duplicate_join" == (await alice.event("participant_left"))["reason"]
    assert second.id != first.id
    assert [alice.id] == [other["id"] for other in second.joined["participants"]]


async def test_a_full_room_says_so(make_live: MakeLive) -> None:
    """
    One participant more than a room may have is refused by name, the others stay.
    """
    live = await make_live({"rooms": {"max_participants": 1}})
    alice = await live.join("alice")
    bob = await live.connect()
    reply = await bob.ask("join", room="r1", token=live.token("bob"))

    assert "room_full" == reply["code"]
    assert "reply" == (await alice.ask("stats"))["type"]


# ---------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "bad_message"),
        ('{"type":"mute","id":7,"publication":"p","muted":1}', "bad_message"),
        ('{"type":"stats","id":7,"id":8}', "bad_message"),
        ('{"type":"stats","id":7,"more":1}', "bad_message"),
        ('{"type":"join","id":7,"room":"r1","token":"t"}', "conflict"),
        ('{"type":"mute","id":7,"publication":"none","muted":true}', "not_found"),
        ('{"type":"answer","id":7,"offer_id":1,"sdp":""}', "bad_message"),
        ('{"type":"publish","id":7,"sdp":"v=0"}', "bad_sdp"),
        ('{"type":"stats","id":7,"pad":"' + "x" * 66000 + '"}', "too_large"),
    ],
)
async def test_a_bad_message_is_refused_and_nothing_else_happens(live: Live, text: str, code: str) -> None:
    """
    The connection goes on, and the next request is answered as if nothing had been.
    """
    alice = await live.join("alice")
    await alice.ws.send_str(text)
    refusal = await alice.receive()

    assert ("error", code) == (refusal["type"], refusal["code"])
    assert {"type": "reply", "id": 2} == await alice.ask("stats")


async def test_an_error_names_the_request_it_answers(live: Live) -> None:
    """
    The id of a refused message comes back, so that a client knows which of its requests failed.
    """
    alice = await live.join("alice")
    await alice.ws.send_str('{"type":"mute","id":77}')

    assert 77 == (await alice.receive())["id"]


async def test_binary_frames_end_the_connection(live: Live) -> None:
    """
    Signalling is text; the close code is that of RFC 6455 for data that cannot be taken.
    """
    alice = await live.join("alice")
    await alice.ws.send_bytes(b"\x00")

    assert 1003 == await alice.close_code()


async def test_too_many_messages_are_refused_and_a_flood_is_closed(make_live: MakeLive) -> None:
    """
    Over the rate each message is refused; who goes on regardless is closed.
    """
    live = await make_live({"limits": {"message_burst": 5, "messages_per_s": 0.1}})
    alice = await live.join("alice")
    for _ in range(5):
        assert "reply" == (await alice.ask("stats"))["type"]
    assert "too_many_requests" == (await alice.ask("stats"))["code"]
    for _ in range(110):
        await alice.ws.send_str('{"type":"stats"}')

    assert 4008 == await alice.close_code()
