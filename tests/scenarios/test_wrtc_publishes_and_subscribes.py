"""
Two people on libwebrtc, the stack of Chromium, meet in a room: each sees and hears the other through the relay.
"""

from __future__ import annotations

import time

from support.waiting import until
from support.wrtc_peer import Peers

FRAMES = 120


async def test_two_libwebrtc_peers_see_and_hear_each_other(wrtc_peers: Peers) -> None:
    """
    Both decode the other's picture at its size and rate, both hear its sound, and not a packet is lost on loopback.
    """
    ada, bob = await wrtc_peers.join("story", "ada"), await wrtc_peers.join("story", "bob")
    await ada.publish(video=(640, 480, 30))
    await bob.publish(video=(640, 480, 30))

    for peer in (ada, bob):

        async def is_watching(peer: object = peer) -> bool:
            picture = await peer.inbound("video")  # type: ignore[attr-defined]
            return picture is not None and (picture.frames_decoded or 0) >= 90

        await until(is_watching, timeout_s=20)
        begun, before = time.monotonic(), (await peer.inbound("video")).frames_decoded

        async def has_watched_on(peer: object = peer, enough: int = before + FRAMES) -> bool:
            return (await peer.inbound("video")).frames_decoded >= enough  # type: ignore[attr-defined]

        await until(has_watched_on, timeout_s=20)
        rate = ((await peer.inbound("video")).frames_decoded - before) / (time.monotonic() - begun)
        picture, sound = await peer.inbound("video"), await peer.inbound("audio")

        assert (640, 480) == (picture.frame_width, picture.frame_height)
        # Over some seconds: the momentary rate of a busy machine catches up in leaps.
        assert 24 <= rate <= 33
        assert 0 == picture.packets_lost
        assert 0 == sound.packets_lost
        assert sound.packets_received > 100
        assert sound.total_audio_energy > 0
