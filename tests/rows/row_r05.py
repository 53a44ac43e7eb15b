"""
R05, software of several practices (D0, D3): a launch with an appointment's id opens the right consult; one tenant's
tokens get 403 on another's; metrics are split by tenant.

Both practices use the same ids. The foreign tokens are signed by the relay's own key and name people who are in.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from rows.figures import Figure, tries
from rows.host import Host
from rows.person import Person
from rows.place import Place
from rows.process import Failed

_figure = partial(Figure, "R05", is_least=False, example="medipeps")

TENANTS = ("north", "south")
SHOWN_AT = ("whip/{room}", "whep/{room}", "documents", "measurements/{room}")


async def measure() -> list[Figure]:
    async with Host("medipeps") as host, Person() as patient, Person() as doctor, Person() as foreigner:
        secrets = await _enrolled(host, doctor)
        return [
            *await _launched(host, secrets, patient, doctor, foreigner, range(tries(15))),
            *await _split(host, secrets, patient, doctor),
        ]


async def beside(place: Place) -> list[Figure]:
    """Beside other systems: a launch of either practice in each round."""
    async with place.people(3) as (patient, doctor, foreigner):
        secrets, numbers = await _enrolled(place, doctor), itertools.count()

        async def once() -> list[Figure]:
            return await _launched(place, secrets, patient, doctor, foreigner, (next(numbers),))

        return await place.rounds(once)


async def _enrolled(host: Host, doctor: Person) -> dict[str, str]:
    """The secrets of both practices."""
    answers = {tenant: await doctor.ask("POST", f"{host.url}/practices", {"tenant": tenant}) for tenant in TENANTS}
    return {tenant: answer["body"]["secret"] for tenant, answer in answers.items()}


async def _appointment(host: Host, secret: str, person: Person, appointment: str) -> str:
    answer = await person.ask("POST", f"{host.url}/appointments", {"appointment": appointment}, secret)
    return str(answer["body"]["consult"])


async def _launch(host: Host, secret: str, person: Person, appointment: str, sub: str, role: str) -> dict[str, Any]:
    body = {"appointment": appointment, "sub": sub, "role": role}
    return await person.ask("POST", f"{host.url}/launch", body, secret)


async def _launched(
    host: Host,
    secrets: dict[str, str],
    patient: Person,
    doctor: Person,
    foreigner: Person,
    numbers: Sequence[int],
) -> list[Figure]:
    """Both practices' appointments of one id, again and again; who is launched into the same one meets the other."""
    relay = f"{host.url}/consult"
    count = len(numbers)
    wrong = opened = 0
    for number in numbers:
        appointment = f"rdv-{number}"
        planned = {tenant: await _appointment(host, secrets[tenant], doctor, appointment) for tenant in TENANTS}
        for tenant in TENANTS:
            subs = {"patient": f"patient-{tenant}-{number}", "practitioner": f"doctor-{tenant}"}
            links = {
                role: (await _launch(host, secrets[tenant], doctor, appointment, sub, role))["body"]
                for role, sub in subs.items()
            }
            since = len(doctor.events)
            await doctor.enter(relay, links["practitioner"]["link"])
            await patient.enter(relay, links["patient"]["link"])
            told = await doctor.event("waiting_room", lambda told: bool(told["people"]), since)
            met = [each["sub"] for each in told["people"]]
            wrong += met != [subs["patient"]] or {each["consult"] for each in links.values()} != {planned[tenant]}
            other = next(each for each in TENANTS if each != tenant)
            opened += await _foreign(host, planned[tenant], other, patient, foreigner)
            await doctor.request("end")
            await patient.leave()
            await doctor.leave()
    return [
        _figure(f"of {2 * count} launches: into another consult, or without the other one", float(wrong), "", 0.0),
        _figure(
            f"of {(1 + len(SHOWN_AT)) * 2 * count} times that a foreign token was shown: not 403",
            float(opened),
            "",
            0.0,
        ),
    ]


async def _foreign(host: Host, consult: str, tenant: str, inside: Person, foreigner: Person) -> int:
    """How often another tenant's token, of somebody who is there, is not answered by 403."""
    token = await host.token(consult, inside.sub, "patient", tenant)
    wrong = 0
    for path in SHOWN_AT:
        url = f"{host.url}/consult/{path.format(room=consult)}"
        wrong += (await foreigner.ask("POST", url, {}, token))["status"] != 403
    try:
        await foreigner.join(f"{host.url}/consult", consult, token)
        wrong += 1
    except Failed as error:
        wrong += error.code != "forbidden"
    return wrong


async def _split(host: Host, secrets: dict[str, str], patient: Person, doctor: Person) -> list[Figure]:
    """Two consults of one and three of the other; one patient waits; a launch of what is the other's."""
    metrics = await _metrics(host, doctor)
    assert not metrics["consults"]
    for tenant, count in zip(TENANTS, (2, 3), strict=True):
        for number in range(count):
            await _appointment(host, secrets[tenant], doctor, f"more-{number}")
    launched = await _launch(host, secrets["south"], patient, "more-2", "patient-9", "patient")
    await patient.enter(f"{host.url}/consult", launched["body"]["link"])
    refused = await _launch(host, secrets["north"], doctor, "more-2", "doctor-9", "practitioner")
    metrics = await _metrics(host, doctor)
    wrong = sum(
        found != expected
        for found, expected in (
            (metrics["consults"], {"north": 2.0, "south": 3.0}),
            ({each: n for each, n in metrics["participants"].items() if n}, {"south": 1.0}),
        )
    )
    lacking = sum(metrics["attempts"].get(tenant, 0.0) < (1 + len(SHOWN_AT)) * tries(15) for tenant in TENANTS)
    return [
        _figure("a launch of another practice's appointment: not 403", float(refused["status"] != 403), "", 0.0),
        _figure("counts by tenant, of consults and of people, that are not right", float(wrong), "", 0.0),
        _figure("tenants of which not each foreign token was counted", float(lacking), "", 0.0),
    ]


async def _metrics(host: Host, person: Person) -> dict[str, dict[str, float]]:
    """By name and tenant, all other labels together."""
    text = str((await person.ask("GET", f"{host.url}/consult/metrics"))["body"])
    found: dict[str, dict[str, float]] = {"consults": {}, "participants": {}, "attempts": {}}
    for name, tenant, count in re.findall(
        r'telerelay_tenant_([a-z]+?)(?:_total)?\{.*?tenant="(\w+)".*?\} ([\d.]+)', text
    ):
        found[name][tenant] = found[name].get(tenant, 0.0) + float(count)
    return found
