"""
An encoder in the room, FFmpeg over WHIP, is seen by a participant and by a WHEP viewer. It is the DTLS server, so the
relay opens the handshake.
"""

from __future__ import annotations

from pathlib import Path

from support.ffmpeg_whip import FfmpegWhip
from support.relay_process import RelayProcess
from telerelay.client import Client


async def test_h264_from_ffmpeg_is_decoded_by_a_participant(relay: RelayProcess, tmp_path: Path) -> None:
    """
    H.264 and Opus arrive whole: pictures are decoded, and no packet is missing.
    """
    async with await Client.join(relay.url, relay.token("story", "ada"), "story") as ada:
        with FfmpegWhip(f"{relay.url}/whip/story", relay.token("story", "camera"), tmp_path) as publisher:

            def watches(client: Client) -> bool:
                if publisher.error is not None:
                    raise publisher.error
                return sorted((t.kind, t.frames >= 30) for t in client.track_stats()) == [
                    ("audio", True),
                    ("video", True),
                ]

            await ada.wait_for(watches, 20)

            assert 0 == ada.tap.lost
