"""
What goes wrong in a consult is told in words within 3 s, on both sides, and what to do about it.

Real causes where a browser can be brought to them: permissions are withdrawn through the DevTools protocol; a source
is muted or ended by the browser itself, because the track that getUserMedia gives is the far end of a second peer
connection in the page, whose near end stops; sockets are cut, datagrams lost. What cannot be caused here (a phone call
on iOS) says so in its docstring and comes in by the standard event.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from consulting import PHONE, OpenPage, Person, Wire
from playwright.async_api import Browser

from support.chromium import chromium
from support.impairment import Impairment, UdpImpairment
from support.relay_process import RelayProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

TOLD_S = 3.0

# getUserMedia gives the far end of a connection inside the page: `await source(kind, "inactive")` mutes it as a switch
# does, "sendonly" lets it sound again, "stopped" ends it as unplugging does. The events are the browser's own.
FAR_END = """{
  const media = navigator.mediaDevices;
  const open = media.getUserMedia.bind(media);
  media.getUserMedia = async (wanted) => {
    const [near, far] = [new Native(), new Native()];
    near.onicecandidate = ({candidate}) => far.addIceCandidate(candidate);
    far.onicecandidate = ({candidate}) => near.addIceCandidate(candidate);
    const tracks = [];
    far.ontrack = ({track}) => tracks.push(track);
    for (const track of (await open(wanted)).getTracks()) near.addTrack(track);
    const negotiate = async () => {
      await near.setLocalDescription();
      await far.setRemoteDescription(near.localDescription);
      await far.setLocalDescription();
      await near.setRemoteDescription(far.localDescription);
    };
    await negotiate();
    globalThis.source = (kind, direction) => {
      const transceiver = near.getTransceivers().find(({receiver}) => receiver.track.kind === kind);
      if (direction === 'stopped') transceiver.stop();
      else transceiver.direction = direction;
      return negotiate();
    };
    return new MediaStream(tracks);
  };
}"""
NATIVE = "globalThis.Native = RTCPeerConnection;"


async def two(open_page: OpenPage, script: str = "", **rest: object) -> tuple[Person, Person]:
    """A practitioner and a patient who see each other; the patient's page has the script."""
    alice = await open_page("alice", role="practitioner")
    bob = await open_page("bob", script=script, **rest)
    await alice.join()
    await bob.join()
    await alice.sees()
    await bob.sees()
    return alice, bob


async def test_a_source_switched_off_on_the_device_is_told_to_both(open_page: OpenPage) -> None:
    """
    The browser's `mute` event of a track (a switch on the headset, the system's privacy setting) is not the person's
    own doing: both read whose it is, in their language; `unmute` takes it back.
    """
    alice, bob = await two(open_page, NATIVE + FAR_END, language="fr-FR")

    await bob.page.evaluate("source('audio', 'inactive')")
    await bob.says("votre microphone est coupé sur l’appareil.", TOLD_S)
    await alice.says("The patient’s microphone is silent: it is switched off on their device.", TOLD_S)
    await bob.page.evaluate("source('video', 'inactive')")
    await bob.says("La caméra et le microphone sont coupés sur l’appareil.", TOLD_S)
    await alice.says("The patient’s camera gives no picture", TOLD_S)
    assert "The camera is switched off on the device" in await alice.see("participant").inner_text()
    assert "false" == await bob.see("mute-audio").get_attribute("aria-pressed")

    await bob.page.evaluate("source('audio', 'sendonly').then(() => source('video', 'sendonly'))")
    await bob.see("notice").wait_for(state="hidden", timeout=TOLD_S * 1000)
    await alice.says("You are connected with the patient.", TOLD_S)
    await alice.until("document.querySelector('.tile').dataset.picture === 'on'", TOLD_S)


@pytest.mark.slow
async def test_who_comes_later_reads_it_too(open_page: OpenPage) -> None:
    """
    Why a source is silent is part of what a joiner learns of the room.
    """
    bob = await open_page("bob", script=NATIVE + FAR_END)
    await bob.join()
    await bob.until("consult.call.publications.filter((own) => own.id).length === 2")
    await bob.page.evaluate("source('audio', 'inactive')")
    await bob.says("Nobody hears you")
    alice = await open_page("alice", role="practitioner")
    await alice.join()
    await alice.says("The patient’s microphone is silent")


