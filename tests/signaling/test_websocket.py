"""Signalling over the WebSocket: joining, publishing, subscribing, losing and finding one's seat again."""

import asyncio
import json
import re
import socket
import time

import aiohttp
import pytest

from support.live_relay import Live, MakeLive, answer_to, offer_sdp
from telerelay import EndEvent, Hooks, JoinRequest, PersonEvent, TokenKeys

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


# ---------------------------------------------------------------------- publishing and subscribing


async def test_a_publication_is_answered_and_told(live: Live) -> None:
    """
    The publisher gets an answer and ids, the others hear of it and get an offer that carries it.
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    reply = await alice.publish()
    publications = {each["kind"]: each for each in reply["publications"]}
    told = [(await bob.event("published"))["publication"], (await bob.event("published", bob.seq))["publication"]]
    offer = await bob.event("offer")

    assert {"audio": "microphone", "video": "camera"} == {kind: each["source"] for kind, each in publications.items()}
    assert "a=setup:passive" in reply["sdp"]
    assert "a=ice-lite" in reply["sdp"]
    assert "127.0.0.1" in reply["sdp"]
    assert {each["id"] for each in publications.values()} == {each["id"] for each in told}
    assert {(alice.id, each["id"]) for each in told} == {
        (track["participant"], track["publication"]) for track in offer["tracks"]
    }


async def test_a_late_joiner_is_offered_what_is_there(live: Live) -> None:
    """
    The reply lists the publications, the first offer carries them.
    """
    alice = await live.join("alice")
    published = {each["id"] for each in (await alice.publish())["publications"]}
    bob = await live.join("bob")
    offer = await bob.event("offer")

    assert published == {each["id"] for each in bob.joined["participants"][0]["publications"]}
    assert published == {track["publication"] for track in offer["tracks"]}


async def test_an_answer_makes_senders(live: Live) -> None:
    """
    Once answered, a publication has a receiver and a sender on the worker, bound to each other.
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    await alice.publish()
    offer = await bob.event("offer")
    reply = await bob.ask("answer", offer_id=offer["offer_id"], sdp=answer_to(offer["sdp"]))
    stats = await bob.ask("stats")

    assert "reply" == reply["type"], reply
    assert {track["publication"] for track in offer["tracks"]} == {
        sender["publication"] for sender in stats["subscribe"]["senders"]
    }
    assert "publish" not in stats
    assert {"0", "1"} == {each["mid"] for each in (await alice.ask("stats"))["publish"]["receivers"]}


async def test_an_answer_may_come_twice(live: Live) -> None:
    """
    Its reply may have been lost with a socket; another offer's id is refused.
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    await alice.publish()
    offer = await bob.event("offer")
    answer = {"offer_id": offer["offer_id"], "sdp": answer_to(offer["sdp"])}
    kinds = [(await bob.ask("answer", **answer))["type"] for _ in range(2)]
    other = await bob.ask("answer", offer_id=offer["offer_id"] + 1, sdp=answer["sdp"])

    assert ["reply", "reply"] == kinds
    assert "bad_message" == other["code"]


async def test_one_offer_is_in_flight_and_changes_are_coalesced(live: Live) -> None:
    """
    While an offer waits for its answer two more people publish; the next offer carries them all.
    """
    alice, bob, carol, dave = [await live.join(sub) for sub in ("alice", "bob", "carol", "dave")]
    await alice.publish()
    first = await dave.event("offer")
    await bob.publish()
    await carol.publish()
    await dave.ask("stats")
    assert 1 == sum(event["type"] == "offer" for event in dave.events)
    await dave.ask("answer", offer_id=first["offer_id"], sdp=answer_to(first["sdp"]))
    second = await dave.event("offer", first["seq"])

    assert {alice.id, bob.id, carol.id} == {track["participant"] for track in second["tracks"]}


async def test_someone_who_never_answers_delays_nobody(live: Live) -> None:
    """
    One participant's silence is its own affair.
    """
    alice, mute, bob = await live.join("alice"), await live.join("mute"), await live.join("bob")
    await alice.publish()
    await mute.event("offer")
    offer = await bob.event("offer")

    assert "reply" == (await bob.ask("answer", offer_id=offer["offer_id"], sdp=answer_to(offer["sdp"])))["type"]
    assert "reply" == (await alice.publish())["type"]


async def test_what_is_no_longer_offered_is_unpublished(live: Live) -> None:
    """
    A renegotiation without a track takes its publication away, and keeps the other's id.
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    audio, video = sorted((await alice.publish())["publications"], key=lambda each: each["kind"])
    head, sound, picture = offer_sdp().split("m=")
    again = await alice.publish(
        "m=".join([head, sound, picture.replace("a=sendrecv", "a=inactive").replace("a=sendonly", "a=inactive")])
    )
    gone = await bob.event("unpublished")

    assert [audio["id"]] == [each["id"] for each in again["publications"]]
    assert (alice.id, video["id"]) == (gone["participant"], gone["publication"])


