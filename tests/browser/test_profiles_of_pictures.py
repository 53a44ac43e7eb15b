"""
What a picture is for, as an application says it to telerelay.js: the camera, the encoder and the relay hear of it.

The camera is Chromium's own, which can do 60 frames a second; how many an encoder makes of them is the machine's affair
and is not asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from consulting import OpenPage
from playwright.async_api import Browser

from support.chromium import chromium

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

WATCH = """
globalThis.senders = [];
globalThis.transceivers = [];
globalThis.published = [];
const add = RTCPeerConnection.prototype.addTransceiver;
RTCPeerConnection.prototype.addTransceiver = function (...given) {
  const made = add.apply(this, given);
  if (made.sender.track?.kind === "video") {
    senders.push(made.sender);
    transceivers.push(made);
  }
  return made;
};
const set = RTCRtpSender.prototype.setParameters;
RTCRtpSender.prototype.setParameters = async function (parameters) {
  await globalThis.held;
  return set.call(this, parameters);
};
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (text) {
  const message = JSON.parse(text);
  if (message.type === "publish") published.push(message);
  return send.call(this, text);
};
"""
ASKED = """() => {
  const sender = senders.at(-1);
  const { frameRate, height } = sender.track.getSettings();
  const { encodings: [{ maxFramerate, maxBitrate }], degradationPreference } = sender.getParameters();
  const said = published.at(-1).tracks.map(({ source, profile }) => [source, profile ?? null]);
  return { frameRate, height, hint: sender.track.contentHint, maxFramerate, maxBitrate, degradationPreference, said };
}"""
NONSENSE = """async () => {
  const { openMedia } = await import("./telerelay.js");
  const { call } = consult;
  const before = [call.publications.length, published.length];
  const codes = [];
  for (const attempt of [
    () => call.publish(call.publications[0].track.clone(), { profile: "fast" }),
    () => call.publish(new MediaStream(), { profile: "toString" }),
    () => openMedia({ profile: "" }),
  ]) await attempt().catch(({ code, message }) => codes.push(`${code}: ${message}`));
  return [codes, before, [call.publications.length, published.length]];
}"""

TAKEN_BACK = """async () => {
  const { call } = consult;
  const made = transceivers.length;
  let release;
  globalThis.held = new Promise((resolve) => (release = resolve));
  const track = call.publications.find(({ kind }) => kind === "video").track.clone();
  call.publish(track, { source: "document", profile: "detail" }).catch(() => {});
  const own = call.publications.at(-1);
  while (transceivers.length === made) await new Promise((resolve) => setTimeout(resolve));
  const ended = call.unpublish(own);
  release();
  await ended;
  return [transceivers.at(-1).direction, transceivers.at(-1).sender.track, published.at(-1).tracks.length];
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium whose camera can do 60 frames a second; of two switches of a name it takes the last."""
    async with chromium(more=["--use-fake-device-for-media-stream=fps=60"]) as started:
        yield started


async def test_motion_is_said_to_camera_encoder_and_relay(open_page: OpenPage) -> None:
    """
    720 lines at 60 frames a second, frames kept, 4 Mbit/s; the same of another camera; a word that is no profile is
    refused with a code before anything changes.
    """
    ada = await open_page("ada", script=WATCH, query="&profile=motion")
    await ada.join()
    await ada.until("consult.call.publications.filter((own) => own.id).length === 2")
    asked = await ada.page.evaluate(ASKED)
    await ada.page.evaluate("consult.call.setDevice('videoinput')")
    again = await ada.page.evaluate(ASKED)
    codes, before, after = await ada.page.evaluate(NONSENSE)

    # Where a browser has no degradationPreference it goes by the hint.
    assert asked.pop("degradationPreference") in ("maintain-framerate", None)
    again.pop("degradationPreference")
    expected = {"frameRate": 60, "height": 720, "hint": "motion", "maxFramerate": 60, "maxBitrate": 4_000_000}
    expected["said"] = [["microphone", None], ["camera", "motion"]]
    assert (expected, expected) == (asked, again)
    assert ["bad_option: profile must be one of talk, motion, detail"] * 3 == codes
    assert before == after
    assert [] == ada.complaints


async def test_what_is_taken_back_while_its_encoder_is_told_is_never_published(open_page: OpenPage) -> None:
    """
    Its section is there and sends nothing.
    """
    ada = await open_page("ada", script=WATCH)
    await ada.join()
    await ada.until("consult.call.publications.filter((own) => own.id).length === 2")

    assert ["inactive", None, 2] == await ada.page.evaluate(TAKEN_BACK)
    assert [] == ada.complaints


async def test_a_face_is_asked_for_as_before(open_page: OpenPage) -> None:
    """
    Without a profile, and with a word in the page's address that is none: 30 frames a second, nothing told the relay.
    """
    ada = await open_page("ada", script=WATCH, query="&profile=fast")
    await ada.join()
    await ada.until("consult.call.publications.filter((own) => own.id).length === 2")
    asked = await ada.page.evaluate(ASKED)

    assert (30, "", None) == (asked["frameRate"], asked["hint"], asked.get("maxFramerate"))
    assert [["microphone", None], ["camera", None]] == asked["said"]
    assert [] == ada.complaints
