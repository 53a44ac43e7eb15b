"""A room's data channels on a running relay, with aiortc participants; and what a slow one may cost the others."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
from aiortc import rtcsctptransport as sctp

from support.relay_process import RelayProcess
from telerelay.client import Client, Tone
from telerelay.client.channels import ChannelOptions, RoomChannel
from telerelay.client.whip import HttpSession
from telerelay.connection.data import Channel, DataTransport, Message
from telerelay.connection.sending import MESSAGE_OVERHEAD_BYTES
from telerelay.errors import LocalProtocolError
from telerelay.protocol.data import ChannelParameters
from telerelay.signaling import channels as module
from telerelay.signaling.channels import QUEUE_BYTES, ChannelRelay
from telerelay.signaling.seat import ChannelRates, Seat

FILE = ChannelParameters("file")
LOSSY = ChannelParameters("pulse", is_ordered=False, max_retransmits=0)

# -------------------------------------------------------------------- one room, with lines that are only counted


class Line:
    """Stands for a DataTransport: what is queued stays until `drain`."""

    def __init__(self, relay: "Bench", who: str) -> None:
        self.relay, self.who = relay, who
        self.is_up, self.is_gone = True, False
        self.queued_bytes = 0
        self.sent: list[bytes] = []
        self.channels: list[Channel] = []
        self.held: list[tuple[Channel, Message]] = []
        self.on_send: Callable[[Channel], None] = lambda channel: None

    def open(self, parameters: ChannelParameters, *, is_own: bool = False) -> Channel:
        channel = Channel(cast(DataTransport, self), parameters, is_own=is_own)
        self.channels.append(channel)
        return channel

    def fits(self, message: Message) -> bool:
        return True

    def has_room(self, message: Message, limit_bytes: int) -> bool:
        return self.queued_bytes + len(message.payload) + MESSAGE_OVERHEAD_BYTES <= limit_bytes

    def send(self, channel: Channel, message: Message) -> None:
        self.queued_bytes += len(message.payload) + MESSAGE_OVERHEAD_BYTES
        self.sent.append(message.payload)
        self.on_send(channel)

    def is_busy(self, channel: Channel) -> bool:
        return self.queued_bytes > 0

    def close_channel(self, channel: Channel, *, is_dropping: bool) -> None:
        self.channels.remove(channel)
        self.relay.relay.closed(channel)

    def receive(self, channel: Channel, payload: bytes) -> bool:
        """A message from this line's peer; kept when the relay cannot take it."""
        message = Message(sctp.WEBRTC_BINARY, payload)
        if self.held or not self.relay.relay.take(self.who, channel, message):
            self.held.append((channel, message))
            return False
        return True

    def resume(self) -> None:
        while self.held and self.relay.relay.take(self.who, *self.held[0]):
            self.held.pop(0)

    def drain(self) -> None:
        self.queued_bytes = 0
        self.relay.relay.drained(cast(DataTransport, self))


class _Holder:
    def __init__(self, line: Line) -> None:
        self.transport = type("T", (), {"data": line})


