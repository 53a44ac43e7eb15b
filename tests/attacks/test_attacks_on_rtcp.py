"""
A36-A40: compounds that do not add up, feedback about others, storms of resends and keyframe requests, bandwidth lies.
"""

from __future__ import annotations

import asyncio
import random
import struct
import time

import pytest
from harness import VP8, LiveCall, Peer, World, amount, pair, until

from support import sealing
from telerelay.dataplane.events import LineEstimate
from telerelay.protocol.parameters import MID, TWCC, NegotiatedCodec

pytestmark = pytest.mark.asyncio(loop_scope="module")

SSRC, HEARD_AS, OWN = 0x40, 0x80, 9
MAX_PARTS = 64


def picture(seq: int, *, is_key: bool = False, size: int = 900) -> bytes:
    """A VP8 packet: a frame of its own."""
    head = b"\x10\0\0\0" if is_key else b"\x10\1\0\0"
    return sealing.rtp(96, seq, SSRC, head + random.Random(seq).randbytes(size), ts=seq * 3000, marker=True)


def keyframe_requests(peer: Peer) -> int:
    """PLIs (RFC 4585, 6.3.1) among all compounds the peer has got."""
    return sum(at[0] & 31 == 1 for compound in peer.reports for at in parts_of(compound) if at[1] == 206)


def parts_of(compound: bytes) -> list[bytes]:
    parts = []
    while compound:
        size = 4 + 4 * int.from_bytes(compound[2:4], "big")
        parts.append(compound[:size])
        compound = compound[size:]
    return parts


def broken_parts() -> list[bytes]:
    """Parts that do not add up, by kind (RFC 3550, 6; RFC 4585, 6; RFC 5104, 4.3)."""
    own, about = struct.pack("!I", OWN), struct.pack("!I", HEARD_AS)
    return [
        sealing.part(200, 0, own + bytes(16)),  # half a sender report
        sealing.part(201, 3, own + bytes(48)),  # a third block that is not there
        sealing.part(202, 2, own + b"\1\2ab\0\0\0\0"),  # a chunk that is not there
        sealing.part(202, 1, own + b"\1\xffab"),  # an item beyond its part
        sealing.part(203, 5, own),  # sources that are not there
        sealing.part(203, 1, own + b"\xffbye"),  # a reason beyond its part
        sealing.part(205, 1, own + about),  # asks for nothing
        sealing.part(205, 15, own + about),  # no transport-wide header
        sealing.part(206, 1, own),  # no source
        sealing.part(206, 4, own + about + bytes(4)),  # half an entry
        sealing.part(206, 15, own + about + b"REMB" + b"\xff\0\0\0"),  # 255 sources that are not there
        sealing.part(204, 0, own),  # no name
        b"\x40\xc9\x00\x01" + own,  # another version
        b"\x80\xc9\xff\xff" + own,  # longer than the datagram
        b"\xa0\xc9\x00\x01" + bytes(4),  # padding of nothing
        b"\xa0\xc9\x00\x01" + bytes([0, 0, 0, 200]),  # padding beyond the part
        b"\x80",
        b"\x80\xc9\x00",
    ]


async def test_a36_a_compound_counts_whole_or_not_at_all(world: World, call: LiveCall) -> None:
    """
    A request that is right, before and behind a part that is not: `rtcp_malformed`, and none of it was done. So are
    more than 64 parts.
    """
    async with pair(world, VP8) as (publisher, subscriber):
        right = sealing.receiver_report(OWN) + sealing.pli(OWN, HEARD_AS) + sealing.nack(OWN, HEARD_AS, (1, 0))
        # Unreadable ends must come last: whatever follows them is part of them.
        bad = [right + broken for broken in broken_parts()]
        bad += [sealing.receiver_report(OWN) + broken + right for broken in broken_parts()[:12]]
        bad += [sealing.receiver_report(OWN) + sealing.pli(OWN, HEARD_AS) * MAX_PARTS]
        async with world.drops(rtcp_malformed=len(bad)) as counted:
            await subscriber.flood(subscriber.seal_rtcp(each) for each in bad)

        assert (0, 0) == (counted.numbers["plis_rx"], counted.numbers["nacks_rx"])
        async with world.drops() as counted:
            subscriber.send_rtcp(sealing.receiver_report(OWN), sealing.pli(OWN, HEARD_AS) * (MAX_PARTS - 1))
        assert MAX_PARTS - 1 == counted.numbers["plis_rx"]
        assert publisher.bad_tags == 0


async def test_a36_noise_is_applied_whole_or_not_at_all(world: World, call: LiveCall) -> None:
    """
    A right request with bytes of it changed or cut: done only if the whole compound was taken for sound.
    """
    rng = random.Random(36)
    async with pair(world, VP8) as (_, subscriber):
        right = sealing.receiver_report(OWN, HEARD_AS) + sealing.fir(OWN, HEARD_AS) + sealing.remb(OWN, HEARD_AS)
        noise = []
        for _ in range(amount(100_000, 2000)):
            each = bytearray(right)
            for _ in range(rng.randrange(1, 4)):
                each[rng.randrange(8, len(each))] = rng.randrange(256)
            noise.append(bytes(each[: rng.choice([len(each), len(each), rng.randrange(8, len(each))])]))
        before = world.worker.stats().rtcp_rx
        async with world.counting() as counted:
            await subscriber.flood(subscriber.seal_rtcp(each) for each in noise)

        taken = world.worker.stats().rtcp_rx - before
        assert len(noise) == taken + counted.drops["rtcp_malformed"]
        assert set(counted.drops) <= {"rtcp_malformed", "rtcp_foreign", "nack_unknown"}
        assert 0 < counted.numbers["plis_rx"] <= taken


