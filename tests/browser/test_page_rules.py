"""
The consult page under an application's rules: whoever is not to have a picture reads so, and whoever is to send nothing
has no empty picture of oneself and no button for it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from consulting import PHONE, OpenPage
from playwright.async_api import expect

from support.relay_process import RelayProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

TESTS = Path(__file__).resolve().parents[1]
_rooms = itertools.count(1)
COVER = "document.querySelector('.tile .cover span')?.textContent"


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    """A relay whose rules give companions sound alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TELERELAY_HOOKS_ENTRY_POINT", "support.page_rules:Rules")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))
        with RelayProcess() as process:
            yield process


@pytest.fixture
def room() -> str:
    """One of those with the rule, and for one test alone."""
    return f"room-{next(_rooms)}-heard"


@pytest.mark.slow
async def test_a_picture_that_is_not_for_somebody_is_said_to_be_so(open_page: OpenPage) -> None:
    """
    The relative reads that the doctor's picture is not shown to them, also after a reload, hears the doctor, and has
    neither a picture of their own nor a button for the camera; the doctor sees that the relative has none.
    """
    doctor = await open_page("doc", role="practitioner")
    await doctor.join()
    relative = await open_page("rel", role="companion", viewport=PHONE, language="fr-FR")
    await relative.join()
    await relative.until(f"{COVER} === 'Cette image ne vous est pas montrée.'")
    await relative.hears()
    await expect(relative.see("mute-video")).to_be_hidden()
    await expect(relative.page.locator("#self")).to_be_hidden()
    await expect(relative.see("mute-audio")).to_be_enabled()
    await doctor.until(f"{COVER} === 'No camera'")
    await relative.screenshot("rules-relative-phone-fr")

    await relative.page.reload()
    await relative.until(f"{COVER} === 'Cette image ne vous est pas montrée.'")
    await relative.see("language").click()
    await relative.until(f"{COVER} === 'This picture is not shown to you.'")
    await relative.see("open-devices").click()
    await expect(relative.see("camera")).to_be_hidden()
    await expect(relative.see("microphone")).to_be_visible()
    assert [] == doctor.complaints + relative.complaints


@pytest.mark.slow
async def test_who_may_send_nothing_has_no_empty_picture(open_page: OpenPage) -> None:
    """
    An observer watches: no own picture, no buttons for microphone and camera, the focus on the first button there is.
    """
    doctor = await open_page("doc", role="practitioner")
    await doctor.join()
    observer = await open_page("obs", role="observer")
    await observer.join()
    await observer.sees()
    await observer.until("document.activeElement.id === 'open-devices'")
    for name in ("mute-audio", "mute-video"):
        await expect(observer.see(name)).to_be_hidden()
    await expect(observer.page.locator("#self")).to_be_hidden()
    await observer.screenshot("rules-observer-desktop")
    await observer.see("leave").click()
    await observer.see("rejoin").click()
    await expect(observer.page.locator("#self")).to_be_visible()
    assert [] == observer.complaints
