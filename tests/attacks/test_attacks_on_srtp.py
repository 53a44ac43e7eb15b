"""
A01-A07: forged, replayed and redirected media, rollover, and numbers used twice.
"""

from __future__ import annotations

import os
import random
import struct

import pytest
from harness import VP8, LiveCall, World, amount, until

from support import sealing

pytestmark = pytest.mark.asyncio(loop_scope="module")


def forged(ssrc: int, seq: int, size: int = 100) -> bytes:
    """Looks like SRTP of that source, and its tag is noise."""
    return struct.pack("!BBHII", 0x80, 111, seq & 0xFFFF, 0, ssrc) + os.urandom(size)


async def test_a01_a_strangers_media_is_not_even_parsed(world: World, call: LiveCall) -> None:
    """
    From another socket, forged or copied byte by byte from the publisher: `unknown_path`, and not a byte comes back.
    """
    stranger = world.stranger()
    copies = [call.sealed(number) for number in range(500)]
    async with world.drops(unknown_path=1000):
        await world.flood(stranger, copies)
        await world.flood(stranger, (forged(LiveCall.SSRC, n) for n in range(500)))

    with pytest.raises(BlockingIOError):
        stranger.recv(2048)


async def test_a01_forgeries_on_the_same_five_tuple_fail_their_tag(world: World, call: LiveCall) -> None:
    """
    From the publisher's own address, with its SSRC and the numbers that come next: `srtp_auth` each, none forwarded.
    """
    async with world.drops(srtp_auth=500):
        await call.ada.flood(forged(LiveCall.SSRC, call.said + 200 + n) for n in range(500))


async def test_a02_media_and_unsigned_checks_redirect_nothing(world: World, call: LiveCall) -> None:
    """
    Bob's own sealed packets and checks in his name without his password, from elsewhere: the attacker gets 0 bytes.
    """
    attacker = world.stranger("127.0.0.7")
    bobs = call.bob.seal(sealing.rtp(111, 1, 77, b"x" * 50))
    paths = list(call.bob.paths)
    async with world.drops(unknown_path=300, stun_integrity=150):
        for _ in range(50):
            await world.flood(attacker, [bobs] * 6)
            world.send(attacker, call.bob.check(signs=False))
            world.send(attacker, call.bob.check(pwd="w" * 32))
            world.send(attacker, call.bob.check(pwd=call.bob.remote.pwd))

    assert paths == call.bob.paths
    with pytest.raises(BlockingIOError):
        attacker.recv(2048)


