"""
Plays examples/nivernais: a patient of Lormes and a doctor in Nevers talk, and the register knows the line of Lormes.

Their lines are this machine's, so that nothing is held back; `make rows ARGS="R19"` has the thin one.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from calls import Part, ask, cast, say  # noqa: E402
from stage import stage  # noqa: E402

TALK_S = 5.0
PATIENCE_S = 30.0


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with stage(Path(folder), (sys.executable, HERE / "app.py"), "/consult/healthz") as site:
            relay = f"{site.url}/consult"
            _, opened = await ask("POST", f"{site.url}/visits", {"village": "lormes"})
            patient = asyncio.create_task(cast([Part(relay, opened["links"]["patient"])]))
            (doctor,) = await cast([Part(relay, opened["links"]["practitioner"], admits=True, talk_s=TALK_S)])
            for who, seen in (("doctor", doctor), ("patient", (await patient)[0])):
                say(f"{who}: {seen.error or f'heard the other for {seen.audio_s} s, saw them for {seen.video_s} s'}")
            villages: dict[str, object] = {}
            async with asyncio.timeout(PATIENCE_S):
                while not villages:
                    await asyncio.sleep(0.1)
                    _, villages = await ask("GET", f"{site.url}/villages")
            say(f"the register: {villages}")


if __name__ == "__main__":
    asyncio.run(main())
