"""
What the browser tests share: a person at the consult page, and a thread of wire that can be cut.

Runs on the event loop of the test module. Everything stays on 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from playwright.async_api import Browser, BrowserContext, Locator, Page

SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}

# Pictures a receiver must have decoded before it is said to see somebody.
SEEN_FRAMES = 15
# Every sign of these kinds that came to the page.
SIGNS = """
globalThis.signs = [];
const NativeSocket = WebSocket;
globalThis.WebSocket = class extends NativeSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", ({ data }) => {
      const message = JSON.parse(data);
      if (["track_state", "seen_by", "limits"].includes(message.type)) signs.push(message);
    });
  }
};
"""


def over(port: int, line: int) -> str:
    """A script that has a page's media go by the line's port where the relay names its own (UdpImpairment)."""
    return f"""
{{
  const set = RTCPeerConnection.prototype.setRemoteDescription;
  RTCPeerConnection.prototype.setRemoteDescription = function (given) {{
    return set.call(this, {{ type: given.type, sdp: given.sdp.replaceAll(" {port} typ host", " {line} typ host") }});
  }};
}}
"""


# Of what takes no time that matters here: a machine with other things to do is given what it needs.
WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Rate:
    """Frames in a stretch of time, of what is sent or received."""

    per_s: float
    frames: int


class Person:
    """Somebody with the consult page open in a browser context of their own."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self.context = context
        self.page = page
        self.complaints: list[str] = []
        """Errors of the page and refusals of its content security policy."""
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    @classmethod
    async def open(
        cls,
        browser: Browser,
        url: str,
        *,
        room: str,
        token: str | None,
        query: str = "",
        script: str = "",
        viewport: dict[str, int] | None = None,
        language: str = "en-GB",
    ) -> Person:
        """Open the page of a relay; `script` runs before those of the page."""
        address = f"{url}/?room={room}{query}" + (f"#token={token}" if token else "")
        return await cls.at(browser, address, script=script, viewport=viewport, language=language)

    @classmethod
    async def at(
        cls,
        browser: Browser,
        address: str,
        *,
        script: str = "",
        viewport: dict[str, int] | None = None,
        language: str = "en-GB",
    ) -> Person:
        """Open what is at an address, such as a link that an application gave."""
        context = await browser.new_context(
            permissions=["camera", "microphone"], viewport=cast(Any, viewport or DESKTOP), locale=language
        )
        person = cls(context, await context.new_page())
        if script:
            await person.page.add_init_script(script)
        await person.page.goto(address)
        return person

    def see(self, name: str) -> Locator:
        """The element with this data-testid."""
        return self.page.get_by_test_id(name)

    async def join(self) -> None:
        """Press the large button and wait for the call."""
        await self.see("join").click()
        await self.see("leave").wait_for()

    async def status(self) -> str:
        return (await self.see("status").inner_text()).replace("\u00a0", " ")

    async def says(self, words: str, within_s: float = WAIT_S) -> None:
        """Wait until the status line holds these words."""
        await self.until(f"document.getElementById('status').textContent.includes({json.dumps(words)})", within_s)

    async def until(self, condition: str, within_s: float = WAIT_S) -> None:
        """
        Wait for a JavaScript condition; says what the status line says when it does not come.

        Asked again and again from outside: the page's security policy lets no script of ours wait inside.
        """
        deadline = time.monotonic() + within_s
        while not await self.page.evaluate(condition):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within_s} s: {condition}; status: {await self.status()!r}")
            await asyncio.sleep(0.05)

    async def own_id(self) -> str:
        return str(await self.page.evaluate("consult.call.id"))

    async def tracks(self, direction: str, kind: str) -> list[dict[str, Any]]:
        """Of `Call.stats()`: what is sent ("publish") or received ("subscribe")."""
        found = await self.page.evaluate(
            "([direction, kind]) => consult.call.stats().then(({tracks}) =>"
            " tracks.filter((track) => track.direction === direction && track.kind === kind))",
            [direction, kind],
        )
        return cast(list[dict[str, Any]], found)

    async def sees(self, people: int = 1, within_s: float = WAIT_S) -> None:
        """Wait until the pictures of so many others are being decoded, and shown."""
        await self.eventually(
            lambda tracks: sum(track["frames"] >= SEEN_FRAMES for track in tracks) >= people, "video", within_s
        )
        shown = "[...document.querySelectorAll('[data-testid=remote-video]')].filter((video) => video.videoWidth > 0)"
        await self.until(f"{shown}.length >= {people}", within_s)

    async def hears(self, within_s: float = WAIT_S) -> None:
        """Wait until sound comes in that is not silence (the fake microphone beeps)."""
        await self.eventually(lambda tracks: any(track["audio_energy"] > 0.001 for track in tracks), "audio", within_s)

    async def eventually(
        self, condition: Callable[[list[dict[str, Any]]], bool], kind: str, within_s: float = WAIT_S
    ) -> None:
        """Wait until what is received of a kind fulfils a condition."""
        deadline = time.monotonic() + within_s
        while not condition(tracks := await self.tracks("subscribe", kind)):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within_s} s; status: {await self.status()!r}; received: {tracks}")
            await asyncio.sleep(0.1)

    async def video_rate(self, direction: str, seconds: float) -> Rate:
        """Frames a second of the first video, measured over a stretch of time."""
        script = (
            "(direction) => consult.call.stats().then(({tracks}) => [performance.now(), "
            "tracks.find((track) => track.direction === direction && track.kind === 'video')?.frames ?? 0])"
        )
        at, frames = await self.page.evaluate(script, direction)
        await asyncio.sleep(seconds)
        at_end, frames_end = await self.page.evaluate(script, direction)
        return Rate(1000 * (frames_end - frames) / (at_end - at), frames_end - frames)

    async def screenshot(self, name: str) -> None:
        """Keep a picture under build/screenshots."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


class Wire:
    """A TCP proxy in front of a relay's HTTP port. `cut` drops what is open and refuses what comes."""

    def __init__(self, url: str) -> None:
        host, _, port = url.rpartition("//")[2].partition(":")
        self._target = (host, int(port))
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def mend(self) -> None:
        """Listen, at the same port as before."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, far_writer}
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        self._writers -= {writer, far_writer}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


OpenPage = Callable[..., Awaitable[Person]]
"""The fixture `open_page`."""
