"""
The consult page with a waiting room: two patients and a doctor, in two languages.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from consulting import PHONE, OpenPage

from support.relay_process import RelayProcess, free_port

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ADMIN_PORT = "TELERELAY_HTTP_ADMIN_PORT"


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    """A relay whose host plans consults over its admin listener."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ADMIN_PORT, str(free_port()))
        with RelayProcess() as process:
            yield process


async def ask(relay: RelayProcess, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """One command of the host's."""
    token = relay.run("token", "--admin", "--key-file", str(relay.key_file), "--sub", "desk-3")
    url = f"http://127.0.0.1:{os.environ[ADMIN_PORT]}{path}"
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http,
        http.post(url, json=body) as response,
    ):
        assert response.status < 300, await response.text()
        return dict(await response.json())


async def test_two_patients_wait_and_a_doctor_lets_one_in(open_page: OpenPage, relay: RelayProcess, room: str) -> None:
    """
    Each is told his place; the desk has both, longest first; who is let in sees the doctor, who is sent away is told.
    """
    await ask(relay, "/consults", {"consult": room})
    first = await open_page("pat-1", language="fr-FR", viewport=PHONE)
    await first.join()
    await first.says("Vous êtes dans la salle d’attente.")
    second = await open_page("pat-2")
    await second.join()
    await second.says("One person is before you.")
    doctor = await open_page("doc", role="practitioner")
    await doctor.join()
    await doctor.until("document.querySelectorAll('[data-testid=waiting-person]').length === 2")
    await first.says("Vous êtes le prochain.")
    for person, name in ((first, "waiting-phone-fr"), (second, "waiting-desktop"), (doctor, "desk-desktop")):
        await person.screenshot(name)
    assert PHONE["width"] == await first.page.evaluate("document.documentElement.scrollWidth")
    assert await first.see("end-consult").is_hidden()

    await doctor.see("admit").first.click()
    await first.sees()
    await doctor.sees()
    await first.says("Vous êtes en ligne avec le praticien.")
    await second.says("You are next.")
    assert 0 == await second.see("participant").count()
    await doctor.see("deny").first.click()
    await second.until("document.body.dataset.view === 'after'")
    assert "You were not let in" == await second.page.locator("#after-title").inner_text()
    await doctor.until("document.getElementById('desk').hidden")
    await second.screenshot("denied-desktop")

    await doctor.see("end-consult").click()
    assert "Press again to end" == await doctor.see("end-consult").inner_text()
    await doctor.see("end-consult").click()
    for person, title in ((first, "La consultation est terminée"), (doctor, "The consultation has ended")):
        await person.until("document.body.dataset.view === 'after'")
        assert title == await person.page.locator("#after-title").inner_text()
    assert [] == first.complaints + second.complaints + doctor.complaints


async def test_a_link_opens_the_page_once(open_page: OpenPage, relay: RelayProcess, room: str) -> None:
    """
    The tab that used it may be loaded again; another one is told to ask for a new link.
    """
    await ask(relay, "/consults", {"consult": room})
    link = (await ask(relay, f"/consults/{room}/links", {"sub": "pat", "role": "patient"}))["link"]
    patient = await open_page("pat", token=None)
    # From elsewhere: another fragment alone would load nothing.
    await patient.page.goto("about:blank")
    await patient.page.goto(f"{relay.url}/#link={link}")
    await patient.join()
    await patient.says("You are next.")
    await patient.page.reload()
    await patient.says("You are next.")
    other = await open_page("pat", token=None)
    await other.page.goto("about:blank")
    await other.page.goto(f"{relay.url}/#link={link}")
    await other.until("!document.getElementById('notice').hidden")

    assert "This link was used already" in await other.see("notice").inner_text()
    assert await other.see("join").is_disabled()
