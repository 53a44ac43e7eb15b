"""
A stroke on the page (row R13): three sites of examples/teleavc see each other, and one of them has a line that breaks
down. No picture of theirs stands still without a word, at the site or where it comes from.

The example is a process of its own; the weak site's media goes by a line of the test's. Each page is looked at from
outside, four times a second.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from consulting import PHONE, SIGNS, Person, over
from playwright.async_api import Browser

from rows.host import Host
from support.impairment import Impairment, UdpImpairment

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

# Less than two small pictures and two voices take: one of the two that come is held back, or now and then both.
WEAK = Impairment(delay_ms=25.0, rate_bps=350_000, queue_ms=300.0)
WIDE = Impairment(delay_ms=25.0, rate_bps=10_000_000)
LOOK_S, WATCH_S = 0.25, 12.0
WITHIN_S = 180.0
"""A machine with other things to do is given what it needs: no bound is held by it."""
UNTOLD_S = 5.0
"""So long a picture may stand still before somebody reads why: what is sent again, and a key frame, come sooner."""

PICTURES = """() => [...document.querySelectorAll(".tile")].map((tile) => ({
  frames: tile.querySelector("video")?.getVideoPlaybackQuality().totalVideoFrames ?? 0,
  isTold: tile.dataset.held === "true" || [...tile.querySelectorAll(".badge, .held")].some((each) => !each.hidden),
}))"""
HELD = "document.querySelectorAll('.tile[data-held=true]').length"


@pytest_asyncio.fixture(loop_scope="module")
async def host() -> AsyncIterator[Host]:
    async with Host("teleavc") as started:
        yield started  # type: ignore[misc]


async def opened(http: aiohttp.ClientSession, host: Host) -> dict[str, str]:
    """A stroke, which the first neurologist on call answers at a desk: an address for each site."""
    async with http.post(f"{host.url}/desks/neurologist-1") as response:
        desk = await response.json()
    async with http.ws_connect(f"{host.url}/consult/desk") as ws:
        await ws.send_json({"type": "open", "id": 1, "token": desk["token"]})
        async with http.post(f"{host.url}/strokes") as response:
            stroke = await response.json()
        call = stroke["call"]
        async with asyncio.timeout(WITHIN_S):
            while call not in [each["consult"] for each in (await ws.receive_json()).get("calls", ())]:
                pass
            await ws.send_json({"type": "accept", "id": 2, "consult": call})
            while "token" not in (said := await ws.receive_json()):
                pass
    links = {site: host.url + link for site, link in stroke["links"].items()}
    return {**links, "neurology": f"{host.url}/consult/?room={call}#token={said['token']}"}


async def untold_s(person: Person, for_s: float) -> tuple[float, float]:
    """The longest that a picture stood still with nothing said of it; how many are said to be held, median."""
    since: dict[int, tuple[float, int]] = {}
    longest, held = 0.0, []
    until = time.monotonic() + for_s
    while (now := time.monotonic()) < until:
        found: list[dict[str, Any]] = await person.page.evaluate(PICTURES)
        for index, each in enumerate(found):
            at, frames = since.get(index, (now, -1))
            if each["isTold"] or each["frames"] != frames:
                since[index] = (now, each["frames"])
            longest = max(longest, now - at if not each["isTold"] else 0.0)
        held.append(sum(each["isTold"] for each in found))
        await asyncio.sleep(LOOK_S)
    return longest, statistics.median(held)


@pytest.mark.timeout(900)
async def test_no_picture_of_a_stroke_is_held_back_without_a_word(browser: Browser, host: Host) -> None:
    """
    The site whose line breaks down reads which picture waits, and the site it comes from that it is not seen. When the
    line is back, so are the pictures and the words.
    """
    people: list[Person] = []
    async with aiohttp.ClientSession() as http:
        addresses = await opened(http, host)
        with UdpImpairment(("127.0.0.1", host.udp[1]), WIDE, WIDE) as line:
            try:
                for site, given in (
                    ("hospital", {"language": "fr-FR"}),
                    ("radiology", {"script": SIGNS + over(host.udp[1], line.port)}),
                    ("neurology", {"viewport": PHONE}),
                ):
                    person = await Person.at(browser, addresses[site], **{"script": SIGNS, **given})  # type: ignore[arg-type]
                    people.append(person)
                    await person.join()
                hospital, radiology, neurology = people
                for person in people:
                    await person.sees(2)
                await radiology.screenshot("stroke-desktop")
                await neurology.screenshot("stroke-phone")

                line.down.impairment = WEAK
                await radiology.until(f"{HELD} >= 1", WITHIN_S)
                publication = await radiology.page.evaluate(
                    "signs.filter(({ type, state }) => type === 'track_state' && state === 'paused').at(-1).publication"
                )
                own = await hospital.page.evaluate("consult.call.publications.map(({ id }) => id)")
                unseen = hospital if publication in own else neurology
                await unseen.until("signs.some(({ type, state }) => type === 'seen_by' && state === 'paused')")
                await unseen.says("ne vous voit pas" if unseen is hospital else "does not see you")
                longest_s, usually_held = await untold_s(radiology, WATCH_S)
                said = await radiology.status()
                await radiology.screenshot("stroke-held-desktop")
                await unseen.screenshot("stroke-unseen")

                line.down.impairment = WIDE
                await radiology.until(f"{HELD} === 0", WITHIN_S)
                await unseen.until("signs.filter(({ type }) => type === 'seen_by').at(-1).state === 'live'", WITHIN_S)
                await radiology.sees(2)
            finally:
                for person in people:
                    await person.context.close()

    assert longest_s <= UNTOLD_S
    assert usually_held >= 1
    assert "your line is too weak" in said
    assert [] == [complaint for person in people for complaint in person.complaints]
