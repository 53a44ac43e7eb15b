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
from playwright.async_api import Browser

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


THIN_LINES = """async () => {
  // Time is told: whatever waits longest goes on when nothing else does. Lines are what this fetch makes of them.
  const { fetchDocument, send, sha256 } = await import("/documents.js");
  const [wait, clear, date] = [setTimeout, clearTimeout, Date.now];
  let [now, number, isOver] = [0, 0, false];
  const timers = new Map();
  window.setTimeout = (act, ms = 0) => (timers.set(++number, { at: now + ms, act }), number);
  window.clearTimeout = (id) => void timers.delete(id);
  Date.now = () => now;
  let seen = -1;
  const pass = () => {
    const [first] = [...timers].sort(([, a], [, b]) => a.at - b.at);
    const isQuiet = seen === number;
    seen = number;
    if (first && isQuiet) [now] = [first[1].at, timers.delete(first[0]), first[1].act()];
    if (!isOver) wait(pass, 2);
  };
  wait(pass, 2);
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  const gone = (signal) => new Promise((_, no) => signal.addEventListener("abort", () => no(new Error("aborted"))));
  const data = crypto.getRandomValues(new Uint8Array(60_000));
  const blob = new Blob([data, data, data, data, data]);
  const whole = new Uint8Array(await blob.arrayBuffer());
  const call = { headers: async () => ({}) };
  const ways = { from: [], pieces: [] };

  let isAway = true;  // once, in the midst of it
  window.fetch = async (url, { signal, headers }) => {
    let at = Number(/bytes=(\\d+)-/.exec(headers.Range ?? "")?.[1] ?? 0);
    ways.from.push(at);
    const length = String(whole.length - at);
    const body = new ReadableStream({
      async pull(controller) {
        const isCut = isAway && at >= 100_000;
        if (isCut) isAway = false;
        await Promise.race([sleep(isCut ? 3_600_000 : 10_000), gone(signal)]);
        if (at >= whole.length) return controller.close();
        controller.enqueue(whole.slice(at, (at += 10_000)));
      },
    });
    return new Response(body, { status: at ? 206 : 200, headers: { "Content-Length": length } });
  };
  const got = await fetchDocument(call, { id: "d", sha256: await sha256(blob) });

  let offset = 0;
  window.fetch = async (url, { method, body, signal }) => {
    const headers = { "Upload-Offset": String(offset), Location: "/documents/d" };
    if (method !== "PATCH") return new Response(null, { status: method === "POST" ? 201 : 200, headers });
    ways.pieces.push(body.size);
    for (let left = body.size; left > 0; left -= 1500) {
      await Promise.race([sleep(1000), gone(signal)]);
      offset += Math.min(1500, left);
    }
    return new Response(null, { status: 204, headers: { "Upload-Offset": String(offset) } });
  };
  const id = await send(call, blob);
  isOver = true;
  [window.setTimeout, window.clearTimeout, Date.now] = [wait, clear, date];
  return { got: got.size, id, offset, ...ways };
}"""


@pytest.mark.timeout(300)
async def test_a_document_that_takes_minutes_comes_and_goes(browser: Browser, relay: RelayProcess) -> None:
    """
    What lasts longer than one request may stand still is no cut, neither at 8 kbit/s down nor at 12 up; what is cut
    goes on where it was.
    """
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{relay.url}/desk.html", timeout=90_000)
    found = await page.evaluate(THIN_LINES)
    await context.close()

    assert (300_000, 300_000, "d") == (found["got"], found["offset"], found["id"])
    assert [0, 100_000] == found["from"]
    assert 262_144 == found["pieces"][0]
    assert 32_768 == min(found["pieces"][:-1])
