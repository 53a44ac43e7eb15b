"""
Plays examples/unite_sanitaire: a patient and a doctor talk; an interpreter comes in once the patient has consented.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import aiohttp

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from calls import Part, ask, cast, say  # noqa: E402
from stage import stage  # noqa: E402

from telerelay import RemoteProtocolError  # noqa: E402
from telerelay.client import Client  # noqa: E402


async def come(relay: str, link: str) -> Client:
    """Somebody whom this script plays itself."""
    _, found = await ask("POST", f"{relay}/link", {"link": link.rpartition("=")[2]})
    return await Client.join(relay, found["token"], found["room"])


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with stage(Path(folder), (sys.executable, HERE / "app.py"), "/consult/healthz") as site:
            relay = f"{site.url}/consult"
            _, opened = await ask("POST", f"{site.url}/calls", {"patient": "A. Synthetic", "doctor": "B. Synthetic"})
            call = f"{site.url}/calls/{opened['call']}"
            _, third = await ask("POST", f"{call}/third", {"name": "C. Synthetic", "role": "interpreter"})
            doctor = await come(relay, opened["links"]["practitioner"])
            patient = asyncio.create_task(cast([Part(relay, opened["links"]["patient"])]))
            async with doctor, await come(relay, third["link"]) as interpreter:
                await doctor.wait_for(lambda doctor: len(doctor.waiting_room) == 2, 60.0)
                people = {each["role"]: each["participant"] for each in doctor.waiting_room}
                await doctor.request("admit", participant=people["patient"])
                try:
                    await doctor.request("admit", participant=people["interpreter"])
                except RemoteProtocolError as error:
                    say(f"the doctor lets the interpreter in: {error.code}")
                await ask("POST", f"{call}/consent", {"given": True})
                await doctor.request("admit", participant=people["interpreter"])
                await interpreter.wait_for(lambda interpreter: interpreter.is_admitted)
                say("the patient consents: the interpreter is in")
                await ask("POST", f"{call}/consent", {"given": False})
                await interpreter.wait_for(lambda interpreter: not interpreter.is_connected)
                say("the patient no longer consents: the interpreter is out")
                await doctor.wait_for(lambda doctor: bool(doctor.tap.received), 30.0)
                await doctor.request("end")
                (seen,) = await patient
            say(f"the patient's call ended: {seen.reason or seen.error}")
            async with aiohttp.ClientSession() as http:
                while (answer := await http.get(f"{call}/attestation")).status != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                signed = (await answer.json(content_type=None))["attestation"]
            say(f"attested: {[(each['what'], each['is_given']) for each in signed['consents']]}")


if __name__ == "__main__":
    asyncio.run(main())
