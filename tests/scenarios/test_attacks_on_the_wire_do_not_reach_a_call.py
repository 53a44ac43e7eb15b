"""
Strangers and liars on the UDP port: what they send is counted by name and reaches nobody (threat catalogue A01, A02,
A03, A04).
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct

from support.impairment import Impairment, UdpImpairment
from support.relay_process import RelayProcess
from telerelay.client import Client, MovingPicture, Tone

BAD_PACKETS = 20_000


def forged_rtp(ssrc: int, seq: int, size: int = 200) -> bytes:
    """Looks like SRTP of that stream and has a tag of noise."""
    return struct.pack("!BBHII", 0x80, 96, seq & 0xFFFF, 0, ssrc) + os.urandom(size)


async def two_in_a_call(relay: RelayProcess, room: str, **line: object) -> tuple[Client, Client]:
    """Ada publishes, Bob receives two tracks; `line` is for Ada's way to the relay."""
    ada = await Client.join(relay.url, relay.token(room, "ada"), room, **line)
    bob = await Client.join(relay.url, relay.token(room, "bob"), room)
    await ada.publish([Tone(), MovingPicture()])
    await bob.wait_for(lambda each: len([t for t in each.track_stats() if t.rx_packets > 10]) == 2, 20)
    return ada, bob


def received(client: Client) -> int:
    """Packets of all its tracks."""
    return client.tap.received


async def test_a_strangers_packets_are_never_forwarded(relay: RelayProcess) -> None:
    """
    SRTP and unsigned STUN from an address that no check has validated: dropped by name one by one, not answered with a
    single byte, and the call loses nothing.
    """
    ada, bob = await two_in_a_call(relay, "story")
    async with ada, bob:
        before = relay.drops().get("unknown_path", 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))
            stranger.setblocking(False)
            ssrc = next(iter(bob.tap.streams))
            for n in range(1000):
                stranger.sendto(forged_rtp(ssrc, n), relay.udp_address)
                if n % 50 == 0:
                    await asyncio.sleep(0.01)
            stranger.sendto(struct.pack("!HHI12s", 1, 0, 0x2112A442, os.urandom(12)), relay.udp_address)
            await bob.wait_for(lambda _: relay.drops().get("unknown_path", 0) >= before + 1000)
            try:
                answer = stranger.recv(2000)
            except BlockingIOError:
                answer = b""
        count = received(bob)
        await bob.wait_for(lambda each: received(each) > count + 50)
        drops = relay.drops()

        assert b"" == answer
        assert before + 1000 == drops["unknown_path"]
        assert drops.get("stun_malformed", 0) + drops.get("stun_unknown_user", 0) + drops.get("stun_integrity", 0) == 1
        assert 0 == bob.tap.lost


async def test_a_flood_of_bad_tags_on_a_live_path_costs_no_good_packet(relay: RelayProcess) -> None:
    """
    20,000 forged SRTP packets on the very path of a publisher: each fails authentication and is counted, the call
    goes on without a loss.
    """
    with UdpImpairment(relay.udp_address) as line:
        ada, bob = await two_in_a_call(relay, "story", relay_port=line.port)
        async with ada, bob:
            ssrcs = [int(ssrc) for ssrc in line.ssrcs_up()]
            before = sum(relay.drops().get(reason, 0) for reason in ("srtp_auth", "srtp_replay", "srtp_ssrc_limit"))
            for n in range(BAD_PACKETS):
                line.inject_up(forged_rtp(ssrcs[n % len(ssrcs)], n * 7))
                if n % 50 == 0:
                    await asyncio.sleep(0.005)

            def refused() -> int:
                drops = relay.drops()
                return sum(drops.get(reason, 0) for reason in ("srtp_auth", "srtp_replay", "srtp_ssrc_limit")) - before

            await bob.wait_for(lambda _: refused() >= BAD_PACKETS, 20)
            count = received(bob)
            await bob.wait_for(lambda each: received(each) > count + 50)

            assert BAD_PACKETS == refused()
            assert 0 == bob.tap.lost


async def test_every_packet_replayed_is_dropped_as_a_replay(relay: RelayProcess) -> None:
    """
    A line that doubles every datagram of the publisher: each second copy is a replay, and the subscriber sees each
    packet once.
    """
    with UdpImpairment(relay.udp_address, up=Impairment(duplicate=1.0)) as line:
        ada, bob = await two_in_a_call(relay, "story", relay_port=line.port)
        async with ada, bob:
            count = received(bob)
            await bob.wait_for(lambda each: received(each) > count + 200, 20)
            duplicates = sum(stream.gaps.duplicates for stream in bob.tap.streams.values())

            assert relay.drops()["srtp_replay"] > 200
            assert (0, 0) == (bob.tap.lost, duplicates)
