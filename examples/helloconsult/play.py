"""
Plays examples/helloconsult: a doctor opens the desk, a patient sees it and talks to the doctor now, another books.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from calls import Part, ask, cast, say  # noqa: E402
from stage import stage  # noqa: E402

TALK_S = 3.0


class Desk:
    """A doctor's: what comes is read all the time, as a page does, for whoever does not answer pings is gone."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            self._messages.put_nowait(message.json())

    async def heard(self, what: str) -> Any:
        """The next message that has something of that."""
        while not (message := await self._messages.get()).get(what):
            pass
        return message[what]


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            stage(Path(folder), (sys.executable, HERE / "app.py"), "/consult/healthz") as site,
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{site.url}/available") as page,
            http.ws_connect(f"{site.url}/consult/desk") as socket,
        ):
            desk = Desk(socket)
            _, mine = await ask("POST", f"{site.url}/desks/doctor-3")
            await socket.send_json({"type": "open", "id": 1, "token": mine["token"]})
            while not (available := await page.receive_json()):
                pass
            say(f"the patient's page shows: {available}")
            for body, way in (
                ({"patient": "patient-7"}, "now"),
                ({"patient": "patient-8", "doctor": "doctor-3", "starts_at": time.time() + 60}, "book"),
            ):
                _, answer = await ask("POST", f"{site.url}/{way}", body)
                relay = f"{site.url}/consult"
                patient = asyncio.create_task(cast([Part(relay, answer["link"])]))
                (call,) = await desk.heard("calls")
                say(f"{way}: the doctor's desk rings")
                await socket.send_json({"type": "accept", "id": 2, "consult": call["consult"]})
                part = Part(relay, room=call["consult"], token=await desk.heard("token"), admits=True, talk_s=TALK_S)
                for who, (seen,) in (("doctor", await cast([part])), (body["patient"], await patient)):
                    say(f"{way}, {who}: {seen.error or f'saw the other for {seen.video_s} s'}")


if __name__ == "__main__":
    asyncio.run(main())
