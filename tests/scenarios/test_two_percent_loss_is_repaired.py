"""
A bad line on both sides: two of a hundred datagrams are lost in each direction of each leg, and the picture still
arrives.

The publisher is libwebrtc, which answers the relay's NACKs with RTX. The subscriber is counted inside its decryption:
a packet counts as arrived if it came, or if a resend of it did.
"""

from __future__ import annotations

import asyncio

import pytest

from support.impairment import Impairment, UdpImpairment
from support.relay_process import RelayProcess
from support.wrtc_peer import Peers
from telerelay.client import Client

LOSS = Impairment(loss=0.02, delay_ms=5)
CLEAN = Impairment(delay_ms=5)
PACKETS = 3000
REPAIRED = 0.999


@pytest.mark.slow
@pytest.mark.timed
async def test_after_repair_999_of_1000_video_packets_arrive(relay: RelayProcess) -> None:
    """
    Over 2 % random loss each way on both legs (5 ms each way), at least 99.9 % of the video packets reach the
    subscriber, most of the lost ones as resends.
    """
    with (
        UdpImpairment(relay.udp_address, up=LOSS, down=LOSS, seed=11) as near,
        UdpImpairment(relay.udp_address, up=LOSS, down=LOSS, seed=21) as far,
    ):
        async with (
            Peers(relay) as peers,
            await Client.join(relay.url, relay.token("story", "bob"), "story", relay_port=far.port) as bob,
        ):
            ada = await peers.join("story", "ada", port=near.port)
            await ada.publish(audio=False, video=(640, 480, 30), max_bitrate_bps=1_500_000)
            await bob.wait_for(lambda each: any(t.rx_packets > PACKETS for t in each.track_stats()), 60)
            for line in (near, far):
                line.up.impairment = line.down.impairment = CLEAN
            await asyncio.sleep(1.0)  # what was asked for last is on its way
            (video,) = [track for track in bob.track_stats() if track.kind == "video"]

    arrived = video.rx_packets / (video.rx_packets + video.lost_packets)
    lost_on_the_way = near.up.count["media_lost"] + far.down.count["media_lost"]
    print(f"{video}, arrived {arrived:.5f}, lost on the way {lost_on_the_way}")
    assert lost_on_the_way > 0.02 * PACKETS
    assert video.repaired_packets > 0.01 * PACKETS
    assert arrived >= REPAIRED
