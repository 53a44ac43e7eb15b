"""
Plays examples/deserts: a doctor in Paris and one in the Nièvre; a patient of the Nièvre, and one who says no place.
"""

import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from calls import Part, ask, cast, say  # noqa: E402
from stage import stage  # noqa: E402

TALK_S = 3.0
DOCTORS = {"doctor-paris": "75", "doctor-nievre": "58"}


async def desk(url: str, name: str, socket: aiohttp.ClientWebSocketResponse, talk_s: float) -> None:
    """A doctor's: answers whatever rings, and talks for a moment."""
    _, mine = await ask("POST", f"{url}/desks/{name}", {"territory": DOCTORS[name]})
    await socket.send_json({"type": "open", "id": 1, "token": mine["token"]})
    answered = 1
    async for message in socket:
        said = message.json()
        if calls := [each for each in said.get("calls", ()) if not each["missed"]]:
            say(f"{name}: the desk rings")
            answered += 1
            await socket.send_json({"type": "accept", "id": answered, "consult": calls[0]["consult"]})
        elif "token" in said:
            part = Part(f"{url}/consult", room=said["room"], token=said["token"], admits=True, talk_s=talk_s)
            await cast([part])


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            stage(Path(folder), (sys.executable, HERE / "app.py"), "/consult/healthz") as site,
            AsyncExitStack() as stack,
        ):
            http = await stack.enter_async_context(aiohttp.ClientSession())
            desks = []
            for name in DOCTORS:
                socket = await stack.enter_async_context(http.ws_connect(f"{site.url}/consult/desk"))
                desks.append(asyncio.create_task(desk(site.url, name, socket, TALK_S)))
                await asyncio.sleep(1.0)  # Paris is free for longer
            for patient, body in (("patient-1", {"territory": "58"}), ("patient-2", {})):
                _, asked = await ask("POST", f"{site.url}/patients", {"patient": patient, **body})
                (seen,) = await cast([Part(f"{site.url}/consult", asked["link"])])
                say(f"{patient}: {seen.error or f'saw the doctor for {seen.video_s} s'}")
                status, signed = 404, {}
                while status != 200:
                    status, signed = await ask("GET", f"{site.url}/consults/{asked['consult']}/attestation")
                policy = signed["attestation"]["policy"]
                say(f"{patient}: {policy['outcome']}, for {policy['reason']}")
            for each in desks:
                each.cancel()


if __name__ == "__main__":
    asyncio.run(main())
