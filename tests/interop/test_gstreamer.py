"""
GStreamer's webrtcbin over WHIP and WHEP, beside a participant that publishes and watches.

Its certificate is RSA, its ICE is libnice, its SDP says things in its own order.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from interop.echoes import Program, gstreamer_program, talk, watch
from interop.programs import slow
from interop.seen import seen
from support.ffmpeg_whip import FfmpegWhip
from support.relay_process import RelayProcess
from support.waiting import until
from support.wrtc_peer import Peers
from telerelay.client import Client

CLIENT = "GStreamer webrtcbin"


async def _decodes(program: Program, width: int, height: int) -> None:
    """Wait until the program has decoded pictures of that size, goes on doing so, and has heard something."""

    def is_watching(least: int) -> bool:
        program.check()
        counts = program.counts
        return bool(counts) and counts["video"] >= least and (width, height) == (counts["width"], counts["height"])

    try:
        await until(lambda: is_watching(30), timeout_s=20)
        before = program.counts["video"]
        await until(lambda: is_watching(before + 30))
        await until(lambda: program.counts["energy"] > 1)
    except TimeoutError:
        raise AssertionError(f"{program.counts} {program.errors[-10:]}") from None


@slow
@pytest.mark.parametrize("codec", ["VP8", "VP9"])
async def test_webrtcbin_publishes_and_decodes(relay: RelayProcess, wrtc_peers: Peers, room: str, codec: str) -> None:
    """
    webrtcbin decodes a libwebrtc participant's picture and sound, and the participant those of webrtcbin.
    """
    async with gstreamer_program() as program:
        ada = await wrtc_peers.join(room, "ada")
        await ada.publish(video=(640, 480, 30), prefer=codec)
        await program.start(relay, room, "gstreamer", codec)
        await _decodes(program, 640, 480)
        await watch(ada, program, 320, 240)

        assert await until(lambda: program.certificate)
        certificate = x509.load_pem_x509_certificate(program.certificate.encode())
        assert isinstance(certificate.public_key(), rsa.RSAPublicKey)
        for did in ("publish", "subscribe"):
            seen(CLIENT, program.version, did, codec, "opus", "RSA certificate")


@slow
async def test_webrtcbin_publishes_and_decodes_h264(relay: RelayProcess, room: str, tmp_path: Path) -> None:
    """
    webrtcbin decodes FFmpeg's H.264 and sound; a participant decodes those of both.
    """
    async with gstreamer_program() as program, await Client.join(relay.url, relay.token(room, "ada"), room) as ada:
        with FfmpegWhip(f"{relay.url}/whip/{room}", relay.token(room, "camera"), tmp_path) as camera:
            await ada.wait_for(lambda client: any(track.frames >= 30 for track in client.track_stats()), 20)
            await program.start(relay, room, "gstreamer", "H264")
            await _decodes(program, 320, 240)

            def watches_both(client: Client) -> bool:
                assert camera.error is None
                tracks = [track.kind for track in client.track_stats() if track.frames >= 30]
                return ["audio", "audio", "video", "video"] == sorted(tracks)

            await ada.wait_for(watches_both, 20)
        for did in ("publish", "subscribe"):
            seen(CLIENT, program.version, did, "H264", "opus", "RSA certificate")


@slow
async def test_webrtcbin_sends_and_receives_messages(relay: RelayProcess, room: str) -> None:
    """
    webrtcbin opens a data channel in its WHIP session; a participant's message comes to it, its answer comes back.
    """
    async with gstreamer_program() as program, await Client.join(relay.url, relay.token(room, "ada"), room) as ada:
        await program.start(relay, room, "device", "VP8")
        await talk(ada, program)
        seen(CLIENT, program.version, "publish", "data")
