"""
The consult page for a patient of seventy: axe-core finds nothing, the keyboard is enough, type and targets are large.

axe-core comes with the Python package axe-playwright-python and runs inside the page; nothing of it is shipped.
Beside its default rules, contrast of 7:1 (WCAG 1.4.6) and the size of targets are asked for.
"""

from __future__ import annotations

import asyncio
import re
from importlib.resources import files
from typing import Any

import pytest
from consulting import OpenPage, Person
from playwright.async_api import WebSocketRoute

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
RULES = {"color-contrast-enhanced": {"enabled": True}, "target-size": {"enabled": True}}
PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 800}
SIDEWAYS = {"width": 740, "height": 360}
FOCUSED = "document.activeElement.dataset.testid ?? (document.activeElement.id || document.activeElement.className)"


async def complaints(person: Person) -> list[str]:
    """
    What axe finds, of any weight: rule, and the elements it names.

    With forced colours all text has the system's; Chromium still reports the page's own `-webkit-text-fill-color`,
    which axe believes, so there it is asked instead that nothing but the sound bar opts out.
    """
    is_forced = await person.page.evaluate("matchMedia('(forced-colors: active)').matches")
    contrast = {name: {"enabled": not is_forced} for name in ("color-contrast", "color-contrast-enhanced")}
    own = await person.page.evaluate(
        "[...document.querySelectorAll('body *')].filter((node) => getComputedStyle(node).forcedColorAdjust === 'none')"
        ".map(({id, tagName}) => id || tagName)"
    )
    await person.page.evaluate(AXE)
    found: list[dict[str, Any]] = await person.page.evaluate(
        "(rules) => axe.run(document, {resultTypes: ['violations'], rules}).then(({violations}) =>"
        " violations.map(({id, impact, nodes}) => ({id, impact, nodes: nodes.map(({html, failureSummary}) =>"
        " `${html.slice(0, 120)} ${failureSummary}`)})))",
        RULES | contrast,
    )
    opted_out = [f"keeps its own colours: {each}" for each in own if is_forced and each != "level-bar"]
    return opted_out + [f"{each['impact']} {each['id']}: {node}" for each in found for node in each["nodes"]]


async def ugly(person: Person, *, may_break: bool = False) -> list[str]:
    """
    What is too small, cut off or wider than the window, as it is now. `may_break`: a long word on a button may break.
    """
    script = """(mayBreak) => {
      const found = [];
      const root = document.documentElement;
      if (root.scrollWidth > root.clientWidth) found.push(`scrolls sideways: ${root.scrollWidth}`);
      const seen = (node) => node.checkVisibility({visibilityProperty: true}) && node.getBoundingClientRect().width > 1;
      for (const node of document.querySelectorAll('button, select')) {
        if (!seen(node)) continue;
        const {width, height} = node.getBoundingClientRect();
        const name = node.dataset.testid ?? node.className;
        if (width < 44 || height < 44) found.push(`${name} is ${width} x ${height}`);
        if (node.tagName !== 'BUTTON') continue;
        if (!mayBreak) node.style.overflowWrap = 'normal';
        if (node.scrollWidth > node.clientWidth + 1) found.push(`${name} is cut`);
        node.style.overflowWrap = '';
      }
      const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (texts.nextNode()) {
        const {parentElement: parent, data} = texts.currentNode;
        if (!data.trim() || !seen(parent)) continue;
        if (parseFloat(getComputedStyle(parent).fontSize) < 18) found.push(`small: ${data}`);
      }
      return found;
    }"""
    return [str(each) for each in await person.page.evaluate(script, may_break)]


class Inspection:
    """Looks at one page in one state after another, and keeps what it finds for the end."""

    def __init__(self, *people: Person) -> None:
        self.people = people
        self.found: dict[str, list[str]] = {}

    async def look(self, state: str) -> None:
        for person in self.people:
            # What fades has its colours afterwards.
            await person.page.evaluate(
                "Promise.all(document.getAnimations().filter(({effect}) =>"
                " effect.getTiming().iterations !== Infinity).map(({finished}) => finished.catch(() => {})))"
            )
            if found := await complaints(person) + await ugly(person):
                self.found[state] = self.found.get(state, []) + found