class Bench:
    """Three seats with a line each."""

    def __init__(self, *roles: str) -> None:
        self.seats: dict[str, Any] = {}
        self.told: list[tuple[str, str, str]] = []
        self.relay = ChannelRelay(cast(dict[str, Seat], self.seats))
        self.lines = {who: Line(self, who) for who in ("ada", "bob", "cem")}
        roles = (*roles, *["patient"] * 3)
        for (who, line), role in zip(self.lines.items(), roles, strict=False):
            self.seats[who] = self._seat(who, line, role)

    def _seat(self, who: str, line: Line, role: str) -> object:
        participant = type("P", (), {"is_admitted": True, "role": role})
        tell = lambda event: self.told.append((who, event.label, event.code))  # noqa: E731
        return type(
            "S",
            (),
            {
                "participant": participant,
                "publishing": _Holder(line),
                "subscribing": None,
                "resources": {},
                "channel_rates": ChannelRates(time.monotonic()),
                "tell": staticmethod(tell),
            },
        )

    async def open(self, who: str, parameters: ChannelParameters) -> Channel:
        channel = self.lines[who].open(parameters, is_own=True)
        assert self.relay.opened(who, channel)
        await asyncio.sleep(0)
        return channel


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_a_reliable_message_waits_for_room_at_every_recipient(bench: Bench) -> None:
    """
    256 KiB fit, one byte more does not: it stays with its sender, nobody has it twice, and it goes once there is room.
    """
    channel = await bench.open("ada", FILE)
    ada, bob, cem = bench.lines.values()
    size = 65536 - MESSAGE_OVERHEAD_BYTES
    taken = [ada.receive(channel, bytes(size)) for _ in range(4)]
    cem.drain()

    assert [True] * 4 == taken
    assert QUEUE_BYTES == bob.queued_bytes
    assert not ada.receive(channel, b"x")
    assert not ada.receive(channel, b"y")
    assert (4, 4, 2) == (len(bob.sent), len(cem.sent), len(ada.held))
    bob.drain()
    assert [b"x", b"y"] == bob.sent[4:] == cem.sent[4:]
    assert [] == ada.held


async def test_a_full_recipient_does_not_keep_other_senders_waiting_for_others(bench: Bench) -> None:
    """
    Ada waits for Bob on her file; what Cem sends on a label that Bob does not need room for goes to Ada at once.
    """
    channel = await bench.open("ada", FILE)
    pulse = await bench.open("cem", LOSSY)
    ada, bob, cem = bench.lines.values()
    for _ in range(5):
        ada.receive(channel, bytes(60000))
    before = len(bob.sent)
    taken = cem.receive(pulse, b"72")

    assert ada.held
    assert taken
    assert ada.sent == [b"72"]
    assert bob.sent[before:] in ([], [b"72"])


async def test_who_opens_his_own_channel_has_the_rest_after_what_is_under_way(bench: Bench) -> None:
    """
    The next message waits with its sender until the relay's channel is empty, then it takes the own one.
    """
    channel = await bench.open("ada", FILE)
    ada, bob, cem = bench.lines.values()
    ada.receive(channel, b"1")
    cem.drain()
    own = await bench.open("bob", FILE)
    taken = ada.receive(channel, b"2")
    before = list(bob.sent)
    used: list[Channel] = []
    bob.on_send = used.append
    bob.drain()

    assert (False, [b"1"]) == (taken, before)
    assert ([b"1", b"2"], [b"1", b"2"], [own]) == (bob.sent, cem.sent, used)


async def test_an_unreliable_message_is_dropped_for_whom_it_finds_no_room(bench: Bench) -> None:
    """
    The others have it; nobody waits.
    """
    channel = await bench.open("ada", LOSSY)
    ada, bob, cem = bench.lines.values()
    bob.queued_bytes = QUEUE_BYTES
    taken = ada.receive(channel, b"72")

    assert (True, [], [b"72"]) == (taken, bob.sent, cem.sent)


