"""
Patients and doctors of the clinic: `python examples/livi/people.py`, a process of either.

The first line of stdin is a JSON object: {"url", "patients": [{patient, region, emergency, talks}], "patience_s"} or
{"url", "doctors": [names], "tabs", "talk_s", "talking": [consults]}. Each line of stdout is one: of a patient once they
wait and once it is over, of a doctor for each call for the next patient and each patient. Times are monotonic seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from calls import Part, Seen, play

SOUND_AND_PICTURE = ("audio", "video")
# Between two looks of a doctor whose line is empty or who has a patient still; nothing else tells them.
LOOK_S = 0.2


def say(kind: str, **fields: Any) -> None:
    print(json.dumps({"kind": kind, **fields}), flush=True)


# -------------------------------------------------------------------- patients


async def be_patients(setup: dict[str, Any], http: aiohttp.ClientSession) -> None:
    """They come one after the other, each once the one before waits, and stay until it is over."""
    staying = []
    for each in setup["patients"]:
        asked = {name: each[name] for name in ("patient", "region", "emergency")}
        async with http.post(f"{setup['url']}/patients", json=asked) as response:
            link = (await response.json())["link"]
        seen = Seen()
        kinds = SOUND_AND_PICTURE if each["talks"] else ()
        part = Part(f"{setup['url']}/consult", link, kinds=kinds, patience_s=setup["patience_s"])
        staying.append(asyncio.create_task(_stay(part, each, seen, http)))
        while seen.waits_since is None and not seen.error:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        say("waits", **asked, consult=seen.consult, since=seen.waits_since)
    await asyncio.gather(*staying)


async def _stay(part: Part, patient: dict[str, Any], seen: Seen, http: aiohttp.ClientSession) -> None:
    await play(part, http, seen)
    say("patient", patient=patient["patient"], emergency=patient["emergency"], **asdict(seen))


# -------------------------------------------------------------------- doctors


async def be_doctor(name: str, setup: dict[str, Any], http: aiohttp.ClientSession) -> None:
    """One patient after the other, until nobody waits. Each call is made from several tabs at the same moment."""
    while True:
        answers = await asyncio.gather(*(_call_next(name, setup["url"], http) for _ in range(setup["tabs"])))
        taken = [link for status, link in answers if status == 200]
        if not taken:
            if any(status == 404 for status, _ in answers):
                return
            await asyncio.sleep(LOOK_S)
        for consult, link in taken:
            talks = consult in setup["talking"]
            part = Part(
                f"{setup['url']}/consult",
                link,
                admits=True,
                kinds=SOUND_AND_PICTURE if talks else (),
                talk_s=setup["talk_s"] if talks else 0.0,
            )
            seeing = asyncio.create_task(play(part, http))
            await _call_next(name, setup["url"], http)  # whoever has a patient is offered no other
            say("doctor", doctor=name, **asdict(await seeing))


async def _call_next(name: str, url: str, http: aiohttp.ClientSession) -> tuple[int, tuple[str, str]]:
    asked_at = time.monotonic()
    async with http.post(f"{url}/next", json={"doctor": name}) as response:
        answer = await response.json()
    consult = answer.get("consult", "")
    say("call", doctor=name, status=response.status, consult=consult, asked_at=asked_at, answered_at=time.monotonic())
    return response.status, (consult, answer.get("link", ""))


async def main() -> None:
    setup = json.loads(sys.stdin.readline())
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        if "patients" in setup:
            await be_patients(setup, http)
        else:
            await asyncio.gather(*(be_doctor(name, setup, http) for name in setup["doctors"]))


if __name__ == "__main__":
    asyncio.run(main())
