"""Data channels of one connection, against aiortc's own association: in order and in bounds, whatever a peer does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
from aiortc import rtcsctptransport as sctp
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telerelay.connection import sctp as own
from telerelay.connection import sending, transport
from telerelay.connection.data import Channel, DataListener, DataTransport, Message
from telerelay.connection.transport import Connection
from telerelay.dataplane import DataReceived
from telerelay.protocol.data import MAX_MESSAGE_BYTES, ChannelParameters, DataParameters


class PeerLine:
    """What aiortc sends its packets over: straight into the relay's half, as far as `passes` lets them."""

    state = "connected"
    _role = "client"

    def __init__(self) -> None:
        self.far: Callable[[bytes], None] = lambda data: None
        self.passes: Callable[[bytes], bool] = lambda data: True

    def _register_data_receiver(self, receiver: object) -> None: ...
    def _unregister_data_receiver(self, receiver: object) -> None: ...

    async def _send_data(self, data: bytes) -> None:
        if self.passes(data):
            asyncio.get_running_loop().call_soon(self.far, data)


class Heard(DataListener):
    """Keeps what it was told; takes messages while `is_taking`."""

    def __init__(self) -> None:
        self.channels: list[Channel] = []
        self.messages: list[tuple[str, int, bytes]] = []
        self.refused: list[tuple[str, str]] = []
        self.closed: list[str] = []
        self.is_taking = True
        self.is_welcome = True

    def on_channel(self, channel: Channel) -> bool:
        if self.is_welcome:
            self.channels.append(channel)
        return self.is_welcome

    def on_message(self, channel: Channel, message: Message) -> bool:
        if self.is_taking:
            self.messages.append((channel.parameters.label, message.protocol, message.payload))
        return self.is_taking

    def on_closed(self, channel: Channel) -> None:
        self.closed.append(channel.parameters.label)

    def on_refused(self, label: str, code: str) -> None:
        self.refused.append((label, code))