async def test_who_does_not_make_room_loses_the_channel_and_the_rest_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Told `too_slow`; not given the label again until it opens it.
    """
    monkeypatch.setattr(module, "STALL_S", 0.05)
    channel = await bench.open("ada", FILE)
    ada, bob, cem = bench.lines.values()
    for _ in range(5):
        ada.receive(channel, bytes(60000))
        cem.drain()
    async with asyncio.timeout(2):
        while ada.held:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await asyncio.sleep(0)

    assert [("bob", "file", "too_slow")] == bench.told
    assert (5, []) == (len(cem.sent), bob.channels)
    assert 4 == len(bob.sent)


async def test_who_goes_lets_the_others_go_on(bench: Bench) -> None:
    """
    A recipient that is gone is waited for no longer.
    """
    channel = await bench.open("ada", FILE)
    ada, bob, cem = bench.lines.values()
    for _ in range(5):
        ada.receive(channel, bytes(60000))
    cem.drain()
    assert ada.held
    bob.is_gone = True
    for each in list(bob.channels):
        bench.relay.closed(each)
    bench.relay.drained(cast(DataTransport, bob))

    assert [] == ada.held
    assert 5 == len(cem.sent)


async def test_observers_hear_and_are_not_heard() -> None:
    """
    Their channel is refused by name.
    """
    bench = Bench("observer")
    await bench.open("bob", FILE)
    own = bench.lines["ada"].open(FILE, is_own=True)

    assert not bench.relay.opened("ada", own)
    assert [("ada", "file", "forbidden")] == bench.told
    assert bench.relay.take("ada", own, Message(sctp.WEBRTC_BINARY, b"x"))
    assert [] == bench.lines["bob"].sent


async def test_who_waits_to_be_admitted_neither_sends_nor_hears(bench: Bench) -> None:
    """
    A56: not a channel, not a byte; it is made good with the admission.
    """
    bench.seats["bob"].participant.is_admitted = False
    file = await bench.open("ada", FILE)
    own = await bench.open("bob", LOSSY)
    ada, bob, cem = bench.lines.values()
    ada.receive(file, b"secret")
    bob.receive(own, b"let me in")
    assert ([own], [], [b"secret"]) == (bob.channels, bob.sent, cem.sent)
    bench.seats["bob"].participant.is_admitted = True
    bench.relay.changed()
    await asyncio.sleep(0)
    ada.receive(file, b"hello")

    assert [b"hello"] == bob.sent
    assert {"file", "pulse"} == {each.parameters.label for each in cem.channels}


async def test_refusals_are_told_as_often_as_can_be_read(bench: Bench) -> None:
    """
    A flood of what is refused is no flood of events.
    """
    for _ in range(1000):
        bench.relay.refuse("ada", "file", "too_large")

    assert 20 == len(bench.told)


@pytest.mark.parametrize(("parameters", "is_taken"), [(FILE, False), (LOSSY, True)])
async def test_who_sends_too_often_waits_or_loses(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, parameters: ChannelParameters, is_taken: bool
) -> None:
    """
    500 at once; the next reliable one stays with its sender until it may, an unreliable one is dropped.
    """
    monkeypatch.setattr(module.time, "monotonic", lambda: 1000.0)
    bench.seats["ada"].channel_rates = ChannelRates(1000.0)
    channel = await bench.open("ada", parameters)
    ada, bob, _ = bench.lines.values()
    taken = [ada.receive(channel, b"x") for _ in range(501)]
    before = len(bob.sent)
    monkeypatch.setattr(module.time, "monotonic", lambda: 1000.01)
    ada.resume()

    assert [True] * 500 + [is_taken] == taken
    assert (500, 500 if is_taken else 501) == (before, len(bob.sent))


async def test_who_opens_and_closes_for_ever_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    64 openings at once: the others would have to follow each of them.
    """
    monkeypatch.setattr(module.time, "monotonic", lambda: 1000.0)
    bench.seats["ada"].channel_rates = ChannelRates(1000.0)
    opened = []
    for _ in range(65):
        channel = bench.lines["ada"].open(FILE, is_own=True)
        opened.append(bench.relay.opened("ada", channel))
        bench.relay.closed(channel)

    assert [True] * 64 + [False] == opened
    assert [("ada", "file", "too_many_requests")] == bench.told


async def test_what_a_successor_must_know_is_told_when_it_changes_and_only_then(bench: Bench) -> None:
    """
    A channel that nobody else has yet, one that was passed on, one that closed, a line that came up; not who comes or
    speaks.
    """
    told: list[str] = []
    doing = ""
    bench.relay = ChannelRelay(cast(dict[str, Seat], bench.seats), lambda: told.append(doing))
    for line in bench.lines.values():
        line.relay = bench
    others = {who: bench.seats.pop(who) for who in ("bob", "cem")}
    doing = "opened"
    own = await bench.open("ada", FILE)
    bench.seats.update(others)
    doing = "passed on"
    bench.relay.changed()
    await asyncio.sleep(0)
    doing = "somebody came"
    bench.relay.changed()
    await asyncio.sleep(0)
    doing = "spoke"
    bench.lines["ada"].receive(own, b"x")
    doing = "up"
    bench.relay.line_changed(cast(DataTransport, bench.lines["bob"]))
    await asyncio.sleep(0)
    doing = "closed"
    bench.lines["ada"].close_channel(own, is_dropping=False)
    await asyncio.sleep(0)

    assert ["opened", "passed on", "up", "closed"] == list(dict.fromkeys(told))