@pytest.mark.parametrize(
    ("language", "viewport", "media"),
    [
        ("fr-FR", PHONE, {}),
        pytest.param("en-GB", DESKTOP, {"contrast": "more", "reduced_motion": "reduce"}, marks=pytest.mark.slow),
        pytest.param("en-GB", PHONE, {"forced_colors": "active"}, marks=pytest.mark.slow),
        pytest.param("fr-FR", DESKTOP, {}, marks=pytest.mark.slow),
        pytest.param("fr-FR", SIDEWAYS, {"reduced_motion": "reduce"}, marks=pytest.mark.slow),
    ],
    ids=["fr-phone", "en-desktop-contrast", "en-phone-forced-colors", "fr-desktop", "fr-phone-sideways"],
)
async def test_axe_finds_nothing_in_any_state(
    open_page: OpenPage, language: str, viewport: dict[str, int], media: dict[str, Any]
) -> None:
    """
    Before joining, alone, with another, both sources off, a device lost, the dialog, after: no violation of any weight,
    contrast of 7:1, nothing under 18 px or 44 px, nothing wider than the window.
    """
    bob = await open_page("bob", language=language, viewport=viewport)
    await bob.page.emulate_media(**media)
    seen = Inspection(bob)
    await bob.until("document.getElementById('local-video').videoWidth > 0")
    await seen.look("lobby")
    await bob.join()
    await bob.until("consult.call.publications.filter((own) => own.id).length === 2")
    await seen.look("alone")
    if media.get("reduced_motion"):
        assert 0 == await bob.page.evaluate("document.getAnimations().length")

    alice = await open_page("alice", role="practitioner")
    await alice.join()
    await bob.sees()
    await seen.look("call")
    for button in ("mute-audio", "mute-video"):
        await alice.see(button).click()
        await bob.see(button).click()
    await bob.until("document.querySelector('.tile').dataset.picture === 'off'")
    await seen.look("muted")
    await bob.screenshot(f"muted-{language[:2]}-{viewport['width']}")
    await bob.page.evaluate(
        "for (const {track} of consult.call.publications) { track.stop(); track.dispatchEvent(new Event('ended')); }"
    )
    await bob.see("retry").wait_for()
    await seen.look("device lost")
    await bob.see("open-devices").click()
    await seen.look("dialog")
    await bob.page.keyboard.press("Escape")
    await bob.see("leave").click()
    await bob.see("rejoin").wait_for()
    await seen.look("after")

    assert {} == seen.found


