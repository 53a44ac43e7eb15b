"""
Homes by the dozen in one process: five people each, who hear and see each other, fall silent, and stay connected.

Two hundred people who all hear each other in one interpreter need more than two cores; so each home is silent once all
of it was heard. What they are for is to be there; one home of processes of its own is measured among them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import aiohttp

# Whoever decides comes first, and lets the others in.
COMING = ("doctor", "nurse", "expert_nurse", "resident", "relative")
PICTURE = (64, 64, 2)
AT_ONCE = 4
WITHIN_S = 60.0


class _Homes:
    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._clients: list[Any] = []

    async def hold(self, url: str, homes: int) -> Mapping[str, Any]:
        """All of them, to the end: how many are not as they should be, {"bad"}."""
        turn = asyncio.Semaphore(AT_ONCE)
        results = await asyncio.gather(*(self._home(url, turn) for _ in range(homes)), return_exceptions=True)
        for each in results:
            if isinstance(each, BaseException):
                print_error(each)
        return {"bad": sum(isinstance(each, BaseException) for each in results)}

    async def leave(self) -> None:
        """Everybody goes."""
        for client in self._clients:
            with contextlib.suppress(Exception):
                await client.leave()

    async def _home(self, url: str, turn: asyncio.Semaphore) -> None:
        from telerelay.client import Client, MovingPicture, Tone

        async with turn:
            async with self._http.post(f"{url}/visits") as response:
                links = (await response.json())["links"]
            clients: dict[str, Any] = {}
            for who in COMING:
                link = links[who].rpartition("=")[2]
                async with self._http.post(f"{url}/consult/link", json={"link": link}) as response:
                    found = await response.json()
                client = clients[who] = await Client.join(f"{url}/consult", found["token"], found["room"])
                self._clients.append(client)
                if not client.is_admitted:
                    await clients["doctor"].request("admit", participant=client.participant)
                    await client.wait_for(lambda client: client.is_admitted, WITHIN_S)
            for who, client in clients.items():
                if who == "nurse":
                    await client.publish([MovingPicture(*PICTURE)], ["scope"])
                elif who == "resident":
                    await client.publish([Tone(), MovingPicture(*PICTURE)])
                else:
                    await client.publish([Tone()])
            for who, client in clients.items():
                voices = 4 if who == "nurse" else 3
                await client.wait_for(lambda client, voices=voices: _voices(client) >= voices, WITHIN_S)
            await clients["doctor"].wait_for(lambda client: _pictures(client) >= 2, WITHIN_S)
            for client in clients.values():
                for publication in tuple(client.publications):
                    await client.unpublish(publication)


def _voices(client: Any) -> int:
    return sum(track.kind == "audio" and bool(track.frames) for track in client.remote_tracks.values())


def _pictures(client: Any) -> int:
    return sum(track.kind == "video" and bool(track.frames) for track in client.remote_tracks.values())


def print_error(error: BaseException) -> None:
    from rows.orders import tell

    tell({"type": "bad", "error": f"{type(error).__name__}: {error}"})


async def _main() -> None:
    from rows.orders import take_orders

    async with aiohttp.ClientSession() as http:
        homes = _Homes(http)
        await take_orders({"hold": homes.hold})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(8.0):
                await homes.leave()


if __name__ == "__main__":
    asyncio.run(_main())