class Pair:
    """The relay's half and a peer's, joined."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.line = PeerLine()
        self.sent: list[bytes] = []
        self.passes: Callable[[bytes], bool] = lambda data: True
        self.ours = DataTransport(self._send, self.heard)
        self.peer = sctp.RTCSctpTransport(self.line)  # type: ignore[arg-type,unused-ignore]
        self.line.far = self.ours.feed
        self.opened: list[RTCDataChannel] = []
        self.arrived: list[str | bytes] = []
        self.peer.on("datachannel", self._on_channel)

    def _send(self, packet: bytes) -> None:
        self.sent.append(packet)
        if self.passes(packet):
            asyncio.get_running_loop().call_soon(lambda: sending.run_now(self.peer._handle_data(packet)))

    def _on_channel(self, channel: RTCDataChannel) -> None:
        self.opened.append(channel)
        channel.on("message", self.arrived.append)

    async def start(self) -> None:
        self.ours.describe(DataParameters("0", 5000, 0), is_dtls_client=False)
        self.ours.start()
        await self.peer.start(sctp.RTCSctpCapabilities(0), 5000)
        await until(lambda: self.ours.is_up and self.peer.state == "connected")

    def channel(self, label: str, **options: Any) -> RTCDataChannel:
        channel = RTCDataChannel(self.peer, RTCDataChannelParameters(label=label, **options))
        channel.on("message", self.arrived.append)
        return channel

    async def open(self, label: str, **options: Any) -> RTCDataChannel:
        channel = self.channel(label, **options)
        await until(lambda: channel.readyState == "open")
        return channel


async def until(condition: Callable[[], object], timeout_s: float = 10) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    pair = Pair()
    await pair.start()
    yield pair
    pair.ours.close()
    await pair.peer.stop()


async def test_a_peer_that_began_too_early_is_not_kept_waiting() -> None:
    """
    Its first step came before our half was described; it would come again after three seconds.
    """
    pair = Pair()
    starting = asyncio.ensure_future(pair.peer.start(sctp.RTCSctpCapabilities(0), 5000))
    early: list[bytes] = []
    pair.line.far = lambda packet: (early.append(packet), pair.ours.feed(packet))[0]
    await starting
    await until(lambda: early)
    pair.ours.describe(DataParameters("0", 5000, 0), is_dtls_client=False)
    pair.ours.start()
    await until(lambda: pair.ours.is_up and pair.peer.state == "connected", 2)
    pair.ours.close()
    await pair.peer.stop()


async def test_a_successor_begins_at_once_though_it_is_dtls_server(pair: Pair) -> None:
    """
    The peer has an association and would wait for ever. Its channel stays open and carries what comes after that;
    unordered, for aiortc does not count its streams anew.
    """
    channel = await pair.open("chat", ordered=False)
    remote, channels = pair.ours.remote, pair.ours.snapshot()
    assert remote is not None
    pair.ours = DataTransport(pair._send, pair.heard)
    pair.line.far = pair.ours.feed
    pair.ours.describe(remote, is_dtls_client=False)
    pair.ours.go_on(channels)
    pair.ours.start()
    await until(lambda: pair.ours.is_up, 2)
    channel.send("again")
    await until(lambda: pair.heard.messages, 2)

    assert ("chat", sctp.WEBRTC_STRING, b"again") == pair.heard.messages[-1]
    assert "open" == channel.readyState


async def test_an_opening_whose_answer_was_lost_is_answered_again_and_another_one_is_refused(pair: Pair) -> None:
    channel = await pair.open("chat")
    assert channel.id is not None
    channel._setReadyState("connecting")
    for label in ("chat", "other"):
        body = b"\x03\x00\x01\x00\0\0\0\0" + len(label).to_bytes(2, "big") + b"\0\0" + label.encode()
        await pair.peer._send(channel.id, sctp.WEBRTC_DCEP, body)
    await until(lambda: channel.readyState == "open" and pair.heard.refused)

    assert [("", "bad_message")] == pair.heard.refused
    assert ["chat"] == [each.parameters.label for each in pair.heard.channels]


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({}, ChannelParameters("chat")),
        ({"ordered": False}, ChannelParameters("chat", is_ordered=False)),
        ({"maxRetransmits": 0}, ChannelParameters("chat", max_retransmits=0)),
        (
            {"ordered": False, "maxPacketLifeTime": 300, "protocol": "json"},
            ChannelParameters("chat", protocol="json", is_ordered=False, max_lifetime_ms=300),
        ),
    ],
)
async def test_a_channel_is_known_as_its_peer_opened_it(
    pair: Pair, options: dict[str, Any], parameters: ChannelParameters
) -> None:
    """
    Label, protocol, order and reliability are in the opening (RFC 8832, 5.1).
    """
    await pair.open("chat", **options)

    assert [parameters] == [channel.parameters for channel in pair.heard.channels]


@pytest.mark.parametrize("label", ["mesures", "température et été", "体温", ""])
async def test_the_relay_opens_a_channel_as_it_was_opened_to_it(pair: Pair, label: str) -> None:
    """
    Label, order and reliability arrive, whatever the label's script: lengths count bytes.
    """
    ours = pair.ours.open(ChannelParameters(label, is_ordered=False, max_retransmits=3))
    ours.send(Message(sctp.WEBRTC_STRING, b"36.6"))
    await until(lambda: pair.arrived)

    (channel,) = pair.opened
    assert (label, False, 3, None) == (
        channel.label,
        channel.ordered,
        channel.maxRetransmits,
        channel.maxPacketLifeTime,
    )
    assert ["36.6"] == pair.arrived


async def test_text_and_binary_empty_and_not_keep_their_kind(pair: Pair) -> None:
    """
    Four payload protocol ids, each as it came (RFC 8831, 8).
    """
    channel = await pair.open("chat")
    for message in ("é", "", b"\x00\xff", b""):
        channel.send(message)
    await until(lambda: len(pair.heard.messages) == 4)

    assert [(51, "é".encode()), (56, b"\0"), (53, b"\x00\xff"), (57, b"\0")] == [m[1:] for m in pair.heard.messages]


async def test_a_channel_that_was_agreed_upon_is_known_by_its_stream(pair: Pair) -> None:
    """
    Nothing opens it in-band; its first message does, and a message back takes the same stream.
    """
    channel = await pair.open("private", negotiated=True, id=7)
    channel.send("hello")
    await until(lambda: pair.heard.messages)
    pair.heard.channels[0].send(Message(sctp.WEBRTC_STRING, b"back"))
    await until(lambda: pair.arrived)

    assert (7, "") == pair.heard.channels[0].parameters.name
    assert ["back"] == pair.arrived


@pytest.mark.parametrize(("size", "is_taken"), [(MAX_MESSAGE_BYTES, True), (MAX_MESSAGE_BYTES + 1, False)])
async def test_a_message_past_the_limit_is_refused_by_name(pair: Pair, size: int, is_taken: bool) -> None:
    """
    64 KiB pass, one byte more is `too_large`; the channel and what follows on it are untouched.
    """
    channel = await pair.open("file")
    channel.send(b"x" * size)
    channel.send("after")
    await until(lambda: (51, b"after") in [each[1:] for each in pair.heard.messages])

    assert ([] if is_taken else [("file", "too_large")]) == pair.heard.refused
    assert (2 if is_taken else 1) == len(pair.heard.messages)


@pytest.mark.parametrize("is_ordered", [True, False])
async def test_a_message_of_a_megabyte_is_swallowed_in_bounded_memory(pair: Pair, is_ordered: bool) -> None:
    """
    What is too large is let go of while it comes, even out of order; it is told once.
    """
    channel = await pair.open("file", ordered=is_ordered)
    count = 0

    def passes(packet: bytes) -> bool:
        nonlocal count
        count += 1
        return count % 50 != 0

    pair.line.passes = passes
    held = []
    channel.send(b"x" * 1_000_000)
    channel.send("after")

    def is_done() -> bool:
        held.append(own.WINDOW_BYTES - pair.ours._association._advertised_rwnd)
        return bool(pair.heard.messages)

    await until(is_done, 60)

    assert [("file", "too_large")] == pair.heard.refused
    assert max(held) <= own.WINDOW_BYTES
    assert own.WINDOW_BYTES == pair.ours._association._advertised_rwnd


async def test_a_listener_that_cannot_take_closes_the_window_and_loses_nothing(pair: Pair) -> None:
    """
    What it has not taken stays, in order and within the window; the peer goes on once it is taken.
    """
    channel = await pair.open("file")
    pair.heard.is_taking = False
    for n in range(40):
        channel.send(bytes([n]) * 16384)
    await until(lambda: pair.ours.held_bytes > own.WINDOW_BYTES - 3 * 16384)
    held = pair.ours.held_bytes
    pair.heard.is_taking = True
    pair.ours.resume()
    await until(lambda: len(pair.heard.messages) == 40, 30)

    assert held <= own.WINDOW_BYTES
    assert list(range(40)) == [each[2][0] for each in pair.heard.messages]
    assert {16384} == {len(each[2]) for each in pair.heard.messages}


async def test_what_waits_for_a_slow_peer_is_counted_until_it_is_acknowledged(pair: Pair) -> None:
    """
    Queued, sent, and back to nothing: each byte is counted from `send` to its acknowledgement.
    """
    ours = pair.ours.open(ChannelParameters("file"))
    await until(lambda: pair.opened)
    pair.passes = lambda packet: False
    message = Message(sctp.WEBRTC_BINARY, b"x" * 1000)
    before = pair.ours.queued_bytes
    for _ in range(10):
        ours.send(message)
    waiting = pair.ours.queued_bytes - before
    pair.passes = lambda packet: True
    await until(lambda: pair.ours.queued_bytes == 0)

    assert 10 * (1000 + sending.MESSAGE_OVERHEAD_BYTES) == waiting
    assert pair.ours.has_room(message, 1000 + sending.MESSAGE_OVERHEAD_BYTES)
    assert not pair.ours.has_room(message, 1000 + sending.MESSAGE_OVERHEAD_BYTES - 1)


async def test_datagrams_stay_below_1200_bytes(pair: Pair) -> None:
    """
    No packet of ours is larger than leaves room for DTLS (37), UDP and IPv6 (48).
    """
    ours = pair.ours.open(ChannelParameters("file"))
    ours.send(Message(sctp.WEBRTC_BINARY, b"x" * MAX_MESSAGE_BYTES))
    await until(lambda: pair.arrived)

    assert 1000 < max(map(len, pair.sent)) <= 1200 - 37 - 48


async def test_a_refused_channel_is_closed_and_what_comes_on_it_is_not_heard(pair: Pair) -> None:
    """
    The peer sees its channel close; the others are as before.
    """
    await pair.open("chat")
    pair.heard.is_welcome = False
    channel = pair.channel("more")
    channel.on("open", lambda: channel.send("unheard"))
    await until(lambda: channel.readyState == "closed")

    assert ["chat"] == [each.parameters.label for each in pair.heard.channels]
    assert ([], []) == (pair.heard.messages, pair.heard.closed)


async def test_a_channel_closed_by_either_side_is_gone_on_both(pair: Pair) -> None:
    """
    The streams are reset in both directions (RFC 8831, 6.7).
    """
    theirs = await pair.open("theirs")
    ours = pair.ours.open(ChannelParameters("ours"))
    await until(lambda: pair.opened)
    theirs.close()
    ours.close()
    await until(lambda: theirs.readyState == pair.opened[0].readyState == "closed")

    assert {"theirs", "ours"} == set(pair.heard.closed)
    assert () == pair.ours.channels


async def test_what_is_opened_and_sent_before_the_association_is_up_arrives() -> None:
    """
    The relay offers data channels and need not wait for the answer.
    """
    pair = Pair()
    ours = pair.ours.open(ChannelParameters("chat"))
    ours.send(Message(sctp.WEBRTC_STRING, b"early"))
    await pair.start()
    await until(lambda: pair.arrived)

    assert ["early"] == pair.arrived
    pair.ours.close()
    await pair.peer.stop()


def packet(peer: sctp.RTCSctpTransport, chunk: sctp.Chunk) -> bytes:
    """A packet of the peer's, as hostile as one likes."""
    return sctp.serialize_packet(5000, 5000, peer._remote_verification_tag, chunk)


