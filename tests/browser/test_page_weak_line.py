"""
What the page says of pictures that the relay holds back, of who does not see one, and of who speaks.

The relay and both pages are real. The signs come into a page by the socket that its script opened, as if the relay had
sent them: so each order and pace of them can be had.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator

import pytest
from consulting import OpenPage, Person
from test_page_accessibility import PHONE, SIDEWAYS, Inspection

from support.relay_process import RelayProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

# As for all troubles; without other work on the machine it is a tenth of a second.
TOLD_S = 3.0
# What is shown stays for two seconds; a page that is busy draws a little later.
HELD_S = 2.0
SLACK_S = 1.5

# The page's last socket, and every sentence that its live region has held, with the time.
SIGNS = """
globalThis.told = (message) => socket.onmessage({ data: JSON.stringify(message) });
const Native = WebSocket;
globalThis.WebSocket = class extends Native {
  constructor(...given) {
    super(...given);
    globalThis.socket = this;
  }
};
globalThis.heard = [];
addEventListener("DOMContentLoaded", () => {
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const { textContent } of addedNodes) heard.push([performance.now(), textContent.trim()]);
    }
  }).observe(document.getElementById("said"), { childList: true });
});
globalThis.picture = (sub) => {
  const other = [...consult.call.participants.values()].find((each) => each.sub === sub);
  return [...other.publications.values()].find(({ kind }) => kind === "video").id;
};
globalThis.person = (sub) => [...consult.call.participants.values()].find((each) => each.sub === sub).id;
globalThis.camera = () => consult.call.publications.find(({ kind }) => kind === "video").id;
"""


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    """A relay that adapts nothing, and so says nothing of the kind itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TELERELAY_MEDIA_ADAPTATION", "0")
        with RelayProcess() as process:
            yield process


async def tell(person: Person, kind: str, **members: str) -> None:
    """A sign, as if the relay had sent it; a member that begins with `=` is JavaScript."""
    fields = ", ".join(
        f"{key}: {value[1:] if value[0] == '=' else json.dumps(value)}" for key, value in members.items()
    )
    await person.page.evaluate(f'told({{ type: "{kind}", {fields} }})')


async def pause(person: Person, whose: str, state: str = "paused", reason: str = "line") -> None:
    await tell(person, "track_state", publication=f"=picture('{whose}')", state=state, reason=reason)


async def heard(person: Person, words: str) -> int:
    """How often a sentence with these words has come into the live region."""
    said = await person.page.evaluate("heard")
    return sum(words in text for _, text in said)


async def call_of(open_page: OpenPage, *subs: str, **rest: object) -> list[Person]:
    """People who see each other; the first one's page has the script and the other options."""
    people = []
    for sub in subs:
        mine = {"script": SIGNS} | rest if not people else {}
        people.append(await open_page(sub, role="patient" if people else "practitioner", **mine))
    for person in people:
        await person.join()
    for person in people:
        await person.sees(len(people) - 1)
    return people


@pytest.mark.parametrize("language", ["en-GB", pytest.param("fr-FR", marks=pytest.mark.slow)])
async def test_a_picture_that_is_held_back_says_so_and_says_that_it_is_back(open_page: OpenPage, language: str) -> None:
    """
    The last picture stays, greyed, with words over it; the status has a sentence, read politely and once. Then it is
    as before, and for some seconds a sentence says that the picture is back. axe finds nothing in any of it.
    """
    words = {
        "en-GB": ("Picture paused: the line is too weak. Sound goes on.", "Sound only for now", "is back"),
        "fr-FR": (
            "Image en pause : la connexion est trop faible. Le son continue.",
            "Le son seulement",
            "est de retour",
        ),
    }
    over, only, back = (each.replace(" :", "\u00a0:") for each in words[language])
    alice, bob = await call_of(open_page, "alice", "bob", language=language)
    seen = Inspection(alice)
    tile = alice.page.locator(".tile")

    await pause(alice, "bob")
    await alice.until(f"document.querySelector('.held').textContent === {json.dumps(over)}", TOLD_S)
    await alice.says(only, TOLD_S)
    assert "true" == await tile.get_attribute("data-held")
    assert "on" == await tile.get_attribute("data-picture")
    assert "grayscale" in await alice.page.evaluate("getComputedStyle(document.querySelector('.tile video')).filter")
    assert await alice.page.evaluate("document.querySelector('.tile .badge').hidden")
    await seen.look("held")
    name = f"paused-{language[:2]}"
    await alice.screenshot(f"{name}-desktop")
    for size, viewport in (("phone", PHONE), ("sideways", SIDEWAYS)):
        await alice.page.set_viewport_size(viewport)  # type: ignore[arg-type]
        await seen.look(f"held, {size}")
        await alice.screenshot(f"{name}-{size}")

    await asyncio.sleep(HELD_S)
    await pause(alice, "bob", "live")
    await alice.until("document.querySelector('.held').hidden", TOLD_S)
    await alice.says(back, TOLD_S)
    assert only not in await alice.status()
    await alice.until("getComputedStyle(document.querySelector('.tile video')).filter === 'none'", TOLD_S)
    await alice.until(f"!document.getElementById('status').textContent.includes({json.dumps(back)})", 8)

    assert 1 == await heard(alice, only)
    assert 1 == await heard(alice, back)
    assert {} == seen.found
    assert [] == alice.complaints + bob.complaints