async def test_a03_a_flood_of_bad_tags_ends_no_call(
    world: World, call: LiveCall, caplog: pytest.LogCaptureFixture
) -> None:
    """
    On the live path, every one of them counted; the publisher stays connected and nothing is logged.
    """
    count = amount(1_000_000, 20_000)
    states = list(call.ada.states)
    junk = os.urandom(100)

    def packets() -> list[bytes]:
        return [struct.pack("!BBHII", 0x80, 111, call.said + 300 & 0xFFFF, n, LiveCall.SSRC) + junk for n in range(100)]

    async with world.drops(srtp_auth=count):
        for _ in range(count // 100):
            await call.ada.flood(packets())

    assert states == call.ada.states
    assert [] == caplog.records


async def test_a04_replays_go_nowhere(world: World, call: LiveCall) -> None:
    """
    Each packet three times more, backwards; then those older than the window; then into another's session, where they
    are under the wrong keys.
    """
    assert await until(lambda: call.said > 150)
    last = call.said
    recent = [call.sealed(number) for number in range(last - 1, last - 101, -1)]
    before = (await world.worker.transport_stats(call.bob.transport)).senders[0].tx_packets
    async with world.drops(srtp_replay=300, srtp_auth=100):
        said = call.said
        for _ in range(3):
            await call.ada.flood(recent)
        await call.bob.flood(recent)
        await world.drained()
        meanwhile = call.said - said
    after = (await world.worker.transport_stats(call.bob.transport)).senders[0].tx_packets

    assert after - before <= meanwhile + 20  # what was said in the meantime, and no more


async def test_a04_what_is_older_than_the_window_is_a_replay(world: World, call: LiveCall) -> None:
    """
    2,000 packets later the first ones are unknown to the window and still refused.
    """
    hostile = await world.peer(room=2)
    await hostile.publishes(0x40)
    packets = [hostile.seal(sealing.rtp(111, n, 0x40, b"old")) for n in range(2000)]
    async with world.drops(no_subscriber=2000, srtp_replay=200):
        await hostile.flood(packets)
        await hostile.flood(packets[:200])
    await hostile.leave()


@pytest.mark.parametrize("gap", [1, 2**15 - 1, 2**15, 2**16 - 100, 2**16, 3 * 2**15])
@pytest.mark.parametrize("first", [0, 1, 2**15 - 3, 2**15, 2**16 - 3])
async def test_a05_no_rollover_leaves_a_call_deaf(world: World, call: LiveCall, first: int, gap: int) -> None:
    """
    Whatever number a stream begins with and however many packets are lost around a wrap: it is heard again.
    """
    publisher, subscriber = await world.peer(room=5), await world.peer(room=5)
    receiver = await publisher.publishes(0x50)
    await subscriber.watches(receiver, 0x51)
    indices = [first + n for n in range(5)] + [first + 4 + gap + n for n in range(40)]
    for index in indices:
        publisher.send_rtp(sealing.rtp(111, index, 0x50, struct.pack("!Q", index)), index >> 16)
    assert await until(lambda: subscriber.packets and subscriber.packets[-1].endswith(struct.pack("!Q", indices[-1])))
    heard = [int.from_bytes(packet[-8:], "big") for packet in subscriber.packets]

    assert heard == sorted(set(heard))
    assert len(heard) >= 40
    assert 0 == subscriber.bad_tags
    await publisher.leave()
    await subscriber.leave()


async def test_a06_replayed_control_acts_once(world: World, call: LiveCall) -> None:
    """
    A keyframe request and a goodbye, each sent a hundred times as the same ciphertext: one counts, 99 are replays.
    """
    publisher, subscriber = await world.peer(room=6), await world.peer(room=6)
    receiver = await publisher.publishes(0x60, VP8)
    await subscriber.watches(receiver, 0x61, VP8)
    wish = subscriber.seal_rtcp(sealing.receiver_report(9), sealing.pli(9, 0x61))
    goodbye = publisher.seal_rtcp(sealing.receiver_report(0x60), sealing.bye(0x60))
    async with world.drops(srtp_replay=198) as counted:
        for _ in range(100):
            subscriber.send(wish)
            publisher.send(goodbye)

    assert 1 == counted.numbers["plis_rx"]
    await publisher.leave()
    await subscriber.leave()


async def test_a06_short_control_and_the_last_index(world: World, call: LiveCall) -> None:
    """
    SRTCP of 1 to 27 bytes is `srtp_short`; index 2^31-1 is taken once, and all that comes after it lies behind.
    """
    peer = await world.peer(room=6)
    async with world.drops(srtp_short=27, srtp_auth=3, srtp_replay=11):
        for size in range(1, 31):
            peer.send(bytes([0x80, 200, *([0x11] * 26), 0x80, 0][:size]))
        report = sealing.receiver_report(9)
        for _ in range(2):
            peer.send(peer.tx.seal_rtcp(report, 2**31 - 1))  # type: ignore[union-attr]
        for _ in range(10):
            peer.send_rtcp(report)
    await peer.leave()


async def test_a07_no_number_protects_two_contents(world: World, call: LiveCall) -> None:
    """
    Without RTX a resend is the very ciphertext that was sent; nothing the relay sent in this module shares SSRC and
    index with other bytes (the peers compare all they get).
    """
    plain = VP8.__class__(VP8.codec, 96, None)
    publisher, subscriber = await world.peer(room=7), await world.peer(room=7)
    receiver = await publisher.publishes(0x70, plain)
    await subscriber.watches(receiver, 0x71, plain)
    rng = random.Random(7)
    for seq in range(60):
        publisher.send_rtp(sealing.rtp(96, seq, 0x70, b"\x10\x00\x00\x00" + rng.randbytes(200), ts=seq // 4 * 3000))
    assert await until(lambda: len(subscriber.packets) == 60)
    numbers = [int.from_bytes(packet[2:4], "big") for packet in subscriber.packets]
    subscriber.send_rtcp(sealing.receiver_report(9), sealing.nack(9, 0x71, *[(n, 0) for n in numbers[30:40]]))
    assert await until(lambda: len(subscriber.packets) == 70)

    assert subscriber.packets[30:40] == subscriber.packets[60:]
    assert all(number < 2**15 for number in numbers[:1])
    assert 0 == world.conflicts
    await publisher.leave()
    await subscriber.leave()
