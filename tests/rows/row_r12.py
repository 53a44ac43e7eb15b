"""
R12, Télécabine, ophthalmology (D4): a 50 MB instrument file survives a 20 s network cut, goes on from the last
acknowledged chunk, keeps its type label, and has the same hash at the instrument, the relay and the doctor.

The instrument and the doctor are processes of their own; the line between the instrument and the relay is the row's.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from urllib.parse import urlsplit

from rows.cut import CutLine
from rows.figures import Figure, is_short
from rows.host import Host
from rows.instrument import CHUNK_BYTES, Instrument
from rows.person import Person, attested
from rows.place import Place

_figure = partial(Figure, "R12", example="telecabine", is_least=False)

CUT_S = 20.0
# Heads of requests are not the file: under a thousand bytes each, of some fifty requests.
HEADS_BYTES = 65536


async def measure() -> list[Figure]:
    """Each figure of the row. In short the file has 10 MB, and the line is away for 4 s."""
    size, cut_s = (10_000_000, CUT_S / 5) if is_short() else (50_000_000, CUT_S)
    async with (
        Host("telecabine") as host,
        Person() as device,
        Person() as doctor,
        _Booth(host, device, doctor) as booth,
    ):
        return await booth.visit(size, cut_s)


async def beside(place: Place) -> list[Figure]:
    """Beside other systems: a visit in each round, of 5 MB and a line that is away for 2 s."""
    async with place.people(2) as people, _Booth(place, *people) as booth:
        return await place.rounds(partial(booth.visit, 5_000_000, CUT_S / 10))


class _Booth:
    """Everybody of a booth, and its line, as long as it stands there."""

    def __init__(self, host: Host, device: Person, doctor: Person) -> None:
        self._host = host
        self._device = device
        self._doctor = doctor
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> _Booth:
        async with AsyncExitStack() as stack:
            self._instrument = await stack.enter_async_context(Instrument())
            self._reader = await stack.enter_async_context(Instrument())
            self._line = await stack.enter_async_context(CutLine("127.0.0.1", urlsplit(self._host.url).port or 0))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def visit(self, size: int, cut_s: float) -> list[Figure]:
        """A file of so many bytes, over a line that is away for so many seconds."""
        host, booth, doctor, line = self._host, self._device, self._doctor, self._line
        instrument, reader = self._instrument, self._reader
        for each in (booth, doctor, instrument):
            each.forget()
        before_bytes = line.up_bytes
        visit = (await booth.ask("POST", f"{host.url}/visits"))["body"]
        tokens = {}
        relay = f"{host.url}/consult"
        for role, person in (("device", booth), ("practitioner", doctor)):
            answer = await person.ask("POST", f"{relay}/link", {"link": visit["links"][role]})
            tokens[role] = answer["body"]["token"]
            await person.join(relay, visit["visit"], tokens[role])
        cutting = asyncio.create_task(line.cut(cut_s, size // 2))
        await asyncio.sleep(0)  # it waits for them
        await instrument.begin(f"{line.url}{urlsplit(relay).path}/documents", tokens["device"], size, "oct")
        away, back = await cutting
        told = (each for each in instrument.events if each["type"] == "acknowledged" and each["at"] < back)
        before = max(each["offset"] for each in told)
        sent = await instrument.event("sent")
        address = f"{relay}/documents/{sent['url'].rpartition('/')[2]}"
        listed = (await doctor.ask("GET", f"{relay}/documents", token=tokens["practitioner"]))["body"]["documents"]
        got = await reader.fetch(address, tokens["practitioner"])
        await doctor.request("end")
        after = await reader.fetch(address, tokens["practitioner"])
        signed = (await attested(booth, f"{host.url}/visits/{visit['visit']}/attestation"))["attestation"]
        await asyncio.gather(booth.leave(), doctor.leave())
        hashes = {sent["sha256"], got["sha256"], got["told"], listed[0]["sha256"], signed["documents"][0]["sha256"]}
        again_bytes = before - min(sent["resumed"], default=0)
        return [
            _figure("the line was away in the middle of it", back - away, "s", cut_s, is_least=True),
            _figure("bytes that came", float(got["size"]), "", float(size), is_least=True),
            _figure(
                "hashes of instrument, relay, list, doctor and attestation that differ", len(hashes) - 1.0, "", 0.0
            ),
            _figure("acknowledged bytes that were sent again", float(max(0, again_bytes)), "", 0.0),
            _figure(
                "sent again of what was not acknowledged",
                max(0.0, float(line.up_bytes - before_bytes - size - HEADS_BYTES)),
                "",
                float(CHUNK_BYTES),
            ),
            _figure("labels that are not the instrument's", float(listed[0]["label"] != "oct"), "", 0.0),
            _figure("answers but 410 after the end", float(after["status"] != 410), "", 0.0),
        ]
