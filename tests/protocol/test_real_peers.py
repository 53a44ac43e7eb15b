"""
Real WebRTC stacks take our answers and answer our offers. No media flows: descriptions only.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

os.environ.setdefault("WRTC_ALLOW_LOOPBACK", "1")

import pytest
import webrtc
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from negotiating import H264, VP8, VP9, counter, local, track

from support.chromium import chromium
from telerelay.protocol.negotiation import CodecPolicy, PublishNegotiation, SubscribeNegotiation, WhepNegotiation
from telerelay.protocol.parameters import Codec

UNKNOWN = Codec("AV1", 90000, 1, (("profile", "2"),), frozenset({"nack"}))


def described(kind: str, sdp: str) -> Any:
    return webrtc.RTCSessionDescription(webrtc.RTCSessionDescriptionInit(kind, sdp))


@pytest.fixture
async def wrtc_peer() -> AsyncIterator[Any]:
    """One of libwebrtc's peer connections."""
    peer = webrtc.RTCPeerConnection()
    yield peer
    peer.close()


async def wrtc_camera() -> Any:
    found = webrtc.media_devices.get_user_media(
        webrtc.MediaStreamConstraints(audio=True, video=webrtc.MediaTrackConstraints(width=640))
    )
    return await found if hasattr(found, "__await__") else found


async def follow(answer: Callable[[str], Awaitable[str]], *, can_refuse: bool) -> list[list[str]]:
    """A consult's worth of offers to one peer; for each step the keys that may be sent."""
    negotiation, new_ssrc = SubscribeNegotiation("relay"), counter()
    sound, picture, screen = track("a", "audio"), track("v", "video"), track("h", "video", H264, VP8)
    steps = [[sound, picture], [sound, picture, screen], [sound, screen], [sound, screen, track("w", "video", VP9)], []]
    if can_refuse:
        steps += [[sound, track("x", "video", UNKNOWN)], [sound, picture, screen, track("y", "video")]]
    sent = []
    for tracks in steps:
        negotiation.set_tracks(tracks)
        offer = negotiation.make_offer(local(), new_ssrc)
        result = negotiation.on_answer(offer.offer_id, await answer(offer.sdp))
        sent.append(sorted(each.key for each in result.senders))
    return sent


FOLLOWED = [["a", "v"], ["a", "h", "v"], ["a", "h"], ["a", "h", "w"], []]
FOLLOWED_WITH_REFUSAL = [*FOLLOWED, ["a"], ["a", "h", "v", "y"]]


@pytest.mark.parametrize("is_simulcast", [False, True])
async def test_libwebrtc_publishes_adds_and_stops_a_track(wrtc_peer: Any, is_simulcast: bool) -> None:
    """
    Each answer is taken: the first, one with a section more, one with a section less.
    """
    stream = await wrtc_camera()
    for each in stream.get_tracks():
        init: dict[str, Any] = {"direction": "sendonly", "streams": [stream]}
        if is_simulcast and str(each.kind).endswith("video"):
            init["send_encodings"] = [
                webrtc.RTCRtpEncodingParameters(rid=rid, scale_resolution_down_by=scale)
                for rid, scale in (("q", 4), ("h", 2), ("f", 1))
            ]
        wrtc_peer.add_transceiver(each, webrtc.RTCRtpTransceiverInit(**init))
    negotiation, seen = PublishNegotiation(CodecPolicy()), []
    for step in range(3):
        await wrtc_peer.set_local_description(await wrtc_peer.create_offer())
        result = negotiation.on_offer(wrtc_peer.local_description.sdp, local())
        await wrtc_peer.set_remote_description(described("answer", result.answer))
        seen.append([(each.mid, len(each.encodings)) for each in result.receivers])
        if step == 0:
            wrtc_peer.add_transceiver("video", webrtc.RTCRtpTransceiverInit(direction="sendonly"))
        if step == 1:
            wrtc_peer.get_transceivers()[1].stop()
    layers = 3 if is_simulcast else 1

    assert [[("0", 1), ("1", layers)], [("0", 1), ("1", layers), ("2", 1)], [("0", 1), ("2", 1)]] == seen


async def test_libwebrtc_answers_our_offers(wrtc_peer: Any) -> None:
    """
    Tracks come, go, replace each other in a section; one it cannot decode is refused, and later ones still come.
    """

    async def answer(sdp: str) -> str:
        await wrtc_peer.set_remote_description(described("offer", sdp))
        await wrtc_peer.set_local_description(await wrtc_peer.create_answer())
        return str(wrtc_peer.local_description.sdp)

    # This build of libwebrtc has VP8, VP9 and AV1 and no H.264.
    assert FOLLOWED_WITH_REFUSAL == await follow(answer, can_refuse=True)


