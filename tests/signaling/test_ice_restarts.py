"""Signalling over the WebSocket: ICE restarts of either side, and connections begun anew."""

import re

from support.live_relay import Live, MakeLive, answer_to, offer_sdp


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
