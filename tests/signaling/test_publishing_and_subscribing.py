"""Signalling over the WebSocket: publishing, subscribing, muting, and what an offer may say."""

import json
import re
import socket

import pytest

from support.live_relay import Live, MakeLive, answer_to, offer_sdp


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


async def test_no_address_of_a_publisher_reaches_a_subscriber(live: Live) -> None:
    """
    What one client says of its own addresses is nobody else's business (A62).
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    sdp = offer_sdp().replace("a=mid:0", "a=candidate:1 1 udp 2130706431 192.0.2.77 50000 typ host\r\na=mid:0")
    assert "reply" == (await alice.publish(sdp))["type"]
    await bob.event("offer")

    assert "192.0.2.77" not in json.dumps([bob.joined, bob.events])