async def test_gap_blocks_that_claim_the_world_cost_nothing(pair: Pair) -> None:
    """
    An acknowledgement names at most what is outstanding; 280 blocks of 65,535 are passed over at once.
    """
    sack = sctp.SackChunk()
    sack.cumulative_tsn = (pair.ours._association._local_tsn - 1) % 2**32
    sack.gaps = [(1, 65535)] * 280
    loop = asyncio.get_running_loop()
    before = loop.time()
    pair.ours.feed(packet(pair.peer, sack))

    assert loop.time() - before < 0.1
    assert not pair.ours.is_gone


async def test_an_acknowledgement_of_what_was_never_sent_is_passed_over(pair: Pair) -> None:
    """
    The association goes on.
    """
    sack = sctp.SackChunk()
    sack.cumulative_tsn = (pair.ours._association._local_tsn + 1000) % 2**32
    pair.ours.feed(packet(pair.peer, sack))
    ours = pair.ours.open(ChannelParameters("chat"))
    ours.send(Message(sctp.WEBRTC_STRING, b"still here"))
    await until(lambda: pair.arrived)

    assert ["still here"] == pair.arrived


async def test_fragments_without_end_on_every_stream_stay_in_bounds(pair: Pair) -> None:
    """
    Beginnings of messages that never end: the association is aborted before they are many.
    """
    tsn = pair.ours._association._last_received_tsn
    for n in range(own.MAX_HELD_CHUNKS + 1):
        chunk = sctp.DataChunk(flags=sctp.SCTP_DATA_FIRST_FRAG)
        chunk.tsn = (tsn + 1 + n) % 2**32
        chunk.stream_id, chunk.user_data = n % own.MAX_STREAMS, b"x"
        assert not pair.ours.is_gone, n
        pair.ours.feed(packet(pair.peer, chunk))

    assert pair.ours.is_gone


