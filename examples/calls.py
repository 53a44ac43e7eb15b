"""
Synthetic people for the examples: `python examples/calls.py`, a process that plays parts of calls over the public faces
of a relay. No example is part of it: it knows links, the WebSocket and media, as a browser would.

The first line of stdin is a JSON object {parts: […], at_once}. Each line of stdout is one: what became of a part. Times
are seconds of the system's monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp

from telerelay.client import Client, MovingPicture, Tone

# A machine with ten things going on takes its time; nobody is waited for longer.
PATIENCE_S = 90.0
# As the definition of a two-way second has it: what counts as a picture in a second.
FRAMES_A_SECOND = 5


@dataclass(frozen=True, slots=True)
class Part:
    """
    One person in one call, who comes by a link, or by a token for a room. Of a decider (`admits`) the call lasts
    `talk_s` from the first that is heard or seen of the other; `kinds` are what he sends, nothing of it: he is there
    and sends nothing.
    """

    url: str
    link: str = ""
    room: str = ""
    token: str = ""
    admits: bool = False
    kinds: tuple[str, ...] = ("audio", "video")
    talk_s: float = 0.0
    patience_s: float = PATIENCE_S
    """For all of it: whoever stands in a long line waits longer."""


@dataclass(slots=True)
class Seen:
    """What became of a part, as its own client saw it; None: it did not come to that."""

    consult: str = ""
    joined_at: float | None = None
    waits_since: float | None = None
    """By the relay's word: Unix seconds."""
    admitted_at: float | None = None
    talking_at: float | None = None
    ended_at: float | None = None
    reason: str = ""
    rx_packets: int = 0
    video_s: int = 0
    """Seconds in which five pictures or more came and were decoded."""
    audio_s: int = 0
    error: str = ""
    """What went wrong, if anything did: an exception and its code."""
    positions: list[int] = field(default_factory=list)
    """Its places in line, as they were told."""


def say(text: str) -> None:
    print(text, flush=True)


async def ask(method: str, url: str, body: object = None) -> tuple[int, Any]:
    """One request of somebody's browser: its status, and what it answers."""
    async with aiohttp.ClientSession() as http, http.request(method, url, json=body) as response:
        return response.status, await response.json()


async def play(part: Part, http: aiohttp.ClientSession, seen: Seen | None = None) -> Seen:
    """From the link to the end of the call, written into `seen` as it goes. What goes wrong is in `error`."""
    seen = seen or Seen()
    try:
        seen.consult, token = part.room, part.token
        if part.link:
            async with http.post(f"{part.url}/link", json={"link": part.link.rpartition("=")[2]}) as response:
                found = await response.json()
            if response.status != 200:
                raise PermissionError(found["error"]["code"])
            seen.consult, token = found["room"], found["token"]
        async with asyncio.timeout(part.patience_s), await _join(part, token, seen) as client:
            await _call(part, client, seen)
    except Exception as error:
        seen.error = f"{type(error).__name__} {getattr(error, 'code', '') or error}".strip()
    return seen


async def _join(part: Part, token: str, seen: Seen) -> Client:
    def on_event(message: dict[str, Any]) -> None:
        match message["type"]:
            case "waiting":
                seen.waits_since = message["since"]
                seen.positions.append(message["position"])
            case "admitted":
                seen.admitted_at = time.monotonic()
            case "ended":
                seen.ended_at, seen.reason = time.monotonic(), message["reason"]

    client = await Client.join(part.url, token, seen.consult, on_event=on_event)
    seen.joined_at = time.monotonic()
    return client


async def _call(part: Part, client: Client, seen: Seen) -> None:
    tracks = {"audio": Tone, "video": lambda: MovingPicture(160, 96)}
    if part.kinds:
        await client.publish([tracks[kind]() for kind in part.kinds])
    if part.admits:
        await client.wait_for(lambda client: bool(client.waiting_room), part.patience_s)
        await client.request("admit", participant=client.waiting_room[0]["participant"])
        seen.admitted_at = time.monotonic()
    counting = asyncio.create_task(_count(client, seen))
    try:
        if part.admits and part.talk_s:
            await client.wait_for(lambda client: len(client.tap.streams) >= len(part.kinds), part.patience_s)
            seen.talking_at = time.monotonic()
            await asyncio.sleep(part.talk_s)  # it is this that the call is made of
        if part.admits:
            await client.request("end")
        await client.wait_for(lambda _: seen.ended_at is not None or not client.is_connected, part.patience_s)
    finally:
        counting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await counting
        seen.rx_packets = client.tap.received


async def _count(client: Client, seen: Seen) -> None:
    """Second by second, what came."""
    frames = packets = 0
    while True:
        await asyncio.sleep(1.0)
        tracks = client.track_stats()
        now_frames = sum(each.frames for each in tracks if each.kind == "video")
        now_packets = sum(each.rx_packets for each in tracks if each.kind == "audio")
        seen.video_s += now_frames - frames >= FRAMES_A_SECOND
        seen.audio_s += now_packets - packets > 0
        frames, packets = now_frames, now_packets


# -------------------------------------------------------------------- as a process, and what starts it


async def cast(parts: Sequence[Part], at_once: int = 3) -> list[Seen]:
    """Have parts played by a process of their own, so many at once; what became of each, in their order."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    setup = {"parts": [asdict(part) for part in parts], "at_once": at_once}
    out, _ = await process.communicate(json.dumps(setup).encode() + b"\n")
    return [Seen(**each) for each in map(json.loads, out.splitlines())]


async def _main() -> None:
    setup = json.loads(sys.stdin.readline())
    turn = asyncio.Semaphore(setup["at_once"])

    async def take(part: Part) -> Seen:
        async with turn:
            return await play(part, http)

    async with aiohttp.ClientSession() as http:
        parts = [Part(**{**each, "kinds": tuple(each["kinds"])}) for each in setup["parts"]]
        for seen in await asyncio.gather(*map(take, parts)):
            print(json.dumps(asdict(seen)), flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
