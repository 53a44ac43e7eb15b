"""
Plays examples/dmp: a call with pictures, and what of it goes to the shared health record.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import aiohttp  # noqa: E402
from calls import PATIENCE_S, Part, ask, cast, say  # noqa: E402
from stage import stage  # noqa: E402

TALK_S = 5.0


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            stage(Path(folder), (sys.executable, HERE / "app.py"), "/consult/healthz") as site,
            aiohttp.ClientSession() as http,
        ):
            _, visit = await ask("POST", f"{site.url}/visits")
            relay, links = f"{site.url}/consult", visit["links"]
            await cast((Part(relay, links["practitioner"], admits=True, talk_s=TALK_S), Part(relay, links["patient"])))
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    async with http.get(f"{site.url}/visits/{visit['visit']}/bundle") as response:
                        if response.status == 200:
                            made = await response.json(content_type=None)
                            break
                    await asyncio.sleep(0.2)
            for entry in made["entry"]:
                say(f"{entry['resource']['resourceType']}  {entry['fullUrl']}")
            seen = made["entry"][0]["resource"]["extension"][0]["valueDuration"]
            say(f"two-way video: {seen['value']} s")


if __name__ == "__main__":
    asyncio.run(main())
