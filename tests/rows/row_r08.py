"""
R08, doctors who are there now (D4): a desk that opens is shown, one that dies is not, "now" and "book" reach a consult,
and so do browsers of phones and of PCs.

Patients' pages and doctors' desks are processes; a doctor's is killed, or stopped as a machine is that goes to sleep.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from rows.figures import Figure, p95, tries
from rows.host import Host
from rows.person import Person
from rows.place import Place
from rows.process import Message

_figure = partial(Figure, "R08", is_least=False, example="helloconsult")

DOCTOR = "doctor-1"
AHEAD_S = 3600.0
"""An appointment is booked an hour before."""

RECORDED = ("clients/chromium_publish", "clients/firefox_publish")
"""Of PCs, as they were said."""
PHONES = ("phones/made_iphone_safari_like", "phones/made_android_chrome_like")
"""Written after what phones say: there was none to record."""


class Site:
    """The example, and a patient whose page shows who is available."""

    def __init__(self, host: Host, patient: Person) -> None:
        self.host = host
        self.patient = patient

    @property
    def relay(self) -> str:
        return f"{self.host.url}/consult"

    async def open_desk(self, doctor: Person, name: str) -> Message:
        """The doctor opens the desk, as the page does."""
        answer = await doctor.ask("POST", f"{self.host.url}/desks/{name}")
        first = {"type": "open", "id": 1, "token": answer["body"]["token"]}
        return await doctor.listen(f"{self.relay}/desk", first)

    async def shown(self, doctor: str, wanted: bool | None, since: int) -> Message:
        """When the page first says of a doctor, behind `since` events, that he is available, busy (False) or away."""

        def is_it(said: Message) -> bool:
            return said["said"].get(doctor) is wanted

        return await self.patient.event("said", is_it, since)


async def measure() -> list[Figure]:
    async with Host("helloconsult") as host, Person() as patient, Person() as doctor:
        site = Site(host, patient)
        await asyncio.gather(patient.prepare(), doctor.prepare())
        await patient.listen(f"{host.url}/available")
        return [
            *await _opened(site, doctor, tries()),
            *await _killed(site, tries()),
            *await _consults(site, doctor, dict.fromkeys(("now", "book"), tries(10))),
            *await _recorded(site, doctor),
        ]


async def beside(place: Place) -> list[Figure]:
    """Beside other systems: a desk that opens, doctors who are killed, and a call by "now", in each round."""
    async with place.people(2) as (patient, doctor):
        site = Site(place, patient)
        numbers = itertools.count(2)

        async def once() -> list[Figure]:
            await patient.listen(f"{place.url}/available")
            opened = await _opened(site, doctor, 2, "dermatologist-1")
            killed = await _killed(site, 2)
            # Another doctor each time: the last one was given to a patient who does not come.
            called = await _consults(site, doctor, {"now": 1}, f"dermatologist-{next(numbers)}")
            await doctor.hang_up()
            await patient.hang_up()
            return [*opened, *killed, *called]

        return await place.rounds(once)


async def _opened(site: Site, doctor: Person, count: int, name: str = DOCTOR) -> list[Figure]:
    """A desk opens and closes, again and again."""
    took: list[float] = []
    for _ in range(count):
        since = len(site.patient.events)
        opened = await site.open_desk(doctor, name)
        shown = await site.shown(name, True, since)
        took.append(shown["at"] - opened["began"])
        since = len(site.patient.events)
        await doctor.hang_up()
        await site.shown(name, None, since)
    return [_figure(f"a doctor who opens the desk is shown, p95 of {len(took)}, at the patient's", p95(took), "s", 1.0)]


async def _killed(site: Site, count: int) -> list[Figure]:
    """Doctors by the handful: one half is killed, the other stopped, which closes nothing."""
    took: dict[signal.Signals, list[float]] = {signal.SIGKILL: [], signal.SIGSTOP: []}
    for first in range(0, count, 5):
        for how, seconds in took.items():
            names = [f"doctor-{how.name}-{number}" for number in range(first, min(first + 5, count))]
            async with AsyncExitStack() as stack:
                doctors = [await stack.enter_async_context(Person()) for _ in names]
                since = len(site.patient.events)
                for doctor, name in zip(doctors, names, strict=True):
                    await site.open_desk(doctor, name)
                    await site.shown(name, True, since)
                since, killed_at = len(site.patient.events), time.monotonic()
                for doctor in doctors:
                    doctor.signal(how)
                for name in names:
                    seconds.append((await site.shown(name, None, since))["at"] - killed_at)
                for doctor in doctors:
                    doctor.kill()
    return [
        _figure(f"a doctor's process killed is shown as away, p95 of {count}", p95(took[signal.SIGKILL]), "s", 15.0),
        _figure(f"one stopped, whose socket stays open: p95 of {count}", p95(took[signal.SIGSTOP]), "s", 15.0),
    ]


async def _consults(site: Site, doctor: Person, ways: Mapping[str, int], name: str = DOCTOR) -> list[Figure]:
    """Now, and by appointment, as often as `ways` says: each to a call in which both see and hear the other."""
    failed = dict.fromkeys(ways, 0)
    since = len(site.patient.events)
    await site.open_desk(doctor, name)
    await site.shown(name, True, since)
    for way in (way for number in range(max(ways.values())) for way, count in ways.items() if number < count):
        body: dict[str, Any] = {"patient": "patient-7"}
        if way == "book":
            body |= {"doctor": name, "starts_at": site.host.now + AHEAD_S}
        try:
            await _call(site, doctor, way, body, partial(Person.publish, site.patient), name)
        except Exception as error:
            print(f"R08  {way}: {type(error).__name__}: {error}", flush=True)
            failed[way] += 1
            await asyncio.gather(site.patient.leave(), doctor.leave())
    busy = await site.patient.ask("POST", f"{site.host.url}/now", {"patient": "patient-7"})
    second = await site.patient.ask("POST", f"{site.host.url}/now", {"patient": "patient-8"})
    wrong = (busy["status"], second["status"]) != (201, 409)
    return [
        *(
            _figure(
                f"of {ways[way]} patients by {way!r}: no call with sound and picture both ways", float(bad), "", 0.0
            )
            for way, bad in failed.items()
        ),
        _figure("a doctor given to two patients who ask for one now", float(wrong), "", 0.0),
    ]


async def _recorded(site: Site, doctor: Person) -> list[Figure]:
    """Patients' browsers as they were recorded; the doctor must decode a picture and hear sound."""
    failed = {RECORDED: 0, PHONES: 0}
    for names in failed:
        for name in names:
            body = {"patient": "patient-7", "doctor": DOCTOR, "starts_at": site.host.now + AHEAD_S}
            try:
                await _call(site, doctor, "book", body, partial(site.patient.publish_recorded, name))
            except Exception as error:
                print(f"R08  {name}: {type(error).__name__}: {error}", flush=True)
                failed[names] += 1
                await asyncio.gather(site.patient.leave(), doctor.leave())
    return [
        _figure(
            f"of {len(RECORDED)} offers recorded from browsers of PCs: not seen and heard", failed[RECORDED], "", 0
        ),
        _figure(f"of {len(PHONES)} offers made as browsers of phones say: not seen and heard", failed[PHONES], "", 0),
    ]