async def test_a_bad_offer_leaves_everything_as_it_was(live: Live) -> None:
    """
    Neither the publisher's own tracks nor anybody else's are touched.
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    before = (await alice.publish())["publications"]
    refusal = await alice.publish(offer_sdp().replace("a=mid:0", "a=mid:zero"))
    after = (await alice.publish())["publications"]
    await bob.ask("stats")

    assert refusal["type"] == "error"
    assert before == after
    assert not any(event["type"] == "unpublished" for event in bob.events)


async def test_a_role_that_may_not_publish_is_refused(live: Live) -> None:
    """
    An observer sees and hears, and is not heard; no transport is made for it to try.
    """
    observer = await live.join("olga", role="observer")

    assert "forbidden" == (await observer.publish())["code"]
    assert 0 == live.transports()


async def test_a_mute_is_told_to_the_others(live: Live) -> None:
    """
    Once for each change.
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    publication = (await alice.publish())["publications"][0]["id"]
    await alice.ask("mute", publication=publication, muted=True)
    await alice.ask("mute", publication=publication, muted=True)
    await alice.ask("mute", publication=publication, muted=False)
    first = await bob.event("muted")
    second = await bob.event("muted", first["seq"])

    assert [True, False] == [first["muted"], second["muted"]]
    assert publication == first["publication"] == second["publication"]


async def test_someone_elses_publication_cannot_be_muted(live: Live) -> None:
    """
    It is not found among one's own.
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    publication = (await alice.publish())["publications"][0]["id"]

    assert "not_found" == (await bob.ask("mute", publication=publication, muted=True))["code"]
    assert "reply" == (await bob.ask("pause", publication=publication, paused=True))["type"]


async def test_too_many_offers_are_refused_with_the_call_untouched(make_live: MakeLive) -> None:
    """
    What was negotiated stays negotiated.
    """
    live = await make_live({"limits": {"offer_burst": 2, "offer_every_s": 60}})
    alice = await live.join("alice")
    kinds = [(await alice.publish())["type"] for _ in range(2)]

    assert ["reply", "reply"] == kinds
    assert "too_many_requests" == (await alice.publish())["code"]
    assert 2 == len((await alice.ask("stats"))["publish"]["receivers"])


async def test_reconnect_begins_a_connection_anew(live: Live) -> None:
    """
    The old transport is gone; what was published on it too; a subscriber gets a first offer again.
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    await alice.publish()
    first = await bob.event("offer")
    await bob.ask("reconnect", connection="subscribe")
    second = await bob.event("offer", first["seq"])
    await alice.ask("reconnect", connection="publish")
    await bob.event("unpublished")
    await live.until(lambda: live.transports() == 1)

    assert 1 == second["offer_id"] == first["offer_id"]
    assert first["sdp"].split("a=ice-ufrag:")[1][:16] != second["sdp"].split("a=ice-ufrag:")[1][:16]
    assert "publish" not in await alice.ask("stats")
    assert "reply" == (await alice.publish())["type"]


def ice_of(sdp: str) -> tuple[str, str]:
    """Fragment and password of a description's first section."""
    return sdp.split("a=ice-ufrag:")[1].split("\r\n")[0], sdp.split("a=ice-pwd:")[1].split("\r\n")[0]


def moved(sdp: str, ufrag: str = "moved") -> str:
    """The offer of a client that restarted ICE."""
    return re.sub(r"a=ice-pwd:.*", f"a=ice-pwd:{'m' * 24}\r", re.sub(r"a=ice-ufrag:.*", f"a=ice-ufrag:{ufrag}\r", sdp))


