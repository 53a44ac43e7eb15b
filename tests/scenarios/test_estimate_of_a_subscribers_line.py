"""
What a subscriber's line carries is estimated from what real clients report of it: libwebrtc here, Chromium in
tests/browser.
"""

from __future__ import annotations

from support.near_relay import near_relay
from support.waiting import until
from support.wrtc_peer import Peers

START_BPS, LEAST_BPS, MOST_BPS = 300_000, 50_000, 20_000_000


async def test_libwebrtcs_feedback_becomes_an_estimate() -> None:
    """
    On loopback the estimate climbs from its start to more than twice that, with a short queue, no loss and a round trip
    no longer than feedback's own interval, and goes on being told; the picture is whole.
    """
    async with near_relay() as relay, Peers(relay) as peers:
        ada, bob = await peers.join("story", "ada"), await peers.join("story", "bob")
        await ada.publish(video=(640, 480, 30))

        async def bob_watches() -> bool:
            picture = await bob.inbound("video")
            return picture is not None and (picture.frames_decoded or 0) >= 30

        await until(bob_watches, timeout_s=20)
        transport, told = await relay.estimate(start_bps=START_BPS, least_bps=LEAST_BPS, most_bps=MOST_BPS)
        await until(lambda: len(told) >= 8 and told[-1].target_bps > 2 * START_BPS, timeout_s=20)
        climbed = len(told)
        await until(lambda: len(told) >= climbed + 2, timeout_s=10)
        picture = await bob.inbound("video")

    assert {transport} == {each.transport for each in told}
    assert "free" == told[-1].mode
    assert 0 == told[-1].loss
    # libwebrtc's interval is 250 ms at the most; the rest is a busy machine's.
    assert 0 < told[-1].rtt_us < 500_000
    assert told[-1].queue_us < 100_000
    assert all(LEAST_BPS <= each.target_bps <= MOST_BPS for each in told)
    assert 0 == picture.packets_lost
