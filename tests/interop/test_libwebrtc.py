"""
The fast half of the matrix: libwebrtc without a browser (wrtc) in each of its codecs, with simulcast and with SVC, and
aiortc, all in one process beside the relay.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import Any

os.environ.setdefault("WRTC_ALLOW_LOOPBACK", "1")

import aiohttp
import pytest
import webrtc

from interop.seen import seen
from support.moved_path import Credentials, MovedPath
from support.relay_process import RelayProcess
from support.waiting import until
from support.wrtc_peer import Peer, Peers, description, gathered
from telerelay.client import Client

WRTC = f"{version('wrtc')} (libwebrtc M152)"


async def codec_of(peer: Peer, stream: Any) -> str:
    """The MIME type of a stream's codec."""
    statistics = await peer.subscribe_pc.get_stats()
    return str(statistics[stream.codec_id].mime_type)


async def watch(peer: Peer, width: int, height: int, frames: int = 30) -> Any:
    """Wait until a peer has decoded so many pictures, the last of this size, and hears something; what it counts."""

    async def is_watching() -> Any:
        picture, sound = await peer.inbound("video"), await peer.inbound("audio")
        return (
            picture is not None
            and sound is not None
            and (picture.frames_decoded or 0) >= frames
            and (picture.frame_width, picture.frame_height) == (width, height)
            and sound.total_audio_energy > 0
            and picture
        )

    try:
        return await until(is_watching, timeout_s=20)
    except TimeoutError:
        raise AssertionError(f"received: {await peer.inbound('video')}") from None


@pytest.mark.parametrize("codec", ["VP8", "VP9", "AV1"])
async def test_libwebrtc_peers_see_each_other_in_each_codec(wrtc_peers: Peers, room: str, codec: str) -> None:
    """
    Both decode what the other encodes, at its size, in the codec that was asked for.
    """
    ada, bob = await wrtc_peers.join(room, "ada"), await wrtc_peers.join(room, "bob")
    for peer in (ada, bob):
        await peer.publish(video=(640, 480, 30), prefer=codec)
    for peer in (ada, bob):
        picture = await watch(peer, 640, 480)
        assert f"video/{codec}" == await codec_of(peer, picture)
        await watch(peer, 640, 480, frames=picture.frames_decoded + 15)
    for did in ("publish", "subscribe"):
        seen("wrtc", WRTC, did, codec, "opus")


@pytest.mark.parametrize(
    ("feature", "codec", "width", "height", "encodings"),
    [
        (
            "simulcast",
            "VP8",
            1280,
            720,
            [
                {"rid": "q", "scale_resolution_down_by": 4, "max_bitrate": 150_000},
                {"rid": "h", "scale_resolution_down_by": 2, "max_bitrate": 500_000},
                {"rid": "f", "max_bitrate": 1_200_000},
            ],
        ),
        ("SVC L3T3_KEY", "VP9", 1280, 720, [{"scalability_mode": "L3T3_KEY"}]),
        ("SVC L1T3", "AV1", 640, 480, [{"scalability_mode": "L1T3"}]),
    ],
)
async def test_layers_of_libwebrtc_are_received_at_full_size(
    wrtc_peers: Peers, room: str, feature: str, codec: str, width: int, height: int, encodings: list[dict[str, Any]]
) -> None:
    """
    A publisher with layers, of simulcast or within one stream, is seen at its full size by whoever has the bandwidth.
    """
    ada, bob = await wrtc_peers.join(room, "ada"), await wrtc_peers.join(room, "bob")
    parameters = [webrtc.RTCRtpEncodingParameters(**each) for each in encodings]
    await ada.publish(video=(width, height, 30), encodings=parameters, prefer=codec)
    picture = await watch(bob, width, height)
    assert f"video/{codec}" == await codec_of(bob, picture)
    await watch(bob, width, height, frames=picture.frames_decoded + 15)
    seen("wrtc", WRTC, "publish", feature)


async def test_a_switch_of_layers_keeps_the_picture(wrtc_peers: Peers, room: str) -> None:
    """
    A publisher stops its upper layers and starts them again: the picture shrinks to each size and grows back, in one
    stream that never stops.
    """
    ada, bob = await wrtc_peers.join(room, "ada"), await wrtc_peers.join(room, "bob")
    rids = {"q": 4, "h": 2, "f": 1}
    encodings = [webrtc.RTCRtpEncodingParameters(rid=rid, scale_resolution_down_by=by) for rid, by in rids.items()]
    await ada.publish(video=(1280, 720, 30), encodings=encodings)
    first = await watch(bob, 1280, 720)
    (sender,) = [each.sender for each in ada.publish_pc.get_transceivers() if each.sender.track.kind == "video"]
    for active, width, height in (("qh", 640, 360), ("q", 320, 180), ("qhf", 1280, 720)):
        before = (await bob.inbound("video")).frames_decoded
        parameters = sender.get_parameters()
        for each in parameters.encodings:
            each.active = each.rid in active
        await sender.set_parameters(parameters)
        last = await watch(bob, width, height, frames=before + 30)
        assert first.ssrc == last.ssrc
    seen("wrtc", WRTC, "publish", "simulcast: layers stopped and started")


