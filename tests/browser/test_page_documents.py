"""
Documents and stills on the page: a patient sends a letter; a doctor asks for a photo, has it, and is refused one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from consulting import PHONE, OpenPage

from support.relay_process import RelayProcess, free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

ADMIN_PORT = "TELERELAY_HTTP_ADMIN_PORT"


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    """A relay whose host plans consults over its admin listener."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ADMIN_PORT, str(free_port()))
        with RelayProcess() as process:
            yield process


async def ask(relay: RelayProcess, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One command of the host's."""
    token = relay.run("token", "--admin", "--key-file", str(relay.key_file), "--sub", "desk-3")
    url = f"http://127.0.0.1:{os.environ[ADMIN_PORT]}{path}"
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http,
        http.request(method, url, json=body) as response,
    ):
        assert response.status < 300, await response.text()
        return dict(await response.json())


@pytest.mark.timeout(300)
async def test_a_letter_and_a_photo_come_to_the_doctor(open_page: OpenPage, relay: RelayProcess, room: str) -> None:
    """
    The patient sees who asks and why; the photo is the camera's own, larger than the picture of the video, and its hash
    is that of the relay; a refusal is told as one.
    """
    await ask(relay, "POST", "/consults", {"consult": room})
    patient = await open_page("pat-1", language="fr-FR", viewport=PHONE)
    await patient.join()
    doctor = await open_page("doc", role="practitioner")
    await doctor.join()
    await doctor.see("admit").click(timeout=60_000)
    await doctor.sees()
    letter = {"name": "lettre.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7 " + bytes(300_000)}
    await patient.see("document-file").set_input_files(letter)  # type: ignore[arg-type]
    await doctor.until("document.getElementById('papers-list').textContent.includes('lettre.pdf')", 60)

    await doctor.see("ask-still").click()
    await patient.see("allow-still").wait_for(timeout=60_000)
    asked = await patient.see("asked").inner_text()
    await patient.screenshot("still-asked-phone-fr")
    await patient.see("allow-still").click()
    await doctor.until("document.querySelector('#papers-list img[src^=\"blob:\"]')", 60)
    await doctor.until("document.querySelector('#papers-list img[src^=\"blob:\"]').naturalWidth > 0", 60)
    for person, name in ((doctor, "documents-desktop"), (patient, "documents-phone-fr")):
        await person.screenshot(name)
    width = await doctor.page.evaluate("document.querySelector('#papers-list img[src^=\"blob:\"]').naturalWidth")
    found = (await ask(relay, "GET", f"/consults/{room}/documents"))["documents"]
    frame = await patient.page.evaluate("document.getElementById('local-video').videoWidth")

    await doctor.until("!document.querySelector('[data-testid=ask-still]').disabled", 30)
    await doctor.see("ask-still").click()
    await patient.see("refuse-still").click(timeout=60_000)
    await doctor.says("it was refused", 30)

    assert "praticien" in asked
    assert "Merci de diriger la caméra" in asked
    assert [("document", "lettre.pdf", 300_009), ("still", "", found[1]["size_bytes"])] == [
        (each["kind"], each["name"], each["size_bytes"]) for each in found
    ]
    assert "photo" == found[1]["source"]
    assert frame <= width
    assert PHONE["width"] == await patient.page.evaluate("document.documentElement.scrollWidth")
    for person in (patient, doctor):
        assert [] == person.complaints