async def test_streams_past_the_limit_keep_nothing(pair: Pair) -> None:
    """
    1,024 streams, as the relay said when the association began.
    """
    tsn = pair.ours._association._last_received_tsn
    for n, stream in enumerate((own.MAX_STREAMS - 1, own.MAX_STREAMS, 65535)):
        chunk = sctp.DataChunk(flags=sctp.SCTP_DATA_FIRST_FRAG | sctp.SCTP_DATA_LAST_FRAG)
        chunk.tsn, chunk.stream_id, chunk.protocol = (tsn + 1 + n) % 2**32, stream, sctp.WEBRTC_STRING
        chunk.user_data = b"x"
        pair.ours.feed(packet(pair.peer, chunk))

    assert [own.MAX_STREAMS - 1] == [channel.parameters.negotiated_id for channel in pair.heard.channels]
    assert set(pair.ours._association._inbound_streams) <= {own.MAX_STREAMS - 1}


@pytest.mark.parametrize(
    "body", [b"\x03", b"\x03\x00" + b"\xff" * 10, b"\x03\x00" + bytes(6) + b"\x00\x04\x00\x00abc\xff"]
)
async def test_an_opening_that_is_malformed_is_refused_by_name(pair: Pair, body: bytes) -> None:
    """
    Too short, lengths past its end, or no UTF-8.
    """
    tsn = pair.ours._association._last_received_tsn
    chunk = sctp.DataChunk(flags=sctp.SCTP_DATA_FIRST_FRAG | sctp.SCTP_DATA_LAST_FRAG)
    chunk.tsn, chunk.stream_id, chunk.protocol, chunk.user_data = (tsn + 1) % 2**32, 3, sctp.WEBRTC_DCEP, body
    pair.ours.feed(packet(pair.peer, chunk))

    assert [("", "bad_message")] == pair.heard.refused
    assert [] == pair.heard.channels


