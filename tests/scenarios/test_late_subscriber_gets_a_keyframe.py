"""
Somebody comes late: the picture is there at once, because the relay asks the publisher for a keyframe.
"""

from __future__ import annotations

import time

from support.waiting import until
from support.wrtc_peer import Peers


async def test_late_subscriber_gets_a_picture_within_a_second(wrtc_peers: Peers) -> None:
    """
    Long after the publisher's first keyframe a subscriber joins and decodes a picture within a second of its offer
    being answered; those who watched before lose nothing.
    """
    ada, bob = await wrtc_peers.join("story", "ada"), await wrtc_peers.join("story", "bob")
    await ada.publish(video=(640, 480, 30))

    async def frames(peer: object) -> int:
        picture = await peer.inbound("video")  # type: ignore[attr-defined]
        return (picture.frames_decoded or 0) if picture is not None else 0

    async def bob_watches() -> bool:
        return await frames(bob) >= 60

    await until(bob_watches, timeout_s=20)
    late = await wrtc_peers.join("story", "late")
    await until(lambda: late.remote)
    begun = time.monotonic()

    async def late_watches() -> bool:
        return await frames(late) >= 1

    await until(late_watches, timeout_s=5, every_s=0.02)
    took_s = time.monotonic() - begun
    first, watched = await late.inbound("video"), await bob.inbound("video")

    assert took_s <= 1.0
    assert first.key_frames_decoded >= 1
    assert 0 == watched.packets_lost
