"""What people share beside picture and sound: written words, and the commands that move a camera."""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import Any

import pytest

from support.live_relay import Live, MakeLive, Peer
from telerelay.hooks import CameraRequest, ChannelRequest, Hooks
from telerelay.protocol.messages import MAX_CHAT_CHARS
from telerelay.signaling import camera


class Rules(Hooks):
    """No chat for patients; nobody moves a companion's camera."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    async def channel_policy(self, request: ChannelRequest) -> bool:
        self.asked.append(request)
        return request.role != "patient"

    async def camera_control(self, request: CameraRequest) -> bool:
        self.asked.append(request)
        return request.target_role != "companion"


def codes(*answers: dict[str, Any]) -> list[str]:
    return [str(each.get("code", "reply")) for each in answers]


# -------------------------------------------------------------------- chat


async def test_what_somebody_writes_everybody_else_reads_once_and_in_order(live: Live) -> None:
    """With its author; two lines stay two."""
    doctor, patient, nurse = (await live.join("doc"), await live.join("pat", role="patient"), await live.join("nur"))
    first = await doctor.ask("chat", text="Bonjour !\nVous m'entendez ?")
    await patient.ask("chat", text="Oui")
    read = [await each.event("chat") for each in (patient, nurse)]
    answer = await nurse.event("chat", after=read[1]["seq"])
    await doctor.ask("stats")

    assert [(doctor.id, "Bonjour !\nVous m'entendez ?", first["message"], first["at"])] * 2 == [
        (each["participant"], each["text"], each["message"], each["at"]) for each in read
    ]
    assert (patient.id, "Oui") == (answer["participant"], answer["text"])
    assert [patient.id] == [each["participant"] for each in doctor.events if each["type"] == "chat"]


async def test_who_lost_the_socket_reads_what_was_written_meanwhile(live: Live) -> None:
    """As any numbered event; once."""
    doctor, patient = await live.join("doc"), await live.join("pat", role="patient")
    await patient.ws.close()
    await doctor.event("participant_interrupted")
    await doctor.ask("chat", text="Still there?")
    back = await live.join("pat", role="patient", resume=patient.joined["resume"], media="keep", last_seq=patient.seq)
    read = await back.event("chat")

    assert "Still there?" == read["text"]


@pytest.mark.parametrize("text", ["", " \n ", "x" * (MAX_CHAT_CHARS + 1), "a\x00b", "a\x1bb", 7, None])
async def test_what_is_no_message_is_refused(live: Live, text: object) -> None:
    doctor, patient = await live.join("doc"), await live.join("pat", role="patient")
    refused = await doctor.ask("chat", text=text)
    most = await doctor.ask("chat", text="x" * MAX_CHAT_CHARS)
    read = await patient.event("chat")

    assert ["bad_message", "reply"] == codes(refused, most)
    assert MAX_CHAT_CHARS == len(read["text"])


async def test_who_only_watches_or_waits_writes_nothing(live: Live) -> None:
    """And who waits reads nothing; both are in the journal, once."""
    await live.schedule(deciders=("practitioner",))
    doctor, patient = await live.join("doc"), await live.join("pat", role="patient")
    observer = await live.join("obs", role="observer")
    await doctor.ask("admit", participant=observer.id)
    refused = [
        await patient.ask("chat", text="me"),
        await patient.ask("chat", text="me"),
        *[await observer.ask("chat", text="me")],
    ]
    await doctor.ask("chat", text="in")
    await patient.ask("stats")
    entries = [(each.clear["sub"], each.clear["what"]) for each in await live.entries() if each.kind == "bypass_tried"]

    assert ["forbidden"] * 3 == codes(*refused)
    assert [] == [each for each in patient.events if each["type"] == "chat"]
    assert {("pat", "data"), ("obs", "data")} <= set(entries)


async def test_the_application_decides_of_chat_once_and_a_refusal_is_written_down(make_live: MakeLive) -> None:
    """As of a data channel of that name."""
    rules = Rules()
    live = await make_live(hooks=rules)
    await live.schedule()
    doctor, patient = await live.join("doc"), await live.join("pat", role="patient")
    await doctor.ask("admit", participant=patient.id)
    await patient.event("admitted")
    refused = await patient.ask("chat", text="hello")
    taken = [await doctor.ask("chat", text="one"), await doctor.ask("chat", text="two")]

    assert ["forbidden", "reply", "reply"] == codes(refused, *taken)
    assert ["chat", "chat"] == [each.label for each in rules.asked if isinstance(each, ChannelRequest)]
    assert ("pat", "data") in [
        (each.clear["sub"], each.clear["what"]) for each in await live.entries() if each.kind == "bypass_tried"
    ]


async def test_who_writes_faster_than_people_do_is_held_back(live: Live) -> None:
    doctor = await live.join("doc")
    answers = [await doctor.ask("chat", text=str(number)) for number in range(12)]

    assert ["reply"] * 10 == codes(*answers[:10])
    assert "too_many_requests" in codes(*answers[10:])


async def test_nothing_that_was_written_is_in_a_log_or_a_journal(live: Live, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await live.schedule()
    doctor = await live.join("doc")
    await doctor.ask("chat", text="canary-7261")
    entries = await live.entries()

    assert "canary-7261" not in caplog.text
    assert "canary-7261" not in repr([(each.kind, each.clear) for each in entries])


# -------------------------------------------------------------------- cameras


async def answering(device: Peer, **answer: Any) -> dict[str, Any]:
    """The next command that reaches a device, which answers it so."""
    asked = await device.sign("camera")
    await device.ask("camera_moved", command=asked["command"], **answer)
    return asked


async def test_a_command_reaches_the_device_whose_answer_is_the_reply(live: Live) -> None:
    """It is written down who moved whose; the doctor's other requests do not wait for the motor."""
    await live.schedule()
    doctor, booth = await live.join("doc"), await live.join("cab", role="device")
    await doctor.ask("admit", participant=booth.id)
    await booth.event("admitted")
    moving = asyncio.create_task(doctor.ask("move_camera", participant=booth.id, pan=0.1, zoom=-0.25))
    asked = await answering(booth, outcome="done", pan=0.6, zoom=0.25)
    reply = await moving
    moved = [each.clear for each in await live.entries() if each.kind == "camera_moved"]

    assert (doctor.id, 0.1, 0, -0.25, False) == tuple(
        asked[name] for name in ("participant", "pan", "tilt", "zoom", "home")
    )
    assert (0.6, 0.25) == (reply["pan"], reply["zoom"])
    assert [{"sub": "cab", "by": "doc", "outcome": "done"}] == moved