async def test_a_device_that_is_gone_can_be_had_again(open_page: OpenPage) -> None:
    """
    The browser ends the track: both are told, and "Try again" brings another one without leaving the call.
    """
    alice, bob = await two(open_page, NATIVE + FAR_END)

    await bob.page.evaluate("source('video', 'stopped')")
    await bob.says("Your camera was disconnected; the others still hear you.", TOLD_S)
    await alice.says("The patient’s camera was disconnected.", TOLD_S)
    await bob.screenshot("device-lost")
    await bob.see("retry").focus()
    await bob.page.keyboard.press("Enter")
    await bob.see("notice").wait_for(state="hidden")
    assert "mute-audio" == await bob.page.evaluate("document.activeElement.dataset.testid")
    await alice.until("document.querySelector('.tile').dataset.picture === 'on'")
    await alice.says("You are connected with the patient.")

    await bob.page.evaluate("source('video', 'stopped')")
    await bob.see("choose").click()
    await bob.see("microphone").wait_for()
    assert "Your camera was disconnected" in await bob.page.locator("#dialog-words").inner_text()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asking_browser() -> AsyncIterator[Browser]:
    """A Chromium that does not say yes by itself: what a page may is what its context was granted."""
    async with chromium(says_yes=False) as started:
        yield started


async def permit(browser: Browser, person: Person, setting: str) -> None:
    """As if the person had changed both permissions beside the page's address."""
    session = await person.context.new_cdp_session(person.page)
    target = (await session.send("Target.getTargetInfo"))["targetInfo"]
    whole = await browser.new_browser_cdp_session()
    for name in ("camera", "microphone"):
        await whole.send(
            "Browser.setPermission",
            {
                "permission": {"name": name},
                "setting": setting,
                "origin": await person.page.evaluate("location.origin"),
                "browserContextId": target["browserContextId"],
            },
        )


async def test_a_permission_withdrawn_in_the_call_is_told_and_given_again(
    open_page: OpenPage, asking_browser: Browser, relay: RelayProcess, room: str
) -> None:
    """
    The person takes the permission back: both are told; allowed again, "Try again" brings picture and sound back.
    """
    alice = await open_page("alice", role="practitioner")
    bob = await Person.open(asking_browser, relay.url, room=room, token=relay.token(room, "bob", "patient"))
    await alice.join()
    await bob.join()
    await alice.sees()

    await permit(asking_browser, bob, "denied")
    await bob.says("The browser has taken camera and microphone away", TOLD_S)
    await alice.says("The patient’s browser no longer allows the camera.", TOLD_S)
    await alice.says("The patient’s browser no longer allows the microphone.", TOLD_S)
    await bob.see("retry").click()
    await bob.says("The browser has taken camera and microphone away")

    await permit(asking_browser, bob, "granted")
    await bob.see("retry").click()
    await bob.see("notice").wait_for(state="hidden")
    await alice.until("document.querySelector('.tile').dataset.picture === 'on'")
    await alice.says("You are connected with the patient.")
    await bob.context.close()


async def test_a_permission_refused_before_joining_is_told(
    asking_browser: Browser, relay: RelayProcess, room: str
) -> None:
    """
    The browser's own refusal, not a feigned one; allowed after all, "Try again" is enough.
    """
    bob = await Person.open(
        asking_browser,
        relay.url,
        room=room,
        token=relay.token(room, "bob", "patient"),
        language="fr-FR",
        viewport=PHONE,
    )
    await permit(asking_browser, bob, "denied")
    await bob.page.reload()
    await bob.says("Le navigateur n’a pas le droit d’utiliser votre caméra et votre microphone.", TOLD_S)
    assert "Rejoindre pour voir et écouter seulement" == await bob.see("join").inner_text()
    await bob.screenshot("permission-denied-phone-fr")
    await permit(asking_browser, bob, "granted")
    await bob.see("retry").click()
    await bob.says("Vous êtes prêt.")
    await bob.context.close()


async def test_a_phone_call_is_told_to_both(open_page: OpenPage) -> None:
    """
    iOS mutes the microphone's track and interrupts the page's AudioContext; no phone call can be had here, so the track
    is muted by the browser for real, and the context's state is said to be "interrupted" with its standard event.
    """
    feign = (
        "globalThis.contexts = []; const Real = AudioContext; globalThis.AudioContext = class extends Real {"
        " constructor() { super(); contexts.push(this); }"
        " get state() { return globalThis.isCalled ? 'interrupted' : super.state; } };"
        "globalThis.call = (isOn) => { globalThis.isCalled = isOn;"
        " for (const context of contexts) context.dispatchEvent(new Event('statechange'));"
        " return source('audio', isOn ? 'inactive' : 'sendonly'); };"
    )
    alice, bob = await two(open_page, NATIVE + FAR_END + feign, viewport=PHONE)

    await bob.page.evaluate("call(true)")
    await bob.says("a phone call or another app holds your microphone", TOLD_S)
    await alice.says("The patient is held up, perhaps by a phone call.", TOLD_S)
    assert "On a phone call?" in await alice.see("participant").inner_text()
    await bob.screenshot("phone-call-phone")
    await alice.screenshot("phone-call-desktop")
    await bob.page.evaluate("call(false)")
    await bob.see("notice").wait_for(state="hidden", timeout=TOLD_S * 1000)
    await alice.says("You are connected with the patient.", TOLD_S)


