"""
R06, online booking (D1, D3): links have their time, a move kills the old one, a no-show is one, and one time is one
patient's.

Asked and seen by people in processes of their own; the site's clock is put forward, nothing sleeps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from rows.figures import Figure, p95, tries
from rows.host import Host
from rows.person import Person
from rows.place import Place

_figure = partial(Figure, "R06", is_least=False, example="booking")

SLOT_S = 900
MINUTE_S = 60.0
# From one look of an old link to the next: a thirtieth of what is measured.
LOOK_S = 0.03
DEAD = frozenset({"forbidden", "too_many_requests"})
"""Of a link that is no good; the second, where that address has asked for many such."""
# How near to a limit is asked: within the second before and after it.
NEAR_S = 1.0


class Site:
    """The example, and who uses it. Each appointment is at a desk of its own."""

    def __init__(self, host: Host, patient: Person, doctor: Person) -> None:
        self.host = host
        self.patient = patient
        self.doctor = doctor
        self._desks = 0

    @property
    def relay(self) -> str:
        return f"{self.host.url}/consult"

    def next_slot(self, ahead_s: float = 2 * 3600.0) -> str:
        """A time that nobody has, as the path of the site."""
        self._desks += 1
        starts_at = (int(self.host.now + ahead_s) // SLOT_S + 1) * SLOT_S
        return f"{self.host.url}/slots/doctor-{self._desks}/{starts_at}"

    async def book(self) -> Mapping[str, Any]:
        """An appointment in two hours."""
        slot = self.next_slot()
        await self.patient.ask("POST", f"{slot}/hold", {"patient": "patient-7"})
        answer = await self.patient.ask("POST", f"{slot}/book", {"patient": "patient-7"})
        assert answer["status"] == 201, answer
        return dict(answer["body"])

    async def use(self, link: str) -> str:
        """What a patient's browser gets for a link: "token", or the code of the refusal."""
        answer = await self.patient.ask("POST", f"{self.relay}/link", {"link": link.partition("#link=")[2]})
        return "token" if answer["status"] == 200 else str(answer["body"]["error"]["code"])


async def measure() -> list[Figure]:
    async with Host("booking") as host, Person() as patient, Person() as doctor:
        site = Site(host, patient, doctor)
        return [
            *await _two_who_hold(site, tries()),
            *await _moved(site, tries()),
            *await _windows(site),
            *await _no_shows(site),
        ]


async def beside(place: Place) -> list[Figure]:
    """Beside other systems: one time that two want, and one move, in each round. The clock is everybody's."""
    async with place.people(2) as (patient, doctor):
        site = Site(place, patient, doctor)

        async def once() -> list[Figure]:
            return [*await _two_who_hold(site, 2), *await _moved(site, 2)]

        return await place.rounds(once)


async def _windows(site: Site) -> list[Figure]:
    """A link is asked for just before and just after it opens, and before and after it closes."""
    wrong = asked = 0
    for _ in range(tries()):
        booked = await site.book()
        starts_at, link = booked["starts_at"], booked["links"]["practitioner"]
        for at, used, expected in (
            (starts_at - 15 * MINUTE_S - NEAR_S, link, "too_early"),
            (starts_at - 15 * MINUTE_S + NEAR_S, booked["links"]["patient"], "token"),
            (starts_at + 30 * MINUTE_S - NEAR_S, link, "token"),
        ):
            await site.host.put_to(at)
            asked, wrong = asked + 1, wrong + (await site.use(used) != expected)
        late = await site.book()
        await site.host.put_to(late["starts_at"] + 30 * MINUTE_S + NEAR_S)
        refusal = await site.use(late["links"]["patient"])
        asked, wrong = asked + 1, wrong + (refusal == "token")
    what = f"links not refused before T-15 min and after T+30, or refused within, of {asked} asked for within 1 s of it"
    return [_figure(what, float(wrong), "", 0.0)]


