"""
A patient waits before a consult, with camera, microphone and a data channel, beside a doctor who has the same: nothing
passes between them, at the sockets, until the doctor lets the patient in.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.calls import small_picture
from support.near_relay import NearRelay, near_relay
from support.waiting import until
from telerelay.client import Client, Tone
from telerelay.consult.plan import ConsultPlan
from telerelay.errors import RemoteProtocolError


@pytest.fixture
async def relay() -> AsyncIterator[NearRelay]:
    async with near_relay() as relay:
        yield relay


def dropped(relay: NearRelay) -> int:
    """Packets that were not taken because their sender waits."""
    return relay.relay.stats()[0].drops.get("not_admitted", 0)


async def attestation(relay: NearRelay) -> dict[str, Any]:
    """What is attested of the consult; nothing as long as it is not."""
    try:
        return dict(json.loads(await relay.relay.consults.attestation("r1"))["attestation"])
    except RemoteProtocolError:
        return {}


@pytest.mark.slow
async def test_nothing_passes_before_admission_and_everything_after_it(relay: NearRelay) -> None:
    """
    Sound, picture and messages, both ways; the waiting side's packets are dropped by the worker, under their name.
    """
    await relay.relay.consults.schedule(ConsultPlan("r1"))
    heard: dict[str, list[str | bytes]] = {"pat": [], "doc": []}
    async with (
        await Client.join(relay.url, relay.token("r1", "pat", "patient"), "r1") as patient,
        await Client.join(relay.url, relay.token("r1", "doc"), "r1") as doctor,
    ):
        for client, name in ((patient, "pat"), (doctor, "doc")):
            await client.publish([Tone(), small_picture()])
            channel = await client.channel("chat", on_message=heard[name].append)
            await channel.opened()
            channel.send(f"too early from {name}")
        await until(lambda: dropped(relay) > 50, timeout_s=30)
        before = (patient.tap.received, doctor.tap.received, len(patient.participants), len(doctor.participants))
        await until(lambda: any(each["type"] == "channel_refused" for each in patient.events))
        assert [patient.participant] == [each["participant"] for each in doctor.waiting_room]
        await doctor.request("admit", participant=patient.participant)
        await until(lambda: patient.tap.received > 100 and doctor.tap.received > 100, timeout_s=30)
        await until(lambda: relay.relay.consults.get("r1").state == "in_progress")
        patient.channels["chat"].send("hello")
        await until(lambda: heard["doc"] == ["hello"])
        doctor.channels["chat"].send("hello too")
        await until(lambda: heard["pat"] == ["hello too"])
        after = dropped(relay)
        await asyncio.sleep(0.2)  # packets that were on their way are in

        admitted_s = relay.relay.consults.now()
        await until(lambda: relay.relay.consults.now() > admitted_s + 5, timeout_s=30)
        await doctor.request("end")
        attested = await until(lambda: attestation(relay), timeout_s=30)

        assert (0, 0, 0, 0) == before
        assert attested["two_way_video_s"] > 3, attested
        assert attested["two_way_audio_s"] > 3, attested
        assert after == dropped(relay)
        assert relay.relay.consults.attempts["data"] > 0