async def test_a_label_that_outlived_its_opener_outlives_a_restart(bench: Bench) -> None:
    """
    Two people talk on what the relay opened to them; its successor closes neither end, and passes on what they say.
    """
    ends = {who: bench.lines[who].open(FILE) for who in ("bob", "cem")}
    for who, channel in ends.items():
        bench.relay.resumed(who, channel)
    bench.relay.changed()
    await asyncio.sleep(0)
    _, bob, cem = bench.lines.values()
    bob.receive(ends["bob"], b"still here")

    assert ([ends["bob"]], [ends["cem"]]) == (bob.channels, cem.channels)
    assert [b"still here"] == cem.sent


# -------------------------------------------------------------------- over the wire


@pytest.fixture(scope="module")
def relay() -> Any:
    with RelayProcess() as process:
        yield process


Join = Callable[[str], Any]


@pytest.fixture
async def join(relay: RelayProcess, request: pytest.FixtureRequest) -> AsyncIterator[Join]:
    """A maker of participants in the test's own room."""
    room = f"r{abs(hash(request.node.name))}"
    clients: list[Client] = []

    async def one(sub: str, role: str = "patient") -> Client:
        client = await Client.join(relay.url, relay.token(room, sub, role), room)
        client.room = room  # type: ignore[attr-defined]
        clients.append(client)
        return client

    yield one
    for client in clients:
        await client.leave()


async def heard(channel: RoomChannel) -> str | bytes:
    async with asyncio.timeout(10):
        return await channel.receive()


def events(client: Client, kind: str) -> list[Any]:
    return [event for event in client.events if event["type"] == kind]


async def test_a_message_reaches_all_others_and_not_its_sender(join: Join) -> None:
    """
    Text and bytes, from either side of either connection; no echo.
    """
    ada, bob, cem = await join("ada"), await join("bob"), await join("cem")
    chat = await ada.channel("chat")
    await chat.opened()
    chat.send("hello")
    for each in (bob, cem):
        await each.wait_for(lambda client: "chat" in client.channels)
        assert "hello" == await heard(each.channels["chat"])
    bob.channels["chat"].send(b"\x00\x01")
    back = await heard(chat), await heard(cem.channels["chat"])
    own = await cem.channel("chat2")
    await own.opened()
    own.send("last")
    await ada.wait_for(lambda client: "chat2" in client.channels)
    assert "last" == await heard(ada.channels["chat2"])

    assert (b"\x00\x01", b"\x00\x01") == back
    assert chat._received.empty()
    assert own._received.empty()


async def test_reliability_is_the_same_on_the_other_side(join: Join) -> None:
    """
    Unordered, and two resends.
    """
    ada, bob = await join("ada"), await join("bob")
    await (await ada.channel("pulse", ChannelOptions(ordered=False, max_retransmits=2, protocol="json"))).opened()
    await bob.wait_for(lambda client: "pulse" in client.channels)
    (line,) = bob.channels["pulse"]._lines

    assert (False, 2, None, "json") == (line.ordered, line.maxRetransmits, line.maxPacketLifeTime, line.protocol)


async def test_a_message_that_is_too_large_is_refused_by_name_and_the_call_goes_on(join: Join) -> None:
    """
    The client library says so before it is sent; a client that sends it all the same is told by the relay.
    """
    ada, bob = await join("ada"), await join("bob")
    chat = await ada.channel("chat")
    await chat.opened()
    with pytest.raises(LocalProtocolError) as error:
        chat.send(b"x" * 65537)
    assert ada._publish is not None
    ada._publish.sctp._remote_max_message_size = 0
    chat._lines[0].send(b"x" * 65537)
    chat.send(b"x" * 65536)
    await bob.wait_for(lambda client: "chat" in client.channels)
    arrived = await heard(bob.channels["chat"])
    await ada.wait_for(lambda client: events(client, "channel_refused"))

    assert "too_large" == error.value.code
    assert 65536 == len(arrived)
    assert [("chat", "too_large")] == [(each["label"], each["code"]) for each in events(ada, "channel_refused")]
    assert bob.channels["chat"]._received.empty()


