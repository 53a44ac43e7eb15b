"""
Plays examples/ehpad: a relative waits to be let in, hears the doctor, and sees nothing.
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


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with stage(Path(folder), (sys.executable, HERE / "app.py"), "/consult/healthz") as site:
            _, opened = await ask("POST", f"{site.url}/visits")
            say(f"the home calls, for {', '.join(opened['links'])}")
            relay = f"{site.url}/consult"
            relative = asyncio.create_task(cast([Part(relay, opened["links"]["relative"], kinds=("audio",))]))
            nurse = asyncio.create_task(cast([Part(relay, opened["links"]["nurse"])]))
            doctor = await cast([Part(relay, opened["links"]["doctor"], admits=True, kinds=("audio",), talk_s=TALK_S)])
            for who, (seen,) in (("doctor", doctor), ("nurse", await nurse), ("relative", await relative)):
                say(f"{who}: {seen.error or f'heard others for {seen.audio_s} s, saw them for {seen.video_s} s'}")


if __name__ == "__main__":
    asyncio.run(main())
