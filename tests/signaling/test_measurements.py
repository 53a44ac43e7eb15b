"""Measurements on a running relay: their channel, the host that takes them, and what an attestation says of them."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest
from aiortc import rtcsctptransport as sctp

from support.live_relay import Live, MakeLive
from telerelay.client import Client
from telerelay.client.channels import ChannelOptions
from telerelay.client.measurements import Measurements
from telerelay.connection.data import Channel, DataTransport, Message
from telerelay.hooks import Hooks, MeasurementEvent
from telerelay.measurements import PROTOCOL, Batch, Series, schema
from telerelay.protocol.data import ChannelParameters

ECG = Series("ecg-1", "s1", "wave", "ecg", "mV", 250.0, (("loinc", "131328"),))
WEIGHT = Series("scale-1", "s2", "value", "body_weight", "kg", 0.0, (("loinc", "29463-7"),))


class Host(Hooks):
    """Takes what is measured; fails as often as `failures` says."""

    def __init__(self) -> None:
        self.events: list[MeasurementEvent] = []
        self.failures = 0

    async def on_measurement(self, event: MeasurementEvent) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the database is away")
        self.events.append(event)

    @property
    def values(self) -> list[float | None]:
        return [value for event in self.events for batch in event.batches for value in batch.values]


class Heard:
    """What a client receives."""

    def __init__(self) -> None:
        self.values: list[float | None] = []
        self.offsets: list[float | None] = []

    def __call__(self, sub: str, series: Series, batch: Batch) -> None:
        self.values += batch.values
        self.offsets.append(batch.media_offset_s)


class Line:
    """Stands for a DataTransport: what is sent on it is kept."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.queued_bytes = 0

    def send(self, channel: Channel, message: Message) -> None:
        self.sent.append(message.payload)

    def close_channel(self, channel: Channel, *, is_dropping: bool) -> None:
        """Nothing hangs on it."""

    def resume(self) -> None:
        """Nothing waits."""


async def join(live: Live, sub: str, role: str, room: str = "r1") -> Client:
    return await Client.join(live.url, live.token(sub, room, role), room)


async def test_a_device_measures_and_the_doctor_reads_it(live: Live) -> None:
    """Through real channels; the relay says how the booth's clock stands to its own."""
    heard = Heard()
    async with (
        await join(live, "cab", "device") as booth,
        await join(live, "doc", "practitioner") as doctor,
        Measurements(booth) as measuring,
        Measurements(doctor, heard),
    ):
        measuring.declare(ECG)
        for at in range(0, 100, 25):
            measuring.record(ECG, (1000.0 + at / 250,), tuple(range(at, at + 25)))
        await measuring.delivered()

    assert [*range(100)] == heard.values
    assert all(offset is not None and abs(offset) < 5 for offset in heard.offsets)


async def test_another_room_reads_nothing_and_the_next_patient_at_the_same_device_neither(live: Live) -> None:
    """The room is all that is shared: what nobody had is gone with it."""
    last, next_one = Heard(), Heard()
    async with await join(live, "cab", "device", "p1") as booth, Measurements(booth) as measuring:
        measuring.declare(ECG)
        measuring.record(ECG, (1000.0,), range(50))
        async with await join(live, "doc", "practitioner", "p1") as doctor, Measurements(doctor, last):
            await measuring.delivered()
            measuring.record(ECG, (1001.0,), (99,))
            await measuring.delivered()
        measuring.record(ECG, (1002.0,), (7, 7, 7))  # of which nobody heard
    async with (
        await join(live, "cab", "device", "p2") as booth,
        await join(live, "doc", "practitioner", "p2") as doctor,
        Measurements(booth) as measuring,
        Measurements(doctor, next_one),
    ):
        measuring.declare(ECG)
        measuring.record(ECG, (2000.0,), (1, 2, 3))
        await measuring.delivered()

    assert [*range(50), 99] == last.values
    assert [1, 2, 3] == next_one.values


