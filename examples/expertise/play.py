"""
Plays examples/expertise: a doctor asks about a picture, a specialist answers; another question goes live.
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

PICTURE = bytes(range(256)) * 64
TALK_S = 3.0


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            stage(Path(folder), (sys.executable, HERE / "app.py"), "/consult/healthz") as site,
            aiohttp.ClientSession() as http,
        ):
            async with http.post(f"{site.url}/pictures", data=PICTURE) as response:
                image = (await response.json())["sha256"]
            question = {"by": "gp-1", "queue": "skin", "question": "Has it grown?", "images": [image]}
            first, second = [(await ask("POST", f"{site.url}/requests", question))[1]["request"] for _ in range(2)]
            _, waiting = await ask("GET", f"{site.url}/requests?queue=skin")
            say(f"{len(waiting)} questions wait for a specialist of skin")
            for name in (first, second):
                await ask("POST", f"{site.url}/requests/{name}/accept", {"by": "expert-3"})
            await ask("POST", f"{site.url}/requests/{first}/answer", {"by": "expert-3", "answer": "Benign."})
            _, shown = await ask("GET", f"{site.url}/requests/{first}")
            say(f"gp-1 reads: {shown['answer']}")
            _, live = await ask("POST", f"{site.url}/requests/{second}/live", {"by": "expert-3"})
            relay, links = f"{site.url}/consult", live["links"]
            parts = (Part(relay, links["expert"], admits=True, talk_s=TALK_S), Part(relay, links["requester"]))
            for who, seen in zip(("expert", "doctor"), await cast(parts), strict=True):
                say(f"{who}: {seen.error or f'saw the other for {seen.video_s} s'}")


if __name__ == "__main__":
    asyncio.run(main())
