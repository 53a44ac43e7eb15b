"""
A recording on the page: who is asked, what is shown meanwhile, and the end of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from consulting import DESKTOP, PHONE, OpenPage

from support.relay_process import RelayProcess, free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

ADMIN_PORT = "TELERELAY_HTTP_ADMIN_PORT"


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    """A relay that may record, and whose host plans consults over its admin listener."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ADMIN_PORT, str(free_port()))
        patch.setenv("TELERELAY_RECORDING_ENABLED", "true")
        with RelayProcess() as process:
            yield process


SIDEWAYS = {"width": 844, "height": 390}
LAYOUT = """() => {
  scrollTo(0, 0);
  const seen = (node) => node.checkVisibility();
  const shown = (selector) => [...document.querySelectorAll(selector)].filter(seen);
  const boxes = shown("#call > *").map((node) => [node, node.getBoundingClientRect()]);
  const over = boxes.flatMap(([a, x], index) => boxes.slice(index + 1).filter(([, y]) =>
    x.left < y.right - 1 && y.left < x.right - 1 && x.top < y.bottom - 1 && y.top < x.bottom - 1)
    .map(([b]) => `${a.id || a.className} over ${b.id || b.className}`));
  const buttons = shown(".controls button").map((each) => each.getBoundingClientRect());
  return [Math.max(...buttons.map(({ bottom }) => bottom)), new Set(buttons.map(({ top }) => top)).size, over];
}"""
"""Where the lowest of the call's buttons ends, in how many rows they stand, and what lies over what."""


async def ask(relay: RelayProcess, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
    """One command of the host's."""
    token = relay.run("token", "--admin", "--key-file", str(relay.key_file), "--sub", "desk-3")
    url = f"http://127.0.0.1:{os.environ[ADMIN_PORT]}{path}"
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http,
        http.request(method, url, json=body) as response,
    ):
        assert response.status < 300, await response.text()
        return await response.read()


@pytest.mark.timeout(300)
async def test_everybody_is_asked_sees_it_and_can_end_it(open_page: OpenPage, relay: RelayProcess, room: str) -> None:
    """
    The patient reads what it means before anything is kept, sees it for as long as it runs, and ends it with one press.
    """
    await ask(relay, "POST", "/consults", {"consult": room})
    patient = await open_page("pat-1", language="fr-FR", viewport=PHONE)
    await patient.join()
    doctor = await open_page("doc", role="practitioner")
    await doctor.join()
    await doctor.see("admit").click(timeout=60_000)
    await doctor.sees()
    await doctor.see("ask-recording").wait_for(timeout=60_000)
    layouts = []
    for size in (SIDEWAYS, PHONE, DESKTOP):
        await doctor.page.set_viewport_size(size)
        layouts.append(await doctor.page.evaluate(LAYOUT))
    await doctor.see("ask-recording").click(timeout=60_000)
    await patient.see("agree-recording").wait_for(timeout=60_000)
    asked = await patient.see("recording").inner_text()
    waiting = await doctor.see("recording").inner_text()
    await patient.screenshot("recording-asked-phone-fr")

    await patient.see("agree-recording").click()
    await doctor.until("document.getElementById('recording').dataset.state === 'running'", 60)
    await patient.see("withdraw-recording").wait_for(timeout=60_000)
    running = await patient.see("recording").inner_text()
    for person, name in ((patient, "recording-phone-fr"), (doctor, "recording-desktop")):
        await person.screenshot(name)
    await doctor.until("document.body.innerText.includes('recorder')", 30)

    await patient.see("withdraw-recording").click()
    await doctor.until("document.getElementById('recording').dataset.state === 'stopped'", 30)
    await doctor.says("not everyone agrees", 30)

    # What a doctor may do at leisure takes no room from what is to be at hand.
    assert [[], [], []] == [over for _, _, over in layouts]
    assert layouts[1][0] <= PHONE["height"]
    assert layouts[2][0] <= DESKTOP["height"]
    assert 1 == layouts[2][1]
    assert "Rien n’est enregistré sans l’accord de tous" in asked
    assert "the patient" in waiting
    assert "Cette consultation est enregistrée" in running
    assert PHONE["width"] == await patient.page.evaluate("document.documentElement.scrollWidth")
    for person in (patient, doctor):
        assert [] == person.complaints
