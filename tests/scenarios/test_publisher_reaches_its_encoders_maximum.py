"""
A publisher on a good line sends as much as its encoder may: the relay's transport-wide feedback lets its estimate rise.

Without that feedback libwebrtc stays near 300 kbit/s.
"""

from __future__ import annotations

import time

from support.waiting import until
from support.wrtc_peer import Peers

MAX_BITRATE_BPS = 1_500_000
SHARE = 0.9
WITHIN_S = 20.0


async def test_bitrate_rises_to_the_maximum(wrtc_peers: Peers) -> None:
    """
    Within 20 s the publisher's estimate exceeds the encoder's maximum, and what it sends in a second is 90 % of it.
    """
    ada, bob = await wrtc_peers.join("story", "ada"), await wrtc_peers.join("story", "bob")
    await ada.publish(video=(1280, 720, 30), max_bitrate_bps=MAX_BITRATE_BPS)
    last: dict[str, float] = {}
    best_bps = 0.0

    async def at_maximum() -> bool:
        nonlocal best_bps
        sent, now = await ada.outbound("video"), time.monotonic()
        if sent is None or not sent.bytes_sent:
            return False
        if last:
            best_bps = max(best_bps, 8 * (sent.bytes_sent - last["bytes"]) / (now - last["at"]))
        last.update(bytes=sent.bytes_sent, at=now)
        return (sent.target_bitrate or 0) >= SHARE * MAX_BITRATE_BPS and best_bps >= SHARE * MAX_BITRATE_BPS

    begun = time.monotonic()
    await until(at_maximum, timeout_s=WITHIN_S, every_s=1.0)
    print(f"{best_bps / 1e6:.2f} Mbit/s after {time.monotonic() - begun:.1f} s")
    picture = await bob.inbound("video")

    assert 0 == picture.packets_lost
