"""
The desk of a practitioner while no consult is on: who is there, who waits, and what rings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from consulting import SCREENSHOTS, OpenPage, Person
from playwright.async_api import Browser, Page
from test_page_accessibility import DESKTOP, FOCUSED, Inspection, walk
from test_page_accessibility import PHONE as SMALL
from test_page_waiting_room import ADMIN_PORT, NARROW, ask

from support.relay_process import RelayProcess, free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    """A relay whose host plans consults over its admin listener."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ADMIN_PORT, str(free_port()))
        with RelayProcess() as process:
            yield process


async def open_desk(browser: Browser, relay: RelayProcess, sub: str, queue: str, **rest: Any) -> Page:
    context = await browser.new_context(permissions=["camera", "microphone", "notifications"], **rest)
    page = await context.new_page()
    token = relay.run("token", "--desk", queue, "--key-file", str(relay.key_file), "--sub", sub)
    await page.goto(f"{relay.url}/desk.html#token={token}")
    await page.wait_for_selector("[data-testid=at-desk]")
    return page


async def shot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


async def test_a_patient_rings_and_the_next_doctor_answers(
    browser: Browser, open_page: OpenPage, relay: RelayProcess, room: str
) -> None:
    """
    The first one declines, the second one answers and is led in; both see who is there and who waits.
    """
    await ask(relay, "/consults", {"consult": room, "queue": "stroke", "is_emergency": True})
    first = await open_desk(browser, relay, "dr-1", "stroke", locale="fr-FR", viewport=NARROW)
    second = await open_desk(browser, relay, "dr-2", "stroke", locale="en-GB")
    await second.get_by_text("available").nth(1).wait_for()
    patient = await open_page("pat")
    await patient.join()
    await first.get_by_test_id("in-line").wait_for()
    await ask(relay, f"/consults/{room}/ring", {"people": ["dr-1", "dr-2"]})
    await first.get_by_test_id("ringing").wait_for()
    assert "Urgence" in await first.get_by_test_id("ringing").inner_text()
    assert "Un patient appelle" == await first.title()
    assert await second.get_by_test_id("ringing").count() == 0
    assert NARROW["width"] == await first.evaluate("document.documentElement.scrollWidth")
    await shot(first, "desk-rings-phone-fr")
    await first.get_by_test_id("decline").click()
    await second.get_by_test_id("ringing").wait_for()
    await shot(second, "desk-rings-desktop")
    await second.get_by_test_id("accept").click()
    await second.get_by_test_id("ringing").wait_for(state="detached")
    await second.get_by_text("in a consultation").wait_for()
    async with second.context.expect_page() as opened:
        await second.get_by_test_id("enter").click()
    call = await opened.value
    await call.get_by_test_id("join").click()
    await call.get_by_test_id("admit").click()
    await patient.sees()
    await shot(second, "desk-busy-desktop")
    assert [] == patient.complaints
    for page in (first, second):
        await page.context.close()


@pytest.mark.parametrize(
    ("language", "viewport", "media"),
    [("fr-FR", SMALL, {}), ("en-GB", DESKTOP, {"contrast": "more"}), ("en-GB", SMALL, {"forced_colors": "active"})],
    ids=["fr-phone", "en-desktop-contrast", "en-phone-forced-colors"],
)
async def test_axe_finds_nothing_at_a_desk(
    browser: Browser,
    open_page: OpenPage,
    relay: RelayProcess,
    room: str,
    language: str,
    viewport: dict[str, int],
    media: dict[str, Any],
) -> None:
    """
    Nobody waiting, two patients waiting, one of them ringing, answered, away, and cut off: no violation of any weight,
    contrast of 7:1, nothing under 18 px or 44 px, nothing wider than the window; the keyboard reaches all, and is seen.
    """
    queue, doctor, consults = f"queue-{room}", f"dr-{room}", [f"{room}-1", f"{room}-2"]
    for consult in consults:
        await ask(relay, "/consults", {"consult": consult, "queue": queue, "is_emergency": consult == consults[1]})
    page = await open_desk(browser, relay, doctor, queue, locale=language, viewport=viewport)
    await page.emulate_media(**media)
    desk = Person(page.context, page)
    seen = Inspection(desk)
    await seen.look("nobody")
    for number, consult in enumerate(consults):
        patient = await open_page(f"pat-{number}", token=None)
        await patient.page.goto("about:blank")
        await patient.page.goto(f"{relay.url}/?room={consult}#token={relay.token(consult, f'pat-{number}', 'patient')}")
        await patient.join()
    await desk.until("document.querySelectorAll('[data-testid=in-line]').length === 2")
    await seen.look("two wait")
    await shot(page, f"desk-two-{language[:2]}-{viewport['width']}{'-forced' if 'forced_colors' in media else ''}")
    await page.evaluate("document.activeElement.blur()")
    reached = await walk(desk, 6)
    await ask(relay, f"/consults/{consults[0]}/ring", {"people": [doctor]})
    await desk.see("ringing").wait_for()
    await seen.look("rings")
    await desk.see("accept").focus()
    await page.keyboard.press("Enter")
    await desk.see("enter").wait_for()
    await seen.look("answered")
    await desk.see("away").click()
    await seen.look("away")
    await page.context.set_offline(True)
    await page.evaluate("desk.close === undefined")
    await seen.look("cut off")

    assert {} == seen.found
    assert [] == [each for each in reached if "not seen" in each]
    assert {"language", "away", "take"} <= set(reached)
    assert "" != await page.evaluate(FOCUSED)
    await page.context.close()


async def test_a_desk_that_is_cut_off_comes_back_and_one_that_may_not_open_says_so(
    browser: Browser, relay: RelayProcess
) -> None:
    """
    Nobody has to load it again; a token of a room is none of a desk.
    """
    desk = await open_desk(browser, relay, "dr-1", "lost")
    await desk.context.set_offline(True)
    await desk.evaluate("desk.close === undefined")
    await desk.context.set_offline(False)
    await desk.get_by_test_id("away").click()
    await desk.get_by_text("only emergencies ring here").wait_for()
    await desk.context.close()
    context = await browser.new_context()
    stranger = await context.new_page()
    await stranger.goto(f"{relay.url}/desk.html#token={relay.token('room', 'dr-1', 'practitioner')}")
    await stranger.get_by_text("This link is not valid").wait_for()
    await context.close()
