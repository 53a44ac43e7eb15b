"""
The control process is stopped, or killed and started again with the same command, in the middle of calls. Its workers
are processes of their own: not one media packet is lost, and everybody finds his seat.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import aiohttp
import pytest
from aiortc import RTCPeerConnection

from support.calls import consult, going_on, lost, restart_control, whip_to_whep
from support.relay_process import RelayProcess
from support.waiting import until
from telerelay.client import Client
from telerelay.client.channels import RoomChannel
from telerelay.client.whip import HttpSession


@pytest.fixture
def relay() -> Iterator[RelayProcess]:
    """Two workers, so that the calls of a test are not all on one."""
    with RelayProcess("--workers", "2") as process:
        yield process


async def stop_control(relay: RelayProcess, seconds: float) -> None:
    """SIGSTOP, and SIGCONT after that long."""
    os.kill(relay.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)  # the point of it
    finally:
        os.kill(relay.pid, signal.SIGCONT)


@pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(240)])])
async def test_control_stopped_costs_no_packet(relay: RelayProcess, seconds: int) -> None:
    """
    Media needs no Python: while control is stopped packets keep coming, none is lost, and signalling answers after it.
    """
    async with whip_to_whep(relay) as (whip, whep), consult(relay) as (patient, doctor):
        receivers, sources = (whep, patient, doctor), (whip.pc, doctor._publish, patient._publish)
        await going_on(receivers)
        before = [each.tap.received for each in receivers]
        sent_before = [await sent(each) for each in sources]
        await stop_control(relay, seconds)
        leaving = [await sent(each) - had for each, had in zip(sources, sent_before, strict=True)]
        during = [each.tap.received - had for each, had in zip(receivers, before, strict=True)]

        # What they send goes by the processor time that this process gets; some of it is on its way.
        assert [True] * 3 == [got > 10 * seconds for got in during], during
        assert [True] * 3 == [abs(got - left) < 25 for got, left in zip(during, leaving, strict=True)], leaving
        await going_on(receivers)
        assert [0, 0, 0] == lost(receivers)
        assert {"publish", "subscribe"} == set(await patient.relay_stats())


async def sent(pc: RTCPeerConnection | None) -> int:
    """How many packets have left a publisher."""
    assert pc is not None
    return sum(each.packetsSent for each in (await pc.getStats()).values() if each.type == "outbound-rtp")


async def patched(session: HttpSession) -> int:
    """The status of a PATCH that trickles a candidate, under the session's ETag."""
    headers = {
        "Authorization": session._authorization["Authorization"],
        "If-Match": session.etag,
        "Content-Type": "application/trickle-ice-sdpfrag",
    }
    async with aiohttp.ClientSession() as http, http.patch(session.resource, data="", headers=headers) as response:
        return response.status


async def deleted(session: HttpSession) -> int:
    async with (
        aiohttp.ClientSession() as http,
        http.delete(session.resource, headers=session._authorization) as response,
    ):
        return response.status


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
async def test_control_killed_and_restarted_costs_no_packet(relay: RelayProcess, kills: int) -> None:
    """
    Again and again. The workers stay the same processes; WebSocket people come back to their seats and keep their
    connections; the URLs of WHIP and WHEP sessions stay good; nothing is left over at the end.
    """
    workers = relay.worker_pids
    async with whip_to_whep(relay) as (whip, whep), consult(relay) as (patient, doctor):
        receivers = (whep, patient, doctor)
        await going_on(receivers)
        seats = [patient.participant, doctor.participant]
        transports = relay.metrics()['telerelay_transports{state="connected"}']
        for _ in range(kills):
            back = patient.comebacks + doctor.comebacks
            await restart_control(relay)
            await until(lambda: patient.comebacks + doctor.comebacks == back + 2, timeout_s=60)  # noqa: B023
            try:
                await going_on(receivers, packets=20)
            except TimeoutError:
                pytest.fail(f"media stopped: {[each.tap.received for each in receivers]}\n{''.join(relay.log)}")

        assert workers == relay.worker_pids
        assert [0, 0, 0] == lost(receivers)
        assert seats == [patient.participant, doctor.participant]
        assert [False, False] == [patient.has_failed, doctor.has_failed]
        assert {"patient": False, "doctor": False} == {
            each["sub"]: each["interrupted"] for one in (patient, doctor) for each in one.participants.values()
        }
        assert transports == relay.metrics()['telerelay_transports{state="connected"}']
        assert [204, 204] == [await patched(whip), await patched(whep)]
        assert [200, 200] == [await deleted(whip), await deleted(whep)]
        await until(lambda: relay.metrics()["telerelay_rooms"] == 1)
    await until(lambda: relay.metrics()["telerelay_rooms"] == 0)
    await until(lambda: sum(value for key, value in relay.metrics().items() if key.startswith("telerelay_tr")) == 0)


