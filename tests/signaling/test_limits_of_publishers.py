"""
What is worth sending, as publishers hear it: over the WebSocket for each publication, by WHIP as REMB.
"""

from __future__ import annotations

from typing import Any

from support.live_relay import Live, Peer, offer_sdp
from telerelay.client import MovingPicture
from telerelay.client.whip import publish_whip
from telerelay.events import Limit
from telerelay.signaling.host import RoomHost

# aiortc encodes VP8 with 250 kbit/s to 1.5 Mbit/s, and with 500 while nobody says anything.
UNTOLD_BPS, MOST_BPS = 500_000, 1_500_000
WANTED_BPS = 320_000


def host_of(live: Live) -> RoomHost:
    (host,) = live.relay._rooms.hosts
    return host


def limits(peer: Peer) -> list[dict[str, Any]]:
    return [event for event in peer.events if event["type"] == "limits"]


async def test_a_limit_is_told_once_and_its_end_too(live: Live) -> None:
    """
    Of each own publication what is worth sending; nothing of another's, nothing twice, and an empty list when all is
    wanted again. It is a sign: without a number.
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    sound, picture = (each["id"] for each in (await alice.publish())["publications"])
    (other, *_) = (each["id"] for each in (await bob.publish())["publications"])
    host, me = host_of(live), alice.joined["participant"]
    wanted = {picture: Limit(400_000, ("q", "h")), other: Limit(1), sound: Limit()}
    host.set_limits(me, wanted)
    host.set_limits(me, wanted)
    host.set_limits(me, {sound: Limit(20_000), picture: Limit(rids=())})
    host.set_limits(me, {})
    host.set_limits("nobody", wanted)
    await alice.ask("stats")
    await bob.ask("stats")

    assert [
        {"type": "limits", "tracks": [{"publication": picture, "max_bps": 400_000, "rids": ["q", "h"]}]},
        {
            "type": "limits",
            "tracks": [{"publication": sound, "max_bps": 20_000}, {"publication": picture, "rids": []}],
        },
        {"type": "limits", "tracks": []},
    ] == limits(alice)
    assert [] == limits(bob)


async def test_who_comes_back_is_told_what_is_now(live: Live) -> None:
    """
    With limits and without: what changed while its socket was lost, it has not heard.
    """
    alice = await live.join("alice")
    _, picture = (each["id"] for each in (await alice.publish())["publications"])
    host, me = host_of(live), alice.joined["participant"]
    assert [] == limits(alice)
    await alice.ws.close()
    await live.until(lambda: host.seats[me].socket is None)
    host.set_limits(me, {picture: Limit(300_000)})
    kept = {"media": "keep", "last_seq": alice.joined["seq"]}
    again = await live.join("alice", resume=alice.joined["resume"], **kept)
    await again.ask("stats")
    assert again.joined["resumed"]
    assert [[{"publication": picture, "max_bps": 300_000}]] == [each["tracks"] for each in limits(again)]

    await again.ws.close()
    await live.until(lambda: host.seats[me].socket is None)
    host.set_limits(me, {})
    last = await live.join("alice", resume=again.joined["resume"], **kept)
    await last.ask("stats")

    assert [[]] == [each["tracks"] for each in limits(last)]


async def test_a_whip_client_obeys_by_remb_and_is_let_go_again(live: Live) -> None:
    """
    aiortc knows nothing but REMB: its encoder goes down to the limit, and up again without it.
    """
    whip = await publish_whip(f"{live.url}/whip/r1", live.token("cam", "r1"), [MovingPicture()])
    async with whip:
        (sender,) = whip.pc.getSenders()

        def target_bps() -> int | None:
            encoder = sender._RTCRtpSender__encoder
            return None if encoder is None else int(encoder.target_bitrate)

        host = host_of(live)
        (publication,) = host.room.publications.values()
        source = host.source(publication.id)
        assert source is not None
        assert "goog-remb" in source.codecs[0].feedback
        await live.until(lambda: target_bps() == UNTOLD_BPS)
        host.set_limits(publication.participant, {publication.id: Limit(WANTED_BPS)})
        await live.until(lambda: target_bps() != UNTOLD_BPS)
        low = target_bps()
        host.set_limits(publication.participant, {})
        await live.until(lambda: target_bps() == MOST_BPS)

    assert low is not None
    assert 0 <= WANTED_BPS - low < WANTED_BPS / 1000  # REMB has 18 bits


async def test_a_session_is_limited_as_a_whole(live: Live) -> None:
    """
    What sound may need is added; a picture without a limit leaves the session without one.
    """
    async with live.http.post(f"{live.url}/whip/r1", data=offer_sdp(), headers=live.bearer("cam", "r1")) as response:
        assert 201 == response.status
    host = host_of(live)
    (seat,) = host.seats.values()
    sound, picture = seat.participant.publications

    def told(limits: dict[str, Limit]) -> list[int]:
        return [bps for _, bps in seat.set_limits(limits)]

    assert [364_000] == told({picture: Limit(300_000)})
    assert [364_000] == told({picture: Limit(300_000, ("q",))})
    assert [340_000] == told({picture: Limit(300_000), sound: Limit(40_000)})
    assert [64_000] == told({picture: Limit(rids=())})
    assert [0] == told({sound: Limit(40_000)})
    assert [0] == told({})
    assert [] == told({})
