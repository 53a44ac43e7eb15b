"""
Plays examples/booking: two patients want the same time; who gets it comes by the link, and sees the doctor.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from calls import Part, ask, cast, say  # noqa: E402
from stage import stage  # noqa: E402

SLOT_S, TALK_S = 900, 3.0


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with stage(Path(folder), (sys.executable, HERE / "app.py"), "/consult/healthz") as site:
            # The next time on the grid that can be entered now, or will be within fifteen minutes.
            time_wanted = f"{site.url}/slots/doctor-3/{(int(time.time()) // SLOT_S + 1) * SLOT_S}"
            holds = await asyncio.gather(
                *(ask("POST", f"{time_wanted}/hold", {"patient": name}) for name in ("patient-7", "patient-8"))
            )
            for name, (status, _) in zip(("patient-7", "patient-8"), holds, strict=True):
                say(f"{name} wants the time: {'has it' if status == 200 else 'another has it'}")
            winner = "patient-7" if holds[0][0] == 200 else "patient-8"
            _, booked = await ask("POST", f"{time_wanted}/book", {"patient": winner})
            say(f"{winner} has booked {booked['appointment']}")
            relay, links = f"{site.url}/consult", booked["links"]
            parts = (Part(relay, links["practitioner"], admits=True, talk_s=TALK_S), Part(relay, links["patient"]))
            for who, seen in zip(("doctor", winner), await cast(parts), strict=True):
                say(f"{who}: {seen.error or f'saw the other for {seen.video_s} s'}")


if __name__ == "__main__":
    asyncio.run(main())