async def test_an_offer_with_other_credentials_restarts_ice(live: Live) -> None:
    """
    The answer has fresh ones on the same transport and session; what is published stays. The same offer again, its
    reply having been lost, is no other restart.
    """
    alice = await live.join("alice")
    first = await alice.publish()
    second = await alice.publish(moved(offer_sdp()))
    third = await alice.publish(moved(offer_sdp()))

    assert set() == set(ice_of(first["sdp"])) & set(ice_of(second["sdp"]))
    assert ice_of(second["sdp"]) == ice_of(third["sdp"])
    assert first["publications"] == second["publications"]
    assert first["sdp"].split("o=- ")[1].split(" ")[0] == second["sdp"].split("o=- ")[1].split(" ")[0]
    assert 1 == live.transports()


async def test_a_bad_offer_restarts_nothing(live: Live) -> None:
    """
    Refused as a whole: the credentials are those of the last answer.
    """
    alice = await live.join("alice")
    first = await alice.publish()
    refused = await alice.publish(moved(offer_sdp()).replace("a=setup:actpass", "a=setup:holdconn"))
    again = await alice.publish()

    assert "error" == refused["type"]
    assert ice_of(first["sdp"]) == ice_of(again["sdp"])


async def test_a_client_that_moved_is_offered_other_credentials(live: Live) -> None:
    """
    `restart`: an offer on the same transport, tracks and sections as before. Asked for while an offer is in flight, it
    waits for its answer, and two are one.
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    await alice.publish()
    first = await bob.event("offer")
    replies = [await bob.ask("restart", connection="subscribe") for _ in range(2)]
    await bob.ask("answer", offer_id=1, sdp=answer_to(first["sdp"]))
    second = await bob.event("offer", first["seq"])
    answered = await bob.ask("answer", offer_id=2, sdp=answer_to(second["sdp"], "moved"))
    await bob.ask("stats")

    assert ["reply", "reply"] == [reply["type"] for reply in replies]
    assert 2 == second["offer_id"] == sum(event["type"] == "offer" for event in bob.events)
    assert first["tracks"] == second["tracks"]
    assert set() == set(ice_of(first["sdp"])) & set(ice_of(second["sdp"]))
    assert first["sdp"].split("o=- ")[1].split(" ")[0] == second["sdp"].split("o=- ")[1].split(" ")[0]
    assert "reply" == answered["type"]
    assert 2 == live.transports()


async def test_a_restart_of_nothing_does_nothing(live: Live) -> None:
    """
    Before there is anything to receive there is no connection; the first offer comes as ever.
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    reply = await bob.ask("restart", connection="subscribe")
    await alice.publish()

    assert "reply" == reply["type"]
    assert 1 == (await bob.event("offer"))["offer_id"]
    assert "bad_message" == (await bob.ask("restart", connection="publish"))["code"]


async def test_a_storm_of_restarts_is_refused(make_live: MakeLive) -> None:
    """
    Of a hundred the first five are done, the call is as it was (A44).
    """
    live = await make_live({"limits": {"offer_every_s": 60.0, "message_burst": 2000}})
    alice, bob = await live.join("alice"), await live.join("bob")
    await alice.publish()
    first = await bob.event("offer")
    await bob.ask("answer", offer_id=1, sdp=answer_to(first["sdp"]))
    codes = [(await bob.ask("restart", connection="subscribe")).get("code", "") for _ in range(100)]
    second = await bob.event("offer", first["seq"])

    assert ([""] * 5, {"too_many_requests"}) == (codes[:5], set(codes[5:]))
    assert 2 == second["offer_id"]
    assert 2 == live.transports()


async def test_candidates_are_taken_and_ignored(live: Live) -> None:
    """
    The relay is ICE-lite: it sends to no address it is told.
    """
    alice = await live.join("alice")
    reply = await alice.ask(
        "candidate", connection="publish", candidate="candidate:1 1 udp 1 192.0.2.1 9 typ host", sdp_mid="0"
    )

    assert {"type": "reply", "id": 2} == reply
    assert 0 == live.relay.stats()[0].tx_packets


