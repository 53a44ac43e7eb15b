"""
Plays a crowd: `python examples/livi/play.py [PATIENTS [DOCTORS [FOLDER]]]`, 200 and 20 where nothing is said.

Patients come one by one, each tenth an emergency, and all of them wait before the first doctor calls. Each doctor calls
the next patient from three tabs at once, and once more during the call. Most calls are a word: let in, ended; each
fiftieth is held, with sound and pictures, for some seconds. Prints what people tell, a line of JSON each.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from stage import Stage, stage  # noqa: E402

REGIONS = ("bretagne", "corse", "ile-de-france", "occitanie", "guyane")
TABS, TALK_S = 3, 5.0
# Two hundred patients are seen within two minutes on an idle machine.
PATIENCE_S = 900.0


def crowd(count: int) -> list[dict[str, Any]]:
    return [
        {
            "patient": f"patient-{n}",
            "region": REGIONS[n % len(REGIONS)],
            "emergency": n % 10 == 9,
            "talks": n % 50 == 7,
        }
        for n in range(count)
    ]


async def play(folder: Path, patients: int, doctors: int) -> AsyncIterator[dict[str, Any]]:
    """What people tell, as they tell it."""
    async with stage(folder, [sys.executable, HERE / "clinic.py"], "/consult/healthz") as place:
        coming = crowd(patients)
        telling: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        line = await _people(telling, place, patients=coming, patience_s=PATIENCE_S)
        consults = {}
        for _ in coming:
            told = await telling.get()
            consults[told["patient"]] = told["consult"]
            yield told
        talking = [consults[each["patient"]] for each in coming if each["talks"]]
        names = [f"doctor-{n}" for n in range(doctors)]
        desk = await _people(telling, place, doctors=names, tabs=TABS, talk_s=TALK_S, talking=talking)
        while not (desk.done() and line.done() and telling.empty()):
            if told := await telling.get():
                yield told


async def _people(telling: asyncio.Queue[dict[str, Any]], place: Stage, **setup: Any) -> asyncio.Task[None]:
    """A process of people who have heard what they are to do; what they tell goes there, and {} once they have gone."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, HERE / "people.py", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"url": place.url, **setup}).encode() + b"\n")
    await process.stdin.drain()
    return asyncio.create_task(_hear(process.stdout, telling))


async def _hear(out: asyncio.StreamReader, telling: asyncio.Queue[dict[str, Any]]) -> None:
    async for line in out:
        telling.put_nowait(json.loads(line))
    asyncio.get_running_loop().call_soon(telling.put_nowait, {})


async def main(patients: int = 200, doctors: int = 20, folder: str = "") -> None:
    async for told in play(Path(folder or tempfile.mkdtemp(prefix="livi-")), patients, doctors):
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:3]), *sys.argv[3:]))