async def test_libwebrtc_takes_a_whep_answer(wrtc_peer: Any) -> None:
    """
    A recvonly section each for sound and two pictures.
    """
    for kind in ("audio", "video", "video"):
        wrtc_peer.add_transceiver(kind, webrtc.RTCRtpTransceiverInit(direction="recvonly"))
    await wrtc_peer.set_local_description(await wrtc_peer.create_offer())
    result = WhepNegotiation(CodecPolicy()).on_offer(wrtc_peer.local_description.sdp, local(), counter())
    await wrtc_peer.set_remote_description(described("answer", result.answer))

    assert ["0", "1", "2"] == [each.mid for each in result.sections]


@pytest.fixture
async def aiortc_peer() -> AsyncIterator[RTCPeerConnection]:
    peer = RTCPeerConnection()
    yield peer
    await peer.close()


async def test_aiortc_publishes(aiortc_peer: RTCPeerConnection) -> None:
    """
    Its offer has SSRCs and no RTX SSRC; our answer is taken.
    """
    aiortc_peer.addTrack(AudioStreamTrack())
    aiortc_peer.addTrack(VideoStreamTrack())
    await aiortc_peer.setLocalDescription(await aiortc_peer.createOffer())
    result = PublishNegotiation(CodecPolicy()).on_offer(aiortc_peer.localDescription.sdp, local())
    await aiortc_peer.setRemoteDescription(RTCSessionDescription(result.answer, "answer"))

    assert ["audio", "video"] == [each.kind for each in result.receivers]
    assert all(each.encodings[0].ssrc for each in result.receivers)


async def test_aiortc_answers_our_offers(aiortc_peer: RTCPeerConnection) -> None:
    """
    As libwebrtc does; it has no VP9 and raises instead of refusing, so what it cannot take is left out.
    """

    async def answer(sdp: str) -> str:
        await aiortc_peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await aiortc_peer.setLocalDescription(await aiortc_peer.createAnswer())
        return aiortc_peer.localDescription.sdp

    negotiation, new_ssrc = SubscribeNegotiation("relay"), counter()
    sound, picture, screen = track("a", "audio"), track("v", "video"), track("h", "video", H264, VP8)
    sent = []
    for tracks in ([sound, picture], [sound, picture, screen], [sound, screen], [sound, screen, track("w", "video")]):
        negotiation.set_tracks(tracks)
        offer = negotiation.make_offer(local(), new_ssrc)
        result = negotiation.on_answer(offer.offer_id, await answer(offer.sdp))
        sent.append(sorted(each.key for each in result.senders))

    assert FOLLOWED[:4] == sent


@pytest.fixture
async def page() -> AsyncIterator[Any]:
    """A page of Chromium's with a fake camera, on an address that only Playwright answers."""
    async with chromium() as browser:
        context = await browser.new_context(permissions=["camera", "microphone"])
        await context.route("**/*", lambda route: route.fulfill(content_type="text/html", body="<p>"))
        page = await context.new_page()
        await page.goto("http://127.0.0.1:9/")
        yield page


CAMERA = """async (isSimulcast) => {
  window.pc = new RTCPeerConnection();
  const stream = await navigator.mediaDevices.getUserMedia({audio: true, video: {width: 640}});
  const layers = [{rid: "q", scaleResolutionDownBy: 4}, {rid: "h", scaleResolutionDownBy: 2}, {rid: "f"}];
  for (const track of stream.getTracks()) {
    const init = {direction: "sendonly", streams: [stream]};
    pc.addTransceiver(track, isSimulcast && track.kind === "video" ? {...init, sendEncodings: layers} : init);
  }
}"""
OFFER = "async () => { await pc.setLocalDescription(); return pc.localDescription.sdp; }"
TAKE = """async (sdp) => {
  await pc.setRemoteDescription({type: "answer", sdp});
  return pc.getSenders().map(sender => sender.getParameters().encodings.length);
}"""
ANSWER = """async (sdp) => {
  window.sub ??= new RTCPeerConnection();
  await sub.setRemoteDescription({type: "offer", sdp});
  await sub.setLocalDescription();
  return sub.localDescription.sdp;
}"""


@pytest.mark.browser
@pytest.mark.parametrize(("is_simulcast", "layers"), [(False, [1, 1]), (True, [1, 3])])
async def test_chromium_publishes(page: Any, is_simulcast: bool, layers: list[int]) -> None:
    """
    Chromium takes the answer and keeps its three layers; the same again as a renegotiation.
    """
    negotiation = PublishNegotiation(CodecPolicy())
    await page.evaluate(CAMERA, is_simulcast)
    for _ in range(2):
        result = negotiation.on_offer(await page.evaluate(OFFER), local())
        assert layers == await page.evaluate(TAKE, result.answer)
        assert layers == [len(each.encodings) for each in result.receivers]


@pytest.mark.browser
async def test_chromium_answers_our_offers(page: Any) -> None:
    """
    The consult that libwebrtc followed, in the browser, with a recycled section at its end.
    """

    async def answer(sdp: str) -> str:
        return str(await page.evaluate(ANSWER, sdp))

    assert FOLLOWED_WITH_REFUSAL == await follow(answer, can_refuse=True)
