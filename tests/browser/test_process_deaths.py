"""
Real browsers while the relay's processes die: the control process is killed and started again, a worker is killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from consulting import OpenPage, Person

from support.calls import restart_control
from support.relay_process import RelayProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

LISTEN = """() => {
  globalThis.heard = [];
  globalThis.states = [];
  const { call } = consult;
  call.channel("chat").onmessage = ({ data }) => heard.push(data);
  for (const type of ["reconnected", "trackended"]) call.addEventListener(type, () => states.push(type));
}"""
LOST = """() => consult.call.stats().then(({ tracks }) => tracks.filter((track) => track.direction === "subscribe")
  .reduce((sum, track) => sum + track.packets_lost, 0))"""


async def in_call(open_page: OpenPage) -> tuple[Person, Person]:
    alice, bob = await open_page("alice", role="practitioner"), await open_page("bob")
    for person in (alice, bob):
        await person.join()
        await person.page.evaluate(LISTEN)
    for person in (alice, bob):
        await person.sees()
        await person.until("consult.call.channel('chat').isOpen")
    return alice, bob


async def test_control_killed_pictures_and_messages_go_on(open_page: OpenPage, relay: RelayProcess) -> None:
    """
    Sound and picture never stop, no packet is lost, both are back in their seats, and the data channel is the same.
    """
    alice, bob = await in_call(open_page)
    for turn in (1, 2):
        await restart_control(relay)
        for person in (alice, bob):
            await person.until(f"states.filter((state) => state === 'reconnected').length === {turn}", 60)
        for speaker, listener in ((alice, bob), (bob, alice)):
            await listener.page.evaluate("heard.length = 0")
            for _ in range(100):
                await speaker.page.evaluate("consult.call.channel('chat').send('hello')")
                if await listener.page.evaluate("heard.length"):
                    break
                await asyncio.sleep(0.2)
            assert "hello" == await listener.page.evaluate("heard[0]")
        for person in (alice, bob):
            assert (await person.video_rate("subscribe", 1)).frames > 0

    for person in (alice, bob):
        assert 0 == await person.page.evaluate(LOST)
        assert 0 == await person.page.evaluate("states.filter((state) => state === 'trackended').length")


async def test_worker_killed_pages_come_back_by_themselves(open_page: OpenPage, relay: RelayProcess) -> None:
    """
    They are told at once, not after the half minute that a browser waits; nobody has to press anything.
    """
    alice, bob = await in_call(open_page)
    began = time.monotonic()
    os.kill(relay.worker_pids[0], signal.SIGKILL)
    for person in (alice, bob):
        await person.until("states.includes('trackended')", 20)
    for person in (alice, bob):
        await person.sees(within_s=20)
        await person.hears(within_s=20)
    assert time.monotonic() - began < 25
    await bob.until("consult.call.channel('chat').isOpen", 20)
    await bob.page.evaluate("consult.call.channel('chat').send('again')")
    await alice.until("heard.includes('again')", 20)
