"""
R01, Medicam's surge (D0): 131 consults at call rate come within ten minutes as a day grows; and over the cap a routine
patient waits with a position, while calls that run notice nothing.

The load is `telerelay load`'s, a process of its own with a relay of its own: by command whole, and a fifth of it in
short. The cap is the example's, whose people are processes.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

from rows.commands import TELERELAY, lines_of
from rows.counted import Counted
from rows.figures import Figure, is_short
from rows.host import Host
from rows.person import Person

_figure = partial(Figure, "R01", example="medicam", is_least=False)

ROOMS, LENGTH_S = 131, 600
# Of one call, in packets a second, and half of another: there is room for one.
ROOM_FOR_ONE = "540"
WATCH_S = 5.0
FREEZE_S = 0.5
TRIES = 3


async def measure() -> list[Figure]:
    """In short 26 consults come within 30 s."""
    return [*await _surge(), *await _over_the_cap()]


async def _surge() -> list[Figure]:
    rooms, length_s = (ROOMS // 5, 30) if is_short() else (ROOMS, LENGTH_S)
    command = ("load", "--profile", "surge", "--rooms", str(rooms), "--duration", str(length_s), "--json", "--quiet")
    report: dict[str, Any] = {}
    for _ in range(TRIES):
        # A picture that is held back for the line it is for is no delay of the relay's.
        report = (await lines_of(*TELERELAY, *command, TELERELAY_MEDIA_ADAPTATION="false"))[-1]
        if not report["generator_limited"] and not report["warnings"]:
            break  # otherwise it was the machine that was measured
    joins = report["joins"]
    return [
        _figure(f"of {2 * rooms} joins: failed", float(joins["failed"]), "", 0.0),
        _figure("from the join to media both ways, at most", report["join_ms"]["max"] / 1e3, "s", 2.0),
        _figure("delay that the relay adds, p99, its pacer apart", report["latency_us"]["p99"] / 1e3, "ms", 10.0),
        _figure("packets lost", 100 * report["loss"], "%", 0.01),
    ]


async def _over_the_cap() -> list[Figure]:
    """One call runs; a routine patient and an emergency come beside it."""
    settings = {"TELERELAY_CONSULTS_CAPACITY_PACKETS_PER_S": ROOM_FOR_ONE}
    async with (
        Host("medicam", environment=settings) as host,
        Counted() as patient,
        Counted() as doctor,
        Person() as second,
        Person() as colleague,
    ):
        relay = f"{host.url}/consult"
        first = (await doctor.ask("POST", f"{host.url}/consults", {}))["body"]["links"]
        await doctor.enter(relay, first["practitioner"])
        seat = await patient.enter(relay, first["patient"])
        await doctor.request("admit", participant=seat["participant"])
        await asyncio.gather(*(each.publish(160, 96) for each in (patient, doctor)))
        await asyncio.gather(*(each.received(kind) for each in (patient, doctor) for kind in ("audio", "video")))
        began = time.monotonic()
        await asyncio.sleep(WATCH_S)
        links = (await colleague.ask("POST", f"{host.url}/consults", {}))["body"]["links"]
        came = time.monotonic()
        await colleague.enter(relay, links["practitioner"])
        await second.enter(relay, links["patient"])
        waits = await second.event("waiting")
        await asyncio.sleep(WATCH_S)  # the call beside it goes on
        over = time.monotonic()
        rates = []
        gaps = []
        for each in (patient, doctor):
            before = (await each.arrivals(began, came))["microphone"]
            after = (await each.arrivals(came, over))["microphone"]
            rates.append((after["packets"] / (over - came)) / max(1e-9, before["packets"] / (came - began)))
            gaps.append(after["most_s"])
        since = len(second.events)
        await doctor.request("end")
        let_go = await second.event("waiting", lambda message: not message["held"], since)
        return [
            _figure(
                "over the cap: the position a routine patient waits with",
                float(waits["position"]),
                "",
                1.0,
                is_least=True,
            ),
            _figure("held for lack of room", float(waits["held"]), "", 1.0, is_least=True),
            _figure("packets of sound of the call that runs, meanwhile to before", min(rates), "", 0.95, is_least=True),
            _figure("its longest silence meanwhile", max(gaps), "s", FREEZE_S),
            _figure("released when that call is over", float(not let_go["held"]), "", 1.0, is_least=True),
        ]