async def test_what_comes_and_goes_does_not_flicker(open_page: OpenPage) -> None:
    """
    Of ten changes in half a second one is shown at once, what is in the end two seconds later; nothing is read twice.
    """
    alice, _ = await call_of(open_page, "alice", "bob")
    await alice.until("document.querySelector('.tile').dataset.held === 'false'")
    await alice.page.evaluate(
        "globalThis.changes = []; new MutationObserver(() =>"
        " changes.push([performance.now(), document.querySelector('.tile').dataset.held]))"
        ".observe(document.querySelector('.tile'), { attributeFilter: ['data-held'] })"
    )
    await alice.page.evaluate(
        "(async () => { for (let turn = 0; turn < 10; turn++) {"
        " const state = turn % 2 ? 'live' : 'paused';"
        " told({ type: 'track_state', publication: picture('bob'), state, reason: 'line' });"
        " await new Promise((resolve) => setTimeout(resolve, 50)); } })()"
    )
    began = time.monotonic()
    await alice.until("document.querySelector('.tile').dataset.held === 'false'", HELD_S + SLACK_S)
    took_s = time.monotonic() - began

    changes = await alice.page.evaluate("changes.filter(([, held], index) => held !== changes[index - 1]?.[1])")
    assert ["true", "false"] == [held for _, held in changes]
    assert HELD_S <= (changes[1][0] - changes[0][0]) / 1000 + 0.05
    assert took_s < HELD_S + SLACK_S
    # What is read out follows what is seen by a moment.
    await alice.until("heard.some(([, text]) => text.includes('is back'))", SLACK_S)
    assert 1 == await heard(alice, "Sound only for now")
    assert 1 == await heard(alice, "is back")


async def test_a_picture_that_is_held_back_is_no_trouble_of_its_owner(open_page: OpenPage) -> None:
    """
    Nothing comes of it, and yet it is not called interrupted; also not at the moment in which it is sent again.
    """
    alice, bob = await call_of(open_page, "alice", "bob")
    await pause(alice, "bob")
    publication = await alice.page.evaluate("picture('bob')")
    await alice.page.evaluate(
        "globalThis.stalls = []; for (const type of ['stalled', 'flowing'])"
        " consult.call.addEventListener(type, ({ publication }) => stalls.push([type, publication.kind]))"
    )
    await alice.page.evaluate("(id) => consult.call.pause(id)", publication)  # so that really nothing comes
    await asyncio.sleep(3)
    await alice.page.evaluate("(id) => consult.call.pause(id, false)", publication)
    await pause(alice, "bob", "live")
    await alice.until("document.querySelector('.held').hidden", HELD_S + SLACK_S)
    await alice.sees()
    assert [] == await alice.page.evaluate("stalls")
    assert [] == alice.complaints + bob.complaints


async def test_who_is_not_seen_is_told_by_whom(open_page: OpenPage) -> None:
    """
    The publisher reads whose line is weak, and when they see them again; who leaves takes the sentence along.
    """
    alice, bob, carol = await call_of(open_page, "alice", "bob", "carol", viewport=PHONE)
    first = await alice.page.evaluate("person('bob')")
    await tell(alice, "seen_by", publication="=camera()", participant=first, state="paused")
    await alice.says("The patient 1 does not see you at the moment: their line is weak.", TOLD_S)
    await alice.screenshot("unseen-phone")
    await tell(alice, "seen_by", publication="=camera()", participant="=person('carol')", state="paused")
    await alice.says("The others do not see you at the moment", TOLD_S)
    assert "Not seen" == await alice.page.locator("#self-words").inner_text()
    seen = Inspection(alice)
    await seen.look("unseen by all")
    await alice.screenshot("unseen-by-all-phone")

    await asyncio.sleep(HELD_S)
    await tell(alice, "seen_by", publication="=camera()", participant=first, state="live")
    await alice.says("The patient 1 sees you again.", TOLD_S)
    await alice.says("The patient 2 does not see you at the moment", TOLD_S)
    await carol.see("leave").click()
    await alice.until("!document.getElementById('status').textContent.includes('does not see you')")
    assert {} == seen.found
    assert [] == alice.complaints + bob.complaints


async def test_one_of_several_pictures_is_named_and_who_speaks_has_a_frame(open_page: OpenPage) -> None:
    """
    Where another picture goes on, the sentence says whose is paused. The frame is around who speaks, oneself included.
    """
    alice, bob, carol = await call_of(open_page, "alice", "bob", "carol")
    await pause(alice, "carol")
    await alice.says("The picture of the patient 2 is paused: your line is too weak.", TOLD_S)
    assert "Picture paused" == await alice.page.locator(".tile[data-held=true] .badge").inner_text()
    assert await alice.page.locator(".tile[data-held=true] .held").is_hidden()
    whole = "(({top}, tile) => top >= tile.top)(document.querySelector('.tile[data-held=true] .badge')"
    whole += ".getBoundingClientRect(), document.querySelector('.tile[data-held=true]').getBoundingClientRect())"
    await tell(alice, "speaker", participant="=person('bob')")
    framed = "[...document.querySelectorAll('[data-speaking=true]')].map((each) => each.ariaLabel ?? each.textContent)"
    await alice.until(f"({framed}).length === 1 && ({framed})[0].includes('patient 1')", TOLD_S)
    seen = Inspection(alice)
    await seen.look("one held, one speaks")
    await alice.screenshot("paused-one-of-two-desktop")
    await alice.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    await seen.look("one held, one speaks, phone")
    assert await alice.page.evaluate(whole), "the badge is cut off"
    await alice.screenshot("paused-one-of-two-phone")
    await tell(alice, "speaker", participant="=consult.call.id")
    await alice.until("document.getElementById('self').dataset.speaking === 'true'", HELD_S + SLACK_S)
    assert 0 == await alice.page.locator(".tile[data-speaking=true]").count()
    assert {} == seen.found
    assert [] == alice.complaints + bob.complaints + carol.complaints