async def test_the_host_takes_them_in_order_though_it_fails_at_first(make_live: MakeLive) -> None:
    """Nobody else receives; what it has taken is acknowledged."""
    host = Host()
    host.failures = 2
    live = await make_live(hooks=host)
    async with await join(live, "cab", "device") as booth, Measurements(booth) as measuring:
        sent = measuring.declare(ECG)
        measuring.record(ECG, (1000.0,), range(25), device_at=3.5)
        measuring.record(ECG, (1000.1,), range(25, 50))
        await measuring.delivered()

    assert [*range(50)] == host.values
    event = host.events[0]
    assert ("r1", "cab", "device", "ecg-1", sent.series) == (
        event.room,
        event.sub,
        event.role,
        event.device,
        event.series,
    )
    assert ("wave", "ecg", "mV", 250.0, {"loinc": "131328"}) == (
        event.kind,
        event.of,
        event.unit,
        event.rate_hz,
        event.codes,
    )
    assert f"r1:cab:ecg-1:{sent.series}:0" == event.key
    assert ((1000.0,), 3.5) == (event.batches[0].times, event.batches[0].device_at)


async def test_who_only_watches_may_read_and_not_measure(live: Live) -> None:
    """It has a channel on a WHEP session only: over the WebSocket a role that only watches offers nothing."""
    observer = await live.join("obs", role="observer")
    host = live.relay._rooms.hosts[0]
    seat = host.seats[observer.id]
    line = Line()
    channel = Channel(cast(DataTransport, line), ChannelParameters("measurements", PROTOCOL), is_own=True)
    listener = host._data.listener(lambda: seat.id)
    is_open = listener.on_channel(channel)
    for text in (schema.hello_text(True), schema.declare_text(WEIGHT, 0)):
        listener.on_message(channel, Message(sctp.WEBRTC_STRING, text.encode()))
    await live.until(lambda: len(line.sent) == 2)
    welcome, refusal = map(json.loads, line.sent)

    assert is_open
    assert {"type": "welcome"} == welcome
    assert ("refused", "forbidden", "s2") == tuple(refusal[name] for name in ("type", "code", "series"))
    assert ("obs",) == host.measurements._exchange.receivers


async def test_the_application_decides_who_opens_the_channel(make_live: MakeLive) -> None:
    """By the label, as of any other."""

    class NoDevices(Hooks):
        async def channel_policy(self, request: Any) -> bool:
            return bool(request.label != "measurements")

    live = await make_live(hooks=NoDevices())
    async with await join(live, "cab", "device") as booth:
        await booth.channel("measurements", ChannelOptions(protocol=PROTOCOL))
        await booth.wait_for(lambda each: any(event["type"] == "channel_refused" for event in each.events))
        refusal = next(event for event in booth.events if event["type"] == "channel_refused")

    assert ("measurements", "forbidden") == (refusal["label"], refusal["code"])


async def test_what_was_handed_over_is_counted_in_the_attestation(live: Live) -> None:
    """How many samples of which device; not one of them."""
    await live.schedule()
    heard = Heard()
    async with await join(live, "doc", "practitioner") as doctor, await join(live, "cab", "device") as booth:
        await doctor.request("admit", participant=booth.participant)
        await booth.wait_for(lambda each: each.is_admitted)
        async with Measurements(booth) as measuring, Measurements(doctor, heard):
            sent = measuring.declare(ECG)
            measuring.record(ECG, (1000.0,), (424242,) * 40)
            await measuring.delivered()
            await live.relay.consults.end("r1", "doc")
    async with asyncio.timeout(10):
        while "attested" not in await live.journal():
            pass
    document = json.loads(await live.relay.consults.attestation("r1"))

    expected = {"sub": "cab", "device": "ecg-1", "series": sent.series, "kind": "wave", "samples": 40}
    assert [expected] == document["attestation"]["measurements"]
    assert "424242" not in json.dumps(document)