async def test_the_seventeenth_channel_is_refused_by_name(join: Join) -> None:
    """
    It closes; the sixteen go on.
    """
    ada, bob = await join("ada"), await join("bob")
    channels = [await ada.channel(f"c{n}") for n in range(17)]
    await ada.wait_for(lambda client: events(client, "channel_refused"))
    await asyncio.gather(*(channel.opened() for channel in channels[:16]))
    channels[15].send("still here")
    await bob.wait_for(lambda client: "c15" in client.channels)

    assert [("c16", "too_many_channels")] == [(e["label"], e["code"]) for e in events(ada, "channel_refused")]
    assert "still here" == await heard(bob.channels["c15"])
    await ada.wait_for(lambda client: not channels[16].is_carried)


async def test_channels_that_were_agreed_upon_meet_by_their_stream(join: Join) -> None:
    """
    Both sides made it with `negotiated` and the same id; nothing opens it in-band.
    """
    ada, bob = await join("ada"), await join("bob")
    arrived: list[Any] = []
    lines = []
    for each in (ada, bob):
        pc = each._publish = each._connection()
        lines.append(pc.createDataChannel("private", negotiated=True, id=7))
        lines[-1].on("message", arrived.append)
        await each._offer(pc, {})
        await each.wait_for(lambda client: client.is_publishing)
    async with asyncio.timeout(10):
        while [line.readyState for line in lines] != ["open", "open"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        lines[0].send("psst")
        while not arrived:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    assert ["psst"] == arrived


async def test_channels_open_again_after_the_connection_was_made_anew(join: Join) -> None:
    """
    `reconnect`, and the label is there again on the new subscribing connection.
    """
    ada, bob = await join("ada"), await join("bob")
    chat = await ada.channel("chat")
    await chat.opened()
    await bob.wait_for(lambda client: "chat" in client.channels and client.channels["chat"].is_open)
    before, bob._subscribe = bob._subscribe, None
    await bob.request("reconnect", connection="subscribe")
    await before.close()
    await bob.wait_for(lambda client: client.channels["chat"].is_open)
    chat.send("again")

    assert "again" == await heard(bob.channels["chat"])


async def test_the_client_opens_its_channels_again_with_a_new_publishing_connection(join: Join) -> None:
    """
    The neighbour hears the next message on the label he knows.
    """
    ada, bob = await join("ada"), await join("bob")
    chat = await ada.channel("chat")
    await chat.opened()
    await bob.wait_for(lambda client: "chat" in client.channels)
    await ada.reconnect("publish")
    await chat.opened()
    chat.send("again")

    assert "again" == await heard(bob.channels["chat"])


async def test_whip_and_whep_sessions_have_channels_too(join: Join, relay: RelayProcess) -> None:
    """
    A device over WHIP sends what it measures; who watches over WHEP reads it, and so does the call.
    """
    ada = await join("ada")
    room = ada.room  # type: ignore[attr-defined]
    measured: list[Any] = []
    whip = HttpSession(f"{relay.url}/whip/{room}", relay.token(room, "device", "device"))
    whep = HttpSession(f"{relay.url}/whep/{room}", relay.token(room, "watcher", "observer"))
    async with whip, whep:
        whip.pc.addTransceiver(Tone(), direction="sendonly")
        pulse = whip.pc.createDataChannel("pulse")
        whep.pc.addTransceiver("audio", direction="recvonly")
        whep.pc.createDataChannel("unheard")
        whep.pc.on("datachannel", lambda channel: channel.on("message", measured.append))
        await whip.open()
        await whep.open()
        await ada.wait_for(lambda client: "pulse" in client.channels and whep.pc.sctp.state == "connected")
        pulse.send("72")
        assert "72" == await heard(ada.channels["pulse"])
        await ada.wait_for(lambda client: bool(measured))

    assert ["72"] == measured
    assert "unheard" not in ada.channels