async def test_nothing_is_sent_to_an_address_that_an_offer_names(live: Live) -> None:
    """
    Internal, broadcast, multicast, mDNS and TCP candidates of an offer are accepted and ignored (A22): no datagram.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as internal:
        internal.bind(("127.0.0.1", 0))
        internal.setblocking(False)
        port = internal.getsockname()[1]
        named = ["127.0.0.1", "255.255.255.255", "224.0.0.1", "169.254.169.254", "0f9ce1f4-2d5e-4c5c.local", "fe80::1"]
        lines = [f"a=candidate:{n} 1 udp 2122260223 {address} {port} typ host" for n, address in enumerate(named)]
        lines += [f"a=candidate:9 1 tcp 1518280447 127.0.0.1 {port} typ host tcptype passive"]
        alice = await live.join("alice")
        offer = re.sub(r"a=candidate:.*\r\n", "", offer_sdp())
        offer = offer.replace("a=mid:0\r\n", "a=mid:0\r\n" + "".join(f"{line}\r\n" for line in lines), 1)
        published = await alice.publish(offer)
        await alice.ask("candidate", connection="publish", candidate=lines[0][2:], sdp_mid="0")
        await alice.ask("stats")

        assert "reply" == published["type"]
        assert str(port) not in published["sdp"]
        assert 0 == live.relay.stats()[0].tx_packets
        with pytest.raises(BlockingIOError):
            internal.recv(2000)


# ---------------------------------------------------------------------- losing and finding one's seat


async def test_a_lost_socket_interrupts_and_a_resume_brings_back(live: Live) -> None:
    """
    The others hear of both; what was missed comes in order, and media was never touched.
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    await bob.publish()
    offer = await alice.event("offer")
    await alice.ask("answer", offer_id=offer["offer_id"], sdp=answer_to(offer["sdp"]))
    await alice.publish()
    transports = live.transports()
    await alice.ws.close()
    interrupted = await bob.event("participant_interrupted")
    publication = (await bob.publish())["publications"][0]["id"]
    for muted in (True, False):
        await bob.ask("mute", publication=publication, muted=muted)
    again = await live.join("alice", resume=alice.joined["resume"], media="keep", last_seq=alice.seq)
    missed = [await again.receive(), await again.receive()]

    assert alice.id == interrupted["participant"] == (await bob.event("participant_back"))["participant"]
    assert (True, alice.id, alice.seq) == (again.joined["resumed"], again.id, again.joined["seq"])
    assert [alice.seq + 1, alice.seq + 2] == [event["seq"] for event in missed]
    assert [("muted", True), ("muted", False)] == [(event["type"], event["muted"]) for event in missed]
    assert transports == live.transports()
    assert not any(event["type"] == "unpublished" for event in bob.events)


async def test_an_expired_token_still_leads_back_to_the_seat(live: Live) -> None:
    """
    `exp` limits joining, not the length of a call: with the seat's resume secret, an expired token is enough.
    """
    alice = await live.join("alice")
    await alice.ws.close()
    hour_ago = time.time() - 3600
    expired = TokenKeys.of(b"k" * 32).sign(room="r1", sub="alice", role="practitioner", ttl_s=60, now=hour_ago)
    codes = []
    for resume in (None, "not-the-secret-of-this-seat-at-all"):
        peer = await live.connect()
        fields = {} if resume is None else {"resume": resume}
        codes.append((await peer.ask("join", room="r1", token=expired, **fields)).get("code"))
    peer = await live.connect()
    back = await peer.ask("join", room="r1", token=expired, resume=alice.joined["resume"], media="keep", last_seq=0)

    assert ["token_expired", "token_expired"] == codes
    assert (True, alice.id) == (back["resumed"], back["participant"])


async def test_a_resume_secret_is_good_once(live: Live) -> None:
    """
    Each join hands out another; with a used one the person is a newcomer.
    """
    alice = await live.join("alice")
    await alice.ws.close()
    second = await live.join("alice", resume=alice.joined["resume"], media="keep", last_seq=0)
    third = await live.join("alice", resume=alice.joined["resume"], media="keep", last_seq=0)

    assert second.joined["resume"] != alice.joined["resume"]
    assert [True, False] == [second.joined["resumed"], third.joined["resumed"]]
    assert third.id != alice.id == second.id


