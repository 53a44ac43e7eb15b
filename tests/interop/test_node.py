"""
Three WebRTC stacks of Node over WHIP and WHEP, each beside a libwebrtc participant that publishes and watches.

werift and node-datachannel have no codecs: they send back what they receive, so that what the participant decodes has
gone both ways. @roamhq/wrtc has libwebrtc's: it decodes what it receives and publishes a picture of its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.echoes import node_program, talk, watch
from interop.programs import slow
from interop.seen import seen
from support.ffmpeg_whip import FfmpegWhip
from support.relay_process import RelayProcess
from support.waiting import until
from support.wrtc_peer import Peers
from telerelay.client import Client


@slow
@pytest.mark.parametrize("codec", ["VP8", "VP9", "AV1"])
@pytest.mark.parametrize("package", ["werift", "node-datachannel"])
async def test_an_echo_goes_both_ways(
    relay: RelayProcess, wrtc_peers: Peers, room: str, package: str, codec: str
) -> None:
    """
    A participant decodes its own picture and hears its own sound after both went through the other stack.
    """
    async with node_program(package, package) as program:
        ada = await wrtc_peers.join(room, "ada")
        await ada.publish(video=(640, 480, 30), prefer=codec)
        await program.start(relay, room, "echo", codec)
        await watch(ada, program, 640, 480)

        await until(lambda: min(program.counts["video"], program.counts["audio"]) > 60)
        for did in ("publish", "subscribe"):
            seen(package, program.version, did, codec, "opus")


@slow
@pytest.mark.parametrize("package", ["werift", "node-datachannel"])
async def test_an_echo_of_h264_is_decoded(relay: RelayProcess, room: str, package: str, tmp_path: Path) -> None:
    """
    A participant decodes FFmpeg's H.264 and its sound twice: as published, and after both went through the other stack.
    """
    async with (
        node_program(package, package) as program,
        await Client.join(relay.url, relay.token(room, "ada"), room) as ada,
    ):
        with FfmpegWhip(f"{relay.url}/whip/{room}", relay.token(room, "camera"), tmp_path) as camera:
            await ada.wait_for(lambda client: _watching(client, camera, 1), 20)
            await program.start(relay, room, "echo", "H264")
            await ada.wait_for(lambda client: _watching(client, camera, 2), 20)
            program.check()
        for did in ("publish", "subscribe"):
            seen(package, program.version, did, "H264", "opus")


def _watching(client: Client, camera: FfmpegWhip, people: int) -> bool:
    if camera.error is not None:
        raise camera.error
    kinds = sorted(track.kind for track in client.track_stats() if track.frames >= 30)
    return ["audio"] * people + ["video"] * people == kinds


@slow
@pytest.mark.parametrize("codec", ["VP8", "VP9", "AV1"])
async def test_roamhq_wrtc_publishes_and_decodes(relay: RelayProcess, wrtc_peers: Peers, room: str, codec: str) -> None:
    """
    libwebrtc for Node decodes the participant's picture and sound, and the participant those of its own.
    """
    package = "@roamhq/wrtc"
    async with node_program("roamhq-wrtc", package) as program:
        ada = await wrtc_peers.join(room, "ada")
        await ada.publish(video=(640, 480, 30), prefer=codec)
        await program.start(relay, room, "roamhq", codec)
        await watch(ada, program, 320, 240)

        before = program.counts["video"]
        await until(lambda: program.counts["video"] >= before + 30)
        assert (640, 480) == (program.counts["width"], program.counts["height"])
        assert program.counts["energy"] > 1
        for did in ("publish", "subscribe"):
            seen(package, program.version, did, codec, "opus")


@slow
@pytest.mark.parametrize(
    ("name", "package"),
    [("werift", "werift"), ("node-datachannel", "node-datachannel"), ("roamhq-wrtc", "@roamhq/wrtc")],
)
async def test_messages_go_both_ways(relay: RelayProcess, room: str, name: str, package: str) -> None:
    """
    The stack opens a data channel in its WHIP session; a participant's message comes to it, its answer comes back.
    """
    async with (
        node_program(name, package) as program,
        await Client.join(relay.url, relay.token(room, "ada"), room) as ada,
    ):
        await program.start(relay, room, "device", "VP8")
        await talk(ada, program)
        seen(package, program.version, "publish", "data")