async def test_axe_finds_nothing_while_joining_and_when_it_fails(open_page: OpenPage) -> None:
    """
    The same while the relay has not answered, when it refuses, and when devices are refused.
    """
    refused = (
        "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('feigned', 'NotAllowedError'); };"
    )
    alice = await open_page("alice", language="fr-FR", viewport=PHONE, script=refused)
    seen = Inspection(alice)
    await alice.see("sound-only").wait_for()
    await seen.look("devices refused")
    sockets: list[WebSocketRoute] = []

    async def hold(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.on_message(lambda _: None)

    await alice.page.route_web_socket(re.compile("/ws$"), hold)
    await alice.see("join").click()
    await alice.says("Connexion")
    await seen.look("joining")
    await alice.until("true")
    await sockets[0].close(code=4003, reason="forbidden")
    await alice.says("Ce lien n’ouvre pas cette consultation.")
    await seen.look("refused")

    assert {} == seen.found
    assert "join" == await alice.page.evaluate(FOCUSED)


@pytest.mark.parametrize("language", ["fr-FR", pytest.param("en-GB", marks=pytest.mark.slow)])
async def test_twice_the_type_fits_a_width_of_320_pixels(open_page: OpenPage, language: str) -> None:
    """
    With text at 200 % in 320 CSS px nothing scrolls sideways and no button is cut (WCAG 1.4.4 and 1.4.10 at once).
    """
    bob = await open_page("bob", language=language, viewport={"width": 320, "height": 640})
    await bob.page.evaluate("document.documentElement.style.fontSize = '225%'")  # the page's own is 112.5 %
    found = {"lobby": await ugly(bob, may_break=True)}
    await bob.join()
    alice = await open_page("alice", role="practitioner")
    await alice.join()
    await bob.sees()
    await alice.see("mute-audio").click()
    await bob.see("mute-audio").click()
    await bob.until("document.querySelector('.tile').dataset.audio === 'muted'")
    found["call"] = await ugly(bob, may_break=True)
    await bob.page.evaluate(
        "for (const {track} of consult.call.publications) { track.stop(); track.dispatchEvent(new Event('ended')); }"
    )
    await bob.see("retry").wait_for()
    found["device lost"] = await ugly(bob, may_break=True)
    await bob.see("open-devices").click()
    found["dialog"] = await ugly(bob, may_break=True)
    await bob.see("close-devices").click()
    await bob.see("leave").click()
    await bob.see("rejoin").wait_for()
    found["after"] = await ugly(bob, may_break=True)

    assert {} == {state: each for state, each in found.items() if each}


async def walk(person: Person, steps: int) -> list[str]:
    """Where Tab leads, and whether one sees that it does."""
    places = []
    for _ in range(steps):
        await person.page.keyboard.press("Tab")
        name, outline_px = await person.page.evaluate(
            f"[{FOCUSED}, parseFloat(getComputedStyle(document.activeElement).outlineWidth)]"
        )
        places.append(name if outline_px >= 3 or name == "" else f"{name} (not seen)")
    return places


async def test_a_whole_consult_by_keyboard(open_page: OpenPage) -> None:
    """
    Tab goes through everything in the order of the page, always seen; joining, the dialog and leaving put the focus
    where one goes on; Escape closes; the state of a button is told as pressed, its name says what it will do.
    """
    alice = await open_page("alice", role="practitioner")
    bob = await open_page("bob", role="patient")
    await alice.says("You are ready.")
    # The join button stands under one's own picture; the devices come after it.
    lobby = ["skip", "language", "join", "camera", "microphone", "speaker", "test-sound"]
    assert lobby == await walk(alice, len(lobby))
    while await alice.page.evaluate(FOCUSED) != "join":
        await alice.page.keyboard.press("Shift+Tab")
    await alice.page.keyboard.press("Enter")
    await alice.until(f"({FOCUSED}) === 'mute-audio'")
    await alice.until("consult.call.publications.filter((own) => own.id).length === 2")
    await bob.join()
    await alice.sees()

    call = ["mute-video", "open-devices", "open-chat", "leave"]
    assert call == await walk(alice, len(call))
    for _ in ("open-chat", "open-devices"):
        await alice.page.keyboard.press("Shift+Tab")
    await alice.page.keyboard.press("Enter")
    await alice.until(f"({FOCUSED}) === 'camera'")
    inside = set(await walk(alice, 6)) - {"", "devices-dialog"}
    assert {"camera", "microphone", "speaker", "test-sound", "close-devices"} == inside
    await alice.page.keyboard.press("Escape")
    assert "open-devices" == await alice.page.evaluate(FOCUSED)

    for button, off, on in (
        ("mute-audio", "Turn microphone off", "Turn microphone on"),
        ("mute-video", "Turn camera off", "Turn camera on"),
    ):
        await alice.see(button).focus()
        assert ("false", off) == (
            await alice.see(button).get_attribute("aria-pressed"),
            await alice.see(button).inner_text(),
        )
        await alice.page.keyboard.press("Space")
        assert ("true", on) == (
            await alice.see(button).get_attribute("aria-pressed"),
            await alice.see(button).inner_text(),
        )
    names = await bob.page.get_by_test_id("remote-video").evaluate_all("(all) => all.map((each) => each.ariaLabel)")
    assert ["The practitioner"] == names

    await alice.see("leave").focus()
    await alice.page.keyboard.press("Enter")
    await alice.until("document.activeElement.id === 'after-title'")
    assert ["rejoin"] == await walk(alice, 1)


async def test_what_is_read_aloud_is_read_once(open_page: OpenPage) -> None:
    """
    One polite region holds what is, one sentence a node, so that only what is new is read; the rest of the page changes
    many times a second without a word.
    """
    alice = await open_page("alice", role="practitioner")
    bob = await open_page("bob")
    await alice.join()
    await bob.join()
    await alice.sees()
    await alice.page.evaluate(
        "globalThis.read = []; new MutationObserver((records) => { for (const {target, addedNodes} of records)"
        " { const live = (target.closest ? target : target.parentElement).closest('[role=status], [role=alert]');"
        " if (live) for (const node of addedNodes) read.push(`${live.role}: ${node.textContent.trim()}`); } })"
        ".observe(document.body, {subtree: true, childList: true, characterData: true})"
    )
    await bob.see("mute-video").click()
    await alice.says("The patient has turned the camera off.")
    await alice.see("mute-audio").click()
    await alice.says("Your microphone is off")
    await bob.see("mute-video").click()
    await alice.says("You are connected with the patient.")
    await asyncio.sleep(2.5)  # the page draws itself again each second

    assert [
        "status: The patient has turned the camera off.",
        "status: Your microphone is off: nobody hears you.",
        "status: You are connected with the patient.",
    ] == [each for each in await alice.page.evaluate("read") if "internet connection" not in each]  # a busy machine
    regions = "[...document.querySelectorAll('[aria-live], [role=status]')].map(({id}) => id)"
    assert ["said", "camera-trouble", "chat-said"] == await alice.page.evaluate(regions)
