"""
Sound with more to it than one Opus packet after the other: redundancy (RFC 2198), two channels, resends.

The publisher is libwebrtc. What is on the wire is read from the RTP headers, which SRTP leaves in clear.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from support.impairment import Impairment, UdpImpairment
from support.relay_process import RelayProcess
from support.waiting import until
from support.wrtc_peer import Peers
from telerelay.client import Client

LOSS = Impairment(loss=0.05)


@pytest.fixture
def red_relay(monkeypatch: pytest.MonkeyPatch) -> Iterator[RelayProcess]:
    """A relay whose operator prefers redundant sound."""
    monkeypatch.setenv("TELERELAY_MEDIA_AUDIO_CODECS", "red,opus")
    with RelayProcess() as relay:
        yield relay


async def test_redundant_sound_is_heard_by_who_takes_it_and_by_who_does_not(red_relay: RelayProcess) -> None:
    """
    libwebrtc sends RED; libwebrtc gets RED and plays it; aiortc, which has none, gets the Opus in it and decodes that.
    """
    pts: Counter[int] = Counter()

    def watch(way: str, datagram: bytes) -> None:
        if way == "down" and 128 <= datagram[0] <= 191 and not 192 <= datagram[1] <= 223:
            pts[datagram[1] & 0x7F] += 1

    with UdpImpairment(red_relay.udp_address, watch=watch) as line:
        async with (
            Peers(red_relay) as peers,
            await Client.join(red_relay.url, red_relay.token("story", "carol"), "story") as carol,
        ):
            ada, bob = await peers.join("story", "ada"), await peers.join("story", "bob", port=line.port)
            await ada.publish(video=None)
            await carol.wait_for(lambda each: any(track.frames >= 100 for track in each.track_stats()), 20)

            async def is_heard() -> Any:
                sound = await bob.inbound("audio")
                return sound is not None and sound.packets_received >= 100 and sound.total_audio_energy > 0 and sound

            sound = await until(is_heard, timeout_s=20)
            (plain,) = carol.track_stats()
            offer = bob.subscribe_pc.remote_description.sdp

    assert "a=rtpmap:98 red/48000/2" in offer
    assert {98} == set(pts)
    per_packet = plain.rx_bytes / plain.rx_packets
    assert sound.bytes_received / sound.packets_received > 1.7 * per_packet
    assert sound.packets_discarded > 50  # blocks of old sound that had come already


async def test_stereo_goes_through(relay: RelayProcess) -> None:
    """
    A publisher that says stereo is answered stereo, its packets say so in their first byte (RFC 6716, 3.1), and both a
    libwebrtc page that asks for it and aiortc decode them.
    """
    first_bytes: Counter[int] = Counter()
    async with (
        Peers(relay) as peers,
        await Client.join(relay.url, relay.token("story", "carol"), "story") as carol,
    ):
        ada, bob = await peers.join("story", "ada"), await peers.join("story", "bob")
        ada.edit_offer = lambda sdp: sdp.replace("useinbandfec=1", "useinbandfec=1;stereo=1;sprop-stereo=1")
        bob.edit_answer = lambda sdp: sdp.replace("useinbandfec=1", "useinbandfec=1;stereo=1")
        carol.tap.on_packet = lambda packet, _at: first_bytes.update([packet.payload[0]])
        await ada.publish(video=None)
        await carol.wait_for(lambda each: any(track.frames >= 100 for track in each.track_stats()), 20)

        async def is_heard() -> Any:
            sound = await bob.inbound("audio")
            return sound is not None and sound.packets_received >= 100 and sound.total_audio_energy > 0

        await until(is_heard, timeout_s=20)
        answer, offer = ada.publish_pc.remote_description.sdp, bob.subscribe_pc.remote_description.sdp

    assert "stereo=1" in answer
    assert "sprop-stereo=1" in offer
    assert {True} == {bool(first & 0x04) for first in first_bytes}


async def test_lost_sound_is_asked_for_and_resent_on_both_legs(relay: RelayProcess) -> None:
    """
    Where publisher and subscriber agreed on NACK for Opus, 5 % of loss on both legs is repaired; without RTX, each
    resend is the packet itself.
    """

    def with_nack(sdp: str) -> str:
        lines = sdp.split("\r\n")
        opus = next(line.split(":")[1].split(" ")[0] for line in lines if line.endswith("opus/48000/2"))
        at = next(index for index, line in enumerate(lines) if line.startswith(f"a=rtpmap:{opus} "))
        return "\r\n".join([*lines[: at + 1], f"a=rtcp-fb:{opus} nack", *lines[at + 1 :]])

    with (
        UdpImpairment(relay.udp_address, up=LOSS, seed=5) as near,
        UdpImpairment(relay.udp_address, down=LOSS, seed=6) as far,
    ):
        async with Peers(relay) as peers:
            ada = await peers.join("story", "ada", port=near.port)
            bob = await peers.join("story", "bob", port=far.port)
            ada.edit_offer = bob.edit_answer = with_nack
            await ada.publish(video=None)

            async def has_enough() -> Any:
                sound = await bob.inbound("audio")
                return sound is not None and sound.packets_received >= 600 and sound

            sound = await until(has_enough, timeout_s=40)
            sent = await ada.outbound("audio")

    lost_on_the_way = near.up.count["media_lost"] + far.down.count["media_lost"]
    print(f"lost on the way {lost_on_the_way}, in the end {sound.packets_lost}; asked for {sound.nack_count}")
    assert lost_on_the_way > 30
    assert sound.nack_count > 5
    assert sent.nack_count > 5
    assert sound.packets_lost < 0.2 * lost_on_the_way