async def test_a_page_put_to_sleep_is_told_to_the_other(open_page: OpenPage) -> None:
    """
    The `freeze` event of the Page Lifecycle: a headless browser does not freeze a page in a call, so the standard event
    is dispatched on the document.
    """
    alice, bob = await two(open_page)
    await bob.page.evaluate("document.dispatchEvent(new Event('freeze'))")
    await alice.says("The patient is held up, perhaps by a phone call.", TOLD_S)
    await bob.page.evaluate("document.dispatchEvent(new Event('resume'))")
    await alice.says("You are connected with the patient.", TOLD_S)


async def test_a_second_window_is_told_in_the_first_which_stays_out(open_page: OpenPage) -> None:
    """
    The older page says so at once, offers to join again and does neither that nor a reload into the call by itself.
    """
    first = await open_page("bob")
    await first.join()
    second = await open_page("bob")
    await second.join()
    await first.says("You have joined from another window or another device. Go on there.", TOLD_S)
    await first.see("rejoin").wait_for()
    await first.page.reload()
    await first.says("You are ready.")
    assert await first.see("join").is_visible()
    assert "joined" == await second.page.evaluate("consult.call.state")


async def test_a_lost_socket_is_told_and_its_return_too(open_page: OpenPage, relay: RelayProcess) -> None:
    """
    The connection to the service is cut, and there again.
    """
    wire = Wire(relay.url)
    await wire.mend()
    bob = await open_page("bob", url=wire.url)
    await bob.join()
    await wire.cut()
    await bob.says("The connection to the service was lost.", TOLD_S)
    await wire.mend()
    await bob.says("The connection is back.")
    await wire.cut()


def through(relay: RelayProcess, line: UdpImpairment) -> str:
    """A script that leads media through a proxy."""
    return (
        "const set = RTCPeerConnection.prototype.setRemoteDescription;"
        "RTCPeerConnection.prototype.setRemoteDescription = function ({type, sdp}) { return set.call(this,"
        f" {{type, sdp: sdp.replaceAll(' {relay.udp_address[1]} typ host', ' {line.port} typ host')}}); }};"
    )


@pytest.mark.slow
async def test_a_line_that_is_dead_or_weak_is_told_to_both(open_page: OpenPage, relay: RelayProcess) -> None:
    """
    No datagram gets through: the person reads that all is interrupted, the other one that nothing comes from there. A
    third of them lost is a weak connection. Both go away with their cause.
    """
    with UdpImpairment(relay.udp_address) as line:
        alice, bob = await two(open_page, through(relay, line))

        line.up.impairment = line.down.impairment = Impairment(loss=1.0)
        await bob.says("Picture and sound are interrupted.", TOLD_S)
        await alice.says("Nothing comes from the patient just now.", TOLD_S)
        line.up.impairment = line.down.impairment = Impairment()
        await alice.says("You are connected with the patient.")
        await bob.says("You are connected with the practitioner.")

        line.down.impairment = Impairment(loss=0.33)
        await bob.says("Your internet connection is weak", TOLD_S)
        await bob.screenshot("bad-line-desktop")
        line.down.impairment = Impairment()
        await bob.says("The internet connection is good again.")


async def test_who_is_gone_is_told(open_page: OpenPage) -> None:
    """
    Somebody whose browser is gone has lost the connection; somebody who leaves has left; then one is alone.
    """
    alice, bob = await two(open_page)
    await bob.context.close()
    await alice.says("The patient has lost the connection.", TOLD_S)

    carol = await open_page("carol", role="expert")
    await carol.join()
    await alice.sees()
    await carol.see("leave").click()
    await alice.says("The expert has left.", TOLD_S)


@pytest.mark.slow
async def test_a_page_of_ones_own_hears_of_all_that(open_page: OpenPage) -> None:
    """
    The events of docs/browser.md: `sourcechange`, `deviceended` on one side, `muted` with its reason on the other.
    """
    alice, bob = await two(open_page, NATIVE + FAR_END)
    for person in (alice, bob):
        await person.page.evaluate(
            "globalThis.heard = []; for (const type of ['sourcechange', 'deviceended', 'muted', 'unmuted'])"
            " consult.call.addEventListener(type, ({publication, reason}) =>"
            " heard.push(`${type} ${publication.kind} ${reason}`))"
        )
    await bob.page.evaluate("source('audio', 'inactive').then(() => source('audio', 'sendonly'))")
    await alice.until("heard.length === 2")
    await bob.page.evaluate("source('video', 'stopped')")
    await alice.until("heard.length === 3")

    assert [
        "sourcechange audio source",
        "sourcechange audio null",
        "deviceended video device_lost",
        "sourcechange video device_lost",
    ] == await bob.page.evaluate("heard")
    assert ["muted audio source", "unmuted audio null", "muted video device_lost"] == await alice.page.evaluate("heard")
