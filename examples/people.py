"""
Synthetic people for the examples that are folders: each is a process, and knows nothing but an address and a link.

`play(…)` of this file starts a site and tells what people do there; `python people.py` is one of them: it reads
{"url", "link", "admits"} from stdin, joins, publishes, lets in whoever waits if `admits`, and says what it receives.
"""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from telerelay.client import Client, MovingPicture, Tone

STARTED_S, CALL_S = 90.0, 60.0
"""Longer than a start, or the way into a call, takes on a busy machine."""


def say(text: str) -> None:
    print(text, flush=True)


@contextlib.asynccontextmanager
async def site(example: Path) -> AsyncIterator[str]:
    """The example's app.py in a process of its own, on a free port; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "TELERELAY_HTTP_PORT": str(port), "TELERELAY_UDP_BINDS": "127.0.0.1:0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(example / "app.py"), env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(STARTED_S), aiohttp.ClientSession() as http:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with http.get(f"{url}/consult/healthz"):
                        break
                await asyncio.sleep(0.1)
        yield url
    finally:
        process.terminate()
        await process.wait()


async def ask(method: str, url: str, body: object = None) -> tuple[int, Any]:
    """One request of somebody's browser."""
    async with aiohttp.ClientSession() as http, http.request(method, url, json=body) as response:
        return response.status, await response.json()


class Person:
    """A process of its own; `said` is what it says, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def come(cls, url: str, link: str, *, admits: bool = False) -> "Person":
        process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps({"url": f"{url}/consult", "link": link, "admits": admits}).encode() + b"\n")
        await process.stdin.drain()
        return cls(process)

    async def said(self, word: str) -> str:
        """The next line with that word."""
        assert self._process.stdout is not None
        async with asyncio.timeout(CALL_S):
            async for line in self._process.stdout:
                if word in line.decode():
                    return line.decode().strip()
        raise RuntimeError(f"this person ended and had not said: {word}")

    async def go(self) -> None:
        """Leave."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


async def _be(url: str, link: str, admits: bool) -> None:
    """One person, until stdin ends."""
    status, answer = await ask("POST", f"{url}/link", {"link": link.partition("#link=")[2]})
    if status != 200:
        say(f"refused: {answer['error']['code']}")
        return
    async with await Client.join(url, answer["token"], answer["room"]) as me:
        say("in" if me.is_admitted else "waiting")
        while admits:  # the desk: whoever waits is let in, one at a time
            await me.wait_for(lambda client: bool(client.waiting_room), CALL_S)
            await me.request("admit", participant=me.waiting_room[0]["participant"])
            say("let somebody in")
            admits = False
        await me.wait_for(lambda client: client.is_admitted, CALL_S)
        await me.publish([Tone(), MovingPicture()])
        await me.wait_for(lambda client: sum(track.frames > 0 for track in client.remote_tracks.values()) >= 2, CALL_S)
        say("sees and hears the other")
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_be(**json.loads(sys.stdin.readline())))
