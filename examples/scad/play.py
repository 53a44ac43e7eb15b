"""
Plays examples/scad: a tablet that was offline for six hours sends its weights, and the nurse and a cardiologist call.
"""

import asyncio
import sys
import time
from pathlib import Path

import aiohttp

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from people import Person, ask, say, site  # noqa: E402

WEIGHTS_KG = (81.5, 81.9, 82.4, 83.0, 83.3, 83.8)
SERIES = {"device": "scale-1", "series": "weights", "kind": "value", "of": "body_weight", "unit": "kg"}


async def send(url: str, patient: str, since: float) -> int:
    """What the tablet does once it has a network again."""
    _, tablet = await ask("POST", f"{url}/enrol", {"patient": patient})
    times = [since + 3600.0 * hour for hour in range(len(WEIGHTS_KG))]
    batch = {"device": "scale-1", "series": "weights", "seq": 0, "times": times, "values": WEIGHTS_KG}
    report = {"series": [SERIES], "batches": [batch]}
    headers = {"Authorization": f"Bearer {tablet['token']}"}
    address = f"{url}/consult/measurements/{tablet['room']}"
    async with aiohttp.ClientSession() as http, http.post(address, json=report, headers=headers) as answer:
        return int((await answer.json())["series"][0]["next"])


async def main() -> None:
    async with (
        site(HERE) as url,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}/desks/nurse-2") as desk,
        http.ws_connect(f"{url}/tablets/patient-7") as tablet,
    ):
        say(f"the tablet may forget {await send(url, 'patient-7', time.time() - 6 * 3600)} readings")
        call = await desk.receive_json()
        say(f"the nurse is rung for {call['patient']}: {call['why']}")
        nurse = await Person.come(url, call["link"], admits=True)
        patient = await Person.come(url, (await tablet.receive_json())["link"])
        for who, person in (("nurse", nurse), ("patient", patient)):
            say(f"{who}: {await person.said('sees')}")
        _, invited = await ask("POST", f"{url}/consults/{call['consult']}/invite", {"cardiologist": "doctor-4"})
        say(f"a cardiologist has a link: {invited['link'].startswith('/consult/#link=')}")
        await patient.go()
        await nurse.go()


if __name__ == "__main__":
    asyncio.run(main())
