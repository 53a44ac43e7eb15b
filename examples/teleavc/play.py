"""
Plays examples/teleavc: a stroke is opened, the first neurologist declines, the second answers, and three sites talk.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiohttp

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from calls import Part, ask, cast, say  # noqa: E402
from stage import stage  # noqa: E402

TALK_S = 3.0


async def heard(socket: aiohttp.ClientWebSocketResponse, what: str) -> Any:
    """The next message of a desk that has something of that."""
    while not (message := await socket.receive_json()).get(what):
        pass
    return message[what]


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            stage(Path(folder), (sys.executable, HERE / "app.py"), "/consult/healthz") as site,
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{site.url}/consult/desk") as first,
            http.ws_connect(f"{site.url}/consult/desk") as second,
        ):
            relay = f"{site.url}/consult"
            for desk, doctor in ((first, "neurologist-1"), (second, "neurologist-2")):
                _, mine = await ask("POST", f"{site.url}/desks/{doctor}")
                await desk.send_json({"type": "open", "id": 1, "token": mine["token"]})
                await heard(desk, "queues")
            _, stroke = await ask("POST", f"{site.url}/strokes")
            sites = asyncio.create_task(cast([Part(relay, link) for link in stroke["links"].values()]))
            (call,) = await heard(first, "calls")
            say("the first neurologist is rung, and declines")
            await first.send_json({"type": "decline", "id": 2, "consult": call["consult"]})
            await heard(second, "calls")
            say("the second one is rung, and answers")
            await second.send_json({"type": "accept", "id": 2, "consult": call["consult"]})
            token = await heard(second, "token")
            ending = asyncio.create_task(_end_later(relay, call["consult"], token))
            for name, seen in zip(stroke["links"], await sites, strict=True):
                say(f"{name}: {seen.error or f'saw the others for {seen.video_s} s'}")
            await ending


async def _end_later(relay: str, call: str, token: str) -> None:
    """The neurologist: sees both, and ends the call."""
    from telerelay.client import Client, MovingPicture, Tone

    async with await Client.join(relay, token, call) as doctor:
        await doctor.publish([Tone(), MovingPicture(160, 96)])
        await doctor.wait_for(lambda doctor: len(doctor.tap.streams) >= 4, 60.0)
        say("the neurologist hears and sees both")
        await asyncio.sleep(TALK_S)  # it is this that the call is made of
        await doctor.request("end")


if __name__ == "__main__":
    asyncio.run(main())
