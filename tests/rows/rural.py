"""
Somebody in a visit over a thin line, in a process of its own: libwebrtc, which does as the page does.

`Rural` is the row's end, `python -m rows.rural` the process. What is kept are benchmarks/lines' samples and signs.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp

from rows.figures import EXAMPLES
from rows.person import Body, Person, play
from rows.process import Message
from support.starved import Starved

BENCHMARKS = EXAMPLES.parent / "benchmarks"
VOICE_BPS = 40_000
PICTURE, PICTURE_BPS = (640, 480, 30), 1_500_000
"""As the page's own: a voice that may go to longer packets, and a camera's picture."""
SAMPLE_EVERY_S = 0.25
SEEN_EVERY_S = 0.05
SEEN_WITHIN_S = 30.0


class Rural(Person):
    """`async with Rural(net.command("b")) as patient:`; a doctor lets in who comes, if told to."""

    module = "rows.rural"

    async def let_in(self) -> None:
        """Admit whoever waits, from now on."""
        await self.do("let_in")

    async def send(self, *, redundant: bool = False) -> None:
        """Publish a voice and a picture; `redundant`: each packet of the voice has the one before as well (RED)."""
        await self.do("send", redundant=redundant)

    async def sees_them(self) -> Message:
        """Wait until a picture of the other was decoded in this visit: `at`, and "starved_s" meanwhile."""
        return await self.do("sees_them")

    async def keep(self) -> None:
        """Keep what is counted and told from now on."""
        await self.do("keep")

    async def kept(self, file: Path) -> Message:
        """Into `file` goes what was kept, as lines.recording.Watched; {"starved_s"} meanwhile."""
        return await self.do("kept", file=str(file))


@dataclass(frozen=True, slots=True)
class _Relay:
    """What a peer needs of one."""

    url: str
    given: str

    def token(self, room: str, sub: str) -> str:
        return self.given


class _Body(Body):
    orders = ("http", "join", "let_in", "send", "sees_them", "keep", "kept", "request", "leave")

    def __init__(self, http: aiohttp.ClientSession) -> None:
        super().__init__(http)
        # Libwebrtc takes seconds to load, which is no part of anybody's coming.
        self._somebody = importlib.import_module("lines.somebody").Somebody
        self._peer: Any = None
        self._lets_in = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._sampling: asyncio.Task[None] | None = None
        self._starved = Starved()

    async def join(self, url: str, room: str, token: str, relay_port: int | None) -> Mapping[str, Any]:
        peer = self._peer = self._somebody(_Relay(url, token), room, "")
        keep = peer.on_event

        def on_event(message: Message) -> None:
            keep(message)
            self.on_event(message)

        peer.on_event = on_event
        await peer.join()
        return {"participant": peer.participant}

    async def let_in(self) -> Mapping[str, Any]:
        self._lets_in = True
        return {}

    def on_event(self, message: Message) -> None:
        if message["type"] == "waiting_room" and self._lets_in:
            for each in message["people"]:
                admitting = asyncio.create_task(self._admit(each["participant"]))
                self._tasks.add(admitting)
                admitting.add_done_callback(self._tasks.discard)
        super().on_event(message)

    async def _admit(self, participant: str) -> None:
        with contextlib.suppress(AssertionError):  # told of twice
            await self._peer.request("admit", participant=participant)

    async def send(self, redundant: bool) -> Mapping[str, Any]:
        await self._peer.publish(
            video=PICTURE,
            max_bitrate_bps=PICTURE_BPS,
            prefer="VP8",
            voice=(VOICE_BPS, True),
            redundant=redundant,
        )
        return {}

    async def sees_them(self) -> Mapping[str, Any]:
        with Starved() as starved:
            async with asyncio.timeout(SEEN_WITHIN_S):
                while (seen := await self._peer.inbound("video")) is None or not seen.frames_decoded:  # noqa: ASYNC110
                    await asyncio.sleep(SEEN_EVERY_S)
        return {"starved_s": starved.total_s}

    async def keep(self) -> Mapping[str, Any]:
        watched = self._peer.watched
        watched.samples.clear()
        watched.signs.clear()
        self._starved = Starved()
        self._starved.__enter__()  # until it is asked for
        self._sampling = asyncio.create_task(self._sample())
        return {}

    async def _sample(self) -> None:
        while True:
            began = time.monotonic()
            await self._peer.look()
            await asyncio.sleep(max(0.0, SAMPLE_EVERY_S - (time.monotonic() - began)))

    async def kept(self, file: str) -> Mapping[str, Any]:
        assert self._sampling is not None
        self._sampling.cancel()
        self._starved.__exit__(None, None, None)
        await asyncio.to_thread(Path(file).write_text, json.dumps(asdict(self._peer.watched)))
        return {"starved_s": self._starved.total_s}

    async def request(self, kind: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        return {name: value for name, value in (await self._peer.request(kind, **fields)).items() if name != "id"}

    async def leave(self) -> Mapping[str, Any]:
        if self._sampling is not None:
            self._sampling.cancel()
        peer, self._peer = self._peer, None
        if peer is not None:
            await peer.leave()
        return {}


if __name__ == "__main__":
    sys.path.append(str(BENCHMARKS))
    asyncio.run(play(_Body))