async def test_a_secret_opens_only_its_own_seat(live: Live) -> None:
    """
    Bob's token with Alice's secret is Bob.
    """
    alice = await live.join("alice")
    bob = await live.join("bob", resume=alice.joined["resume"], media="keep", last_seq=0)

    assert (False, "bob") == (bob.joined["resumed"], bob.joined["sub"])
    assert "reply" == (await alice.ask("stats"))["type"]


async def test_a_reload_keeps_the_seat_and_begins_media_anew(live: Live) -> None:
    """
    Same participant; its old connections and publications are gone, a first offer comes.
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    await bob.publish()
    await alice.publish()
    await alice.event("offer")
    await alice.ws.close()
    again = await live.join("alice", resume=alice.joined["resume"])
    offer = await again.event("offer")
    await live.until(lambda: live.transports() == 3)

    assert (alice.id, True) == (again.id, again.joined["resumed"])
    assert 1 == offer["offer_id"]
    assert alice.id == (await bob.event("unpublished"))["participant"]


async def test_events_that_are_no_longer_kept_make_a_fresh_start(make_live: MakeLive) -> None:
    """
    The seat is the same, but the client is told that it was not resumed: it begins its media anew.
    """
    live = await make_live({"rooms": {"max_replayed_events": 16}})
    alice, bob = await live.join("alice"), await live.join("bob")
    publication = (await bob.publish())["publications"][0]["id"]
    await alice.publish()
    await alice.ws.close()
    await bob.event("participant_interrupted")
    for turn in range(20):
        await bob.ask("mute", publication=publication, muted=turn % 2 == 0)
    again = await live.join("alice", resume=alice.joined["resume"], media="keep", last_seq=alice.joined["seq"])

    assert (False, alice.id) == (again.joined["resumed"], again.id)
    assert again.joined["seq"] > 16
    assert alice.id == (await bob.event("unpublished"))["participant"]


async def test_a_seat_is_given_up_when_its_time_is_over(make_live: MakeLive) -> None:
    """
    The participant leaves for good, by `timeout`, and its transports go.
    """
    live = await make_live({"rooms": {"seat_s": 1}})
    alice, bob = await live.join("alice"), await live.join("bob")
    await alice.publish()
    await alice.ws.close()
    left = await bob.event("participant_left")
    await live.until(lambda: live.transports() <= 1)

    assert (alice.id, "timeout") == (left["participant"], left["reason"])
    late = await live.join("alice", resume=alice.joined["resume"])
    assert (False, True) == (late.joined["resumed"], late.id != alice.id)


async def test_a_resume_takes_over_from_a_socket_that_still_hangs(live: Live) -> None:
    """
    The client is back before the relay noticed that it was gone; nobody hears of anything.
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    again = await live.join("alice", resume=alice.joined["resume"], media="keep", last_seq=alice.joined["seq"])
    await alice.close_code()
    await bob.ask("stats")

    assert again.joined["resumed"]
    assert not any(event["type"].startswith("participant") for event in bob.events)
    assert "reply" == (await again.ask("stats"))["type"]


async def test_the_last_one_leaving_ends_the_room(live: Live) -> None:
    """
    Nothing of it is left on the worker.
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    await alice.publish()
    await bob.event("offer")
    await alice.ask("leave")
    await bob.ask("leave")
    await live.until(lambda: live.transports() == 0)

    stats = live.relay.stats()[0]
    assert (0, 0) == (stats.receivers, stats.senders)


# ---------------------------------------------------------------------- hooks and draining


class Rules(Hooks):
    """Lets in whom it is told to, and writes down what it hears."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.answer: object = True
        self.told: list[PersonEvent | EndEvent] = []

    async def authorize_join(self, request: JoinRequest) -> bool:
        if isinstance(self.answer, Exception):
            raise self.answer
        await asyncio.sleep(self.delay_s)
        return self.answer  # type: ignore[return-value]

    async def on_person(self, event: PersonEvent) -> None:
        self.told.append(event)

    async def on_end(self, event: EndEvent) -> None:
        self.told.append(event)


