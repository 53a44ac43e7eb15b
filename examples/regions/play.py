"""
Plays a short consult in each of the nine regions, and one where there is no experiment, at a relay that runs by itself:
`python examples/regions/play.py [SECONDS [FOLDER]]`.

The host's part is done over the admin listener, patients are one process and doctors another. Prints a line of JSON for
each consult; the journal is left in the folder: `telerelay report --journal FOLDER/journal.db`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp
from rules import REGIONS

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from calls import Part, cast  # noqa: E402
from stage import TELERELAY, Stage, free_port, stage  # noqa: E402

ELSEWHERE = "bretagne"


async def play(folder: Path, talk_s: float) -> list[dict[str, Any]]:
    """What each patient and each doctor saw, region by region."""
    key, admin = folder / "tokens.key", free_port()
    _telerelay("token", "--new-key", key)
    token = _telerelay("token", "--admin", "--key-file", key, "--sub", "ministry")
    more = {
        "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
        "TELERELAY_HTTP_ADMIN_PORT": str(admin),
        "TELERELAY_TOKENS_KEY_FILE": str(key),
        "TELERELAY_SERVE_RUN_DIR": str(folder / "run"),
    }
    command = [*TELERELAY, "serve", "--config", HERE / "relay.toml"]
    async with stage(folder, command, "/healthz", more) as place, aiohttp.ClientSession() as http:
        desk = _Desk(http, f"http://127.0.0.1:{admin}/consults", {"Authorization": f"Bearer {token}"})
        names = [*REGIONS, ELSEWHERE]
        patients, doctors = [], []
        for name in names:
            await desk.plan(name)
            patients.append(Part(place.url, await desk.link(name, f"patient-{name}", "patient")))
            link = await desk.link(name, f"doctor-{name}", "practitioner")
            doctors.append(Part(place.url, link, admits=True, talk_s=talk_s))
        seen = await asyncio.gather(cast(patients), cast(doctors))
        await _until_attested(place, len(names))
    return [
        {"region": name, "patient": asdict(patient), "doctor": asdict(doctor)}
        for name, patient, doctor in zip(names, *seen, strict=True)
    ]


class _Desk:
    """The host's commands, over HTTP."""

    def __init__(self, http: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> None:
        self._http, self._url, self._headers = http, url, headers

    async def plan(self, region: str) -> None:
        await self._post("", {"consult": region, "region": region})

    async def link(self, consult: str, sub: str, role: str) -> str:
        return str((await self._post(f"/{consult}/links", {"sub": sub, "role": role}))["link"])

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self._http.post(self._url + path, json=body, headers=self._headers) as response:
            response.raise_for_status()
            answer: dict[str, Any] = await response.json()
            return answer


async def _until_attested(place: Stage, count: int) -> None:
    """An attestation follows its consult's end within a moment; the report counts what there is."""
    async with asyncio.timeout(30):
        while True:
            found = await asyncio.to_thread(_telerelay, "report", "--journal", place.journal, "--json")
            if json.loads(found.splitlines()[-1])["attestations"] >= count:
                return


def _telerelay(*arguments: str | Path) -> str:
    """What a command prints, without the line's end."""
    done = subprocess.run([*TELERELAY, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def main(talk_s: float = 5.0, folder: str = "") -> None:
    for each in asyncio.run(play(Path(folder or tempfile.mkdtemp(prefix="regions-")), talk_s)):
        print(json.dumps(each))


if __name__ == "__main__":
    main(*(float(sys.argv[1]), *sys.argv[2:]) if len(sys.argv) > 1 else ())
