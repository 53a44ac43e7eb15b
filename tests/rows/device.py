"""
A device in a home: one Chromium, which two people share, each on a page of their own with a camera that needs the rate.

`Device` is in the row's process, the browser in its own, behind whatever line `before` puts it. Its camera is a film of
noise that moves, so that an encoder has use for all it gets.
"""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from support.chromium import chromium

WIDTH, HEIGHT, FPS, FRAMES = 640, 480, 12, 24
NOISE = 40

PUBLISH = """async ([relay, link, sources]) => {
  const { join, useLink } = await import(`${relay}/telerelay.js`);
  const { room, token } = await useLink(link);
  const stream = await navigator.mediaDevices.getUserMedia({ audio: sources.includes("microphone"), video: true });
  globalThis.call = await join({ room, token });
  for (const source of sources) {
    const [track] = source === "microphone" ? stream.getAudioTracks() : stream.getVideoTracks();
    await call.publish(track, { source });
  }
  return call.id;
}"""


def film(path: Path) -> None:
    """Two seconds that no encoder makes small, as Chromium's fake camera plays them (Y4M), again and again."""
    noise = np.random.default_rng(1).integers(-NOISE, NOISE, (HEIGHT, WIDTH), dtype=np.int16)
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FPS}:1 Ip A1:1 C420\n".encode())
        for n in range(FRAMES):
            picture = (np.arange(WIDTH) // 4 + 64 + 4 * n) % 160 + 32 + np.roll(noise, (16 * n, 24 * n), axis=(0, 1))
            file.write(b"FRAME\n")
            file.write(np.clip(picture, 16, 235).astype(np.uint8).tobytes())
            file.write(bytes([128]) * (WIDTH * HEIGHT // 2))


class Device:
    """`async with Device(url, before) as device:`"""

    def __init__(self, relay: str, before: Sequence[str] = ()) -> None:
        """`relay` is the address of its page; `before` is put before Chromium's command line."""
        self._relay = relay
        self._before = before
        self._stack = AsyncExitStack()
        self._browser: Any = None

    async def __aenter__(self) -> Device:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        film(folder / "film.y4m")
        program = folder / "chromium"
        path = shutil.which("chromium")
        assert path is not None, "Chromium is not installed: make build installs it"
        program.write_text(f'#!/bin/sh\nexec {shlex.join([*self._before, path])} "$@"\n')
        program.chmod(0o755)
        there = urlsplit(self._relay)
        more = [
            f"--use-file-for-fake-video-capture={folder / 'film.y4m'}",
            f"--unsafely-treat-insecure-origin-as-secure={there.scheme}://{there.netloc}",
            f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE {there.hostname}",
        ]
        try:
            self._browser = await self._stack.enter_async_context(chromium(program=str(program), more=more))
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def enter(self, link: str, *sources: str) -> str:
        """Somebody comes by a link, on a page of their own, and publishes these: the participant."""
        context = await self._browser.new_context(permissions=["camera", "microphone"])
        page = await context.new_page()
        await page.goto(f"{self._relay}/")
        given = [self._relay, link.partition("#link=")[2] or link, list(sources)]
        return str(await page.evaluate(PUBLISH, given))
