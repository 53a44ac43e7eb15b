"""
A24-A35: hostile content under valid keys: headers, extensions, sources, layers, payload types and codecs; datagrams of
impossible size and of no class.
"""

from __future__ import annotations

import os
import random
import struct
import time
from collections import Counter

import pytest
from harness import OPUS, RED, VIDEO, VP8, LiveCall, Peer, World, amount, pair, until

from support import sealing
from telerelay.protocol.parameters import (
    DEPENDENCY_DESCRIPTOR,
    MID,
    RID,
    Codec,
    Encoding,
    NegotiatedCodec,
    ReceiveParameters,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SSRC, HEARD_AS = 0x40, 0x80
MAX_STRANGERS = 32
MAX_ELEMENTS = 32


def payload_of(packet: bytes) -> bytes:
    return packet[sealing.header_size(packet) :]


def verdict(packet: bytes) -> str:
    """
    What a packet under the right keys comes to, read from RFC 3550, 5.1, and RFC 8285 once more; 111 is the one payload
    type there is, and nobody watches.
    """
    if len(packet) < 12:
        return "srtp_short"
    header = sealing.header_size(packet)
    if not header:
        return "rtp_malformed"
    left = len(packet) - header
    if packet[0] & 0x20 and not (left and 1 <= packet[-1] <= left):
        return "rtp_malformed"
    if packet[0] & 0x10 and not extensions_add_up(packet):
        return "rtp_extension"
    return "no_subscriber" if packet[1] & 0x7F == 111 else "rtp_payload_type"


def extensions_add_up(packet: bytes) -> bool:
    at = 12 + 4 * (packet[0] & 15)
    profile, words = struct.unpack("!HH", packet[at : at + 4])
    body, count = packet[at + 4 : at + 4 + 4 * words], 0
    one_byte, two_byte = profile == 0xBEDE, profile & 0xFFF0 == 0x1000
    while (one_byte or two_byte) and body:
        if body[0] == 0:
            body = body[1:]
            continue
        if one_byte and body[0] >> 4 in (0, 15):
            break
        if two_byte and len(body) < 2:
            return False
        size = 1 + (body[0] & 15) + 1 if one_byte else 2 + body[1]
        count += 1
        if size > len(body) or count > MAX_ELEMENTS:
            return False
        body = body[size:]
    return True


async def test_a24_headers_that_do_not_add_up(world: World, call: LiveCall) -> None:
    """
    The first 16 bits × lengths 1-64, contents by chance: each packet comes to what the RFC says of it.
    """
    peer = await world.peer()
    await peer.publishes(SSRC)
    rng = random.Random(24)
    every = [(first, second) for first in range(0x80, 0xC0) for second in range(256) if not 192 <= second <= 223]
    forms = [(*rng.choice(every), rng.randrange(1, 65)) for _ in range(6000)]
    if amount(1, 0):
        forms = [(first, second, size) for first, second in every for size in range(1, 65)]
    expected: Counter[str] = Counter()

    def packets() -> list[bytes]:
        made = []
        for index, (first, second, size) in enumerate(forms):
            if rng.random() < 0.5:
                second = 111
            body = bytearray(rng.randbytes(52))
            at = 4 * (first & 15)
            if first & 0x10 and at + 4 <= 52 and rng.random() < 0.7:
                profile = rng.choice([0xBEDE, 0x1000, 0x1003])
                body[at : at + 4] = struct.pack("!HH", profile, rng.randrange(0, 8))
            if rng.random() < 0.5:
                body[size - 13 if size > 12 else 0] = rng.randrange(0, 40)
            head = struct.pack("!BBHII", first, second, index & 0xFFFF, index, SSRC)
            packet = (head + bytes(body))[:size]
            expected[verdict(packet)] += 1
            made.append(peer.seal(packet, index >> 16))
        return made

    made = packets()
    async with world.drops(**expected):
        await peer.flood(made)

    assert {"srtp_short", "rtp_malformed", "rtp_extension", "rtp_payload_type", "no_subscriber"} == set(expected)
    await peer.leave()


async def test_a25_extension_floods_are_stripped_or_dropped(world: World, call: LiveCall) -> None:
    """
    Unknown elements of every length 0-255 stay behind and the payload arrives; 33 elements, or one that reaches beyond
    its block, are `rtp_extension`.
    """
    async with pair(world) as (publisher, subscriber):
        blocks = [sealing.extension_block([(200, bytes(size))], two_byte=True) for size in range(256)]
        blocks += [sealing.extension_block([(2 + n % 13, b"x")] * n) for n in range(1, 33)]
        blocks += [sealing.extension_block([(1, b"0"), (1, b"9"), (2, b"zz")])]
        bad = [sealing.extension_block([(2, b"x")] * 33), sealing.extension_block([(99, b"")] * 200, two_byte=True)]
        bad += [struct.pack("!HHBBBB", 0x1000, 1, 9, size, 0, 0) for size in range(3, 256)]
        async with world.drops(rtp_extension=len(bad)):
            await publisher.flood(
                publisher.seal(sealing.rtp(111, seq, SSRC, f"words {seq}".encode(), block=block))
                for seq, block in enumerate(blocks + bad)
            )
        assert await until(lambda: len(subscriber.packets) == len(blocks))

        assert [f"words {n}".encode() for n in range(len(blocks))] == [payload_of(p) for p in subscriber.packets]
        assert all([(4, b"0")] == sealing.read_extensions(packet) for packet in subscriber.packets)


async def test_a26_a_source_is_its_owners_on_every_connection(world: World, call: LiveCall) -> None:
    """
    One who claims Ada's SSRC in his own session reaches his own subscribers, under another number; Bob, who never
    published, reaches nobody with it.
    """
    async with pair(world, ssrc=LiveCall.SSRC) as (publisher, subscriber):
        async with world.drops(rtp_unknown_ssrc=100):
            for n in range(100):
                publisher.send_rtp(sealing.rtp(111, n, LiveCall.SSRC, b"not ada"))
                call.bob.send_rtp(sealing.rtp(111, n, LiveCall.SSRC, b"not ada"))
        assert await until(lambda: len(subscriber.packets) == 100)

        assert {struct.pack("!I", HEARD_AS)} == {packet[8:12] for packet in subscriber.packets}


async def test_a27_a_flood_of_sources_leaves_room_for_the_declared(world: World, call: LiveCall) -> None:
    """
    20,000 authentic sources that nobody declared: the first 32 are looked at and two a second after that, the others
    are refused before they are opened; of as many reports each is counted, none kept. One source that is declared
    afterwards, and one that is declared and silent meanwhile, are heard and still guarded against replay.
    """
    count = amount(20_000, 2000)
    async with pair(world) as (publisher, subscriber):
        publisher.send_rtp(sealing.rtp(111, 0, SSRC, b"before"))
        first = publisher.seal(sealing.rtp(111, 0, SSRC, b"before"))
        # Each under a number of its own, and in cycle 0 as a first packet is.
        flood = [publisher.seal(sealing.rtp(111, n % 60000, 0x10000 + n, b"flood")) for n in range(count)]
        async with world.counting() as counted:
            began = time.monotonic()
            await publisher.flood(flood)
            await world.drained()
        opened, limited = counted.drops.pop("rtp_unknown_ssrc"), counted.drops.pop("srtp_ssrc_limit")
        assert ({}, count) == (counted.drops, opened + limited)
        assert MAX_STRANGERS <= opened <= MAX_STRANGERS + 2 * (time.monotonic() - began) + 1
        async with world.drops(rtcp_foreign=count):
            await publisher.flood(publisher.seal_rtcp(sealing.sender_report(0x20000 + n)) for n in range(count))
        late = await publisher.publishes(0x99, OPUS, mid="1")
        await subscriber.watches(late, 0x9A, mid="1")
        async with world.drops(srtp_replay=1):
            publisher.send_rtp(sealing.rtp(111, 1, SSRC, b"after"))
            publisher.send_rtp(sealing.rtp(111, 7, 0x99, b"declared late"))
            publisher.send(first)
        assert await until(lambda: len(subscriber.packets) == 3)

        assert [b"before", b"after", b"declared late"] == [payload_of(packet) for packet in subscriber.packets]


async def test_a28_layers_nobody_declared_are_dropped(world: World, call: LiveCall) -> None:
    """
    RIDs and MIDs by the thousand: `rtp_unknown_ssrc`; the two that were declared are taken.
    """
    count = amount(65_536, 1500)
    peer = await world.peer()
    last = count + 300
    encodings = (Encoding("lo"), Encoding("hi"))
    await peer.publishes(0, VP8, encodings=encodings, extensions={MID: 1, RID: 2})

    def packet(n: int, mid: bytes, rid: bytes) -> bytes:
        block = sealing.extension_block([(1, mid), (2, rid)], two_byte=len(rid) > 16)
        # Few sources, for new ones are limited (A27); each number once, so that none is a replay.
        ssrc, seq = (0x30000 + n, n) if n >= last else (0x30000 + n % 8, n // 8)
        return peer.seal(sealing.rtp(96, seq & 0x7FFF, ssrc, b"\x10\0\0\0" + bytes(40), block=block))

    async with world.drops(rtp_unknown_ssrc=count + 100 + 200):
        await peer.flood(packet(n, b"0", f"r{n:x}".encode()) for n in range(count))
        await peer.flood(packet(count + n, f"m{n}".encode(), b"hi") for n in range(100))
        await peer.flood(packet(count + 100 + n, b"0", b"hi" + bytes([65] * (1 + n))) for n in range(200))
    async with world.drops(no_subscriber=2):
        peer.send(packet(last, b"0", b"hi"))
        peer.send(packet(last + 1, b"0", b"lo"))
    await peer.leave()


async def test_a29_payload_types_are_those_of_the_section(world: World, call: LiveCall) -> None:
    """
    128 types × sizes: only what was negotiated for this section is taken, no resend on the media's source, no media
    on the resends'; resends too short for a number, or of what is not missing, are `rtx_unwanted`.
    """
    sizes = [1, 2, 20, 1000]
    peer = await world.peer()
    await peer.publishes(SSRC, VP8)
    seq = 0
    peer.send_rtp(sealing.rtp(96, seq, SSRC, b"\x10\0\0\0" + bytes(40)))
    async with world.drops(no_subscriber=len(sizes), rtp_payload_type=127 * len(sizes) * 2, rtx_unwanted=2 + 3 + 1):
        for size in sizes:
            for pt in range(128):
                seq += 1
                peer.send_rtp(sealing.rtp(pt, seq, SSRC, bytes(size)))
                if pt != 97:
                    peer.send_rtp(sealing.rtp(pt, seq, SSRC + 1, bytes(size)))
        for n in range(2):  # less than a number
            peer.send_rtp(sealing.rtp(97, 5000 + n, SSRC + 1, bytes(n)))
        for n in range(3):  # the very first packet, that is not missing
            peer.send_rtp(sealing.rtp(97, 5002 + n, SSRC + 1, bytes(2) + b"\x10\0\0\0"))
        # a resend inside a resend is a resend of packet 0x7d00, which is far ahead of anything
        peer.send_rtp(sealing.rtp(97, 5005, SSRC + 1, struct.pack("!HH", 0x7D00, 0) + bytes(10)))
    await peer.leave()


@pytest.mark.parametrize("name", ["VP8", "VP9", "H264", "H265", "AV1"])
async def test_a30_to_a32_payload_headers_are_read_and_never_believed(world: World, call: LiveCall, name: str) -> None:
    """
    Every payload of one byte, then noise that begins like the codec's traps (aggregates, long descriptors, dependency
    descriptors): each packet arrives unchanged or waits for a keyframe, by the packet.
    """
    rng = random.Random(name)
    codec = NegotiatedCodec(Codec(name, 90000, feedback=VIDEO), 96)
    heads = {
        "VP8": [b"\x90\xf0", b"\x80\x80\xff\xff", b"\xff" * 8, b"\x10\0"],
        "VP9": [b"\xff" * 12, b"\x8a\xff\xff", b"\xf2\x80\x80\xff", b"\x0a\0\xff"],
        "H264": [b"\x78\0\0", b"\x78\xff\xff", b"\x18\0\1\x67", b"\x7c\x85", b"\x78\0\4\x78\0\1\x65"],
        "H265": [b"\x60\1\0\0", b"\x60\1\xff\xff", b"\x62\1\x93", b"\x60\1\0\4\x60\1\0\1"],
        "AV1": [b"\x38\xff\xff", b"\x08\x0a\xff\xff\xff\xff\xff\xff\xff\xff", b"\xf8\x80\x80\x80\x80"],
    }[name]
    payloads = [bytes([first]) for first in range(256)]
    for _ in range(amount(100_000, 1200)):
        head = rng.choice([*heads, b""])
        payloads.append(head + rng.randbytes(rng.randrange(1, 60)))
    extensions = {MID: 1, DEPENDENCY_DESCRIPTOR: 3}
    publisher, subscriber = await world.peer(room=30), await world.peer(room=30)
    receiver = await publisher.publishes(SSRC, codec, extensions=extensions)
    await subscriber.watches(receiver, HEARD_AS, codec, extensions={MID: 4, DEPENDENCY_DESCRIPTOR: 5})

    def packets() -> list[bytes]:
        made = []
        for index, payload in enumerate(payloads):
            elements = [(3, rng.randbytes(rng.randrange(1, 60)))] if index % 2 else []
            block = sealing.extension_block(elements, two_byte=True) if elements else b""
            plain = sealing.rtp(96, index, SSRC, payload, ts=index * 3000, marker=bool(index % 3), block=block)
            made.append(publisher.seal(plain, index >> 16))
        return made

    made, before = packets(), world.worker.stats().drops
    async with world.counting() as counted:
        await publisher.flood(made)
        await world.drained()
        drained = world.worker.stats().drops
        waiting = drained.get("wait_keyframe", 0) - before.get("wait_keyframe", 0)
        assert await until(lambda: len(subscriber.packets) >= len(payloads) - waiting)
    arrived = [payload_of(packet) for packet in subscriber.packets]

    assert set(counted.drops) <= {"wait_keyframe"}
    assert len(payloads) == len(arrived) + counted.drops.get("wait_keyframe", 0)
    assert payloads[len(payloads) - len(arrived) :] == arrived
    await publisher.leave()
    await subscriber.leave()


def unfold(payload: bytes) -> list[tuple[int, bytes]] | None:
    """
    A RED payload's blocks, read from RFC 2198, 3, once more: at most five, all of opus (111), the last not empty.
    """
    heads, at = [], 0
    while at < len(payload) and payload[at] & 0x80:
        if at + 4 > len(payload):
            return None
        heads.append((payload[at] & 0x7F, int.from_bytes(payload[at + 2 : at + 4], "big") & 0x3FF))
        at += 4
    if at >= len(payload) or len(heads) > 4:
        return None
    blocks, last, at = [], payload[at] & 0x7F, at + 1
    for pt, size in heads:
        blocks.append((pt, payload[at : at + size]))
        at += size
    blocks.append((last, payload[at:]))
    return blocks if at < len(payload) and all(pt == 111 for pt, _ in blocks) else None


async def test_a33_redundancy_is_never_unfolded_twice(world: World, call: LiveCall) -> None:
    """
    RED with blocks without end, blocks longer than the packet, RED in RED: `red_malformed`. What adds up arrives with
    the subscriber's payload types, or as its last block where the subscriber has no RED; nothing else is touched.
    """
    rng = random.Random(33)
    payloads = [bytes([0x80 | 63]) * n for n in range(1, 200)]
    payloads += [bytes([0xEF, 0xFF, 0xFF, 0xFF]) + rng.randbytes(n) for n in range(200)]
    payloads += [bytes([63]) + bytes([111]) + b"nested", bytes([0x80 | 63, 0, 0, 2, 111]) + b"\x6fanested"]
    payloads += [rng.randbytes(rng.randrange(1, 100)) for _ in range(amount(20_000, 600))]
    for blocks in range(8):
        payloads += [
            bytes([0xEF, 0x0F, 0, 3]) * blocks + bytes([111]) + rng.randbytes(3 * blocks + n) for n in range(9)
        ]
    rng.shuffle(payloads)
    good = [(payload, unfolded) for payload in payloads if (unfolded := unfold(payload))]
    publisher, red, plain = await world.peer(room=33), await world.peer(room=33), await world.peer(room=33)
    receiver = world.worker.receivers.take()
    params = ReceiveParameters("0", "audio", (RED, OPUS), (Encoding("", SSRC),), {MID: 1})
    await world.worker.add_receiver(receiver, publisher.transport, params)
    for subscriber, pts in ((red, [98, 96]), (plain, [96, 96])):
        sender = await subscriber.watches(receiver, HEARD_AS)
        await world.worker.bind_sender(sender, receiver, pts)
    async with world.drops(red_malformed=len(payloads) - len(good)):
        await publisher.flood(
            publisher.seal(sealing.rtp(63, seq, SSRC, payload), seq >> 16) for seq, payload in enumerate(payloads)
        )
    assert await until(lambda: len(red.packets) == len(plain.packets) == len(good))

    assert len(good) > 40
    for (payload, blocks), with_red, without in zip(good, red.packets, plain.packets, strict=True):
        renamed = bytearray(payload)
        for index in range(len(blocks)):
            renamed[4 * index] = renamed[4 * index] & 0x80 | 96
        assert (98, bytes(renamed)) == (with_red[1] & 0x7F, payload_of(with_red))
        assert (96, blocks[-1][1]) == (without[1] & 0x7F, payload_of(without))
    for peer in (publisher, red, plain):
        await peer.leave()


async def test_a34_datagrams_of_impossible_size(world: World, call: LiveCall) -> None:
    """
    0, 1-2,100 and 65,507 bytes from a stranger and on the live path: `size` above 1,500 and at 0, nothing logged.
    """
    stranger = world.stranger()
    sizes = [*range(2101), 65_507]
    async with world.drops(size=1 + 600 + 1, unknown_path=1500):
        await world.flood(stranger, (b"\x80" * size for size in sizes))
    async with world.drops(size=1 + 600 + 1):
        await call.ada.flood(b"\x80" * size for size in sizes if size == 0 or size > 1500)

    with pytest.raises(BlockingIOError):
        stranger.recv(2048)


def class_of(first: int, second: int) -> str:
    """RFC 7983, 7, and RFC 5761, 4."""
    if first <= 3:
        return "stun"
    if 20 <= first <= 63:
        return "dtls"
    if 128 <= first <= 191:
        return "rtcp" if 192 <= second <= 223 else "rtp"
    return "other"


@pytest.mark.parametrize("state", ["stranger", "checked", "connected"])
async def test_a35_each_first_byte_has_one_class(world: World, call: LiveCall, state: str) -> None:
    """
    256 first bytes × media and control × how far the sender has come: one counter each, by a table of its own.
    """
    peer = Peer(world)
    await peer.begin()
    if state != "stranger":
        peer.send(peer.check())
        assert await until(lambda: peer.states == ["checked"])
    if state == "connected":
        peer.start_dtls()
        assert await until(lambda: peer.states[-1] == "connected")
    by_class = {
        "stranger": {"dtls": "unknown_path", "rtp": "unknown_path", "rtcp": "unknown_path"},
        "checked": {"dtls": "dtls_malformed", "rtp": "srtp_no_keys", "rtcp": "srtp_no_keys"},
        "connected": {"dtls": "dtls_malformed", "rtp": "srtp_auth", "rtcp": "srtp_auth"},
    }[state] | {"stun": "stun_malformed", "other": "class"}
    expected: Counter[str] = Counter()
    datagrams = []
    for first in range(256):
        for second in (111, 200):
            datagram = bytes([first, second]) + os.urandom(10) + bytes(100)
            name = by_class[class_of(first, second)]
            if name == "srtp_auth" and second == 111 and not sealing.header_size(datagram[:-16]):
                name = "rtp_malformed"
            expected[name] += 1
            datagrams.append(datagram)
    async with world.drops(**expected):
        for datagram in datagrams:
            peer.send(datagram)
            if 20 <= datagram[0] <= 63:
                await world.drained()
    await peer.leave()
