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
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from statistics import median
from typing import Any

from rows.counted import Counted
from rows.device import Device
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
WATCH_S = 6.0
LOOK_S, LOOKS, SETTLE_S = 4.0, 3, 60.0
WANTED_MBIT = 1.2
"""Two pictures that want more than a line of 1 Mbit/s has."""
GIVES_WAY_BPS = 250_000
"""A picture that was told to make room has no more, with what is around it and an encoder's swing."""
# Small: it is commands and orders that are measured, beside as many people as two cores hold.
PICTURE = (160, 96)


async def measure() -> list[Figure]:
    """In short there are eight homes, six commands, and no browser: what that sends needs an idle machine."""
    homes = tries(HOMES)
    with NamespacePair(N1, N1) as net:
        near, far = net.command("a"), net.command("b")
        net.lead_out()
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
            figures += await _small(people)
            if is_short():
                return figures
            net.reshape(N1, N1)
            return [*figures, *await _weak(host, people, net)]


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


async def _small(people: Mapping[str, Any]) -> list[Figure]:
    """The device has 1 Mbit/s up, and pictures that fill a part of it: how many come of the wound."""
    await asyncio.sleep(5.0)  # the estimates have found the line
    doctor = people["doctor"]
    first, since = await doctor.arrivals(0.0, 0.0), time.monotonic()
    await asyncio.sleep(WATCH_S)  # it is this that is looked at
    last = await doctor.arrivals(since, time.monotonic())
    fps = (last["scope"]["frames"] - first["scope"]["frames"]) / WATCH_S
    return [_figure("on 1 Mbit/s up: small pictures of the wound a second", fps, "", 5.0, is_least=True)]


async def _weak(host: Host, people: Mapping[str, Any], net: NamespacePair) -> list[Figure]:
    """
    Another visit of that home, whose device is a browser: face and wound fill whatever there is, from the pages of two
    people over one line. Then that has 1 Mbit/s up.
    """
    relay, doctor = f"{host.url}/consult", people["doctor"]
    await asyncio.gather(*(each.leave() for each in people.values()))
    async with Device(relay, net.command("b")) as device:
        links = (await doctor.ask("POST", f"{host.url}/visits"))["body"]["links"]
        await doctor.enter(relay, links["doctor"])
        await doctor.send("microphone")
        await device.enter(links["nurse"], "scope")
        resident = await device.enter(links["resident"], "microphone", "camera")
        await doctor.request("admit", participant=resident)
        wide = await _looked(doctor, lambda came: _bps(came, "scope") + _bps(came, "camera") >= 1e6 * WANTED_MBIT)
        net.reshape(N1, WEAK_UP)
        await _looked(doctor, lambda came: _bps(came, "camera") <= GIVES_WAY_BPS)
        weak = [await _looked(doctor) for _ in range(LOOKS)]
    wanted_mbit = (_bps(wide, "scope") + _bps(wide, "camera")) / 1e6
    share = median(_bps(each, "scope") / max(1.0, _bps(each, "camera")) for each in weak)
    fps = median(each.get("scope", {"fps": 0.0})["fps"] for each in weak)
    return [
        _figure("face and wound, where the line carries them", wanted_mbit, "Mbit/s", WANTED_MBIT, is_least=True),
        _figure("on 1 Mbit/s up: pictures of the wound a second", fps, "", 5.0, is_least=True),
        _figure("of the line: what the wound has, to what the face has", share, "", 2.0, is_least=True),
    ]


Came = Mapping[str, Any]


async def _looked(doctor: Any, condition: Callable[[Came], bool] = lambda came: True) -> Came:
    """What comes to the doctor by source in LOOK_S, once that is so; as it is, where it is not in time."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        since = time.monotonic()
        await asyncio.sleep(LOOK_S)  # it is this that is looked at
        took_s = time.monotonic() - since
        came = await doctor.arrivals(since, since + took_s)
        found = {
            source: {"bps": 8 * each["bytes"] / took_s, "fps": each["ended"] / took_s}
            for source, each in came.items()
            if source
        }
        if ({"scope", "camera"} <= found.keys() and condition(found)) or time.monotonic() > deadline:
            return found


def _bps(came: Came, source: str) -> float:
    return float(came[source]["bps"]) if source in came else 0.0
