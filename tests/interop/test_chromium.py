"""
What Chromium decodes of FFmpeg: H.264 and Opus by its WHIP muxer, in the consult page. Part of the fast half.
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
import pytest

from interop.seen import seen
from support.chromium import chromium
from support.ffmpeg_whip import FfmpegWhip
from support.relay_process import RelayProcess

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "browser"))
from consulting import Person

FFMPEG = f"{av.ffmpeg_version_info} (PyAV {av.__version__})"


@pytest.mark.browser
async def test_chromium_decodes_ffmpeg(relay: RelayProcess, room: str, tmp_path: Path) -> None:
    """
    The picture at its size and in its codec, going on, and sound that is not silent.
    """
    async with chromium() as browser:
        with FfmpegWhip(f"{relay.url}/whip/{room}", relay.token(room, "camera"), tmp_path) as camera:
            person = await Person.open(browser, relay.url, room=room, token=relay.token(room, "ada"))
            await person.join()
            for frames in (30, 60):
                await person.eventually(
                    lambda tracks, frames=frames: any(track["frames"] >= frames for track in tracks), "video", 20
                )
            await person.eventually(lambda tracks: any(track["audio_energy"] > 0.001 for track in tracks), "audio")
            (picture,) = await person.tracks("subscribe", "video")
            assert camera.error is None
            assert ("video/H264", 320, 240) == (picture["codec"], picture["width"], picture["height"])
            seen("Chromium", browser.version, "subscribe", "H264 of FFmpeg")
            seen("FFmpeg's WHIP muxer", FFMPEG, "publish", "H264", "opus")
