"""
Plays examples/scad: a tablet that was offline for six hours sends its weights, and the nurse and a cardiologist call.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from calls import Part, ask, cast, say  # noqa: E402
from stage import stage  # noqa: E402

TALK_S = 5.0

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
    with tempfile.TemporaryDirectory() as folder:
        async with (
            stage(Path(folder), (sys.executable, HERE / "app.py"), "/consult/healthz") as site,
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{site.url}/desks/nurse-2") as desk,
            http.ws_connect(f"{site.url}/tablets/patient-7") as tablet,
        ):
            sent = await send(site.url, "patient-7", time.time() - 6 * 3600)
            say(f"the tablet may forget {sent} readings")
            call = await desk.receive_json()
            say(f"the nurse is rung for {call['patient']}: {call['why']}")
            invitation = await tablet.receive_json()
            _, invited = await ask(
                "POST", f"{site.url}/consults/{call['consult']}/invite", {"cardiologist": "doctor-4"}
            )
            say(f"a cardiologist has a link: {invited['link'].startswith('/consult/#link=')}")
            relay = f"{site.url}/consult"
            patient = asyncio.create_task(cast([Part(relay, invitation["link"])]))
            nurse = await cast([Part(relay, call["link"], admits=True, talk_s=TALK_S)])
            for who, (seen,) in (("nurse", nurse), ("patient", await patient)):
                say(f"{who}: {seen.error or f'heard the other for {seen.audio_s} s, saw them for {seen.video_s} s'}")


if __name__ == "__main__":
    asyncio.run(main())