async def test_aiortc_has_no_ice_restart_and_reconnects(relay: RelayProcess, wrtc_peers: Peers, room: str) -> None:
    """
    aiortc's second offer bears the credentials of the first, and no option of its asks for others: from another address
    it begins both connections anew, and is seen and sees again.
    """
    from telerelay.client.media import MovingPicture, Tone

    ada = await wrtc_peers.join(room, "ada")
    await ada.publish(video=(640, 480, 30))
    async with await Client.join(relay.url, relay.token(room, "bob"), room, addresses=["127.0.0.5"]) as bob:
        await bob.publish([Tone(), MovingPicture(320, 240, 20)])
        first = await watch(ada, 320, 240)
        pc: Any = bob._publish
        before, after = pc.localDescription.sdp, (await pc.createOffer()).sdp
        with pytest.raises(TypeError):
            await pc.createOffer({"iceRestart": True})

        bob._addresses = ("127.0.0.6",)
        await bob.reconnect("publish")
        await bob.reconnect("subscribe")
        await bob.wait_for(lambda each: each._subscribe is not None and each.is_publishing)
        received, bob.tap.streams = bob.tap.received, {}
        await bob.wait_for(lambda each: len(each.tap.streams) >= 2 and each.tap.received > 60, 20)
        await until(lambda: set(bob.publications) <= set(ada.remote))
        again = await watch(ada, 320, 240)

        assert first.ssrc != again.ssrc
        assert Credentials.of(before) == Credentials.of(after)
        assert received > 0
        for each in (bob._publish, bob._subscribe):
            assert "127.0.0.6" == MovedPath(each)._pair.local_addr[0]
    for did in ("publish", "subscribe"):
        seen("aiortc", version("aiortc"), did, "reconnect (has no ICE restart)")


async def test_aiortc_and_libwebrtc_see_each_other(relay: RelayProcess, wrtc_peers: Peers, room: str) -> None:
    """
    aiortc decodes libwebrtc's picture and sound, and libwebrtc those of aiortc.
    """
    from telerelay.client.media import MovingPicture, Tone

    ada = await wrtc_peers.join(room, "ada")
    await ada.publish(video=(640, 480, 30))
    async with await Client.join(relay.url, relay.token(room, "bob"), room) as bob:
        await bob.publish([Tone(), MovingPicture(320, 240, 20)])
        await bob.wait_for(
            lambda client: ["audio", "video"] == sorted(t.kind for t in client.track_stats() if t.frames >= 30), 20
        )
        await watch(ada, 320, 240)
    for did in ("publish", "subscribe"):
        seen("aiortc", version("aiortc"), did, "VP8", "opus")


async def test_libwebrtc_sends_and_receives_messages(relay: RelayProcess, room: str) -> None:
    """
    libwebrtc opens a data channel in a WHIP session; its message comes to aiortc, the answer comes back.
    """
    pc = webrtc.RTCPeerConnection()
    pulse = pc.create_data_channel("pulse")
    answers: list[Any] = []
    pulse.on("message", lambda message: answers.append(getattr(message, "data", message)))
    headers = {"Authorization": f"Bearer {relay.token(room, 'device')}", "Content-Type": "application/sdp"}
    async with await Client.join(relay.url, relay.token(room, "ada"), room) as ada, aiohttp.ClientSession() as http:
        await pc.set_local_description(await pc.create_offer())
        await gathered(pc)
        endpoint = f"{relay.url}/whip/{room}"
        async with http.post(endpoint, data=pc.local_description.sdp, headers=headers) as response:
            assert 201 == response.status, await response.text()
            await pc.set_remote_description(description("answer", await response.text()))
        await ada.wait_for(lambda client: "pulse" in client.channels, 15)
        channel = ada.channels["pulse"]
        await channel.opened()
        await until(lambda: "open" in str(pulse.ready_state).lower())
        pulse.send("61 / min")
        assert "61 / min" == await channel.receive()
        channel.send("heard")
        await until(lambda: answers)
        assert ["heard"] == answers
    pc.close()
    seen("wrtc", WRTC, "publish", "data")
