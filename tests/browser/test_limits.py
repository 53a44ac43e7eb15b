"""
What a browser sends when the relay says that less is worth sending, and when it says so no more.

The relay is inside the test's own event loop, so that limits can be set; Chromium is a real one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from consulting import Person
from playwright.async_api import Browser

from support.live_relay import Live
from telerelay import Config, Relay, TokenKeys
from telerelay.config import with_values
from telerelay.events import Limit

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

LIMIT_BPS = 200_000
# Beside the encoder's bits there are headers, and it hits its rate over seconds only.
ROUGHLY = 1.3
MEASURED_S = 2.0
REACHED_S = 20.0

# The page's own senders, as the browser has them.
WATCHED = """
globalThis.senders = [];
const add = RTCPeerConnection.prototype.addTransceiver;
RTCPeerConnection.prototype.addTransceiver = function (...given) {
  const transceiver = add.apply(this, given);
  if (given[0] instanceof MediaStreamTrack && given[0].kind === "video") senders.push(transceiver.sender);
  return transceiver;
};
globalThis.sent = async () => {
  const rows = [...(await senders[0].getStats()).values()].filter(({ type }) => type === "outbound-rtp");
  return Object.fromEntries(rows.map(({ rid, bytesSent }) => [rid ?? "", bytesSent]));
};
globalThis.encodings = () => senders[0].getParameters().encodings.map(({ rid, active, maxBitrate }) => {
  return { rid: rid ?? "", active, max_bps: maxBitrate ?? null };
});
globalThis.active = () => {
  return JSON.stringify(encodings().filter(({ active }) => active).map(({ rid, max_bps }) => [rid, max_bps]));
};
"""


@pytest_asyncio.fixture(loop_scope="module")
async def live() -> AsyncIterator[Live]:
    """A relay that serves the page."""
    config = with_values(Config(), {"udp": {"binds": ["127.0.0.1:0"]}})
    async with Relay(config, keys=TokenKeys.of(b"k" * 32)) as relay, aiohttp.ClientSession() as http:
        server = TestServer(relay.app())
        await server.start_server()
        try:
            yield Live(relay, server, http)
        finally:
            await server.close()


async def rates(person: Person) -> dict[str, int]:
    """Bit/s of each encoding of the first picture."""
    before = await person.page.evaluate("sent()")
    await asyncio.sleep(MEASURED_S)
    after = await person.page.evaluate("sent()")
    return {rid: round(8 * (after[rid] - before.get(rid, 0)) / MEASURED_S) for rid in after}


async def encodings(person: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await person.page.evaluate("encodings()")
    return found


async def reached(person: Person, what: str, least_bps: float, most_bps: float) -> int:
    """The rate of all encodings together, once it lies between the two."""
    async with asyncio.timeout(REACHED_S):
        while not least_bps <= (rate := sum((await rates(person)).values())) <= most_bps:
            print(what, rate)  # for who reads why it was not
    return rate


@pytest.mark.slow
async def test_a_picture_follows_its_limit_down_and_up(browser: Browser, live: Live) -> None:
    """
    At once: the parameters of the sender are others with the message, the rate follows, and what nobody wants is not
    sent at all. Without a limit all is as it was.
    """
    alice = await Person.open(browser, live.root, room="r1", token=live.token("alice"), script=WATCHED)
    bob = await Person.open(browser, live.root, room="r1", token=live.token("bob"))
    try:
        await alice.join()
        await bob.join()
        await bob.sees()
        (host,) = live.relay._rooms.hosts
        me = await alice.own_id()
        camera = next(
            each.id for each in host.room.publications.values() if each.participant == me and each.kind == "video"
        )
        (before,) = await encodings(alice)
        free_bps = await reached(alice, "free", 2 * ROUGHLY * LIMIT_BPS, 1e9)

        host.set_limits(me, {camera: Limit(LIMIT_BPS)})
        await alice.until(f"encodings()[0].max_bps === {LIMIT_BPS}", 2.0)
        await reached(alice, "limited", 1, ROUGHLY * LIMIT_BPS)
        assert {"max_bps": LIMIT_BPS} == await alice.page.evaluate(
            "consult.call.publications.find((own) => own.kind === 'video').limit"
        )
        host.set_limits(me, {camera: Limit(rids=())})
        await alice.until("!encodings()[0].active", 2.0)
        await reached(alice, "off", 0, 0)

        host.set_limits(me, {})
        await alice.until("encodings()[0].active", 2.0)
        assert [before] == await encodings(alice)
        await reached(alice, "free again", free_bps / 2, 1e9)
        assert [] == alice.complaints
    finally:
        await alice.context.close()
        await bob.context.close()


async def test_simulcast_gives_up_its_largest_pictures_first(browser: Browser, live: Live) -> None:
    """
    What is left of a limit once the smaller ones have their share; and exactly the encodings that are wanted.
    """
    person = await Person.open(browser, live.root, room="r2", token=live.token("carol", "r2"), script=WATCHED)
    try:
        await person.page.evaluate(
            "async (token) => { const { join, openMedia } = await import('/telerelay.js');"
            " const { stream } = await openMedia({ audio: false });"
            " globalThis.own = await join({ room: 'r2', token: async () => token });"
            " await own.publish(stream, { simulcast: true }); }",
            live.token("carol", "r2"),
        )
        (host,) = live.relay._rooms.hosts
        (camera,) = host.room.publications.values()
        free = await encodings(person)
        assert ["q", "h", "f"] == [each["rid"] for each in free]
        for limit, expected in (
            (Limit(400_000), [["q", 150_000], ["h", 250_000]]),
            (Limit(rids=("q", "h")), [["q", 150_000], ["h", 500_000]]),
            (Limit(100_000, ("q", "f")), [["q", 100_000]]),
            (Limit(rids=("f",)), [["f", free[2]["max_bps"]]]),
        ):
            host.set_limits(camera.participant, {camera.id: limit})
            await person.until(f"active() === '{json.dumps(expected, separators=(',', ':'))}'", 2.0)
        host.set_limits(camera.participant, {})
        await person.until("own.publications[0].limit === null && encodings().every(({ active }) => active)", 2.0)
        assert free == await encodings(person)
    finally:
        await person.context.close()
