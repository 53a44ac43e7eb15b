"""
What a subscriber is sent follows its line, in a real call: its picture becomes smaller, is held back with a word to
both ends, and comes back; nobody else notices. libwebrtc at both ends; the lines are made by bounds of their estimates.
"""

from __future__ import annotations

from typing import Any

import pytest
import webrtc

from support.calls import restart_control
from support.near_relay import NearRelay, near_relay
from support.relay_process import RelayProcess
from support.waiting import until
from support.wrtc_peer import Peer, Peers

WIDE, SMALL, HOPELESS = 8_000_000, 280_000, 60_000
# Of 640x480 libwebrtc sends no third encoding.
SIMULCAST = [
    webrtc.RTCRtpEncodingParameters(rid="h", scale_resolution_down_by=2.0, max_bitrate=100_000),
    webrtc.RTCRtpEncodingParameters(rid="f", max_bitrate=900_000),
]
LEAST, BEST = 0, 1


def told(peer: Peer, *kinds: str) -> list[dict[str, Any]]:
    return [event for event in peer.events if event["type"] in kinds]


async def encoding(peer: Peer, publication: str) -> int | None:
    """Which one the relay sends it of that picture; None: nothing is sent yet."""
    senders = (await peer.request("stats"))["subscribe"].get("senders", ())
    found = [each for each in senders if each["publication"] == publication]
    return found[0]["encoding"] if found and found[0]["tx_packets"] else None


async def decoded(peer: Peer) -> int:
    picture = await peer.inbound("video")
    return 0 if picture is None else picture.frames_decoded or 0


async def line(relay: NearRelay, peer: Peer, bps: int) -> None:
    await relay.bound(peer.sub, least_bps=bps, most_bps=bps)


@pytest.mark.slow
@pytest.mark.timed
async def test_one_bad_line_of_two() -> None:
    """
    Both get the best encoding; the one whose line gets worse gets the least, then none, and both ends are told so,
    once; then all of it again. The other one has the best all the time.
    """
    async with near_relay() as relay, Peers(relay) as peers:
        ada, bob, cem = [await peers.join("story", sub) for sub in ("ada", "bob", "cem")]
        await ada.publish(video=(640, 480, 30), encodings=SIMULCAST)
        picture = next(each["id"] for each in ada.publications if each["kind"] == "video")

        async def both_have_the_best() -> bool:
            for peer in (bob, cem):
                if await encoding(peer, picture) is None:
                    return False
                await line(relay, peer, WIDE)
            return (await encoding(bob, picture), await encoding(cem, picture)) == (BEST, BEST)

        await until(both_have_the_best, timeout_s=30, every_s=0.5)
        # Until their lines were made wide they were what this machine does to them.
        for peer in (ada, bob, cem):
            peer.events.clear()
        others: list[int | None] = []

        async def bob_has(wanted: int) -> bool:
            others.append(await encoding(cem, picture))
            return await encoding(bob, picture) == wanted

        await line(relay, bob, SMALL)
        await until(lambda: bob_has(LEAST), timeout_s=20, every_s=0.2)
        before = await decoded(bob)

        async def sees_it_move() -> bool:
            return await decoded(bob) > before + 5

        await until(sees_it_move, timeout_s=20)
        assert [] == told(bob, "track_state")

        await line(relay, bob, HOPELESS)
        await until(lambda: told(bob, "track_state") and told(ada, "seen_by"), timeout_s=20)
        others.append(await encoding(cem, picture))

        await line(relay, bob, WIDE)
        await until(lambda: len(told(bob, "track_state")) == 2, timeout_s=30)
        await until(lambda: bob_has(BEST), timeout_s=30, every_s=0.2)
        back = await decoded(bob)

        async def sees_it_again() -> bool:
            return await decoded(bob) > back + 5

        await until(sees_it_again, timeout_s=20)

    assert [
        {"type": "track_state", "publication": picture, "state": "paused", "reason": "line"},
        {"type": "track_state", "publication": picture, "state": "live", "reason": "line"},
    ] == told(bob, "track_state")
    assert [
        {"type": "seen_by", "publication": picture, "state": "paused", "participant": bob.participant},
        {"type": "seen_by", "publication": picture, "state": "live", "participant": bob.participant},
    ] == told(ada, "seen_by")
    assert [] == told(cem, "track_state", "seen_by")
    assert {BEST} == set(others)


@pytest.mark.slow
@pytest.mark.timed
async def test_the_only_receivers_line_reaches_the_publisher() -> None:
    """
    A picture without layers: its publisher is told what that line carries, less what sound takes; when the line is wide
    again there is no limit, and after it has published anew it is told again.
    """
    async with near_relay() as relay, Peers(relay) as peers:
        ada, bob = await peers.join("story", "ada"), await peers.join("story", "bob")
        await ada.publish(video=(640, 480, 30), max_bitrate_bps=1_200_000)
        picture = next(each["id"] for each in ada.publications if each["kind"] == "video")

        async def bob_watches() -> bool:
            return await decoded(bob) >= 10

        def limit() -> int | None:
            limits = told(ada, "limits")
            return limits[-1]["tracks"][0].get("max_bps") if limits and limits[-1]["tracks"] else None

        await until(bob_watches, timeout_s=20)
        await line(relay, bob, SMALL)
        await until(lambda: limit() is not None and limit() < SMALL, timeout_s=20)
        (named,) = told(ada, "limits")[-1]["tracks"]
        await line(relay, bob, WIDE)
        await until(lambda: limit() is None, timeout_s=20)
        await line(relay, bob, SMALL)
        await until(lambda: limit() is not None, timeout_s=20)
        await ada.request("reconnect", connection="publish")
        ada.publish_pc.close()
        await ada.publish(video=(640, 480, 30), max_bitrate_bps=1_200_000)
        other = next(each["id"] for each in ada.publications if each["kind"] == "video")

        def is_told_again() -> bool:
            return any(each["publication"] == other for each in told(ada, "limits")[-1]["tracks"])

        await until(is_told_again, timeout_s=30)

    assert picture == named["publication"]
    assert picture != other
    assert 100_000 <= named["max_bps"] <= 0.95 * SMALL


@pytest.mark.slow
@pytest.mark.timed
async def test_a_control_that_is_started_again_adapts_the_calls_it_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The ladder stays in the worker meanwhile; the new control gives it one of its own, of what is measured, and sound
    goes on.
    """
    monkeypatch.setenv("TELERELAY_MEDIA_ADAPTATION", "1")
    with RelayProcess() as relay:
        async with Peers(relay) as peers:
            ada, bob = await peers.join("story", "ada"), await peers.join("story", "bob")
            await ada.publish(video=(640, 480, 30), max_bitrate_bps=400_000)

            async def heard() -> int:
                sound = await bob.inbound("audio")
                return 0 if sound is None else sound.packets_received or 0

            async def goes_on(packets: int) -> bool:
                return await heard() > packets

            await until(lambda: goes_on(50), timeout_s=30)
            await until(lambda: relay.metrics()["telerelay_ladders_total"] >= 2)
            await restart_control(relay)
            await until(lambda: relay.metrics()["telerelay_ladders_total"] >= 1, timeout_s=30)
            before = await heard()
            await until(lambda: goes_on(before + 100), timeout_s=30)
            metrics = relay.metrics()

    assert 0 == metrics["telerelay_allocator_failures_total"]
