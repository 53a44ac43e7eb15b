"""
What a client may do to its offer in mid-call: sections more, inactive, used again, stopped, recycled, rolled back.

libwebrtc as it is (fast), and both browsers by what their page does when somebody shares a screen again and again. The
participant who watches decodes the extra picture each time it is there, and the first picture never stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from interop.programs import slow
from interop.test_moving import page_of
from support.relay_process import RelayProcess
from support.waiting import until
from support.wrtc_peer import Peer, Peers, description

import webrtc  # isort: skip  after wrtc_peer, which lets it use loopback

# The relay takes five offers at once, then one in two seconds (limits.offer_every_s).
PAUSE_S = 2.1
ROUNDS = 3


async def offer(peer: Peer) -> list[str]:
    """Offer what the connection holds; the mids that are published then."""
    pc = peer.publish_pc
    await asyncio.sleep(PAUSE_S)
    await pc.set_local_description(await pc.create_offer())
    mids = [each.mid for each in pc.get_transceivers() if each.mid]
    tracks = [{"mid": mid, "source": {"0": "microphone", "1": "camera"}.get(mid, "screen")} for mid in mids]
    reply = await peer.request("publish", sdp=pc.local_description.sdp, tracks=tracks)
    await pc.set_remote_description(description("answer", reply["sdp"]))
    return [each["mid"] for each in reply["publications"]]


async def pictures(peer: Peer) -> dict[tuple[str, int], int]:
    """Those decoded of each video stream, by the source that its publication has and its SSRC."""
    if peer.subscribe_pc is None:
        return {}
    sources = {each["mid"]: each["source"] for each in peer.remote.values()}
    entries = (await peer.subscribe_pc.get_stats()).values()
    streams = [each for each in entries if each.type.value == "inbound-rtp" and each.kind == "video"]
    return {(sources.get(each.mid, ""), each.ssrc): each.frames_decoded or 0 for each in streams}


class Watching:
    """What one participant sees of one other: the camera, and an extra stream that comes again and again."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._known: set[int] = set()

    async def _camera(self) -> int:
        return sum(count for (source, _), count in (await pictures(self._peer)).items() if source == "camera")

    async def goes_on(self) -> None:
        """Thirty more pictures of the camera."""
        least = await self._camera() + 30
        await self._until(lambda: self._is_camera(least))

    async def _is_camera(self, least: int) -> bool:
        return await self._camera() >= least

    async def sees_more(self) -> None:
        """Ten pictures of a stream that was not there before."""
        await self._until(self._is_more)

    async def _is_more(self) -> bool:
        for (source, ssrc), count in (await pictures(self._peer)).items():
            if source != "camera" and ssrc not in self._known and count >= 10:
                self._known.add(ssrc)
                return True
        return False

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        try:
            await until(condition)
        except TimeoutError:
            raise AssertionError(f"known: {self._known}, decoded: {await pictures(self._peer)}") from None


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_libwebrtc_adds_pauses_stops_and_rolls_back(wrtc_peers: Peers, room: str) -> None:
    """
    Three rounds of a section that comes, goes inactive, comes again and is stopped: the third round has no more
    sections than the first, since a stopped one is recycled (RFC 9429, 5.2.2). A rollback leaves all as it was.
    """
    ada, bob = await wrtc_peers.join(room, "ada"), await wrtc_peers.join(room, "bob")
    await ada.publish()
    pc = ada.publish_pc
    wanted = webrtc.MediaStreamConstraints(video=webrtc.MediaTrackConstraints(width=320, height=240, frame_rate=15))
    stream = await webrtc.media_devices.get_user_media(wanted)
    (track,) = stream.get_tracks()
    watching = Watching(bob)
    await watching.goes_on()
    mids = []
    for _ in range(ROUNDS):
        more = pc.add_transceiver(track, webrtc.RTCRtpTransceiverInit(direction="sendonly", streams=[stream]))
        for direction in ("sendonly", "inactive", "sendonly"):
            more.direction = webrtc.RTCRtpTransceiverDirection(direction)
            published = await offer(ada)
            assert (["0", "1", more.mid] if direction == "sendonly" else ["0", "1"]) == published
            if direction == "sendonly":
                await watching.sees_more()
        mids.append(more.mid)
        more.stop()
        assert ["0", "1"] == await offer(ada)
        assert 3 == pc.local_description.sdp.count("\nm=")

    pc.add_transceiver("audio", webrtc.RTCRtpTransceiverInit(direction="sendonly"))
    await pc.set_local_description(await pc.create_offer())
    await pc.set_local_description(description("rollback", ""))
    assert ["0", "1"] == (await offer(ada))[:2]
    await watching.goes_on()

    assert ROUNDS == len(set(mids))
    assert not [each for each in bob.events if each["type"] == "refused"]
    for each in stream.get_tracks():
        each.stop()


SCREEN = """(async () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [320, 240];
  const context = canvas.getContext("2d");
  let shade = 0;
  setInterval(() => { context.fillStyle = `rgb(${shade++ % 255}, 99, 99)`; context.fillRect(0, 0, 320, 240); }, 50);
  const [track] = canvas.captureStream(20).getTracks();
  window.screenTrack = track;
})()"""
SHARE = "(async () => { window.shared = await consult.call.publish(screenTrack, { source: 'screen' }); })()"
STOP = "(async () => { await consult.call.unpublish(shared); })()"


@slow
@pytest.mark.parametrize("name", ["Firefox ESR", "Chromium"])
async def test_a_browser_shares_its_screen_again_and_again(
    relay: RelayProcess, wrtc_peers: Peers, room: str, name: str
) -> None:
    """
    Three times in a row: the participant who watches sees the screen each time, and the camera throughout.
    """
    bob = await wrtc_peers.join(room, "bob")
    async with page_of(name, relay.url, room, relay.token(room, "ada", "patient")) as ada:
        await ada.join()
        await ada.evaluate(SCREEN)
        watching = Watching(bob)
        await watching.goes_on()
        sources: list[Any] = []
        for _ in range(ROUNDS):
            await ada.evaluate(SHARE)
            await watching.sees_more()
            await watching.goes_on()
            sources.append(sorted(each["source"] for each in _published(bob)))
            await ada.evaluate(STOP)
            await until(lambda: not [each for each in _published(bob) if each["source"] == "screen"])

    assert [["camera", "microphone", "screen"]] * ROUNDS == sources
    assert not [each for each in bob.events if each["type"] == "refused"]


def _published(peer: Peer) -> list[dict[str, Any]]:
    """What the others publish, by the events the peer was told."""
    there: dict[str, dict[str, Any]] = {}
    for event in peer.events:
        if event["type"] == "published":
            there[event["publication"]["id"]] = event["publication"]
        elif event["type"] == "unpublished":
            there.pop(event["publication"], None)
    return list(there.values())
