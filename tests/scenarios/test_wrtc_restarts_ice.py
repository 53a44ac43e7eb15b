"""
libwebrtc, the stack of Chromium, restarts ICE in mid-call on both its connections: the old path carries the call until
the new one does, so nobody hears of it.
"""

from __future__ import annotations

from typing import Any

from support.moved_path import Credentials
from support.waiting import until
from support.wrtc_peer import Peer, Peers, description


async def packets(peer: Peer) -> int:
    """Of sound, received so far."""
    sound = await peer.inbound("audio")
    return 0 if sound is None else int(sound.packets_received or 0)


async def test_libwebrtc_restarts_ice_and_nothing_is_lost(wrtc_peers: Peers) -> None:
    """
    Ada restarts where she publishes, Bob where he receives: other credentials on both sides, a path under them, and of
    the sound not a packet is missing.
    """
    ada, bob = await wrtc_peers.join("story", "ada"), await wrtc_peers.join("story", "bob")
    await ada.publish(video=None)

    async def is_hearing(least: int) -> bool:
        return await packets(bob) >= least

    await until(lambda: is_hearing(50))
    before = [Credentials.of(pc.current_remote_description.sdp) for pc in (ada.publish_pc, bob.subscribe_pc)]

    ada.publish_pc.restart_ice()
    offer = await ada.publish_pc.create_offer()
    await ada.publish_pc.set_local_description(offer)
    tracks = [{"mid": each["mid"], "source": each["source"]} for each in ada.publications]
    reply = await ada.request("publish", sdp=offer.sdp, tracks=tracks)
    await ada.publish_pc.set_remote_description(description("answer", reply["sdp"]))
    await bob.request("restart", connection="subscribe")
    await until(lambda: Credentials.of(bob.subscribe_pc.current_remote_description.sdp) != before[1])
    # Two consent intervals of libwebrtc's: what has come by then came by the new paths.
    heard = await packets(bob)
    await until(lambda: is_hearing(heard + 150))
    after = [Credentials.of(pc.current_remote_description.sdp) for pc in (ada.publish_pc, bob.subscribe_pc)]
    sound: Any = await bob.inbound("audio")

    assert not {each.ufrag for each in before} & {each.ufrag for each in after}
    assert not {each.pwd for each in before} & {each.pwd for each in after}
    assert ada.publications == reply["publications"]
    assert ["connected"] * 2 == [ada.publish_pc.connection_state, bob.subscribe_pc.connection_state]
    assert 0 == sound.packets_lost
