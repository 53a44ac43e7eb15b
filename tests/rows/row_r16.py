"""
R16, nursing homes (D3): forty at once, each a resident and a nurse on one device, an expert doctor, an expert nurse and
a relative by sound; a camera that is moved, a series of stills of a wound, and the wound's picture on a weak line.

All homes but one are held by one process of many people (homes.py); one of processes of its own is measured among
them, with its device on an emulated line. As root, for that line.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from rows.counted import Counted
from rows.figures import Figure, is_short, p95, tries
from rows.host import Host
from rows.place import Place
from rows.process import Process
from support.netsim import NamespacePair, Shape

_figure = partial(Figure, "R16", example="ehpad", is_least=False)

HOMES = 40
WHO = ("nurse", "resident", "doctor", "expert_nurse", "relative")
SENDS = {
    "nurse": ("scope",),
    "resident": ("microphone", "camera"),
    "doctor": ("microphone", "camera"),
    "expert_nurse": ("microphone", "camera"),
    "relative": ("microphone",),
}
# N1, and the line of 1 Mbit/s up that a home may have, with a router's queue of a fifth of a second.
N1 = Shape(rate_bps=10e6, queue_bytes=250_000, delay_ms=25)
WEAK_UP = Shape(rate_bps=1e6, queue_bytes=25_000, delay_ms=25)
STILL_BYTES = 300_000
WATCH_S = 12.0
# Small: it is commands and orders that are measured, beside as many people as two cores hold.
PICTURE = (160, 96)


async def measure() -> list[Figure]:
    """In short there are eight homes, and six commands."""
    homes = tries(HOMES)
    with NamespacePair(N1, N1) as net:
        near, far = net.command("a"), net.command("b")
        async with AsyncExitStack() as stack:
            host: Host = await stack.enter_async_context(Host("ehpad", net.address_a, before=near))  # type: ignore[assignment]
            crowd = await stack.enter_async_context(Process("rows.homes", before=near))
            crowd.timeout_s = 240.0
            people = {
                who: await stack.enter_async_context(Counted(far if who in ("nurse", "resident") else near))
                for who in WHO
            }
            others = await crowd.do("hold", url=host.url, homes=homes - 1)
            seats = await _come(host, people)
            figures = [
                _figure(
                    f"of {homes} homes at once: without five people, or where one of them does not hear all others",
                    float(others["bad"] + await _missing(people)),
                    "",
                    0.0,
                ),
                await _camera(people, seats, tries()),
                *await _wound(host, people, seats),
            ]
            net.reshape(N1, WEAK_UP)
            return [*figures, *await _weak(people)]


async def beside(place: Place) -> list[Figure]:
    """Beside other systems: a home that stays, and two more in one process; commands and stills in each round."""
    async with AsyncExitStack() as stack:
        crowd = await stack.enter_async_context(Process("rows.homes"))
        crowd.timeout_s = 240.0
        people = {}
        for who in WHO:
            people[who] = await stack.enter_async_context(Counted())
            await people[who].prepare()
        others = await crowd.do("hold", url=place.url, homes=2)
        seats = await _come(place, people)
        numbers = itertools.count()

        async def once() -> list[Figure]:
            missing = others["bad"] + await _missing(people)
            heard = _figure("of three homes at once: somebody does not hear all others", float(missing), "", 0.0)
            return [
                heard,
                await _camera(people, seats, 6),
                *await _wound(place, people, seats, f"heel-{next(numbers)}"),
            ]

        return await place.rounds(once)


async def _come(host: Host, people: Mapping[str, Any]) -> dict[str, str]:
    """Everybody is in and sends: their participants, and the visit as ""."""
    relay = f"{host.url}/consult"
    visit = (await people["doctor"].ask("POST", f"{host.url}/visits"))["body"]
    seats = {"": visit["visit"]}
    for who in ("doctor", "nurse", "expert_nurse", "resident", "relative"):
        seat = await people[who].enter(relay, visit["links"][who])
        seats[who] = seat["participant"]
        if not seat["admitted"]:
            await people["doctor"].request("admit", participant=seat["participant"])
            await people[who].event("admitted")
    await people["nurse"].have_camera()
    for who, person in people.items():
        await person.send(*SENDS[who], size=PICTURE)
    await asyncio.gather(*(person.received("audio") for person in people.values()))
    return seats


async def _missing(people: Mapping[str, Any]) -> int:
    """1, unless this home hears as many voices as it should, and its relative gets no picture."""
    wanted = {who: {"microphone"} for who in people}
    for who in ("doctor", "expert_nurse"):
        wanted[who] = {"microphone", "camera", "scope"}
        await people[who].received("video")
    since = time.monotonic()
    await asyncio.sleep(2.0)  # it is this that is looked at
    for who, person in people.items():
        came = await person.arrivals(since, time.monotonic())
        sources = {source for source, each in came.items() if source and each["packets"]}
        if not wanted[who] <= sources or (who == "relative" and sources != {"microphone"}):
            print(f"R16  {who} gets {sorted(sources)}", flush=True)
            return 1
    return 0


async def _camera(people: Mapping[str, Any], seats: Mapping[str, str], count: int) -> Figure:
    """The doctor moves the nurse's camera over N1, and has the answer of the device."""
    took = []
    for n in range(count):
        since = time.monotonic()
        await people["doctor"].request("move_camera", participant=seats["nurse"], pan=0.1 * (-1) ** n)
        took.append(time.monotonic() - since)
    return _figure(f"a camera command is acknowledged, p95 of {len(took)}", 1e3 * p95(took), "ms", 300.0)


async def _wound(
    host: Host, people: Mapping[str, Any], seats: Mapping[str, str], wound: str = "heel-left"
) -> list[Figure]:
    """Three stills of one wound, and one of another, as the site has them."""
    nurse, doctor, relay = people["nurse"], people["doctor"], f"{host.url}/consult"
    sent = []
    for label in (wound, wound, "elbow", wound):
        asked = await doctor.request("request_still", participant=seats["nurse"], label=label)
        await nurse.request("answer_still", request=asked["request"], answer="allowed")
        still = await nurse.still(relay, asked["request"], label, STILL_BYTES)
        assert still["status"] == 204, still
        sent += [still["sha256"]] if label == wound else []
    address = f"{host.url}/visits/{seats['']}/wounds/{wound}"
    async with asyncio.timeout(20.0):
        while len(series := (await doctor.ask("GET", address))["body"]) < len(sent):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    found = [each["sha256"] for each in series]
    return [
        _figure("stills of one wound that its series has, in their order", float(len(found)), "", 3.0, is_least=True),
        _figure("of those: another hash, place or label", float(found != sent), "", 0.0),
    ]


async def _weak(people: Mapping[str, Any]) -> list[Figure]:
    """The device has 1 Mbit/s up: how many pictures come of the wound."""
    await asyncio.sleep(5.0)  # the estimates have found the line
    doctor = people["doctor"]
    watch_s = WATCH_S / 2 if is_short() else WATCH_S
    first, since = await doctor.arrivals(0.0, 0.0), time.monotonic()
    await asyncio.sleep(watch_s)  # it is this that is looked at
    last = await doctor.arrivals(since, time.monotonic())
    fps = (last["scope"]["frames"] - first["scope"]["frames"]) / watch_s
    return [_figure("on 1 Mbit/s up: pictures of the wound a second", fps, "", 5.0, is_least=True)]