@pytest.mark.parametrize("answer", [False, None, 1, RuntimeError("a bug of the application")])
async def test_anything_but_yes_refuses_a_join(make_live: MakeLive, answer: object) -> None:
    """
    No, nothing, a lazy truth and an exception are all answered as a forbidden room.
    """
    rules = Rules()
    live = await make_live(hooks=rules)
    rules.answer = answer
    peer = await live.connect()

    assert "forbidden" == (await peer.ask("join", room="r1", token=live.token("alice")))["code"]


async def test_a_hook_that_does_not_answer_in_time_refuses(make_live: MakeLive) -> None:
    """
    The deadline is the application's patience, not the patient's.
    """
    rules = Rules()
    live = await make_live({"hooks": {"decision_timeout_s": 0.05}}, hooks=rules)
    rules.delay_s = 60
    peer = await live.connect()

    assert "forbidden" == (await peer.ask("join", room="r1", token=live.token("alice")))["code"]


async def test_coming_back_to_a_seat_asks_for_nothing_again(make_live: MakeLive) -> None:
    """
    Whoever was let in stays in: a rejoin needs no new admission, a stranger to the seat does.
    """
    rules = Rules()
    live = await make_live(hooks=rules)
    alice = await live.join("alice")
    rules.answer = False
    again = await live.join("alice", resume=alice.joined["resume"])
    newcomer = await live.connect()
    reply = await newcomer.ask("join", room="r1", token=live.token("alice"), resume=alice.joined["resume"])

    assert again.joined["resumed"]
    assert "forbidden" == reply["code"]


async def test_events_reach_the_application_in_order_and_without_gaps(make_live: MakeLive) -> None:
    """
    One story: join, join, interrupted, back, left, left, end; numbered from 1, each with a key of its own.
    """
    rules = Rules()
    live = await make_live(hooks=rules)
    alice, bob = await live.join("alice"), await live.join("bob")
    await alice.ws.close()
    await bob.event("participant_interrupted")
    again = await live.join("alice", resume=alice.joined["resume"])
    await again.ask("leave")
    await bob.ask("leave")
    await live.until(lambda: len(rules.told) == 7)

    people = [(event.sub, event.what) for event in rules.told if isinstance(event, PersonEvent)]
    assert [
        ("alice", "joined"),
        ("bob", "joined"),
        ("alice", "interrupted"),
        ("alice", "back"),
        ("alice", "left"),
        ("bob", "left"),
    ] == people
    assert isinstance(rules.told[-1], EndEvent)
    assert list(range(1, 8)) == [event.sequence for event in rules.told]
    assert 7 == len({event.key for event in rules.told})


async def test_a_draining_relay_takes_no_new_room(live: Live) -> None:
    """
    Running calls are told and go on, those who belong to them may come back; it is drained when they are over.
    """
    alice = await live.join("alice")
    live.relay.drain()
    await alice.event("draining")
    refused = await live.connect()
    reply = await refused.ask("join", room="r9", token=live.token("zoe", "r9"))
    bob = await live.join("bob")
    for peer in (alice, bob):
        await peer.ask("leave")
    async with asyncio.timeout(5):
        await live.relay.drained()

    assert "draining" == reply["code"]
    assert 4011 == await refused.close_code()


async def test_the_end_of_the_relay_is_told(make_live: MakeLive) -> None:
    """
    Everyone hears `ended` and is closed, so that nobody waits for what will not come.
    """
    live = await make_live()
    alice = await live.join("alice")
    ending = asyncio.ensure_future(live.relay.__aexit__(None, None, None))

    assert 4010 == await alice.close_code()
    await ending
    assert ("ended", "shutdown") == (alice.events[-1]["type"], alice.events[-1]["reason"])


async def test_no_address_of_a_publisher_reaches_a_subscriber(live: Live) -> None:
    """
    What one client says of its own addresses is nobody else's business (A62).
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    sdp = offer_sdp().replace("a=mid:0", "a=candidate:1 1 udp 2130706431 192.0.2.77 50000 typ host\r\na=mid:0")
    assert "reply" == (await alice.publish(sdp))["type"]
    await bob.event("offer")

    assert "192.0.2.77" not in json.dumps([bob.joined, bob.events])
