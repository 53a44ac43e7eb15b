"""
Real browsers in a consult: Chromium pages see and hear each other through the relay.

The relay runs in a process of its own; what is asserted is what the browsers themselves count (getStats).
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import Any

import pytest
from consulting import PHONE, OpenPage, Wire

from support.relay_process import RelayProcess, free_port

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

# The source has 30; a machine that also encodes and decodes everything may lose some, the relay none.
LEAST_FRAMES_PER_S = 20.0


def is_moving(tracks: list[dict[str, Any]]) -> bool:
    """Whether one of these is a picture that runs now."""
    return any(track["frames_per_second"] >= 15 for track in tracks)


@pytest.mark.parametrize("codec", ["VP8", pytest.param("H264", marks=pytest.mark.slow)])
async def test_two_people_see_and_hear_each_other(open_page: OpenPage, relay: RelayProcess, codec: str) -> None:
    """
    Video is decoded on both sides at the source's rate and size, sound is not silent, and the page asks nobody else.
    """
    query = f"&codec={codec.lower()}"
    alice = await open_page("alice", role="practitioner", query=query)
    bob = await open_page("bob", query=query + "&lang=fr", viewport=PHONE)
    await alice.join()
    await bob.join()

    for person in (alice, bob):
        await person.sees()
        await person.hears()
    sent, received, received_back = await asyncio.gather(
        bob.video_rate("publish", 3), alice.video_rate("subscribe", 3), bob.video_rate("subscribe", 3)
    )
    await alice.says("You are connected with the patient.")
    await bob.says("Vous êtes en ligne avec le praticien.")
    await alice.screenshot(f"call-{codec.lower()}-desktop")
    await bob.screenshot(f"call-{codec.lower()}-phone")

    for rate in (received, received_back):
        assert rate.per_s >= LEAST_FRAMES_PER_S
    assert received.frames >= 0.9 * sent.frames
    for sender, receiver in ((alice, bob), (bob, alice)):
        source = await sender.page.evaluate(
            "consult.call.publications.find((own) => own.kind === 'video').track.getSettings()"
        )
        # libwebrtc begins small and grows with the bandwidth it is told of.
        await receiver.eventually(lambda tracks, width=source["width"]: tracks[0]["width"] == width, "video")
        (video,) = await receiver.tracks("subscribe", "video")
        assert f"video/{codec}" == video["codec"]
        assert (source["width"], source["height"]) == (video["width"], video["height"])
        assert [] == sender.complaints
        assert {url for url in sender.requests if not url.startswith((relay.url, "blob:"))} == set()


async def test_mute_and_unmute_are_seen_by_the_other(open_page: OpenPage) -> None:
    """
    A microphone or camera that is turned off is silent or dark, and the other is told in words; turned on it is back.
    """
    alice = await open_page("alice", role="practitioner")
    bob = await open_page("bob")
    await alice.join()
    await bob.join()
    await bob.sees()
    tile = bob.see("participant")

    await alice.see("mute-audio").click()
    await alice.see("mute-video").click()
    await bob.until("document.querySelector('.tile').dataset.audio === 'muted'")
    await bob.until("document.querySelector('.tile').dataset.video === 'muted'")
    await bob.says("The practitioner has turned the camera off.")
    assert "Microphone off" in await tile.inner_text()
    assert "The camera is off" in await tile.inner_text()
    await alice.says("Your microphone is off")
    assert "Turn microphone on" == await alice.see("mute-audio").inner_text()

    (before,) = await bob.tracks("subscribe", "audio")
    await alice.see("mute-audio").click()
    await alice.see("mute-video").click()
    await bob.until("document.querySelector('.tile').dataset.audio === 'on'")
    await bob.until("document.querySelector('.tile').dataset.picture === 'on'")
    await bob.eventually(lambda tracks: tracks[0]["audio_energy"] > before["audio_energy"] + 0.001, "audio")


async def test_a_third_person_joins_late_and_sees_both(open_page: OpenPage) -> None:
    """
    A late joiner gets a picture of everyone, everyone gets a picture of the late joiner, and who leaves is gone.
    """
    alice = await open_page("alice", role="practitioner")
    bob = await open_page("bob")
    await alice.join()
    await bob.join()
    await alice.sees()
    carol = await open_page("carol", role="interpreter")
    await carol.join()

    await carol.sees(2)
    await alice.sees(2)
    await bob.sees(2)
    await carol.says("You are connected with 2 people.")
    await alice.screenshot("call-three")

    await carol.see("leave").click()
    await carol.says("You have left the consultation")
    await alice.says("The interpreter has left.")
    await alice.until("consult.call.participants.size === 1")
    await alice.until("document.querySelectorAll('.tile').length === 1")
    # The section that carol's picture leaves free is used for the next person.
    dora = await open_page("dora", role="expert")
    await dora.join()
    await alice.sees(2)
    assert 2 == await alice.page.locator(".tile[data-picture=on]").count()


async def test_a_reload_comes_back_to_its_seat(open_page: OpenPage) -> None:
    """
    After a reload the page is in the call again by itself, as the same participant, with what was turned off still off.
    """
    alice = await open_page("alice", role="practitioner")
    bob = await open_page("bob")
    await alice.join()
    await bob.join()
    await bob.sees()
    seat = await bob.own_id()
    await bob.see("mute-audio").click()

    await bob.page.reload()
    await bob.see("leave").wait_for()
    await bob.sees()
    await alice.until("document.querySelector('.tile').dataset.picture === 'on'")
    await alice.until("document.querySelector('.tile').dataset.audio === 'muted'")

    assert seat == await bob.own_id()
    assert [seat] == await alice.page.evaluate("[...consult.call.participants.keys()]")


@pytest.mark.slow
async def test_media_goes_on_while_the_socket_is_cut_for_ten_seconds(open_page: OpenPage, relay: RelayProcess) -> None:
    """
    Without its WebSocket a person goes on seeing and being seen, and is told; back, it has the same seat and the same
    connections, and what it did meanwhile is known to the others.
    """
    wire = Wire(relay.url)
    await wire.mend()
    alice = await open_page("alice", role="practitioner")
    bob = await open_page("bob", url=wire.url)
    await alice.join()
    await bob.join()
    await alice.sees()
    await bob.sees()
    seat = await bob.own_id()
    await bob.page.evaluate(
        "globalThis.heard = []; for (const type of ['connection', 'trackended', 'reconnected'])"
        " consult.call.addEventListener(type, (event) => {"
        " if (event.side !== 'relay') heard.push(type + (event.resumed ?? '')); });"
    )

    await wire.cut()
    await bob.says("We are reconnecting")
    await bob.see("mute-audio").click()
    rates = []
    for _ in range(5):
        rates += await asyncio.gather(bob.video_rate("subscribe", 2), alice.video_rate("subscribe", 2))
    await alice.until("[...consult.call.participants.values()][0].interrupted")
    await bob.screenshot("reconnecting")
    await wire.mend()
    await bob.until("consult.call.state === 'joined'")
    await alice.until("document.querySelector('.tile').dataset.audio === 'muted'")
    await wire.cut()

    assert min(rate.per_s for rate in rates) >= LEAST_FRAMES_PER_S
    assert seat == await bob.own_id()
    assert ["reconnectedtrue"] == await bob.page.evaluate("heard")


async def test_the_same_person_in_a_second_window_takes_the_seat(open_page: OpenPage) -> None:
    """
    The newest window wins; the first one says so and does not come back.
    """
    alice = await open_page("alice", role="practitioner")
    first = await open_page("bob")
    await alice.join()
    await first.join()
    await alice.sees()

    second = await open_page("bob")
    await second.join()
    await first.says("You have joined from another window")
    await second.sees()
    await alice.until("consult.call.participants.size === 1")
    await alice.until("document.querySelector('.tile')?.dataset.picture === 'on'")


async def test_a_connection_that_broke_is_begun_anew(open_page: OpenPage) -> None:
    """
    A peer connection that fails is replaced on both sides by `reconnect`, without leaving the seat.
    """
    alice = await open_page("alice", role="practitioner")
    bob = await open_page(
        "bob",
        script="globalThis.made = []; const Native = RTCPeerConnection;"
        "globalThis.RTCPeerConnection = class extends Native {"
        " constructor(...all) { super(...all); made.push(this); } };",
    )
    await alice.join()
    await bob.join()
    await alice.sees()
    await bob.sees()
    seat = await bob.own_id()

    # What libwebrtc does after half a minute without an answer.
    await bob.page.evaluate(
        "for (const pc of [...made]) {"
        " Object.defineProperty(pc, 'connectionState', {value: 'failed'}); pc.onconnectionstatechange(); }"
    )
    await bob.until("made.length === 4")
    await bob.sees()
    await bob.says("You are connected")
    await alice.until("document.querySelector('.tile')?.dataset.picture === 'on'")
    await alice.eventually(is_moving, "video")

    assert seat == await bob.own_id()
    assert ["failed", "failed", "connected", "connected"] == await bob.page.evaluate(
        "made.map((pc) => pc.connectionState)"
    )


async def test_a_change_of_network_restarts_ice_and_keeps_the_call(open_page: OpenPage) -> None:
    """
    On `online` both connections of each get other credentials on either side; none is replaced, no track ends.
    """
    script = (
        "globalThis.made = []; const Native = RTCPeerConnection;"
        "globalThis.RTCPeerConnection = class extends Native {"
        " constructor(...all) { super(...all); made.push(this); } };"
        "globalThis.words = () => made.flatMap((pc) => [pc.currentLocalDescription, pc.currentRemoteDescription])"
        " .map((each) => /a=ice-ufrag:(\\S+)/.exec(each.sdp)[1]);"
    )
    alice = await open_page("alice", role="practitioner", script=script)
    bob = await open_page("bob", script=script)
    await alice.join()
    await bob.join()
    await alice.sees()
    await bob.sees()
    for page in (alice, bob):
        await page.page.evaluate("globalThis.ended = 0; consult.call.addEventListener('trackended', () => ended++)")
        await page.page.evaluate("globalThis.before = words(); globalThis.dispatchEvent(new Event('online'))")
        await page.until("words().every((word) => !before.includes(word))")

    await alice.eventually(is_moving, "video")
    await bob.eventually(is_moving, "video")
    for page in (alice, bob):
        assert [2, 0] == await page.page.evaluate("[made.length, ended]")
        assert ["connected"] * 2 == await page.page.evaluate("made.map((pc) => pc.connectionState)")


async def test_sound_that_the_browser_keeps_off_waits_for_a_click(open_page: OpenPage) -> None:
    """
    Where autoplay of sound is refused the picture runs all the same, and one button turns the sound on.
    """
    alice = await open_page("alice", role="practitioner")
    bob = await open_page(
        "bob",
        script="const play = HTMLMediaElement.prototype.play; globalThis.isAllowed = false;"
        "HTMLMediaElement.prototype.play = function () { return this.muted || isAllowed ? play.call(this) :"
        " Promise.reject(new DOMException('no gesture', 'NotAllowedError')); };",
    )
    await alice.join()
    await bob.join()
    await bob.sees()

    await bob.see("turn-on-sound").wait_for()
    await bob.page.evaluate("isAllowed = true")
    await bob.see("turn-on-sound").click()
    await bob.see("turn-on-sound").wait_for(state="hidden")
    assert [False] == await bob.page.evaluate(
        "[...document.querySelectorAll('[data-testid=remote-video]')].map((video) => video.muted)"
    )


async def test_a_call_survives_a_relay_that_crashed(open_page: OpenPage, room: str) -> None:
    """
    The relay dies, its worker within it, and another takes its place: both come back by themselves, to new seats, and
    see each other again.
    """
    http, udp = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    with RelayProcess("--worker-host", "thread", http=http, udp=udp) as first:
        alice = await open_page("alice", url=first.url, token=first.token(room, "alice"))
        bob = await open_page("bob", url=first.url, token=first.token(room, "bob"))
        for person in (alice, bob):
            await person.join()
        await alice.sees()
        seat = await alice.own_id()

        os.kill(first.pid, signal.SIGKILL)
        await alice.says("We are reconnecting")
        with RelayProcess("--worker-host", "thread", "--key-file", str(first.key_file), http=http, udp=udp):
            await alice.until(f"consult.call.state === 'joined' && consult.call.id !== {seat!r}")
            for person in (alice, bob):
                await person.until("document.querySelector('.tile')?.dataset.picture === 'on'")
                await person.eventually(
                    lambda tracks: any(track["frames_per_second"] >= 15 for track in tracks), "video"
                )
            await alice.until("consult.call.participants.size === 1")


async def test_a_page_of_ones_own_needs_the_module_only(open_page: OpenPage, relay: RelayProcess, room: str) -> None:
    """
    What docs/browser.md shows works: join, publish a stream (in three sizes), attach what comes, mute by kind, leave.
    """
    alice = await open_page("alice", role="practitioner")
    await alice.join()
    bob = await open_page("bob")
    await bob.says("You are ready.")

    await bob.page.evaluate(
        "async ([room, token]) => { const { join, openMedia } = await import('/telerelay.js');"
        " const { stream } = await openMedia(); const other = document.createElement('video'); globalThis.ended = null;"
        " globalThis.own = await join({ room, token: async () => token, onEvent(event) {"
        "  if (event.type === 'track') event.target.attach(other, event.stream);"
        "  if (event.type === 'ended') globalThis.ended = event.code; } });"
        " globalThis.other = other; await own.publish(stream, { simulcast: true }); await own.mute('audio'); }",
        [room, relay.token(room, "carol")],
    )
    await bob.until("other.videoWidth > 0")
    await alice.sees()
    await alice.until("document.querySelector('.tile').dataset.audio === 'muted'")
    sent = "own.stats().then(({tracks}) => tracks.filter((track) => track.direction === 'publish').length)"
    assert 4 == await bob.page.evaluate(sent)

    await bob.page.evaluate("own.leave()")
    await alice.until("consult.call.participants.size === 0")
    assert "left" == await bob.page.evaluate("ended")
