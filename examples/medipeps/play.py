"""
Plays examples/medipeps: two practices have an appointment of the same id; each launches its own.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import aiohttp

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from calls import Part, cast, say  # noqa: E402
from stage import stage  # noqa: E402

TALK_S = 3.0


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            stage(Path(folder), (sys.executable, HERE / "app.py"), "/consult/healthz") as site,
            aiohttp.ClientSession() as http,
        ):

            async def ask(path: str, secret: str, **body: str) -> tuple[int, dict[str, str]]:
                headers = {"Authorization": f"Bearer {secret}"}
                async with http.post(f"{site.url}/{path}", json=body, headers=headers) as answer:
                    return answer.status, await answer.json()

            own = {}
            for tenant in ("north", "south"):
                own[tenant] = (await ask("practices", "", tenant=tenant))[1]["secret"]
                await ask("appointments", own[tenant], appointment="42")
            await ask("appointments", own["south"], appointment="43")
            for tenant, secret in own.items():
                links = []
                for sub, role in (("patient-7", "patient"), ("doctor-3", "practitioner")):
                    _, launched = await ask("launch", secret, appointment="42", sub=sub, role=role)
                    links.append(launched["link"])
                relay = f"{site.url}/consult"
                parts = [Part(relay, links[0]), Part(relay, links[1], admits=True, talk_s=TALK_S)]
                for seen in await cast(parts):
                    say(f"{tenant}, 42: {seen.error or f'saw the other for {seen.video_s} s'}")
            status, _ = await ask("launch", own["north"], appointment="43", sub="doctor-3", role="practitioner")
            say(f"north launches an appointment of the south's: {status}")


if __name__ == "__main__":
    asyncio.run(main())
