"""
The consult page with a waiting room: two patients and a doctor, in two languages; what one looks at while waiting, and
takes home in the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import av
import pytest
from consulting import PHONE, SCREENSHOTS, OpenPage
from playwright.async_api import Route
from test_page_accessibility import Inspection

from support.page_rules import LONG_TITLE
from support.relay_process import RelayProcess, free_port

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

TESTS = Path(__file__).resolve().parents[1]
NARROW = {"width": 360, "height": 780}
ADMIN_PORT = "TELERELAY_HTTP_ADMIN_PORT"


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    """A relay whose host plans consults over its admin listener."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ADMIN_PORT, str(free_port()))
        patch.setenv("TELERELAY_HOOKS_ENTRY_POINT", "support.page_rules:Rules")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))
        with RelayProcess() as process:
            yield process


def make_film(path: Path) -> None:
    """A minute of a picture that gets lighter."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=5)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(300):
            frame = av.VideoFrame(160, 96, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([number % 256]) * plane.buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


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
        assert 19 == len(await person.see("receipt-number").inner_text())
        assert " s" in await person.page.locator("#receipt-video").inner_text()
    await first.screenshot("ended-phone-fr")
    assert await second.see("receipt").is_hidden()
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


@pytest.mark.slow
async def test_who_waits_sees_that_all_works_and_what_there_is_to_see_until_let_in(
    open_page: OpenPage, relay: RelayProcess, room: str, tmp_path: Path
) -> None:
    """
    One's own picture, the microphone's level, the line; a film stops within a second of the admission.
    """
    film = tmp_path / "film.webm"
    make_film(film)
    shown = f"{room}-shown"
    await ask(relay, "/consults", {"consult": shown})
    patient = await open_page(
        "pat", language="fr-FR", viewport=NARROW, token=relay.token(shown, "pat", "patient"), query="&lang=fr"
    )
    await patient.page.route("**/film.webm", lambda route: route.fulfill(path=film, content_type="video/webm"))
    await patient.page.goto(f"{relay.url}/?room={shown}#token={relay.token(shown, 'pat', 'patient')}")
    await patient.join()
    await patient.until("document.querySelectorAll('[data-testid=waiting-item]').length === 4")
    await patient.until("document.getElementById('check-line').dataset.state === 'good'")
    await patient.until("Number(document.getElementById('level').getAttribute('aria-valuenow')) > 25")
    assert LONG_TITLE in await patient.see("waiting-room").inner_text()
    assert "Votre caméra fonctionne" in await patient.see("check-camera").inner_text()
    assert await patient.page.locator("#local-video").is_visible()
    await patient.page.evaluate("globalThis.film = document.querySelector('[data-testid=waiting-item] video')")
    await patient.page.evaluate("film.play()")
    await patient.until("film.currentTime > 0.2")
    assert NARROW["width"] == await patient.page.evaluate("document.documentElement.scrollWidth")
    await patient.page.screenshot(path=SCREENSHOTS / "waiting-phone-fr-full.png", full_page=True)
    waits = Inspection(patient)
    await waits.look("waiting room")

    doctor = await open_page("doc", token=relay.token(shown, "doc", "practitioner"))
    await doctor.page.goto(f"{relay.url}/?room={shown}#token={relay.token(shown, 'doc', 'practitioner')}")
    await doctor.join()
    await doctor.see("admit").wait_for()
    decides = Inspection(doctor)
    await decides.look("somebody waits")
    assert ({}, {}) == (waits.found, decides.found)
    await patient.page.evaluate(
        "() => { globalThis.times = {};"
        " consult.call.addEventListener('admitted', () => { times.admitted = performance.now(); });"
        " film.addEventListener('emptied', () => { times.stopped = performance.now(); }); }"
    )
    await doctor.see("admit").first.click()
    await patient.until("times.stopped && film.paused && !film.isConnected && !film.getAttribute('src')")
    took_ms = await patient.page.evaluate("times.stopped - times.admitted")

    assert took_ms < 1000
    assert await patient.see("waiting-room").is_hidden()
    await patient.sees()
    await doctor.sees()
    await doctor.see("leave").click()
    await patient.says("Votre place est gardée")
    await patient.screenshot("doctor-left-phone-fr")
    assert [] == patient.complaints + doctor.complaints


@pytest.mark.slow
async def test_an_emergency_is_first_in_line(open_page: OpenPage, relay: RelayProcess, room: str) -> None:
    """
    Across consults of one desk, whoever came first; the patient who is passed is told of the place.
    """
    rooms = [f"{room}-a", f"{room}-b"]
    for name, is_emergency in zip(rooms, (False, True), strict=True):
        await ask(relay, "/consults", {"consult": name, "queue": room, "is_emergency": is_emergency})
    first = await open_page("pat-1", token=None)
    await first.page.goto("about:blank")
    await first.page.goto(f"{relay.url}/?room={rooms[0]}#token={relay.token(rooms[0], 'pat-1', 'patient')}")
    await first.join()
    await first.says("You are next.")
    urgent = await open_page("pat-2", token=None)
    await urgent.page.goto("about:blank")
    await urgent.page.goto(f"{relay.url}/?room={rooms[1]}#token={relay.token(rooms[1], 'pat-2', 'patient')}")
    await urgent.join()
    await urgent.says("You are next.")
    await first.says("One person is before you.")
    taken = await ask(relay, f"/queues/{room}/next", {"sub": "doc-of-emergencies"})

    assert rooms[1] == taken["consult"]


async def test_a_page_that_never_had_the_answer_to_its_link_asks_again(
    open_page: OpenPage, relay: RelayProcess, room: str
) -> None:
    """
    The relay had changed the link, and its answer was lost on the way: a reload gets it, for it is the same tab.
    """
    await ask(relay, "/consults", {"consult": room})
    link = (await ask(relay, f"/consults/{room}/links", {"sub": "pat", "role": "patient"}))["link"]
    patient = await open_page("pat", token=None)
    lost: list[int] = []

    async def lose(route: Route) -> None:
        lost.append((await route.fetch()).status)
        await route.abort()

    await patient.page.route("**/link", lose, times=1)
    await patient.page.goto("about:blank")
    await patient.page.goto(f"{relay.url}/#link={link}")
    await patient.until("!document.getElementById('notice').hidden")
    await patient.page.reload()
    await patient.join()
    await patient.says("You are next.")

    assert [200] == lost
