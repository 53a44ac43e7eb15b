"""
Patients by the hundred who wait, in one process of their own: each with a WebSocket, watching the films it is shown.

`Crowd` is the row's end. What came, and when, is counted here, as it came over HTTP and the WebSocket.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp

from rows.process import Process

HEAD_BYTES = 65536


class Crowd(Process):
    """`async with Crowd() as crowd:`"""

    timeout_s = 240.0  # two hundred come one after the other

    def __init__(self) -> None:
        super().__init__("rows.crowd")

    async def come(self, url: str, count: int, topic: str = "") -> list[str]:
        """So many patients come to the site at `url` and wait; what each is shown, as ids with commas, once all are."""
        return list((await self.do("come", url=url, count=count, topic=topic))["shown"])

    async def watch(self) -> None:
        """Each begins to watch the first film it is shown."""
        await self.do("watch")

    async def report(self) -> list[dict[str, Any]]:
        """Of each: consult, patient, bytes, head (SHA-256 of the first 64 KiB), admitted_at, last_at, is_over."""
        return list((await self.do("report"))["people"])

    async def again(self, number: int) -> int:
        """What the address of that one's film is answered with now."""
        return int((await self.do("again", number=number))["status"])

    async def go(self) -> None:
        """All of them leave."""
        await self.do("go")


@dataclass(slots=True)
class _Patient:
    consult: str
    patient: str
    shown: list[str] = field(default_factory=list)
    film: str = ""
    bytes: int = 0
    head: str = ""
    admitted_at: float = 0.0
    last_at: float = 0.0
    is_over: bool = False


class _Body:
    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._people: list[_Patient] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._url = ""

    async def come(self, url: str, count: int, topic: str) -> Mapping[str, Any]:
        self._url = url
        people = []
        for number in range(count):  # one after the other, as people do
            person, socket = await self._enter(url, f"patient-{len(self._people) + number}", topic)
            people.append(person)
            shown = asyncio.Event()
            self._tasks.append(asyncio.create_task(_listen(socket, person, shown)))
            async with asyncio.timeout(30.0):
                await shown.wait()
        self._people += people
        return {"shown": [",".join(person.shown) for person in people]}

    async def _enter(self, url: str, name: str, topic: str) -> tuple[_Patient, aiohttp.ClientWebSocketResponse]:
        async with self._http.post(f"{url}/patients", json={"patient": name, "topic": topic}) as answer:
            asked = await answer.json()
        link = asked["link"].partition("#link=")[2]
        async with self._http.post(f"{url}/consult/link", json={"link": link}) as answer:
            found = await answer.json()
        socket = await self._http.ws_connect(f"{url}/consult/ws")
        await socket.send_json({"type": "join", "id": 1, "room": found["room"], "token": found["token"]})
        return _Patient(asked["consult"], name), socket

    async def watch(self) -> Mapping[str, Any]:
        self._tasks += [asyncio.create_task(self._watch(person)) for person in self._people if person.film]
        return {}

    async def _watch(self, person: _Patient) -> None:
        """To the end, whatever is told meanwhile: a page that does not stop by itself."""
        head = hashlib.sha256()
        async with self._http.get(f"{self._url}{person.film}") as answer:
            async for piece in answer.content.iter_any():
                if person.bytes < HEAD_BYTES:
                    head.update(piece[: HEAD_BYTES - person.bytes])
                    person.head = head.hexdigest() if person.bytes + len(piece) >= HEAD_BYTES else ""
                person.bytes += len(piece)
                person.last_at = time.monotonic()
        person.is_over = True

    async def report(self) -> Mapping[str, Any]:
        return {"people": [asdict(person) for person in self._people]}

    async def again(self, number: int) -> Mapping[str, Any]:
        async with self._http.get(f"{self._url}{self._people[number].film}") as answer:
            return {"status": answer.status}

    async def go(self) -> Mapping[str, Any]:
        tasks, self._tasks = self._tasks, []
        self._people = []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return {}


async def _listen(socket: aiohttp.ClientWebSocketResponse, person: _Patient, shown: asyncio.Event) -> None:
    try:
        async for message in socket:
            said = message.json()
            if said["type"] == "waiting_content":
                person.shown = [item["id"] for item in said["items"]]
                person.film = said["items"][0]["url"] if said["items"] else ""
                shown.set()
            elif said["type"] == "admitted":
                person.admitted_at = time.monotonic()
    finally:
        await socket.close()


async def _main() -> None:
    from rows.orders import take_orders

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as http:
        body = _Body(http)
        await take_orders({name: getattr(body, name) for name in ("come", "watch", "report", "again", "go")})
        await body.go()


if __name__ == "__main__":
    asyncio.run(_main())
