"""
Plays examples/medicam: there is room for one call; a second patient waits, with a position, until the first has gone.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from calls import Part, ask, cast, say  # noqa: E402
from stage import stage  # noqa: E402

TALK_S = 5.0
ROOM_FOR_ONE = {"TELERELAY_CONSULTS_CAPACITY_PACKETS_PER_S": "500"}


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = (sys.executable, HERE / "app.py")
        async with stage(Path(folder), command, "/consult/healthz", ROOM_FOR_ONE) as site:
            relay = f"{site.url}/consult"
            links = [(await ask("POST", f"{site.url}/consults", {}))[1]["links"] for _ in range(2)]
            patients, doctors = [], []
            for number, each in enumerate(links, 1):
                patients.append(asyncio.create_task(cast([Part(relay, each["patient"])])))
                if number == 1:
                    doctor = Part(relay, each["practitioner"], admits=True, talk_s=TALK_S)
                    doctors.append(asyncio.create_task(cast([doctor])))
                await asyncio.sleep(3.0)  # the second one comes later
            await doctors[0]  # there is room again
            doctors.append(
                asyncio.create_task(cast([Part(relay, links[1]["practitioner"], admits=True, talk_s=TALK_S)]))
            )
            for number, people in enumerate(zip(patients, doctors, strict=True), 1):
                for who, ((seen,)) in zip(("patient", "doctor"), await asyncio.gather(*people), strict=True):
                    what = seen.error or f"saw the other for {seen.video_s} s"
                    say(f"call {number}, {who}: {what}; places in line {seen.positions}")


if __name__ == "__main__":
    asyncio.run(main())
