"""
R13, stroke (D2): beside a routine that is full an emergency connects three sites at once; the next doctor on call is
rung; 720p30 is held; a site and a worker are lost.

Each site is a process, on a line of its own with 50 ms and 10 Mbit/s (N1). Where a client did not get to run for
longer than STARVED_S what it measured is void, and is measured again.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from statistics import median

from rows.counted import Counted
from rows.figures import Figure, is_short, p95, tries
from rows.host import Host
from rows.person import Person
from rows.place import Place
from rows.process import Message
from support.impairment import Impairment, UdpImpairment

_figure = partial(Figure, "R13", is_least=False, example="teleavc")

N1 = Impairment(delay_ms=25.0, rate_bps=10_000_000)
ROUTINE = 3
"""Calls that there is room for beside what is kept for emergencies."""
CALL_PACKETS_PER_S = 361
RING_S = 30.0
STARVED_S = 0.15
VOID = 3
"""As often a measurement is begun anew because its clients did not get to run."""
LOOK_S = 8.0
PICTURE_BPS = 1_800_000
"""Of a camera in 720p30 (docs/load.md)."""


class Sites:
    """The three of them, and the example."""

    def __init__(self, host: Host, hospital: Person, radiology: Person, neurology: Person) -> None:
        self.host = host
        self.people = {"hospital": hospital, "radiology": radiology, "neurology": neurology}
        self.relay = f"{host.url}/consult"

    async def open_desk(self, person: Person, doctor: str) -> None:
        answer = await person.ask("POST", f"{self.host.url}/desks/{doctor}")
        await person.listen(f"{self.relay}/desk", {"type": "open", "id": 1, "token": answer["body"]["token"]})

    async def rung(self, person: Person, call: str, since: int) -> Message:
        """When a desk rings for that call."""

        def is_it(said: Message) -> bool:
            calls = said["said"].get("calls", ())
            return any(each["consult"] == call and not each["missed"] for each in calls)

        return await person.event("said", is_it, since)

    async def stroke(self, **picture: int) -> tuple[str, dict[str, Message]]:
        """
        The neurologist's desk rings and all three come at once; the call, and of each when both others were seen, with
        when it began to join.
        """
        neurology, since = self.people["neurology"], len(self.people["neurology"].events)
        opened = (await self.people["hospital"].ask("POST", f"{self.host.url}/strokes"))["body"]
        call = opened["call"]
        await self.rung(neurology, call, since)

        async def answer() -> Message:
            began = len(neurology.events)
            await neurology.tell({"type": "accept", "id": 2, "consult": call})
            entrance = await neurology.event("said", lambda said: "token" in said["said"], began)
            return await neurology.join(self.relay, call, entrance["said"]["token"])

        async def come(name: str, joining: Awaitable[Message]) -> Message:
            began = time.monotonic()
            joined = await joining
            person = self.people[name]
            await person.publish(**picture)
            seen = await person.sees(2)
            return {**joined, **seen, "took_s": seen["at"] - began}

        coming = {
            name: person.enter(self.relay, opened["links"][name])
            for name, person in self.people.items()
            if name != "neurology"
        }
        found = await asyncio.gather(*(come(name, each) for name, each in (coming | {"neurology": answer()}).items()))
        return call, dict(zip((*coming, "neurology"), found, strict=True))

    async def end(self) -> None:
        await self.people["neurology"].request("end")
        await asyncio.gather(*(each.leave() for each in self.people.values()))


async def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as run_dir:
        # As many routine calls as there is room for, and a tenth more that emergencies alone may use.
        capacity = (ROUTINE + 0.5) * CALL_PACKETS_PER_S / 0.9
        environment = {
            "TELERELAY_CONSULTS_CAPACITY_PACKETS_PER_S": f"{capacity:.0f}",
            "TELERELAY_WORKERS_HOST": "process",
            "TELERELAY_SERVE_RUN_DIR": run_dir,
        }
        async with Host("teleavc", environment=environment) as host, _sites(host) as sites, _full(host, sites) as full:
            return [
                *full,
                *await _connected(sites, tries()),
                *await _rung(host, sites),
                *await _held(sites),
                *await _lost(host, sites),
            ]


async def beside(place: Place) -> list[Figure]:
    """Beside other systems: a stroke in each round, without an emulated line."""
    async with place.people(3) as (hospital, radiology, neurology):
        sites = Sites(place, hospital, radiology, neurology)
        await sites.open_desk(neurology, "neurologist-1")
        return await place.rounds(partial(_connected, sites, 2))


@asynccontextmanager
async def _sites(host: Host) -> AsyncIterator[Sites]:
    async with AsyncExitStack() as stack:
        people = [await stack.enter_async_context(Person()) for _ in range(3)]
        for person in people:
            line = stack.enter_context(UdpImpairment(("127.0.0.1", host.udp[1]), N1, N1))
            person.relay_port = line.port
        sites = Sites(host, *people)
        await sites.open_desk(people[2], "neurologist-1")
        yield sites


@asynccontextmanager
async def _full(host: Host, sites: Sites) -> AsyncIterator[list[Figure]]:
    """Patients of the routine come until one is held."""
    async with AsyncExitStack() as stack:
        held = []
        for number in range(ROUTINE + 1):
            person = await stack.enter_async_context(Person())
            opened = await person.ask("POST", f"{host.url}/routine", {"patient": f"patient-{number}"})
            await person.enter(sites.relay, opened["body"]["link"])
            held.append((await person.event("waiting", lambda told: told["position"] > 0))["held"])
        wrong = held != [False] * ROUTINE + [True]
        yield [_figure(f"of {ROUTINE + 1} routine calls not just the last is held for room", float(wrong), "", 0.0)]


async def _unstarved(measured: Callable[[], Awaitable[list[Message]]]) -> list[Message]:
    """What the clients measured, once all of them got to run; where they never do, of the try that lacked least."""
    tried: list[tuple[float, list[Message]]] = []
    for _ in range(VOID):
        found = await measured()
        tried.append((max(each["starved_s"] for each in found), found))
        if tried[-1][0] <= STARVED_S:
            break
        print(f"R13  void: a client did not get to run for {tried[-1][0]:.2f} s", flush=True)
    return min(tried, key=lambda each: each[0])[1]


async def _connected(sites: Sites, count: int) -> list[Figure]:
    """From the click at each site to the first pictures of both others."""
    took: list[float] = []
    waited = 0

    async def once() -> list[Message]:
        _, found = await sites.stroke()
        await sites.end()
        return list(found.values())

    for _ in range(count):
        found = await _unstarved(once)
        took += [max(each["took_s"] for each in found)]
        waited += sum(not each["admitted"] for each in found)
    return [
        _figure("three sites see each other, beside a full routine", (median if is_short() else p95)(took), "s", 3.0),
        _figure("of them: had to wait to be let in", float(waited), "", 0.0),
    ]


async def _rung(host: Host, sites: Sites) -> list[Figure]:
    """The first one does not answer: thirty seconds pass, and the second one's desk rings."""
    early = 0
    took: list[float] = []
    first = sites.people["neurology"]
    async with Person() as second:
        await sites.open_desk(second, "neurologist-2")
        for _ in range(tries(5)):
            since, before = len(first.events), len(second.events)
            call = (await second.ask("POST", f"{host.url}/strokes"))["body"]["call"]
            await sites.rung(first, call, since)
            await host.put_forward(RING_S - 2.0)
            early += any(
                call in [each["consult"] for each in said["said"].get("calls", ())]
                for said in second.events[before:]
                if said["type"] == "said"
            )
            passed = await host.put_forward(2.0)
            rings = await sites.rung(second, call, before)
            took.append(rings["at"] - passed["began"])
        await second.hang_up()
    return [
        _figure("rung before the first one had his 30 s", float(early), "", 0.0),
        _figure("the next one on call is rung once they are over", median(took), "s", 1.0),
    ]


