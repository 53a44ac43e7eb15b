"""
A booth on the page, whole: its wave, its camera that is moved, and a still that is asked for of the patient in it.

The patient's camera gives photos of eight megapixels; what the page hashes is held against what left the camera.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator

import pytest
from consulting import PHONE, OpenPage, Person
from test_page_documents import ADMIN_PORT, ask
from test_page_objects import ECG, INK, PULSE, measure

from rows.still import CAMERA, STILL_BYTES, picture
from support.relay_process import RelayProcess, free_port
from telerelay.client import Client
from telerelay.client.measurements import Measurements

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

WIDTH, HEIGHT = CAMERA
CAMERA_SCRIPT = (
    f"const [WIDTH, HEIGHT] = [{WIDTH}, {HEIGHT}];"
    + """
ImageCapture.prototype.getPhotoCapabilities = async () =>
  ({ imageWidth: { max: WIDTH }, imageHeight: { max: HEIGHT } });
ImageCapture.prototype.takePhoto = async () => globalThis.shot;
globalThis.load = async () => {
  const letters = atob(await globalThis.photo());
  globalThis.shot = new Blob([Uint8Array.from(letters, (letter) => letter.charCodeAt(0))], { type: "image/jpeg" });
  const hash = await crypto.subtle.digest("SHA-256", await globalThis.shot.arrayBuffer());
  globalThis.taken = [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
};
"""
)

HOVERED = """(button) => {
  const light = (color) => {
    const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number);
    if (a === 0) return null;
    const [x, y, z] = [r / 255, g / 255, b / 255].map((one) => {
      return one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  let behind = null;
  for (let at = button; behind === null; at = at.parentElement) behind = light(getComputedStyle(at).backgroundColor);
  const ink = light(getComputedStyle(button).color);
  return (Math.max(ink, behind) + 0.05) / (Math.min(ink, behind) + 0.05);
}"""
"""Contrast of a button's words (WCAG 2, 1.4.3)."""
LEAST_CONTRAST = 7.0


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    """A relay whose host plans consults over its admin listener."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ADMIN_PORT, str(free_port()))
        with RelayProcess() as process:
            yield process


async def pale(person: Person) -> dict[str, float]:
    """Buttons whose words cannot be read while the pointer is over them, with their contrast."""
    await person.page.emulate_media(reduced_motion="reduce")  # a colour on its way is none yet
    found = {}
    for button in await person.page.locator("#call button:visible:enabled").all():
        words = await button.inner_text()
        if not words.strip():  # what makes a picture large lies over it, and has a border alone
            continue
        await button.hover()
        contrast = float(await button.evaluate(HOVERED))
        if contrast < LEAST_CONTRAST:
            found[words] = round(contrast, 1)
    return found


async def answer_camera(booth: Client) -> None:
    """The booth's camera does as it is told."""
    await booth.wait_for(lambda each: any(event["type"] == "camera" for event in each.events), 60)
    (asked,) = (event for event in booth.events if event["type"] == "camera")
    await booth.request("camera_moved", command=asked["command"], outcome="done", pan=0.4)


STILLS = "[...document.querySelectorAll('#papers-list img[src^=\"blob:\"]')].filter((each) => each.naturalWidth)"


@pytest.mark.timeout(300)
async def test_a_booth_is_measured_moved_and_photographed(open_page: OpenPage, relay: RelayProcess, room: str) -> None:
    """
    The wave runs, the camera moves, a photo of eight megapixels has one hash at camera, relay and doctor, a lesser one
    is marked, and every button can be read under the pointer.
    """
    await ask(relay, "POST", "/consults", {"consult": room})
    doctor = await open_page("doc", role="practitioner")
    await doctor.join()
    patient = await open_page("pat", language="fr-FR", viewport=PHONE, script=CAMERA_SCRIPT)
    photo = base64.b64encode(picture(*CAMERA, 3, STILL_BYTES)).decode()
    await patient.page.expose_function("photo", lambda: photo)
    await patient.page.evaluate("globalThis.load()")  # a camera has it at once
    await patient.join()
    await doctor.see("admit").click(timeout=60_000)
    await doctor.sees()
    async with await Client.join(relay.url, relay.token(room, "cab", "device"), room) as booth:
        await doctor.see("admit").hover(timeout=60_000)
        found = {"waiting": await pale(doctor)}
        await doctor.screenshot("booth-waiting-desktop")
        await doctor.see("admit").click()
        await booth.wait_for(lambda each: each.is_admitted, 60)
        async with Measurements(booth) as measuring:
            measuring.declare(ECG)
            measuring.declare(PULSE)
            await measure(measuring, 4)
            await doctor.until(f"{INK} > 500", 60)
            answering = asyncio.create_task(answer_camera(booth))
            await doctor.see("camera-left").click()
            await answering
            await doctor.see("ask-still").click()
            await patient.see("allow-still").wait_for(timeout=60_000)
            asked = await patient.see("asked").inner_text()
            found["asked"] = await pale(patient)
            await patient.screenshot("booth-asked-phone-fr")
            await patient.see("allow-still").click()
            await doctor.until(f"{STILLS}.length === 1", 60)
            width = await doctor.page.evaluate(f"{STILLS}[0].naturalWidth")
            taken = await patient.page.evaluate("globalThis.taken")
            frame = await patient.page.evaluate("document.getElementById('local-video').videoWidth")

            await patient.page.evaluate(
                "void (ImageCapture.prototype.takePhoto = () => Promise.reject(new Error('none')))"
            )
            await doctor.until("!document.querySelector('[data-testid=ask-still]').disabled", 30)
            await doctor.see("ask-still").click()
            await patient.see("allow-still").click(timeout=60_000)
            await doctor.until(f"{STILLS}.length === 2", 60)
            lesser = await doctor.page.locator("#papers-list [data-source=frame] .who").all_inner_texts()
            await measure(measuring, 3)
            await doctor.see("open-chat").click()
            found["call"] = await pale(doctor)
            await doctor.see("close-chat").click()
            await doctor.screenshot("booth-desktop")
            await measuring.delivered()
    listed = (await ask(relay, "GET", f"/consults/{room}/documents"))["documents"]

    assert {"waiting": {}, "asked": {}, "call": {}} == found
    assert "praticien" in asked
    assert (CAMERA[0], "photo", STILL_BYTES, taken) == (
        width,
        *(listed[0][name] for name in ("source", "size_bytes", "sha256")),
    )
    assert frame < width
    assert "frame" == listed[1]["source"]
    assert ["Photo of lesser quality (a picture out of the video) from the patient"] == lesser
    assert [] == doctor.complaints + patient.complaints