async def test_garbage_is_passed_over(pair: Pair) -> None:
    """
    Cut and flipped packets, with good checksums: the association is as it was, or aborted, and nothing is raised.
    """
    whole = [bytes(12 + n) for n in range(20)]
    for kind in (0, 1, 2, 3, 7, 9, 10, 130, 192):
        for size in range(4, 24):
            tag = 0 if kind == 1 else pair.peer._remote_verification_tag
            head = (5000).to_bytes(2, "big") * 2 + tag.to_bytes(4, "big")
            body = bytes([kind, 3]) + size.to_bytes(2, "big") + bytes([0xFF] * (size - 4))
            raw = head + sctp.crc32c(head + bytes(4) + body).to_bytes(4, "little") + body
            whole.append(raw)
    for each in whole:
        pair.ours.feed(each)
    pair.ours.close()

    assert pair.ours.is_gone


@pytest.mark.parametrize(
    ("body", "count"), [(b"", 1), (b"\0" * 3, 1), (b"\0\0\0\4" * 65, 65), (b"\0\0\0\x11" + bytes(16), 1)]
)
def test_a_packet_costs_as_much_as_it_has_chunks(body: bytes, count: int) -> None:
    """
    65 chunks in a packet are 65 times the work of one; a length of nothing still goes on.
    """
    assert count == own.chunk_count(bytes(12) + body)


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=60)), max_size=6), st.booleans())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_chunks_a_peer_sends_nothing_is_raised(
    chunks: list[tuple[int, int, bytes]], is_up: bool
) -> None:
    """
    With the right tag and checksum, before and after the handshake (A45): passed over, answered, or aborted.
    """
    pair = Pair()
    if is_up:
        await pair.start()
    else:
        pair.ours.describe(DataParameters("0", 5000, 0), is_dtls_client=False)
        pair.ours.start()
    known = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 130, 192)
    body = b""
    for kind, flags, value in chunks:
        kind = known[kind % len(known)] if kind < 240 else kind
        body += bytes([kind, flags]) + (len(value) + 4).to_bytes(2, "big") + value + bytes(-len(value) % 4)
    tag = 0 if chunks and known[chunks[0][0] % len(known)] == 1 else pair.ours._association._local_verification_tag
    head = (5000).to_bytes(2, "big") * 2 + tag.to_bytes(4, "big")
    pair.ours.feed(head + sctp.crc32c(head + bytes(4) + body).to_bytes(4, "little") + body)
    pair.ours.close()
    await pair.peer.stop()

    assert pair.ours.is_gone


@pytest.mark.parametrize(("size", "is_taken"), [(256, True), (257, False)])
async def test_a_label_past_the_limit_is_refused_by_name(pair: Pair, size: int, is_taken: bool) -> None:
    """
    256 bytes, not characters.
    """
    label = "é" * (size // 2) + "x" * (size % 2)
    body = b"\x03" + bytes(7) + size.to_bytes(2, "big") + bytes(2) + label.encode()
    chunk = sctp.DataChunk(flags=sctp.SCTP_DATA_FIRST_FRAG | sctp.SCTP_DATA_LAST_FRAG)
    chunk.tsn, chunk.stream_id = (pair.ours._association._last_received_tsn + 1) % 2**32, 2
    chunk.protocol, chunk.user_data = sctp.WEBRTC_DCEP, body
    pair.ours.feed(packet(pair.peer, chunk))

    assert ([label] if is_taken else []) == [each.parameters.label for each in pair.heard.channels]
    assert ([] if is_taken else [("", "bad_message")]) == pair.heard.refused


async def test_what_comes_too_fast_waits_its_turn_and_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    1,000 chunks are taken at once and 4,000 a second after that, in order; 1,024 packets wait at most.
    """
    now = 1000.0
    monkeypatch.setattr(transport, "time", type("Clock", (), {"monotonic": staticmethod(lambda: now)}))
    monkeypatch.setattr(transport, "TURN_S", 0.0)
    worker = type("W", (), {"index": 0})
    connection = Connection(transport.Site(worker, None, (), 1), participant=1, is_admitted=True)  # type: ignore[arg-type]
    taken: list[int] = []
    connection.data = cast(
        DataTransport,
        type("D", (), {"is_gone": False, "feed": lambda self, data: taken.append(int.from_bytes(data[-4:], "big"))})(),
    )
    count = transport.CHUNK_BURST + transport.MAX_WAITING_PACKETS
    for n in range(count + 1):
        connection._on_event(DataReceived(1, bytes(12) + (8).to_bytes(4, "big") + n.to_bytes(4, "big")))
    at_once = len(taken)
    now += 0.1
    await until(lambda: len(taken) > at_once)
    after = len(taken)
    now += 10
    await until(lambda: len(taken) == count)
    connection._on_event(DataReceived(1, bytes(12) + (8).to_bytes(4, "big") + (count + 7).to_bytes(4, "big")))

    assert (1000, 1400) == (at_once, after)
    assert [*range(count), count + 7] == taken