async def test_who_joins_and_publishes_after_a_restart_meets_those_from_before(relay: RelayProcess) -> None:
    """
    A call from before a restart goes on being a call: a third person comes, hears both and is heard; a mute is told;
    what was published before can be taken back.
    """
    async with consult(relay) as (patient, doctor):
        await going_on((patient, doctor))
        await restart_control(relay)
        await until(lambda: patient.comebacks and doctor.comebacks, timeout_s=60)
        third = await Client.join(relay.url, relay.token("ws", "interpreter"), "ws")
        async with third:
            await until(lambda: len(third.remote_tracks) == 4, timeout_s=30)
            await going_on((third, patient, doctor), packets=50)
            gone = next(iter(doctor.publications))
            await doctor.unpublish(gone)
            await until(lambda: gone not in patient.remote_tracks and gone not in third.remote_tracks)
            kept = next(iter(patient.publications))
            await patient.mute(kept)
            await until(lambda: any(e["type"] == "muted" and e["publication"] == kept for e in doctor.events))

            assert 0 == sum(track.lost_packets for track in patient.track_stats())
            assert 0 == sum(track.lost_packets for track in third.track_stats())


async def test_who_does_not_come_back_loses_the_seat(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The others see somebody interrupted; when the seat's time is over he is gone, and his two transports with him.
    """
    monkeypatch.setenv("TELERELAY_ROOMS_SEAT_S", "3")
    with RelayProcess() as relay:
        async with consult(relay) as (patient, doctor):
            await going_on((patient, doctor))
            assert patient._keeper is not None
            patient._keeper.cancel()
            gone = patient.participant
            await restart_control(relay)
            await until(lambda: doctor.comebacks, timeout_s=60)

            assert True is doctor.participants[gone]["interrupted"]
            assert 4 == relay.metrics()['telerelay_transports{state="connected"}']
            await until(lambda: gone not in doctor.participants, timeout_s=30)
            await until(lambda: relay.metrics()["telerelay_participants"] == 1)
            await until(lambda: relay.metrics()['telerelay_transports{state="connected"}'] == 2)


async def test_data_channels_go_on_after_a_restart(relay: RelayProcess) -> None:
    """
    The same channels, both ways, in order; those that the relay opened and those that its clients did. A message that
    was under way may be lost: whoever must not lose one numbers them.
    """
    async with consult(relay) as (patient, doctor):
        chat = await patient.channel("chat")
        await chat.opened()
        await until(lambda: "chat" in doctor.channels and doctor.channels["chat"].is_open)
        answer = doctor.channels["chat"]
        chat.send("before")
        answer.send("yes")
        assert ["before", "yes"] == [await answer.receive(), await chat.receive()]
        lines = [list(chat._lines), list(answer._lines)]
        for _ in range(2):
            await restart_control(relay)
            await until(lambda: patient.comebacks == doctor.comebacks > 0, timeout_s=60)
            async with asyncio.timeout(30):
                await _until_heard(chat, answer)
                await _until_heard(answer, chat)
            for number in range(20):
                chat.send(f"{number}")
                answer.send(f"{number}")
            assert [f"{number}" for number in range(20)] == [await answer.receive() for _ in range(20)]
            assert [f"{number}" for number in range(20)] == [await chat.receive() for _ in range(20)]

        assert lines == [chat._lines, answer._lines]
        assert [0, 0] == lost((patient, doctor))


async def _until_heard(speaker: RoomChannel, listener: RoomChannel) -> None:
    """Say something until it arrives; then everything that was said has."""
    number = 0
    while listener._received.empty():
        number += 1
        speaker.send(f"try {number}")
        await asyncio.sleep(0.2)
    speaker.send("enough")
    while await listener.receive() != "enough":
        pass
