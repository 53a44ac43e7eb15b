"""
R17, expertise within a day (D3): requested, accepted and answered survive a restart; a reminder at 20 h; overdue
exactly once at 24 h, also where the site was stopped meanwhile; going live opens a consult that names both request and
picture.

The site is killed (SIGKILL) and started again, each time with its clock further on; people are processes.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rows.figures import Figure, tries
from rows.host import Host
from rows.instrument import Instrument
from rows.person import Person, attested

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_figure = partial(Figure, "R17", example="expertise", unit="", bound=0.0, is_least=False)

HOUR_S = 3600.0
PICTURE_BYTES = 3_000_000


class _Site:
    """The site from one process to the next, and whoever asks it."""

    def __init__(self, folder: Path, person: Person) -> None:
        self._environment = {
            "FOLDER": str(folder),
            "TELERELAY_JOURNAL_PATH": str(folder / "journal.db"),
            "TELERELAY_LOG_LEVEL": "error",
        }
        self._person = person
        self.host: Host

    @asynccontextmanager
    async def running(self, ahead_s: float) -> AsyncIterator[None]:
        """One process, killed at the end."""
        async with Host("expertise", environment=self._environment, ahead_s=ahead_s) as host:
            self.host = host
            yield
            host.kill()

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self._person.ask(method, f"{self.host.url}{path}", body)
        assert answer["status"] in (200, 201), (path, answer)
        return answer["body"]

    async def whats(self, name: str) -> list[dict[str, Any]]:
        return list(await self.ask("GET", f"/requests/{name}/messages"))

    async def count(self, names: list[str], what: str, at_least: int = 0) -> list[dict[str, Any]]:
        """Messages of that kind, of all of them, once there are so many, and no more have come for a moment."""
        async with asyncio.timeout(60.0):
            while True:
                found = [each for name in names for each in await self.whats(name) if each["what"] == what]
                if len(found) >= at_least:
                    return found
                await asyncio.sleep(0.1)


async def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        async with Person() as gp, Person() as expert, Instrument() as camera:
            return await _measure(_Site(Path(folder), gp), gp, expert, camera)


async def _measure(site: _Site, gp: Person, expert: Person, camera: Instrument) -> list[Figure]:
    count = tries()
    figures = []
    async with site.running(0.0):
        picture = await camera.post(f"{site.host.url}/pictures", PICTURE_BYTES)
        names = [
            (
                await site.ask(
                    "POST",
                    "/requests",
                    {"by": "gp-1", "queue": "skin", "question": f"question {number}", "images": [picture["sha256"]]},
                )
            )["request"]
            for number in range(count + 1)
        ]
        accepted, answered = names[0], names[1]
        for name in (accepted, answered):
            await site.ask("POST", f"/requests/{name}/accept", {"by": "expert-3"})
        began = {name: (await site.ask("GET", f"/requests/{name}"))["requested_at"] for name in names}
    async with site.running(0.0):
        await site.ask("POST", f"/requests/{answered}/answer", {"by": "expert-3", "answer": "benign"})
    async with site.running(0.0):
        states = {name: await site.ask("GET", f"/requests/{name}") for name in names}
        expected = {name: "requested" for name in names} | {accepted: "accepted", answered: "answered"}
        lost = [name for name, state in expected.items() if states[name]["state"] != state]
        lost += [name for number, name in enumerate(names) if states[name]["question"] != f"question {number}"]
        lost += [answered] * (states[answered]["answer"] != "benign")
        figures.append(
            _figure(f"of {count + 1} requests: states and texts lost by a kill after each", float(len(lost)))
        )

        names.remove(answered)
        await site.host.put_to(min(began.values()) + 20 * HOUR_S - 1.0)
        early = await site.count(names, "reminded")
        await site.host.put_to(max(began.values()) + 20 * HOUR_S + 0.5)
        reminded = await site.count(names, "reminded", len(names))
    figures.append(_figure("reminded before 20 h", float(len(early))))
    figures.append(_figure(f"reminders at 20 h, of {len(names)}, that are not one", float(_not_once(names, reminded))))

    early = []
    for _ in range(2):  # stopped from 20 h to 25 h; and killed once more
        async with site.running(25 * HOUR_S):
            overdue = await site.count(names, "overdue", len(names))
            late = max(abs(each["due_at"] - began[_of(each)] - 24 * HOUR_S) for each in overdue)
    figures.append(
        _figure(f"overdue at 24 h, stopped then, of {len(names)}, that are not one", _not_once(names, overdue))
    )
    figures.append(_figure("told to be due at another time than 24 h", late, unit="s", bound=0.001))

    async with site.running(25 * HOUR_S):
        body = {"by": "gp-1", "queue": "skin", "question": "another"}
        running = (await site.ask("POST", "/requests", body))["request"]
        asked_at = (await site.ask("GET", f"/requests/{running}"))["requested_at"]
        await site.host.put_to(asked_at + 24 * HOUR_S - 2.0)
        before = await site.count([running], "overdue")
        await site.host.put_to(asked_at + 24 * HOUR_S + 0.5)
        await site.host.put_forward(HOUR_S)
        after = await site.count([running], "overdue", 1)
        figures.append(_figure("overdue before 24 h while it runs", float(len(before))))
        figures.append(_figure("overdue at 24 h while it runs: not one", _not_once([running], after)))
        told = [each["what"] for each in await site.whats(answered)]
        untold = told.count("answered") != 1
        figures.append(_figure("answers that were not told once", float(untold)))
        figures += await _live(site, accepted, picture["sha256"], gp, expert, camera)
    return figures


async def _live(site: _Site, name: str, sha256: str, gp: Person, expert: Person, camera: Instrument) -> list[Figure]:
    """The two meet; the picture is handed over there, and what is signed names both."""
    live = await site.ask("POST", f"/requests/{name}/live", {"by": "gp-1"})
    relay = f"{site.host.url}/consult"
    await expert.enter(relay, live["links"]["expert"])
    link = await gp.ask("POST", f"{relay}/link", {"link": live["links"]["requester"].partition("#link=")[2]})
    token = link["body"]["token"]
    waits = await gp.join(relay, live["consult"], token)
    await expert.request("admit", participant=waits["participant"])
    await gp.event("admitted")
    await camera.begin(f"{relay}/documents", token, PICTURE_BYTES, "mole")
    sent = await camera.event("sent")
    for person in (gp, expert):
        await person.publish()
    found = await asyncio.gather(
        *(person.received(kind) for person in (gp, expert) for kind in ("audio", "video")), return_exceptions=True
    )
    await expert.request("end")
    document = await attested(gp, f"{site.host.url}/consults/{live['consult']}/attestation")
    plan = document["events"][0]["clear"]["plan"]
    hashes = {sha256, sent["sha256"], *plan["images"], document["attestation"]["documents"][0]["sha256"]}
    return [
        _figure("live: kinds of media that one of the two does not receive", _errors(found)),
        _figure("live: the consult's signed facts name another request", float(plan["expertise"] != name)),
        _figure("live: hashes of request, consult, upload and attestation that differ", len(hashes) - 1.0),
    ]


def _of(message: dict[str, Any]) -> str:
    return str(message["key"]).removeprefix("expertise/").rpartition(":")[0]


def _not_once(names: list[str], messages: list[dict[str, Any]]) -> float:
    """Of which of them there is none, or more than one."""
    told = [_of(each) for each in messages]
    return float(sum(told.count(name) != 1 for name in names))


def _errors(results: list[Any]) -> float:
    return float(sum(isinstance(each, BaseException) for each in results))