async def test_a37_feedback_about_others_has_no_effect(world: World, call: LiveCall) -> None:
    """
    A peer in the call's own room sends every type about Ada's source, as she has it and as Bob hears it: nothing
    reaches her, no counter but `rtcp_foreign` moves, one for each that names a stream.
    """
    stranger = await world.peer(room=call.ada.room)
    before = keyframe_requests(call.ada)
    about = [LiveCall.SSRC, LiveCall.HEARD_AS]
    named = [
        f(OWN, each) for each in about for f in (sealing.pli, sealing.fir, lambda o, a: sealing.nack(o, a, (5, 9)))
    ]
    named += [sealing.bye(each) for each in about] + [sealing.sender_report(each) for each in about]
    reports = [sealing.receiver_report(OWN, *about), sealing.twcc(OWN, about[0]), sealing.remb(OWN, about[0])]
    times = amount(1000, 50)
    async with world.drops(rtcp_foreign=len(named) * times) as counted:
        await stranger.flood(
            stranger.seal_rtcp(sealing.receiver_report(OWN), each) for each in (named + reports) * times
        )

    assert (0, 0, 0) == tuple(counted.numbers[name] for name in ("plis_rx", "nacks_rx", "resent_packets"))
    assert before == keyframe_requests(call.ada)
    await stranger.leave()


async def test_a38_a_nack_storm_costs_a_quarter_at_most(world: World, call: LiveCall) -> None:
    """
    All numbers asked for again and again: each at most 17 times, all resends together no more than 64 KiB and a quarter
    of what was sent; each number asked for is a resend, `nack_rate` or `nack_unknown`.
    """
    async with pair(world, VP8) as (publisher, subscriber):
        await publisher.flood(publisher.seal(picture(n, is_key=n == 0)) for n in range(400))
        assert await until(lambda: len(subscriber.packets) == 400)
        media_bytes = sum(map(len, subscriber.packets))
        numbers = [int.from_bytes(packet[2:4], "big") for packet in subscriber.packets]
        rounds = amount(1000, 40)
        entries = [(number, 0xFFFF) for number in numbers[200::17]]
        async with world.counting() as counted:
            for _ in range(rounds):
                subscriber.send_rtcp(sealing.receiver_report(OWN), sealing.nack(OWN, HEARD_AS, *entries))
                await asyncio.sleep(0.005)
            await world.drained()
        await until(lambda: len(subscriber.packets) == 400 + counted.numbers["resent_packets"])
        again = subscriber.packets[400:]
        asked_for = [int.from_bytes(packet[sealing.header_size(packet) :][:2], "big") for packet in again]

        assert rounds * 17 * len(entries) == counted.numbers["nacks_rx"]
        assert counted.numbers["nacks_rx"] == sum(counted.drops.values()) + counted.numbers["resent_packets"]
        assert set(counted.drops) <= {"nack_rate", "nack_unknown"}
        assert 0 < len(again) == counted.numbers["resent_packets"]
        assert sum(map(len, again)) <= media_bytes / 4 * 1.1
        assert max(asked_for.count(number) for number in set(asked_for)) <= 17


async def test_a39_a_storm_of_keyframe_requests_is_one_each_half_second(world: World, call: LiveCall) -> None:
    """
    Many subscribers, fifty requests a second each: the first is passed on at once, then one every 500 ms; the counter
    has them all.
    """
    publisher = await world.peer(room=39)
    receiver = await publisher.publishes(SSRC, VP8)
    publisher.send_rtp(picture(0, is_key=True))
    crowd = []
    for n in range(amount(100, 8)):
        peer = await world.peer(room=39)
        await peer.watches(receiver, HEARD_AS + 2 * n, VP8)
        crowd.append(peer)
    # Those who came each wanted a keyframe: that round must be over, interval and all, before the storm is measured.
    publisher.send_rtp(picture(1, is_key=True))
    await asyncio.sleep(0.6)
    publisher.send_rtp(picture(2, is_key=True))
    await asyncio.sleep(0.1)
    first = keyframe_requests(publisher)
    begun, sent = time.monotonic(), 0
    at_once_s = 0.0
    async with world.drops() as counted:
        while time.monotonic() - begun < 1.2:
            for n, peer in enumerate(crowd):
                peer.send_rtcp(sealing.receiver_report(OWN), sealing.pli(OWN, HEARD_AS + 2 * n))
                sent += 1
            await asyncio.sleep(0.02)
            if not at_once_s and keyframe_requests(publisher) > first:
                at_once_s = time.monotonic() - begun
    took_s = time.monotonic() - begun

    assert sent == counted.numbers["plis_rx"]
    assert 0 < at_once_s < 0.2
    assert 2 <= keyframe_requests(publisher) - first <= took_s / 0.5 + 1
    for peer in [*crowd, publisher]:
        await peer.leave()


