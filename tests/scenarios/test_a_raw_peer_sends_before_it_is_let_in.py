"""
A peer that keeps to no page's manners waits before a consult and sends all the same, on every transport it can get:
each packet is counted as refused and none arrives, at the sockets of both sides, until it is let in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from support.near_relay import NearRelay, near_relay
from support.raw_peer import RawPerson, SocketPerson, WhipPerson
from support.waiting import until
from telerelay.consult.plan import ConsultPlan

BEFORE, AFTER = 100, 50
EVERY_S = 0.005


@pytest.fixture
async def relay() -> AsyncIterator[NearRelay]:
    async with near_relay() as relay:
        yield relay


@dataclass(slots=True)
class Count:
    """What a listener got: the payloads, which are the numbers that were said."""

    person: RawPerson

    @property
    def heard(self) -> set[bytes]:
        return {packet[-8:] for packet in self.person.listens.packets}


def refused(relay: NearRelay) -> int:
    return int(relay.relay.stats()[0].drops.get("not_admitted", 0))


async def say(person: RawPerson, prefix: bytes, count: int) -> set[bytes]:
    """So many packets, each other than all before; what was said."""
    said = {prefix + number.to_bytes(4, "big") for number in range(count)}
    for each in sorted(said):
        person.speaks.say(each)
        await asyncio.sleep(EVERY_S)
    return said


@pytest.mark.parametrize("way", [SocketPerson, WhipPerson])
async def test_each_packet_of_who_waits_is_refused_and_none_arrives(relay: NearRelay, way: type[RawPerson]) -> None:
    """
    Both ways, over a WebSocket's connections and over WHIP and WHEP; what was said before admission is not told after.
    """
    await relay.relay.consults.schedule(ConsultPlan("r1"))
    async with aiohttp.ClientSession() as http:
        doctor = SocketPerson(http, relay.url, "r1", relay.token("r1", "doc"))
        patient = way(http, relay.url, "r1", relay.token("r1", "pat", "patient"))
        await doctor.join()
        await patient.join()
        before = refused(relay)
        early, _ = await asyncio.gather(say(patient, b"pat-", BEFORE), say(doctor, b"doc-", BEFORE))
        await until(lambda: refused(relay) - before >= BEFORE)
        at_the_door = (Count(doctor).heard, Count(patient).heard, refused(relay) - before)
        await relay.relay.consults.admit("r1", "pat", "desk-3")
        await until(lambda: doctor.listens.connected.is_set() and patient.listens.connected.is_set(), timeout_s=30)
        said: dict[str, set[bytes]] = {"pat": set(), "doc": set()}

        async def both_are_heard() -> bool:
            said["pat"] |= await say(patient, b"PAT" + bytes([len(said["pat"]) % 251]), 5)
            said["doc"] |= await say(doctor, b"DOC" + bytes([len(said["doc"]) % 251]), 5)
            return bool(Count(doctor).heard and Count(patient).heard)

        await until(both_are_heard, timeout_s=30)
        late = (await say(patient, b"pat+", AFTER), await say(doctor, b"doc+", AFTER))
        await until(lambda: late[0] <= Count(doctor).heard and late[1] <= Count(patient).heard)
        counted = refused(relay) - before

        assert (set(), set(), BEFORE) == at_the_door
        assert set() == Count(doctor).heard & early
        assert {b"PAT", b"pat"} >= {each[:3] for each in Count(doctor).heard}
        assert {b"DOC", b"doc"} >= {each[:3] for each in Count(patient).heard}
        assert BEFORE <= counted <= BEFORE + len(said["pat"])
        for each in (patient, doctor):
            await each.leave()