async def _call(
    site: Site, doctor: Person, way: str, body: Mapping[str, Any], publish: Callable[[], Any], name: str = DOCTOR
) -> None:
    """
    From the button to a call in which both see and hear the other and the page shows the doctor as busy, and to its
    end, when he is available. Raises what is missing.
    """
    patient, since, shown = site.patient, len(doctor.events), len(site.patient.events)
    answer = await patient.ask("POST", f"{site.host.url}/{way}", body)
    assert answer["status"] == 201, answer
    if way == "book":
        await site.host.put_to(body["starts_at"])
    try:
        joined = await patient.enter(site.relay, answer["body"]["link"])
        assert not joined["admitted"]
        rings = await doctor.event("said", lambda said: bool(said["said"].get("calls")), since)
        (call,) = rings["said"]["calls"]
        await doctor.tell({"type": "accept", "id": 2, "consult": call["consult"]})
        entrance = await doctor.event("said", lambda said: "token" in said["said"], since)
        await doctor.join(site.relay, call["consult"], entrance["said"]["token"])
        await doctor.request("admit", participant=joined["participant"])
        await asyncio.gather(publish(), doctor.publish())
        await asyncio.gather(*(person.received(kind) for person in (patient, doctor) for kind in ("audio", "video")))
        await site.shown(name, False, shown)
        shown = len(patient.events)
        await doctor.request("end")
        await site.shown(name, True, shown)
    finally:
        await asyncio.gather(patient.leave(), doctor.leave())
