"""
Plays two consults of synthetic people, one with pictures and one by sound alone, and shows what the insurer pays:
`python examples/assurance_maladie/play.py [SECONDS [FOLDER]]`.

Prints a line of JSON for each: what its people saw, and the bill. Attestations are left in the folder.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from calls import PATIENCE_S, Part, cast  # noqa: E402
from stage import Stage, stage  # noqa: E402

CALLS = {"with-video": ("audio", "video"), "sound-alone": ("audio",)}


async def play(folder: Path, talk_s: float) -> list[dict[str, Any]]:
    """Both calls, one after the other."""
    async with (
        stage(folder, [sys.executable, HERE / "insurer.py"], "/consult/healthz") as place,
        aiohttp.ClientSession() as http,
    ):
        return [await _call(place, http, name, kinds, talk_s) for name, kinds in CALLS.items()]


async def _call(
    place: Stage, http: aiohttp.ClientSession, name: str, kinds: tuple[str, ...], talk_s: float
) -> dict[str, Any]:
    people = {"policy": "2018", "patient": "patient-1", "doctor": "doctor-1"}
    async with http.post(f"{place.url}/appointments/{name}", json=people) as response:
        links = await response.json()
    patients, doctors = await asyncio.gather(
        cast([Part(f"{place.url}/consult", links["patient"], kinds=kinds)]),
        cast([Part(f"{place.url}/consult", links["practitioner"], admits=True, kinds=kinds, talk_s=talk_s)]),
    )
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with http.get(f"{place.url}/appointments/{name}/bill") as response:
                if response.status == 200:
                    bill = await response.json()
                    break
            await asyncio.sleep(0.2)
    return {
        "consult": name,
        "kinds": kinds,
        "patient": asdict(patients[0]),
        "doctor": asdict(doctors[0]),
        "bill": bill,
        "file": str(place.folder / f"{name}.json"),
        "key": str(place.public_key),
    }


def main(talk_s: float = 10.0, folder: str = "") -> None:
    for each in asyncio.run(play(Path(folder or tempfile.mkdtemp(prefix="assurance-")), talk_s)):
        print(json.dumps(each))


if __name__ == "__main__":
    main(*(float(sys.argv[1]), *sys.argv[2:]) if len(sys.argv) > 1 else ())