async def _held(sites: Sites) -> list[Figure]:
    """
    The hospital shows the patient in 720p30 over N1; what comes to radiology in LOOK_S, frame by frame.

    The picture was encoded beforehand: it leaves 30 times a second of the clock, however slow this machine is.
    """
    rates: list[float] = []
    heights: list[float] = []
    opened = (await sites.people["hospital"].ask("POST", f"{sites.host.url}/strokes"))["body"]
    looks = sites.people["radiology"]
    async with Counted() as shows:
        shows.relay_port = sites.people["hospital"].relay_port
        await shows.enter(sites.relay, opened["links"]["hospital"])
        await looks.enter(sites.relay, opened["links"]["radiology"])
        await shows.send("microphone", "camera", bps=PICTURE_BPS, size=(1280, 720))
        await looks.sees(1)

        async def once() -> list[Message]:
            before = (await shows.arrivals(0.0, 0.0))[""]["starved_s"]
            seen = await looks.look(LOOK_S)
            return [seen, {"starved_s": (await shows.arrivals(0.0, 0.0))[""]["starved_s"] - before}]

        for _ in range(1 if is_short() else 3):
            seen, _ = await _unstarved(once)
            (picture,) = seen["pictures"].values()
            rates.append(picture["frames"] / LOOK_S)
            heights.append(seen["height"])
        await asyncio.gather(shows.leave(), looks.leave())
    return [
        _figure("lines of the picture that came over N1", min(heights), "", 720.0, is_least=True),
        _figure("its frames that came and could be decoded, a second", median(rates), "", 28.5, is_least=True),
    ]


async def _lost(host: Host, sites: Sites) -> list[Figure]:
    """The worker dies under a call of three; then a site does."""
    backs: list[float] = []

    async def once() -> list[Message]:
        await sites.stroke()
        killed = time.monotonic()
        await host.kill_worker()
        await asyncio.sleep(0.3)  # what had come before has been counted by then
        back = await asyncio.gather(*(each.sees(2) for each in sites.people.values()))
        await sites.end()
        return [{**each, "took_s": each["at"] - killed} for each in back]

    for _ in range(1 if is_short() else 5):
        backs.append(max(each["took_s"] for each in await _unstarved(once)))
    frozen: list[float] = []
    for _ in range(1 if is_short() else 3):
        frozen.append(await _site_lost(sites))
    return [
        _figure("the worker is killed: all see both others again", median(backs), "s", 5.0),
        _figure("a site is killed: the longest freeze between the others", median(frozen), "s", 0.5),
    ]


async def _site_lost(sites: Sites) -> float:
    """Radiology's process dies while the two others look at each other: their longest freeze, seconds."""

    async def once() -> list[Message]:
        kept = sites.people["radiology"]
        async with Person() as mortal:
            sites.people["radiology"], mortal.relay_port = mortal, kept.relay_port
            try:
                _, found = await sites.stroke()
                here = [(sites.people[name], name) for name in ("hospital", "neurology")]
                looking = asyncio.gather(*(person.look(LOOK_S) for person, _ in here))
                await asyncio.sleep(LOOK_S / 4)  # as long a call is whole
                mortal.kill()
                looked = await looking
            finally:
                sites.people["radiology"] = kept
        await sites.end()
        others = [found["neurology"]["participant"], found["hospital"]["participant"]]
        return [
            {**each, "longest_s": each["pictures"][other]["longest_s"]}
            for each, other in zip(looked, others, strict=True)
        ]

    return max(each["longest_s"] for each in await _unstarved(once))