@pytest.mark.parametrize("outcome", ["refused", "unsupported", "failed"])
async def test_what_a_device_does_not_do_has_its_code(live: Live, outcome: str) -> None:
    doctor, booth = await live.join("doc"), await live.join("cab", role="device")
    moving = asyncio.create_task(doctor.ask("move_camera", participant=booth.id, home=True))
    await answering(booth, outcome=outcome)

    assert [f"camera_{outcome}"] == codes(await moving)


async def test_a_device_that_does_not_answer_is_not_waited_for(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its answer afterwards is for nobody."""
    monkeypatch.setattr(camera, "ANSWER_S", 0.05)
    doctor, booth = await live.join("doc"), await live.join("cab", role="device")
    late = await doctor.ask("move_camera", participant=booth.id, tilt=1)
    asked = await booth.sign("camera")
    answer = await booth.ask("camera_moved", command=asked["command"], outcome="done")

    assert ["camera_timeout", "not_found"] == codes(late, answer)


async def test_only_who_examines_moves_cameras_and_only_of_who_is_in(make_live: MakeLive) -> None:
    """By role, then by the application's rule; a command is answered by whom it was for."""
    live = await make_live(hooks=Rules())
    doctor, booth = await live.join("doc"), await live.join("cab", role="device")
    patient, companion = await live.join("pat", role="patient"), await live.join("com", role="companion")
    refused = [
        await patient.ask("move_camera", participant=booth.id, pan=0.1),
        await doctor.ask("move_camera", participant=companion.id, pan=0.1),
        await doctor.ask("move_camera", participant=doctor.id, pan=0.1),
        await doctor.ask("move_camera", participant="nobody", pan=0.1),
        await doctor.ask("move_camera", participant=booth.id, pan=1.5),
    ]
    moving = asyncio.create_task(doctor.ask("move_camera", participant=booth.id, pan=0.1))
    asked = await booth.sign("camera")
    stranger = await patient.ask("camera_moved", command=asked["command"], outcome="done")
    await booth.ask("camera_moved", command=asked["command"], outcome="done")

    assert ["forbidden", "forbidden", "not_found", "not_found", "bad_message"] == codes(*refused)
    assert ["not_found"] == codes(stranger)
    assert ["reply"] == codes(await moving)


# -------------------------------------------------------------------- over a line


class FarAway:
    """A TCP line on which each byte is 25 ms on its way, in either direction: N1 of the acceptance scenarios."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()

    async def _meet(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        far, forth = await asyncio.open_connection("127.0.0.1", self._port)
        for reader, writer in ((near, forth), (far, back)):
            task = asyncio.create_task(self._carry(reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(65536):
            loop.call_later(0.025, writer.write, data)
        loop.call_later(0.025, writer.close)


async def test_a_camera_command_is_acknowledged_within_300_ms_on_n1(live: Live) -> None:
    """Doctor and device each 50 ms of round trip away: median of nine commands."""
    port = int(live.root.rpartition(":")[2])
    async with FarAway(port) as doctors, FarAway(port) as booths:
        doctor, booth = [
            Peer(await live.http.ws_connect(live.url.replace(f":{port}", f":{through}") + "/ws"))
            for through in (doctors, booths)
        ]
        for peer, sub, role in ((doctor, "doc", "practitioner"), (booth, "cab", "device")):
            peer.joined = await peer.ask("join", room="r1", token=live.token(sub, role=role))
        took: list[float] = []
        for number in range(1, 10):
            began = time.monotonic()
            moving = asyncio.create_task(doctor.ask("move_camera", participant=booth.id, pan=0.1))
            await booth.sign("camera", lambda sign: sign["command"] == number)  # noqa: B023
            await booth.ask("camera_moved", command=number, outcome="done")
            assert "reply" == (await moving)["type"]
            took.append(time.monotonic() - began)
        await doctor.ws.close()
        await booth.ws.close()

    print(f"camera command, there and back: median {1000 * median(took):.0f} ms, longest {1000 * max(took):.0f} ms")
    assert median(took) <= 0.3
