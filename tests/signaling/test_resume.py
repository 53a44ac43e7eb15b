"""Signalling over the WebSocket: losing and finding one's seat again, and the end of it."""

import time

from support.live_relay import Live, MakeLive, answer_to
from telerelay import TokenKeys


async def test_a_lost_socket_interrupts_and_a_resume_brings_back(live: Live) -> None:
    """
    The others hear of both; what was missed comes in order, and media was never touched.
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    await bob.publish()
    offer = await alice.event("offer")
    await alice.ask("answer", offer_id=offer["offer_id"], sdp=answer_to(offer["sdp"]))
    await alice.publish()
    await bob.event("offer")  # his transport is there from before it
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


async def test_an_expired_token_of_another_role_leads_nowhere(live: Live) -> None:
    """
    A seat is of a person in a role: its secret makes nobody what an old token of theirs once said.
    """
    alice = await live.join("alice", role="observer")
    await alice.ws.close()
    keys, hour_ago = TokenKeys.of(b"k" * 32), time.time() - 3600
    codes = []
    for role in ("practitioner", "observer"):
        expired = keys.sign(room="r1", sub="alice", role=role, ttl_s=60, now=hour_ago)
        peer = await live.connect()
        codes.append((await peer.ask("join", room="r1", token=expired, resume=alice.joined["resume"])).get("code"))

    assert ["token_expired", None] == codes


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


async def test_what_came_before_an_answered_offer_is_not_kept(live: Live) -> None:
    """
    Who answered has it: so coming back with its number nothing is missed, and with an earlier one media begins anew.
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    publication = (await bob.publish())["publications"][0]["id"]
    offer = await alice.event("offer")
    while len(offer["tracks"]) < 2:
        await alice.ask("answer", offer_id=offer["offer_id"], sdp=answer_to(offer["sdp"]))
        offer = await alice.event("offer", after=offer["seq"])
    await alice.ask("answer", offer_id=offer["offer_id"], sdp=answer_to(offer["sdp"]))
    await bob.ask("mute", publication=publication, muted=True)
    again = await live.join("alice", resume=alice.joined["resume"], media="keep", last_seq=offer["seq"])
    missed = await again.receive()
    too_early = await live.join("alice", resume=again.joined["resume"], media="keep", last_seq=offer["seq"] - 1)

    assert (True, "muted", offer["seq"] + 1) == (again.joined["resumed"], missed["type"], missed["seq"])
    assert (False, alice.id) == (too_early.joined["resumed"], too_early.id)


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
