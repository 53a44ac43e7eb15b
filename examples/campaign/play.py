"""
Plays examples/campaign: two patients wait and watch; one is let in, whose film stops.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from calls import ask, say  # noqa: E402
from stage import stage  # noqa: E402

WATCH_S = 4.0


async def wait(http: aiohttp.ClientSession, url: str, patient: str, admitted: bool) -> None:
    """Comes, watches the base film, and is let in or gives up."""
    _, asked = await ask("POST", f"{url}/patients", {"patient": patient, "topic": "heart"})
    _, found = await ask("POST", f"{url}/consult/link", {"link": asked["link"].partition("#link=")[2]})
    async with http.ws_connect(f"{url}/consult/ws") as socket:
        await socket.send_json({"type": "join", "id": 1, "room": found["room"], "token": found["token"]})
        items: list[dict[str, str]] = []
        while not items:
            items = (await socket.receive_json()).get("items", [])
        say(f"{patient} waits and is shown: {', '.join(item['title'] for item in items)}")
        began, size = time.monotonic(), 0
        async with http.get(f"{url}{items[0]['url']}") as film:
            async for piece in film.content.iter_any():
                size += len(piece)
                if admitted and time.monotonic() - began > WATCH_S:
                    admitted = False
                    began = time.monotonic()
                    await ask("POST", f"{url}/consults/{asked['consult']}/admit", {"patient": patient})
                elif time.monotonic() - began > 2 * WATCH_S:
                    break
        say(f"{patient}: the film stopped after {size} bytes, {time.monotonic() - began:.1f} s later")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            stage(Path(folder), (sys.executable, HERE / "app.py"), "/consult/healthz") as site,
            aiohttp.ClientSession() as http,
        ):
            await asyncio.gather(
                *(wait(http, site.url, name, name == "patient-1") for name in ("patient-1", "patient-2"))
            )


if __name__ == "__main__":
    asyncio.run(main())
