"""
A nursing home on the page (row R16): one device shows a face and a wound over one weak line, and the wound comes first;
a relative has sound alone.

The example is a process of its own; the device's two pages send over a line of the test's, which has 1 Mbit/s up.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median

import aiohttp
import pytest
import pytest_asyncio
from consulting import PHONE, SIGNS, Person, over
from playwright.async_api import Browser

from rows.device import PUBLISH, film
from rows.host import Host
from support.chromium import chromium
from support.impairment import Impairment, UdpImpairment

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

WEAK_UP = Impairment(delay_ms=25.0, rate_bps=1_000_000, queue_ms=200.0)
DOWN = Impairment(delay_ms=25.0, rate_bps=10_000_000)
LOOK_S, LOOKS = 4.0, 3
WITHIN_S = 180.0
"""A machine with other things to do is given what it needs: no bound is held by it."""
GIVES_WAY_BPS = 150_000
SETTLED_BPS = 250_000
"""What a face has that gives way, with an encoder's swing."""

BY_SOUND = """{
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = ({ audio }) =>
    audio ? open({ audio }) : Promise.reject(new DOMException("none", "NotFoundError"));
}"""
"""Somebody without a camera: it is the home's two pictures that this machine has to encode."""

BYTES = """async () => {
  const { call } = consult;
  const found = {};
  for (const { direction, kind, source, size_bytes: bytes } of (await call.stats()).tracks) {
    if (direction === "subscribe" && kind === "video") found[source] = bytes;
  }
  return found;
}"""
LIMIT = "signs.filter(({ type }) => type === 'limits').at(-1)?.tracks.map(({ max_bps }) => max_bps)[0]"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium whose camera shows what an encoder has use for all it gets for."""
    with tempfile.TemporaryDirectory() as folder:
        camera = Path(folder) / "film.y4m"
        film(camera)
        async with chromium(more=[f"--use-file-for-fake-video-capture={camera}"]) as started:
            yield started


@pytest_asyncio.fixture(loop_scope="module")
async def host() -> AsyncIterator[Host]:
    async with Host("ehpad") as started:
        yield started  # type: ignore[misc]


async def rates(doctor: Person) -> dict[str, float]:
    """What comes to the doctor of each picture in LOOK_S, bit/s."""
    before = await doctor.page.evaluate(BYTES)
    await asyncio.sleep(LOOK_S)  # it is this that is looked at
    after = await doctor.page.evaluate(BYTES)
    return {source: 8 * (after[source] - before.get(source, 0)) / LOOK_S for source in after}


@pytest.mark.timeout(900)
async def test_the_wound_comes_first_on_a_homes_weak_line(browser: Browser, host: Host) -> None:
    """
    The resident's page is told to send less while the nurse's lacks room, and the wound has twice what the face has; a
    relative gets no picture. When the wound is shown no longer the face has the line.
    """
    people: list[Person] = []
    async with aiohttp.ClientSession() as http, http.post(f"{host.url}/visits") as response:
        links = (await response.json())["links"]
    addresses = {who: f"{host.url}/consult/#link={link}" for who, link in links.items()}
    with UdpImpairment(("127.0.0.1", host.udp[1]), WEAK_UP, DOWN) as line:
        device = SIGNS + over(host.udp[1], line.port)
        try:
            doctor = await Person.at(browser, addresses["doctor"], script=SIGNS + BY_SOUND)
            people.append(doctor)
            await doctor.join()
            resident = await Person.at(browser, addresses["resident"], script=device, viewport=PHONE, language="fr-FR")
            people.append(resident)
            await resident.join()
            await doctor.see("admit").click(timeout=60_000)
            nurse = await Person.at(browser, f"{host.url}/consult/", script=device)
            people.append(nurse)
            await nurse.page.evaluate(PUBLISH, [f"{host.url}/consult", links["nurse"], ["scope"]])
            relative = await Person.at(
                browser, addresses["relative"], script=BY_SOUND, viewport=PHONE, language="fr-FR"
            )
            people.append(relative)
            await relative.join()
            await doctor.see("admit").click(timeout=60_000)
            await doctor.sees(2)
            await relative.hears()

            await resident.until(f"{LIMIT} === {GIVES_WAY_BPS}", WITHIN_S)
            deadline = time.monotonic() + WITHIN_S
            while (await rates(doctor))["camera"] > SETTLED_BPS and time.monotonic() < deadline:
                pass
            came = [await rates(doctor) for _ in range(LOOKS)]
            await doctor.screenshot("home-weak-desktop")
            await resident.screenshot("home-weak-phone-fr")
            await relative.screenshot("home-relative-phone-fr")
            pictures = await relative.page.locator("[data-testid=remote-video]").evaluate_all(
                "(all) => all.filter((each) => each.videoWidth > 0).length"
            )
            await nurse.page.evaluate("call.unpublish(call.publications[0])")
            await resident.until(f"{LIMIT} === undefined", WITHIN_S)
        finally:
            for person in people:
                await person.context.close()

    assert median(each["camera"] for each in came) > 0.0
    assert median(each["scope"] / max(1.0, each["camera"]) for each in came) >= 2.0
    assert 0 == pictures
    assert [] == [complaint for person in (doctor, resident, relative) for complaint in person.complaints]
