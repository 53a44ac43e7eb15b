"""
R23, medical deserts (D4): a doctor of the same territory is proposed first; a patient giving no place is routed and the
fact recorded.

Doctors and patients are processes; whose desk rings is what came over the desks' own sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from rows.figures import Figure, tries
from rows.host import Host
from rows.person import Person, attested
from rows.place import Place
from rows.process import Message

_figure = partial(Figure, "R23", is_least=False, example="deserts")

# Paris is free for longest, so only the territory can put another one before.
TERRITORIES = {"doctor-paris": "75", "doctor-nievre": "58", "doctor-creuse": "23"}
SOMEWHERE_ELSE = "48"

Doctors = Mapping[str, Person]


class Wrong(Exception):
    """What was to happen did not."""


async def measure() -> list[Figure]:
    async with (
        Host("deserts") as host,
        Person() as patient,
        Person() as one,
        Person() as two,
        Person() as three,
    ):
        doctors, line = await _at_desks(host, (one, two, three)), [*TERRITORIES]
        others = await _proposed(host, patient, doctors, line, tries())
        return [*others, *await _answered(host, patient, doctors, line)]


async def beside(place: Place) -> list[Figure]:
    """Beside other systems: who is rung first, and three calls, in each round."""
    async with place.people(4) as (patient, *others):
        doctors, line = await _at_desks(place, others), [*TERRITORIES]

        async def once() -> list[Figure]:
            proposed = await _proposed(place, patient, doctors, line, 2)
            return [*proposed, *await _answered(place, patient, doctors, line)]

        return await place.rounds(once)


async def _at_desks(host: Host, people: Sequence[Person]) -> Doctors:
    """Each has the desk open."""
    doctors = dict(zip(TERRITORIES, people, strict=True))
    for name, doctor in doctors.items():
        token = (await doctor.ask("POST", f"{host.url}/desks/{name}", {"territory": TERRITORIES[name]}))["body"][
            "token"
        ]
        await doctor.listen(f"{host.url}/consult/desk", {"type": "open", "id": 1, "token": token})
        await doctor.event("said", lambda said: said["said"].get("type") == "presence")
    return doctors


async def _ask(host: Host, patient: Person, place: str) -> Message:
    """A patient asks, and waits; {consult, participant, link}."""
    body = {"patient": "patient-7"} | ({"territory": place} if place else {})
    asked = (await patient.ask("POST", f"{host.url}/patients", body))["body"]
    return dict(asked) | await patient.enter(f"{host.url}/consult", asked["link"])


async def _first(doctors: Doctors, consult: str, since: Mapping[str, int]) -> str:
    """Whose desk rings for that consult, and no other's does."""

    async def rung(name: str) -> str:
        await doctors[name].event("said", lambda said: _rings(said, consult), since[name])
        return name

    waiting = [asyncio.ensure_future(rung(name)) for name in doctors]
    done, rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=20.0)
    for each in rest:
        each.cancel()
    if len(done) != 1:
        raise Wrong(f"{len(done)} desks ring")
    return done.pop().result()


def _rings(said: Message, consult: str) -> bool:
    return any(call["consult"] == consult and not call["missed"] for call in said["said"].get("calls") or ())


def _seen(doctors: Doctors) -> dict[str, int]:
    return {name: len(doctor.events) for name, doctor in doctors.items()}


async def _proposed(host: Host, patient: Person, doctors: Doctors, line: list[str], count: int) -> list[Figure]:
    """
    Who is rung first, for each place, again and again; the patient gives up each time. Of `line` the first one is free
    for longest.
    """
    wrong = {"same": 0, "none": 0, "next": 0}
    for number in range(count):
        name = ("doctor-nievre", "doctor-creuse")[number % 2]
        since = _seen(doctors)
        waits = await _ask(host, patient, TERRITORIES[name])
        wrong["same"] += await _first(doctors, waits["consult"], since) != name
        since = _seen(doctors)
        await doctors[name].tell({"type": "decline", "id": 5, "consult": waits["consult"]})
        wrong["next"] += await _first(doctors, waits["consult"], since) == name
        await patient.leave()
        since = _seen(doctors)
        for place in ("", SOMEWHERE_ELSE):
            waits = await _ask(host, patient, place)
            wrong["none"] += await _first(doctors, waits["consult"], since) != line[0]
            await patient.leave()
    return [
        _figure(f"another than a doctor of the same territory rung first, of {count}", float(wrong["same"]), "", 0.0),
        _figure("of those whom the first one declines: nobody else rung", float(wrong["next"]), "", 0.0),
        _figure("no place, or one without a doctor: not to whoever is free for longest", float(wrong["none"]), "", 0.0),
    ]


async def _answered(host: Host, patient: Person, doctors: Doctors, line: list[str]) -> list[Figure]:
    """To a call with sound and picture both ways, and what is signed of it."""
    places = {"same_territory": "58", "no_place_given": "", "other_territory": SOMEWHERE_ELSE}
    unheld = unsaid = 0
    relay = f"{host.url}/consult"
    for outcome, place in places.items():
        since = _seen(doctors)
        waits = await _ask(host, patient, place)
        rung = await _first(doctors, waits["consult"], since)
        doctor = doctors[rung]
        line.remove(rung)
        line.append(rung)
        await doctor.tell({"type": "accept", "id": 6, "consult": waits["consult"]})
        entrance = await doctor.event("said", lambda said: "token" in said["said"], since[rung])
        await doctor.join(relay, waits["consult"], entrance["said"]["token"])
        await doctor.request("admit", participant=waits["participant"])
        await asyncio.gather(patient.publish(), doctor.publish())
        got = await asyncio.gather(
            *(person.received(kind) for person in (patient, doctor) for kind in ("audio", "video")),
            return_exceptions=True,
        )
        unheld += any(isinstance(each, BaseException) for each in got)
        await doctor.request("end")
        await asyncio.gather(patient.leave(), doctor.leave())
        signed = (await attested(patient, f"{host.url}/consults/{waits['consult']}/attestation"))["attestation"]
        claims = {"place_given": bool(place), "doctor_territory": TERRITORIES[rung]}
        policy = signed["policy"]
        is_said = (policy["outcome"], signed["region"], policy["claims"]) == (outcome, place, claims)
        unsaid += not is_said
    return [
        _figure("of three calls: not with sound and picture both ways", float(unheld), "", 0.0),
        _figure(
            "of their files: do not say how the patient was routed, or that no place was given", float(unsaid), "", 0.0
        ),
    ]
