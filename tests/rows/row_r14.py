"""
R14, heart failure at home (D2): readings without a call, a tablet that was offline, a rule that opens a consult, a
nurse who is rung and adds a cardiologist.

Tablets and people are processes; the site's clock is put forward by the six hours in which the tablet is offline.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from rows.figures import Figure, is_short, p95
from rows.host import Host
from rows.person import Person
from rows.place import Place

_figure = partial(Figure, "R14", is_least=False, example="scad")

DAYS = 5
OFFLINE_S = 6 * 3600.0
SERIES = {"device": "scale-1", "series": "weights", "kind": "value", "of": "body_weight", "unit": "kg"}

Reading = tuple[float, float]


async def measure() -> list[Figure]:
    count = 10 if is_short() else 50
    async with Host("scad") as host, Person() as tablet, Person() as nurse, Person() as expert:
        return [
            *await _daily(host, tablet, range(count)),
            await _media(host, tablet),
            *await _offline(host, tablet),
            *await _called(host, tablet, nurse, expert),
        ]


async def beside(place: Place) -> list[Figure]:
    """Beside other systems: readings of five patients, and a call, in each round."""
    async with place.people(3) as people:
        (tablet, nurse, expert), numbers = people, itertools.count()

        async def once() -> list[Figure]:
            for person in people:
                person.forget()
            number = next(numbers)
            read = await _daily(place, tablet, range(5 * number, 5 * number + 5))
            called = await _called(place, tablet, nurse, expert, f"patient-h{number}")
            await nurse.request("end")
            for person in people:
                await person.leave()
            for person in (tablet, nurse):
                await person.hang_up()
            return [*read, *called]

        return await place.rounds(once)


async def _token(host: Host, tablet: Person, patient: str) -> dict[str, Any]:
    return dict((await tablet.ask("POST", f"{host.url}/enrol", {"patient": patient}))["body"])


async def _send(host: Host, tablet: Person, patient: str, readings: list[Reading], seq: int = 0) -> bool:
    """Whether they were taken."""
    enrolled = await _token(host, tablet, patient)
    times, values = zip(*readings, strict=True)
    batch = {"device": "scale-1", "series": "weights", "seq": seq, "times": times, "values": values}
    answer = await tablet.ask(
        "POST",
        f"{host.url}/consult/measurements/{enrolled['room']}",
        {"series": [SERIES], "batches": [batch]},
        enrolled["token"],
    )
    return bool(answer["status"] == 200 and answer["body"]["series"][0]["next"] == seq + len(readings))


async def _wrong(host: Host, page: Person, patient: str, expected: list[Reading]) -> int:
    """Readings that the nurse's page does not show as they were measured, or shows besides."""
    shown = (await page.ask("GET", f"{host.url}/patients/{patient}/readings"))["body"]
    found = [tuple(each) for each in shown]
    return len(set(found) ^ set(expected)) + abs(len(found) - len(expected))


async def _daily(host: Host, tablet: Person, numbers: Sequence[int]) -> list[Figure]:
    """Each says one reading a day, and says some of them twice."""
    begin = host.now - DAYS * 86400.0
    refused = wrong = 0
    for number in numbers:
        patient = f"patient-{number}"
        readings = [(begin + day * 86400.0 + number, 70.0 + number / 10 + day / 20) for day in range(DAYS)]
        for seq, reading in enumerate(readings):
            refused += not await _send(host, tablet, patient, [reading], seq)
        refused += not await _send(host, tablet, patient, readings[-1:], DAYS - 1)
        wrong += await _wrong(host, tablet, patient, readings)
    return [
        _figure(f"readings of {len(numbers)} patients on {DAYS} days that were not taken", float(refused), "", 0.0),
        _figure("readings that are shown otherwise than they were measured, or twice", float(wrong), "", 0.0),
    ]


async def _media(host: Host, tablet: Person) -> Figure:
    """What the relay says of connections after that."""
    health = await tablet.ask("GET", f"{host.url}/consult/metrics")
    media = [line for line in health["body"].splitlines() if line.startswith("telerelay_transports{")]
    return _figure("connections with media meanwhile", sum(float(line.split()[-1]) for line in media), "", 0.0)


async def _offline(host: Host, tablet: Person) -> list[Figure]:
    """Measured each ten minutes; said six hours later."""
    since = host.now
    readings = [(since + minutes * 60.0, 80.0 + minutes / 1000) for minutes in range(0, 360, 10)]
    await host.put_forward(OFFLINE_S)
    is_taken = await _send(host, tablet, "patient-away", readings)
    wrong = await _wrong(host, tablet, "patient-away", readings)
    lost = len(readings) if not is_taken else 0
    return [
        _figure("readings of a tablet that was offline for 6 h, of 36: not taken", float(lost), "", 0.0),
        _figure("of those with another time than that of their measurement", float(wrong), "", 0.0),
    ]


async def _called(host: Host, tablet: Person, nurse: Person, expert: Person, sick: str = "patient-h") -> list[Figure]:
    """Two kilograms more in two days."""
    now = host.now
    await nurse.listen(f"{host.url}/desks/nurse-2")
    await tablet.listen(f"{host.url}/tablets/{sick}")
    took: list[float] = []
    since = len(nurse.events)
    sent_at = time.monotonic()
    await _send(host, tablet, sick, [(now - 2 * 86400.0, 80.0), (now, 82.1)])
    rung = await nurse.event("said", lambda said: said["said"]["patient"] == sick, since)
    took.append(rung["at"] - sent_at)
    call = rung["said"]
    relay = f"{host.url}/consult"
    await nurse.enter(relay, call["link"])
    patient = await tablet.event("said")
    waits = await tablet.enter(relay, patient["said"]["link"])
    await nurse.request("admit", participant=waits["participant"])
    await tablet.event("admitted")
    invited = await nurse.ask("POST", f"{host.url}/consults/{call['consult']}/invite", {"cardiologist": "doctor-4"})
    comes = await expert.enter(relay, invited["body"]["link"])
    await nurse.request("admit", participant=comes["participant"])
    await expert.event("admitted")
    people = (nurse, tablet, expert)
    for person in people:
        await person.publish()
    results = await asyncio.gather(
        *(person.received(kind) for person in people for kind in ("audio", "video")), return_exceptions=True
    )
    return [
        _figure("the nurse is rung once a reading is too high", p95(took), "s", 2.0),
        _figure(
            "of nurse, patient and cardiologist: kinds that one of them does not receive",
            float(sum(isinstance(each, BaseException) for each in results)),
            "",
            0.0,
        ),
    ]
