"""
A NAT forgets a client, whose packets come from another port from then on: the next authenticated check moves the path,
and nothing else is needed (F09).
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from support.moved_path import MovedPath
from support.relay_process import RelayProcess
from support.waiting import until
from telerelay.client import Client, Tone

SWITCH_S = 0.2


async def call(relay: RelayProcess) -> tuple[Client, Client]:
    """Ada is heard by Bob."""
    ada = await Client.join(relay.url, relay.token("story", "ada"), "story")
    bob = await Client.join(relay.url, relay.token("story", "bob"), "story")
    await ada.publish([Tone()])
    await bob.wait_for(lambda each: each.tap.received > 25)
    return ada, bob


async def rebound(pc: Any) -> MovedPath:
    """Another port of the same host, and no check from the old one for as long as the relay takes it to stand."""
    path = MovedPath(pc)
    await path.open("127.0.0.1")
    await path.silence_old_path()
    await asyncio.sleep(1.5 * SWITCH_S)  # the time itself is what the relay looks at
    return path


async def test_media_follows_a_receiver_to_its_new_port(relay: RelayProcess) -> None:
    """
    Within 200 ms of the first check, which nominates nothing; not one DTLS record, no change of state, no loss.
    """
    ada, bob = await call(relay)
    async with ada, bob:
        path = await rebound(bob._subscribe)
        before = len(bob.events)
        await path.check(nominates=False)
        await until(lambda: len(path.media) > 25, every_s=0.01)
        path.close()

        assert path.media[0] - path.first_check_at <= SWITCH_S
        assert [] == path.dtls
        assert [] == [event for event in bob.events[before:] if event["type"] == "connection"]
        assert 0 == bob.tap.lost


async def test_a_publisher_goes_on_from_its_new_port(relay: RelayProcess) -> None:
    """
    What it sends from there is forwarded from the first answered check on, on the same stream and keys.
    """
    ada, bob = await call(relay)
    async with ada, bob:
        path = await rebound(ada._publish)
        await path.check(nominates=False)
        path.use()
        heard: list[float] = []
        bob.tap.on_packet = lambda packet, _: heard.append(time.monotonic())
        await until(lambda: len(heard) > 25, every_s=0.01)

        assert 1 == len(bob.tap.streams)
        assert [] == path.dtls
        assert 0 == bob.tap.lost
        assert 0 == relay.drops().get("unknown_path", 0)
    path.close()


async def test_a_port_that_proves_nothing_gets_nothing(relay: RelayProcess) -> None:
    """
    A check with a wrong password from a new port moves no path: media stays where it was (A12).
    """
    ada, bob = await call(relay)
    async with ada, bob:
        path = await rebound(bob._subscribe)
        path.remote = type(path.remote)(path.remote.ufrag, "x" * 32)
        refused = relay.drops().get("stun_integrity", 0)
        checking = asyncio.ensure_future(path.check(nominates=True))
        await until(lambda: relay.drops().get("stun_integrity", 0) >= refused + 3)
        checking.cancel()
        count = bob.tap.received
        await bob.wait_for(lambda each: each.tap.received > count + 25)

        assert [] == path.media
        assert 0 == bob.tap.lost
        path.close()