# -------------------------------------------------------------------- without a call


async def post(live: Live, body: Any, sub: str = "p-7", room: str = "home", **token: Any) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {live.token(sub, room, token.pop('role', 'patient'))}"}
    async with live.http.post(f"{live.url}/measurements/{token.pop('at', room)}", json=body, headers=headers) as answer:
        return answer.status, await answer.json()


def readings(*values: float, seq: int = 0, at: float = 1_800_000_000.0) -> dict[str, Any]:
    batch = Batch("scale-1", "s2", seq, tuple(at + 3600 * n for n in range(len(values))), values)
    return {"series": [WEIGHT.to_json()], "batches": [batch.to_json()]}


async def test_a_tablet_that_was_away_says_all_with_the_times_of_then(make_live: MakeLive) -> None:
    """The answer says up to where it may forget."""
    host = Host()
    live = await make_live(hooks=host)
    status, answer = await post(live, readings(81.5, 81.9, 82.4, 83.0, 83.1, 83.6))

    assert (200, {"series": [{"device": "scale-1", "series": "s2", "next": 6}]}) == (status, answer)
    ((batch,),) = [event.batches for event in host.events]
    assert tuple(1_800_000_000.0 + 3600 * n for n in range(6)) == batch.times
    assert ("home", "p-7", "patient") == (host.events[0].room, host.events[0].sub, host.events[0].role)


async def test_readings_that_the_host_did_not_take_are_not_acknowledged(make_live: MakeLive) -> None:
    host = Host()
    host.failures = 1
    live = await make_live(hooks=host)
    failed = await post(live, readings(81.5))
    again = await post(live, readings(81.5))

    assert (503, "not_taken") == (failed[0], failed[1]["error"]["code"])
    assert (200, [81.5]) == (again[0], host.values)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], (400, "bad_message")),
        ({"series": [], "batches": []}, (400, "bad_message")),
        ({"series": [], "batches": readings(1)["batches"]}, (422, "unknown_series")),
        ({"series": [WEIGHT.to_json()] * 2, "batches": readings(1)["batches"]}, (409, "conflict")),
        (readings(1) | {"batches": readings(1, 2)["batches"] * 2}, (400, "bad_message")),
        (readings(1) | {"batches": readings(1)["batches"] * 513}, (413, "too_large")),
    ],
)
async def test_a_report_that_is_none_is_refused(make_live: MakeLive, body: Any, expected: tuple[int, str]) -> None:
    host = Host()
    live = await make_live(hooks=host)
    status, answer = await post(live, body)

    assert expected == (status, answer["error"]["code"])
    assert [] == host.events


async def test_who_may_not_say_anything_is_told_nothing(make_live: MakeLive) -> None:
    """
    A foreign room, a role that only watches, a type that is not taken, a consult in which one waits, or that is over.
    """
    host = Host()
    live = await make_live({"measurements": {"types": ["body_weight"]}}, hooks=host)
    await live.schedule("c1")
    await live.join("pat", "c1", "patient")
    other = readings(1)
    other["series"][0]["of"] = "hearsay"
    refused = [
        await post(live, readings(1), at="elsewhere"),
        await post(live, readings(1), role="observer"),
        await post(live, other),
        await post(live, readings(1), sub="pat", room="c1"),
    ]
    await live.relay.consults.cancel("c1", "host")
    refused.append(await post(live, readings(1), sub="pat", room="c1"))

    assert ["forbidden", "forbidden", "type_not_allowed", "forbidden", "consult_over"] == [
        answer["error"]["code"] for _, answer in refused
    ]
    assert [] == host.events


async def test_without_a_host_nobody_takes_readings(live: Live) -> None:
    """So they stay where they are."""
    status, answer = await post(live, readings(1))

    assert (503, "not_taken") == (status, answer["error"]["code"])
