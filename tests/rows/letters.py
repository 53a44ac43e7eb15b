"""
A call on a patient's own line, and files that go over the same line beside it: what they do to the voice.

Event loop of the row. The patient's processes are in a network namespace of their own; relay and doctor are on the
other side of the line. Needs root.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rows.counted import Counted
from rows.host import Host
from rows.instrument import Instrument
from rows.person import Person
from support.netsim import NamespacePair, Shape

# N2, with what a home's router keeps: a fifth of a second.
DOWN = Shape(rate_bps=5e6, queue_bytes=125_000, delay_ms=25)
UP = Shape(rate_bps=2e6, queue_bytes=50_000, delay_ms=25)
# A picture that takes of the line what a call may, and gives way to nothing; small, for who receives it decodes it.
VIDEO_BPS = 1_200_000
PDF = {"filename": "letter.pdf", "filetype": "application/pdf"}
# A file of 10 MB at the least rate that is of any use.
FILE_S = 900.0
SETTLE_S = 3.0
# What a file left in the queues is gone then.
DRAIN_S = 1.0
# Behind a moment in which a client did not run, what was held up by it is there.
LATE_S = 0.1
PACKETS_PER_S = 50


@dataclass(frozen=True, slots=True)
class Beside:
    """What a file did to a voice that goes the same way; of sound, seconds, p95: from one packet to the next, late."""

    size: int
    took_s: float
    quiet_s: float
    beside_s: float
    quiet_late_s: float
    late_s: float
    left: float
    """The share of the sound that counts: what came while sender or listener did not get to run does not."""

    @property
    def grew_ms(self) -> float:
        """How much longer it is from one packet to the next."""
        return 1e3 * (self.beside_s - self.quiet_s)

    @property
    def later_ms(self) -> float:
        """How much later they come."""
        return 1e3 * (self.late_s - self.quiet_late_s)

    @property
    def bps(self) -> float:
        return 8 * self.size / self.took_s


class Letters:
    """`async with Letters(net, settings) as call:` both see and hear each other; no role but theirs has a seat yet."""

    def __init__(self, net: NamespacePair, settings: Mapping[str, str]) -> None:
        self.near, far = net.command("a"), net.command("b")
        self.host = Host("medicam", net.address_a, before=self.near, environment=settings)
        self.patient, self.doctor = Counted(far), Counted(self.near)
        self.patients, self.doctors = Instrument(far), Instrument(self.near)
        self.tokens: dict[str, str] = {}
        self.consult = ""
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Letters:
        async with contextlib.AsyncExitStack() as stack:
            for each in (self.host, self.patient, self.doctor, self.patients, self.doctors):
                await stack.enter_async_context(each)
            self.patients.timeout_s = self.doctors.timeout_s = FILE_S
            await self._call()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def relay(self) -> str:
        return f"{self.host.url}/consult"

    @property
    def documents(self) -> str:
        return f"{self.relay}/documents"

    async def _call(self) -> None:
        opened = (await self.doctor.ask("POST", f"{self.host.url}/consults", {}))["body"]
        self.consult = opened["consult"]
        for role, link in opened["links"].items():
            answer = await self.doctor.ask("POST", f"{self.relay}/link", {"link": link.rpartition("=")[2]})
            self.tokens[role] = answer["body"]["token"]
        people = (self.patient, self.doctor)
        await self.enter(self.doctor, "practitioner")
        await self.enter(self.patient, "patient")
        await asyncio.gather(*(each.send(bps=VIDEO_BPS) for each in people))
        await asyncio.gather(*(each.received(kind) for each in people for kind in ("audio", "video")))
        await asyncio.sleep(SETTLE_S)  # the line is as it will be: estimates have begun

    async def enter(self, person: Person, role: str) -> None:
        """Take that role's seat; the doctor lets whoever waits in."""
        seat = await person.join(self.relay, self.consult, self.tokens[role])
        if not seat["admitted"]:
            await self.doctor.request("admit", participant=seat["participant"])
            await person.event("admitted")

    async def send(self, by: str, size: int) -> tuple[str, str]:
        """To the relay: the document's name, and the hash that was taken before."""
        instrument = self.patients if by == "patient" else self.doctors
        since = len(instrument.events)
        await instrument.begin(self.documents, self.tokens[by], size, "letter", **PDF)
        sent = await instrument.event("sent", since=since, within_s=FILE_S)
        return sent["url"].rpartition("/")[2], sent["sha256"]

    async def fetch(self, by: str, document: str) -> dict[str, str]:
        """What the relay gives of it: {"status", "sha256", "told", "size"}."""
        instrument = self.patients if by == "patient" else self.doctors
        return await instrument.fetch(f"{self.documents}/{document}", self.tokens[by])

    async def beside(self, by: str, size: int, document: str = "", quiet_s: float = 10.0) -> tuple[Beside, object]:
        """
        A file over the patient's line, sent by the patient or fetched, and the voice that shares its way, heard before,
        meanwhile and behind it. Returns what `send` or `fetch` did as well.
        """
        listener = self.patient if document else self.doctor
        first = time.monotonic()
        await asyncio.sleep(quiet_s)  # it is this that is measured
        began = time.monotonic()
        done = await (self.fetch(by, document) if document else self.send(by, size))
        ended = time.monotonic()
        await asyncio.sleep(quiet_s + DRAIN_S)
        last = time.monotonic()
        spells = [each for person in (self.patient, self.doctor) for each in await person.starved()]
        void = [(since, until + LATE_S) for since, until in spells if until + LATE_S > first]
        heard = [
            await _heard(listener, *each, void) for each in ((first, began), (ended + DRAIN_S, last), (began, ended))
        ]
        before, behind, beside = heard
        quiet_gap_s, quiet_late_s = ((before[n] + behind[n]) / 2 for n in (0, 1))
        left = min(each[2] for each in heard)
        return Beside(size, ended - began, quiet_gap_s, beside[0], quiet_late_s, beside[1], left), done


async def _heard(
    listener: Counted, since: float, until: float, void: Sequence[tuple[float, float]]
) -> tuple[float, float, float]:
    """
    Of the voice: from one packet to the next, how late, and what share of it counts. The times are not numbers, where
    it was away: no bound is reached.
    """
    voice = (await listener.arrivals(since, until, void)).get("microphone", {})
    gap_s, late_s = (math.nan if voice.get(name) is None else float(voice[name]) for name in ("p95_s", "late_s"))
    return gap_s, late_s, voice.get("good", 0) / (PACKETS_PER_S * (until - since))
