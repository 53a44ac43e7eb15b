"""
Plays examples/booking: two patients want the same time; who gets it comes by the link, and sees the doctor.
"""

import asyncio
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from people import Person, ask, say, site  # noqa: E402

SLOT_S = 900


async def main() -> None:
    async with site(HERE) as url:
        # The next time on the grid that can be entered now, or will be within fifteen minutes.
        time_wanted = f"{url}/slots/doctor-3/{(int(time.time()) // SLOT_S + 1) * SLOT_S}"
        holds = await asyncio.gather(
            *(ask("POST", f"{time_wanted}/hold", {"patient": name}) for name in ("patient-7", "patient-8"))
        )
        for name, (status, _) in zip(("patient-7", "patient-8"), holds, strict=True):
            say(f"{name} wants the time: {'has it' if status == 200 else 'another has it'}")
        winner = "patient-7" if holds[0][0] == 200 else "patient-8"
        _, booked = await ask("POST", f"{time_wanted}/book", {"patient": winner})
        say(f"{winner} has booked {booked['appointment']}")
        patient = await Person.come(url, booked["links"]["patient"])
        doctor = await Person.come(url, booked["links"]["practitioner"], admits=True)
        say(f"patient: {await patient.said('')}")
        for who, person in (("doctor", doctor), ("patient", patient)):
            say(f"{who}: {await person.said('sees')}")
            await person.go()


if __name__ == "__main__":
    asyncio.run(main())
