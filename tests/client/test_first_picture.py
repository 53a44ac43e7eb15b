"""A picture whose first keyframe is not whole: the client asks for another one, as long as packets come for nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiortc.mediastreams import MediaStreamTrack

from telerelay.client import participant
from telerelay.client.participant import RemoteTrack, _drain, _Draining
from telerelay.client.tap import StreamCount, Tap

SSRC = 4711


class Receiver:
    """What keyframes are asked through."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[int] = asyncio.Queue()

    async def _send_rtcp_pli(self, media_ssrc: int) -> None:
        self.asked.put_nowait(media_ssrc)


class Picture(MediaStreamTrack):  # type: ignore[misc,unused-ignore]
    """Decodes what is put in."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.frames: asyncio.Queue[str] = asyncio.Queue()

    async def recv(self) -> Any:
        return await self.frames.get()


class Watched:
    def __init__(self, kind: str) -> None:
        self.track, self.receiver, self.tap = Picture(kind), Receiver(), Tap()
        self.remote = RemoteTrack("p", "booth", kind, "camera", "0", SSRC, self.track)
        self.task = asyncio.create_task(_drain(_Draining(self.remote, self.receiver), self.tap))  # type: ignore[arg-type]

    async def fed(self, turns: int) -> None:
        """Packets come all the while; a turn is as long as is waited for a first picture, and half of that."""
        count = self.tap.streams.setdefault(SSRC, StreamCount())
        for _ in range(turns):
            count.gaps.received += 1
            await asyncio.sleep(1.5 * participant.FIRST_PICTURE_S)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(participant, "FIRST_PICTURE_S", 0.02)


async def test_a_keyframe_is_asked_for_until_there_is_a_picture() -> None:
    watched = Watched("video")
    await watched.fed(2)
    assert SSRC == await asyncio.wait_for(watched.receiver.asked.get(), 10)
    watched.track.frames.put_nowait("frame")
    while not watched.remote.frames:  # noqa: ASYNC110
        await asyncio.sleep(0)
    while not watched.receiver.asked.empty():
        watched.receiver.asked.get_nowait()
    await watched.fed(4)
    watched.task.cancel()

    assert watched.receiver.asked.empty()


@pytest.mark.parametrize(("kind", "comes"), [("video", False), ("audio", True)])
async def test_none_is_asked_for_where_nothing_comes_nor_for_sound(kind: str, comes: bool) -> None:
    watched = Watched(kind)
    if comes:
        await watched.fed(4)
    else:
        await asyncio.sleep(6 * participant.FIRST_PICTURE_S)
    watched.task.cancel()

    assert watched.receiver.asked.empty()
