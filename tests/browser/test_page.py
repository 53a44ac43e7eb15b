"""
The consult page alone: what it says in which trouble, in two languages, with a keyboard.

Devices and refusals are feigned in the browser; the relay is real where it matters.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from consulting import PHONE, OpenPage
from playwright.async_api import WebSocketRoute

from support.relay_process import RelayProcess
from telerelay.protocol.grants import load_key

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

WEB = Path(__file__).resolve().parents[2] / "src" / "telerelay" / "web"


def failing(name: str, *, only: str = "") -> str:
    """A script after which getUserMedia fails with a DOMException of this name, always or where `only` is wanted."""
    condition = f"wanted.{only}" if only else "true"
    return (
        "{ const media = navigator.mediaDevices; const open = media.getUserMedia.bind(media);"
        f"media.getUserMedia = async (wanted) => {{ if ({condition}) throw new DOMException('feigned', '{name}');"
        " return open(wanted); }; }"
    )


async def test_before_joining_one_sees_and_hears_oneself(open_page: OpenPage) -> None:
    """
    The lobby shows the camera's picture, a moving sound bar and the devices by name; a phone need not scroll sideways.
    """
    alice = await open_page("alice")
    await alice.says("You are ready.")
    await alice.until("document.getElementById('local-video').videoWidth > 0")
    await alice.until("Number(document.getElementById('level').getAttribute('aria-valuenow')) > 30")
    await alice.until("document.getElementById('level').getAttribute('aria-valuenow') === '0'")
    assert "Join the consultation" == await alice.see("join").inner_text()
    assert await alice.see("camera").locator("option").count() >= 2
    await alice.see("test-sound").click()
    await alice.screenshot("lobby-desktop")

    bob = await open_page("bob", viewport=PHONE, language="fr-FR")
    await bob.says("Vous êtes prêt.")
    await bob.screenshot("lobby-phone")
    assert PHONE["width"] == await bob.page.evaluate("document.documentElement.scrollWidth")
    assert [] == alice.complaints + bob.complaints


@pytest.mark.parametrize(
    ("script", "sentence", "button"),
    [
        (
            failing("NotAllowedError"),
            "The browser may not use your camera and microphone",
            "Join to watch and listen only",
        ),
        (failing("NotReadableError", only="video"), "Another program is using your camera", "Join with sound only"),
        (failing("NotFoundError", only="video"), "No camera was found", "Join with sound only"),
        (
            failing("NotReadableError", only="audio"),
            "Another program is using your microphone",
            "Join with picture only",
        ),
        ("delete Navigator.prototype.mediaDevices", "Please use a recent Chrome", "Join to watch and listen only"),
    ],
)
async def test_trouble_with_a_device_is_said_in_plain_words(
    open_page: OpenPage, script: str, sentence: str, button: str
) -> None:
    """
    Refused, busy and missing devices have sentences of their own, and one may always join with what is left.
    """
    alice = await open_page("alice", script=script)
    await alice.until("!document.getElementById('notice').hidden")
    assert sentence in await alice.see("notice").inner_text()
    assert button == await alice.see("join").inner_text()
    await alice.screenshot("-".join(sentence.lower().split()[:4]))


async def test_constraints_that_no_camera_fulfils_are_given_up(open_page: OpenPage) -> None:
    """
    A camera that cannot do what is asked for (or is gone since) is replaced by any camera.
    """
    alice = await open_page("alice", script=failing("OverconstrainedError", only="video.width"))
    await alice.says("You are ready.")


async def test_who_has_no_devices_still_sees_the_others(open_page: OpenPage) -> None:
    """
    A person without camera and microphone joins, sees the other, and the other reads why nobody is to be seen.
    """
    alice = await open_page("alice", role="practitioner")
    bob = await open_page("bob", script=failing("NotAllowedError"))
    await alice.join()
    await bob.join()

    await bob.sees()
    await alice.until("document.querySelector('.tile .cover span').textContent === 'No camera'")
    assert await bob.see("mute-audio").is_disabled()


REFUSALS = [
    ("token_expired", 4001, "This link has expired."),
    ("unauthorized", 4001, "This link is not valid."),
    ("forbidden", 4003, "This link does not open this consultation."),
    ("room_full", 4008, "This consultation is full"),
    ("too_many_requests", 4008, "too many attempts"),
    ("draining", 4011, "being restarted"),
    ("something_new", 4008, "Something went wrong (something_new)."),
]


async def test_a_refused_join_is_said_in_plain_words(open_page: OpenPage) -> None:
    """
    Each code the relay may answer a join with is a sentence, and the page can be used again.
    """
    alice = await open_page("alice")
    rows = iter(REFUSALS)

    async def refuse(socket: WebSocketRoute) -> None:
        code, close_code, _ = next(rows)

        async def answer(message: str | bytes) -> None:
            socket.send(json.dumps({"type": "error", "id": json.loads(message)["id"], "code": code, "message": "no"}))
            await socket.close(code=close_code, reason=code)

        socket.on_message(answer)

    await alice.page.route_web_socket(re.compile("/ws$"), refuse)
    for _, _, sentence in REFUSALS:
        await alice.see("join").click()
        await alice.says(sentence)
        assert sentence in await alice.see("notice").inner_text()
        assert await alice.see("join").is_enabled()


async def test_real_refusals_of_a_token(open_page: OpenPage, relay: RelayProcess, room: str) -> None:
    """
    An expired token, one for another room and no token at all are told apart by the relay or the page.
    """
    claims = {"room": room, "sub": "alice", "role": "patient"}
    expired = await open_page("alice", token=load_key(relay.key_file).sign(**claims, ttl_s=60, now=time.time() - 120))
    await expired.see("join").click()
    await expired.says("This link has expired.")

    foreign = await open_page("alice", token=relay.token("elsewhere", "alice"))
    await foreign.see("join").click()
    await foreign.says("This link does not open this consultation.")

    missing = await open_page("alice", token=None, query="&lang=fr")
    await missing.says("Le lien vers cette consultation est incomplet.")
    assert await missing.see("join").is_disabled()


async def test_without_a_network_the_page_says_so(open_page: OpenPage) -> None:
    """
    A relay that cannot be reached is told in words after a few tries.
    """
    alice = await open_page(
        "alice",
        script="globalThis.WebSocket = class { constructor() { setTimeout(() => this.onclose({})) } close() {} }",
    )
    await alice.see("join").click()
    await alice.says("The service cannot be reached.")


async def test_the_language_can_be_changed_at_any_time(open_page: OpenPage) -> None:
    """
    The page begins in the reader's language; one button changes all its words, before and in the call.
    """
    alice = await open_page("alice", language="fr-CA")
    await alice.says("Vous êtes prêt.")
    assert "fr" == await alice.page.evaluate("document.documentElement.lang")

    await alice.see("language").click()
    assert "Join the consultation" == await alice.see("join").inner_text()
    await alice.join()
    await alice.says("Please wait here")
    await alice.see("language").click()
    await alice.says("Patientez ici")
    assert "Quitter" == await alice.see("leave").inner_text()


async def test_the_keyboard_is_enough(open_page: OpenPage) -> None:
    """
    With Tab, Enter and Space one joins, mutes and leaves; focus goes where the page goes, every control has a name.
    """
    alice = await open_page("alice")
    await alice.says("You are ready.")
    focused = "document.activeElement.dataset.testid ?? document.activeElement.id"
    for _ in range(10):
        await alice.page.keyboard.press("Tab")
        if await alice.page.evaluate(focused) == "join":
            break
    await alice.page.keyboard.press("Enter")
    await alice.until(f"({focused}) === 'mute-audio'")
    await alice.until("consult.call.publications.filter((own) => own.id).length === 2")
    await alice.page.keyboard.press("Space")
    await alice.says("Your microphone is off")
    nameless = (
        "[...document.querySelectorAll('button, select, video')].filter((node) => node.offsetParent"
        " && !node.textContent.trim() && !node.getAttribute('aria-label')).map((node) => node.outerHTML)"
    )
    assert [] == await alice.page.evaluate(nameless)

    for _ in range(5):
        await alice.page.keyboard.press("Tab")
        if await alice.page.evaluate(focused) == "leave":
            break
    await alice.page.keyboard.press("Enter")
    await alice.until("document.activeElement.id === 'after-title'")


async def test_a_device_can_be_changed_during_the_call(open_page: OpenPage) -> None:
    """
    Another microphone, no camera, a camera again: the others follow without anybody leaving.
    """
    alice = await open_page("alice", role="practitioner")
    bob = await open_page("bob")
    await alice.join()
    await bob.join()
    await bob.sees()

    await alice.see("open-devices").click()
    names = await alice.see("microphone").locator("option").all_inner_texts()
    await alice.see("microphone").select_option(label=names[1])
    await alice.see("camera").select_option(value="none")
    await bob.until("document.querySelector('.tile').dataset.video === 'none'")
    await alice.see("camera").select_option(index=0)
    await bob.until("document.querySelector('.tile').dataset.picture === 'on'")
    await alice.see("close-devices").click()

    label = "consult.call.publications.find((own) => own.kind === 'audio').track.label"
    assert names[1] == await alice.page.evaluate(label)


async def test_both_languages_have_the_same_words(open_page: OpenPage) -> None:
    """
    What is said in English is said in French, with the same blanks.
    """
    text = (WEB / "strings.js").read_text()
    english, french = (
        re.findall(r"^  (\w+):\s*\"(.*)\",$", part, re.M) for part in re.split(r"^const fr", text, flags=re.M)
    )
    assert [key for key, _ in english] == [key for key, _ in french]
    for (key, one), (_, other) in zip(english, french, strict=True):
        blanks = [sorted(blank.lower() for blank in re.findall(r"\{\w+\}", sentence)) for sentence in (one, other)]
        assert blanks[0] == blanks[1], key
    assert len(english) > 100