async def test_a40_lies_about_bandwidth_change_nothing(world: World, call: LiveCall) -> None:
    """
    Transport-wide feedback and REMB from 0 to 2^81 bits a second, well-formed or cut: what is sent stays what was
    published; what does not add up is `rtcp_malformed`.
    """
    rng = random.Random(40)
    async with pair(world, VP8) as (publisher, subscriber):
        publisher.send_rtp(picture(0, is_key=True))
        lies, bad = [], []
        for _ in range(amount(20_000, 500)):
            lies.append(sealing.twcc(OWN, HEARD_AS, rng.randbytes(4 * rng.randrange(2, 40))))
            lies.append(sealing.remb(OWN, HEARD_AS, rng.randrange(1 << 18), rng.randrange(64)))
            bad.append(sealing.twcc(OWN, HEARD_AS, rng.randbytes(4)))
            bad.append(sealing.part(206, 15, struct.pack("!II4s", OWN, 0, b"REMB") + bytes([200, 0, 0, 0])))
        async with world.drops(rtcp_malformed=len(bad)) as counted:
            await subscriber.flood(subscriber.seal_rtcp(sealing.receiver_report(OWN), each) for each in lies + bad)
            await publisher.flood(publisher.seal(picture(n)) for n in range(1, 101))
        assert await until(lambda: len(subscriber.packets) == 101)

        assert 0 == counted.numbers["resent_packets"]
        assert 101 == len(subscriber.packets)


TWCC_ID, START_BPS = 3, 300_000
HIGHEST_CLUSTER_BPS = 6 * START_BPS
"""The second of the two clusters that a line begins with."""


def transport_number(packet: bytes) -> int | None:
    """What a packet has in the extension TWCC_ID of one byte (RFC 8285, 4.2)."""
    elements = packet[16 : 16 + 4 * int.from_bytes(packet[14:16], "big")]
    while elements and elements[0]:
        size = (elements[0] & 15) + 1
        if elements[0] >> 4 == TWCC_ID:
            return int.from_bytes(elements[1 : 1 + size], "big")
        elements = elements[1 + size :]
    return None


def all_at_once(base: int, count: int, at_ms: int) -> bytes:
    """Feedback that so many packets from `base` on arrived 250 us apart."""
    head = struct.pack("!HHI", base & 0xFFFF, count, (at_ms // 64 & 0xFFFFFF) << 8)
    body = head + struct.pack("!H", 1 << 13 | count) + b"\1" * count
    return sealing.twcc(OWN, HEARD_AS, body + bytes(-len(body) % 4))


async def test_a40_claims_of_arrivals_prove_no_more_than_what_was_sent(world: World, call: LiveCall) -> None:
    """
    A line that is estimated, of which its peer tells ten times a second that all came at tens of Mbit/s, that numbers
    came which were never sent, and REMB of 0 and 2^63: the estimate is believed as far as the clusters that were
    sent, and no further; REMB decides nothing.
    """
    publisher, subscriber = await world.peer(room=41), await world.peer(room=41)
    plain = NegotiatedCodec(VP8.codec, VP8.pt)
    receiver = await publisher.publishes(SSRC, plain)
    await world.worker.set_downlink(subscriber.transport, start_bps=START_BPS, least_bps=50_000, most_bps=40_000_000)
    await subscriber.watches(receiver, HEARD_AS, plain, extensions={MID: 4, TWCC: TWCC_ID})
    told: list[LineEstimate] = []
    on_event = subscriber.on_event
    subscriber.on_event = lambda event: (  # type: ignore[method-assign]
        told.append(event) if isinstance(event, LineEstimate) else on_event(event)
    )
    begun = time.monotonic()
    base = lies = 0
    for seq in range(250):
        publisher.send_rtp(picture(seq, is_key=seq == 0))
        await asyncio.sleep(0.01)
        newest = max(
            (number for each in subscriber.packets if (number := transport_number(each)) is not None), default=-1
        )
        if seq % 10 == 9 and newest >= base:
            at_ms = round((time.monotonic() - begun) * 1_000) + 64_000
            subscriber.send_rtcp(
                sealing.receiver_report(OWN),
                all_at_once(base, newest + 1 - base, at_ms),
                all_at_once(newest + 2_000, 100, at_ms),
                sealing.remb(OWN, HEARD_AS, 0, 0),
                sealing.remb(OWN, HEARD_AS, 1, 63),
            )
            base, lies = newest + 1, lies + 1
    assert await until(lambda: len(told) > 3)

    assert lies > 10
    assert max(each.estimate_bps for each in told) <= HIGHEST_CLUSTER_BPS
    assert max(each.estimate_bps for each in told) > START_BPS
    assert all(each.mode != "told" for each in told)
    assert 0 == publisher.bad_tags
    for peer in (subscriber, publisher):
        await peer.leave()
