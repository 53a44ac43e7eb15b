"""
Plays examples/helloconsult: a doctor opens the desk, a patient sees it and talks to the doctor now, another books.
"""

import asyncio
import sys
import time
from pathlib import Path

import aiohttp

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from people import Person, ask, say, site  # noqa: E402


async def main() -> None:
    async with (
        site(HERE) as url,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}/available") as page,
        http.ws_connect(f"{url}/desks/doctor-3") as desk,
    ):
        while "doctor-3" not in (available := await page.receive_json()):
            pass
        say(f"the patient's page shows: {available}")
        for body, way in (
            ({"patient": "patient-7"}, "now"),
            ({"patient": "patient-8", "doctor": "doctor-3", "starts_at": time.time() + 60}, "book"),
        ):
            _, answer = await ask("POST", f"{url}/{way}", body)
            patient = await Person.come(url, answer["link"])
            doctor = await Person.come(url, (await desk.receive_json())["link"], admits=True)
            for who, person in (("doctor", doctor), (body["patient"], patient)):
                say(f"{way}, {who}: {await person.said('sees')}")
            await patient.go()
            await doctor.go()


if __name__ == "__main__":
    asyncio.run(main())
