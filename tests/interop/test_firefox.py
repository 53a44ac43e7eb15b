"""
Firefox ESR and Chromium in a consult: the two engines see and hear each other.

Both have the consult page open; what is asserted is what the browsers themselves count (getStats).
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from interop.firefox import Firefox
from interop.programs import slow
from interop.seen import seen
from support.chromium import chromium
from support.relay_process import RelayProcess
from support.waiting import until
from support.wrtc_peer import Peers

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "browser"))
from consulting import Person


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    """The other engine."""
    async with chromium() as started:
        yield started


@slow
@pytest.mark.parametrize("codec", ["VP8", "VP9", "AV1"])
async def test_firefox_and_chromium_see_and_hear_each_other(
    relay: RelayProcess, browser: Browser, room: str, codec: str
) -> None:
    """
    Each engine decodes what the other encodes, in the codec asked for, at the source's size; sound is not silent.
    """
    async with Firefox() as firefox:
        await firefox.open(f"{relay.url}/?room={room}&codec={codec}#token={relay.token(room, 'fox')}")
        crane = await Person.open(
            browser, relay.url, room=room, token=relay.token(room, "crane", "patient"), query=f"&codec={codec}"
        )
        await firefox.join()
        await crane.join()
        for person in (firefox, crane):
            await person.eventually(
                lambda tracks: any(
                    track["frames"] >= 60 and (track["codec"], track["width"]) == (f"video/{codec}", 640)
                    for track in tracks
                ),
                "video",
                30,
            )
            await person.eventually(lambda tracks: any(track["audio_energy"] > 0.001 for track in tracks), "audio")
            (before,) = await person.tracks("subscribe", "video")
            await person.eventually(lambda tracks, frames=before["frames"]: tracks[0]["frames"] >= frames + 30, "video")
            (picture,) = await person.tracks("subscribe", "video")
            assert 480 == picture["height"]
        for client, version in (("Firefox ESR", firefox.version), ("Chromium", browser.version)):
            seen(client, version, "publish", codec, "opus")
            seen(client, version, "subscribe", codec, "opus")


@slow
async def test_a_call_of_three_mixes_engines(
    relay: RelayProcess, browser: Browser, room: str, wrtc_peers: Peers
) -> None:
    """
    Firefox, Chromium and libwebrtc without a browser in one room: everyone decodes both others and hears both.
    """
    async with Firefox() as firefox:
        await firefox.open(f"{relay.url}/?room={room}#token={relay.token(room, 'fox')}")
        crane = await Person.open(browser, relay.url, room=room, token=relay.token(room, "crane", "patient"))
        await firefox.join()
        await crane.join()
        third = await wrtc_peers.join(room, "third")
        await third.publish()
        for person in (firefox, crane):
            await person.eventually(lambda tracks: sum(track["frames"] >= 30 for track in tracks) == 2, "video", 30)
            await person.eventually(
                lambda tracks: sum(track["audio_energy"] > 0.001 for track in tracks) == 2, "audio", 15
            )

        async def seen_and_heard() -> tuple[int, int]:
            entries = list((await third.subscribe_pc.get_stats()).values())
            inbound = [each for each in entries if each.type.value == "inbound-rtp"]
            pictures = sum((each.frames_decoded or 0) >= 30 for each in inbound if each.kind == "video")
            return pictures, sum((each.total_audio_energy or 0) > 0.001 for each in inbound if each.kind == "audio")

        assert await until(lambda: _are(seen_and_heard, (2, 2)), timeout_s=20)
        for client, version in (("Firefox ESR", firefox.version), ("Chromium", browser.version)):
            seen(client, version, "publish", "a call of three")
            seen(client, version, "subscribe", "a call of three")


FRAGMENTS = """consult.call.stats().then((stats) => [stats.publish, stats.subscribe].map((report) => {
  const pair = [...report.values()].find(({ type, selected }) => type === "candidate-pair" && selected);
  return pair ? report.get(pair.localCandidateId).usernameFragment : null; }))"""
"""The ICE session of each of Firefox's connections that has a path."""

HEAR = """{ window.heard = [];
  consult.call.channel("pulse").onmessage = ({ data }) =>
    window.heard.push(typeof data === "string" ? data : [...new Uint8Array(data)].join(",")); }"""


@slow
async def test_firefox_sends_messages_and_restarts_ice(relay: RelayProcess, browser: Browser, room: str) -> None:
    """
    Text and bytes go both ways; when Firefox's network changes both connections get a new ICE session, in which
    pictures and messages go on.
    """
    async with Firefox() as firefox:
        await firefox.open(f"{relay.url}/?room={room}#token={relay.token(room, 'fox')}")
        crane = await Person.open(browser, relay.url, room=room, token=relay.token(room, "crane", "patient"))
        await firefox.join()
        await crane.join()
        for person in (firefox, crane):
            await person.eventually(lambda tracks: any(track["frames"] >= 30 for track in tracks), "video", 30)
        await firefox.run(HEAR)
        await crane.page.evaluate(f"() => {HEAR}")
        for person in (firefox, crane):
            await person.until("consult.call.channel('pulse').isOpen")
        await firefox.run("consult.call.channel('pulse').send('61 / min')")
        await crane.until("heard.length === 1")
        await crane.page.evaluate("() => consult.call.channel('pulse').send(new Uint8Array([1, 2, 255]))")
        await firefox.until("heard.length === 1")
        assert ["61 / min"] == await crane.page.evaluate("heard")
        assert ["1,2,255"] == await firefox.evaluate("heard")

        before = await firefox.evaluate(FRAGMENTS)
        assert all(before)
        await firefox.run("window.dispatchEvent(new Event('online'))")

        async def has_moved() -> bool:
            after = await firefox.evaluate(FRAGMENTS)
            return all(after) and set(after).isdisjoint(before)

        await until(has_moved, timeout_s=15)
        for person in (firefox, crane):
            (video,) = await person.tracks("subscribe", "video")
            await person.eventually(lambda tracks, frames=video["frames"]: tracks[0]["frames"] >= frames + 30, "video")
        await firefox.run("consult.call.channel('pulse').send('62 / min')")
        await crane.until("heard.length === 2")
        seen("Firefox ESR", firefox.version, "publish", "data", "ICE restart")
        seen("Firefox ESR", firefox.version, "subscribe", "data", "ICE restart")


async def _are(count: Callable[[], Awaitable[tuple[int, int]]], wanted: tuple[int, int]) -> bool:
    return wanted == await count()