async def _moved(site: Site, count: int) -> list[Figure]:
    """An old link is looked at all the time while the appointment is moved: from the request until it is dead."""
    took: list[float] = []
    wrong = 0
    for _ in range(count):
        booked = await site.book()
        body = {"key": booked["key"], "starts_at": booked["starts_at"] + SLOT_S}
        before = await site.use(booked["links"]["patient"])
        moving = asyncio.create_task(
            site.doctor.ask("POST", f"{site.host.url}/appointments/{booked['appointment']}/move", body)
        )
        dead: dict[str, Any] = {}
        while not dead:
            answer = await site.patient.ask(
                "POST", f"{site.relay}/link", {"link": booked["links"]["patient"].partition("#link=")[2]}
            )
            if answer["body"].get("error", {}).get("code") in DEAD:
                dead = answer
            await asyncio.sleep(LOOK_S)
        moved = await moving
        took.append(max(dead["at"] - moved["began"], 0.0))
        fresh = await site.use(moved["body"]["links"]["patient"])
        wrong += (before, moved["status"], fresh) != ("too_early", 200, "too_early")
    return [
        _figure(f"a move kills the old link, p95 of {len(took)}, at the client", p95(took), "s", 1.0),
        _figure("moves that did not keep the old link good until then, or gave no good one", float(wrong), "", 0.0),
    ]


async def _no_shows(site: Site) -> list[Figure]:
    """A doctor waits alone: what is seen at that desk, minute by minute, to the end of the time."""
    too_soon = not_once = 0
    late_s: list[float] = []
    for _ in range(tries(5)):
        booked = await site.book()
        starts_at = booked["starts_at"]
        await site.host.put_to(starts_at)
        await site.doctor.enter(site.relay, booked["links"]["practitioner"])
        before = _no_shows_seen(site.doctor)
        await site.host.put_to(starts_at + 10 * MINUTE_S - NEAR_S)
        # A request and its reply are behind all that was told before.
        await site.doctor.request("stats")
        too_soon += _no_shows_seen(site.doctor) - before
        await site.host.put_forward(2 * NEAR_S)
        sign = await site.doctor.event("consult", partial(_is_new_no_show, starts_at))
        late_s.append(sign["since"] - (starts_at + 10 * MINUTE_S))
        for _ in range(19):
            await site.host.put_forward(MINUTE_S)
        await site.doctor.request("stats")
        not_once += _no_shows_seen(site.doctor) - before != 1
        await site.doctor.leave()
        token = booked["key"]
        shown = await site.patient.ask("GET", f"{site.host.url}/appointments/{booked['appointment']}", token=token)
        not_once += shown["body"]["states"].count("no_show") != 1
    return [
        _figure("no-shows told before T+10 min, at the doctor's desk", float(too_soon), "", 0.0),
        _figure("a no-show after T+10 min, at the doctor's desk, longest", max(late_s), "s", 2 * NEAR_S),
        _figure(
            f"no-shows not told exactly once, of {len(late_s)}, to the doctor and the site", float(not_once), "", 0
        ),
    ]


async def _two_who_hold(site: Site, count: int) -> list[Figure]:
    """Two people's browsers ask for one time at once, and both try to book it."""
    not_one = 0
    wanted = {"patient-7": site.patient, "patient-8": site.doctor}
    for _ in range(count):
        slot = site.next_slot()
        for step, good in (("hold", 200), ("book", 201)):
            answers = await asyncio.gather(
                *(person.ask("POST", f"{slot}/{step}", {"patient": name}) for name, person in wanted.items())
            )
            not_one += [answer["status"] for answer in answers].count(good) != 1
            not_one += [answer["status"] for answer in answers].count(409) != 1
    return [_figure(f"of {count} times two wanted at once: not held or booked by exactly one", float(not_one), "", 0.0)]


def _is_no_show(sign: Mapping[str, Any]) -> bool:
    return sign["type"] == "consult" and sign["state"] == "no_show"


def _is_new_no_show(starts_at: float, sign: Mapping[str, Any]) -> bool:
    """Of this appointment, not of one before it."""
    return _is_no_show(sign) and sign["since"] >= starts_at


def _no_shows_seen(person: Person) -> int:
    return sum(map(_is_no_show, person.events))
