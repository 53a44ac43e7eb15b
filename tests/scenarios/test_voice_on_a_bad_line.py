"""
A voice on bad lines, as libwebrtc hears it: copies that the relay adds against losses in runs, and packets that it
joins where there is little room.

The line is a proxy in front of one subscriber's transport. What had to be made up is libwebrtc's own count, after all
that it asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from support.impairment import Impairment, UdpImpairment
from support.near_relay import NearRelay, near_relay
from support.waiting import until
from support.wrtc_peer import Peer, Peers
from telerelay.dataplane import Worker

CLEAN = Impairment(delay_ms=60)
BURSTS = Impairment(delay_ms=60, loss=0.1, burst=3)
"""A tenth of all datagrams, in runs of three; 120 ms there and back."""


@dataclass(frozen=True, slots=True)
class Call:
    ada: Peer
    bob: Peer
    line: UdpImpairment
    worker: Worker
    sender: int

    async def made_up(self, seconds: float) -> float:
        """Which share of what Bob hears in the next seconds is made up."""
        before = await self.bob.inbound("audio")
        await asyncio.sleep(seconds)
        after = await self.bob.inbound("audio")
        heard = after.total_samples_received - before.total_samples_received
        return float((after.concealed_samples - before.concealed_samples) / heard)

    async def packets(self, seconds: float) -> float:
        """How many packets of the voice reach Bob a second."""
        before = await self.bob.inbound("audio")
        await asyncio.sleep(seconds)
        after = await self.bob.inbound("audio")
        return float((after.packets_received - before.packets_received) / seconds)


@asynccontextmanager
async def call(relay: NearRelay) -> AsyncIterator[Call]:
    """Ada speaks, Bob hears her over the line."""
    address = relay.relay._workers[0].binds[0]
    with UdpImpairment(address, up=CLEAN, down=CLEAN, seed=3) as line:
        async with Peers(relay) as peers:
            ada, bob = await peers.join("story", "ada"), await peers.join("story", "bob", port=line.port)
            await ada.publish(video=None)

            async def bob_hears() -> bool:
                sound = await bob.inbound("audio")
                return sound is not None and (sound.packets_received or 0) >= 100

            await until(bob_hears, timeout_s=20)
            (worker,) = relay.relay._workers
            (sender,) = (await worker.inventory()).senders
            yield Call(ada, bob, line, worker, sender)


@pytest.mark.slow
async def test_copies_are_heard_where_losses_come_in_runs() -> None:
    """
    A tenth of all packets lost in runs of three: with copies of the third and the sixth packet before less than half as
    much is made up as with resends alone, and what is sent again is never other bytes: nothing is refused.
    """
    async with near_relay() as relay, call(relay) as story:
        story.line.down.impairment = BURSTS
        await asyncio.sleep(4)  # the buffer learns how long resends take
        without = await story.made_up(20)
        await story.worker.set_redundancy(story.sender, (3, 6))
        await asyncio.sleep(4)
        with_copies = await story.made_up(20)

    print(f"made up: {without:.4f} without copies, {with_copies:.4f} with them")
    assert without > 0.02
    assert with_copies < without / 2


@pytest.mark.slow
async def test_joined_packets_sound_as_they_were() -> None:
    """
    In packets of 60 ms a third as many come, and on a clean line nothing is made up; then they come as before.
    """
    async with near_relay() as relay, call(relay) as story:
        await story.worker.set_packet_time(story.sender, 60)
        await asyncio.sleep(2)
        joined, made_up = await story.packets(4), await story.made_up(6)
        await story.worker.set_packet_time(story.sender)
        await asyncio.sleep(1)
        single = await story.packets(4)

    print(f"{joined:.1f} packets a second joined, {single:.1f} as they come, {made_up:.4f} made up")
    assert 15 < joined < 19
    assert 45 < single < 55
    assert made_up < 0.02
