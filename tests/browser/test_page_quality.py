"""
The sign of how good one's line is: its bars, its sentence, in both languages, at sizes of a phone and a desk.
"""

from __future__ import annotations

import asyncio

import pytest
from consulting import OpenPage, Person
from test_page_accessibility import PHONE, SIDEWAYS, Inspection
from test_page_troubles import through

from support.impairment import Impairment, UdpImpairment
from support.relay_process import RelayProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

LOSING = Impairment(loss=0.25)
# Two looks of the relay, and the report of a page before them.
JUDGED_S = 12.0


async def shows(person: Person, words: str) -> None:
    await person.until(f"document.getElementById('line-words').textContent.includes({words!r})", JUDGED_S)


@pytest.mark.slow
async def test_whose_line_is_bad_reads_it_and_in_which_direction(open_page: OpenPage, relay: RelayProcess) -> None:
    """
    What the patient sends is lost: the patient's page says so, the practitioner's that its own line is good. Then what
    the patient is sent is lost. In the end all is good again.
    """
    with UdpImpairment(relay.udp_address) as line:
        alice = await open_page("alice", role="practitioner")
        bob = await open_page("bob", script=through(relay, line), language="fr-FR", viewport=PHONE)
        await alice.join()
        await bob.join()
        await alice.sees()
        await bob.sees()
        seen = Inspection(bob)
        await shows(bob, "Votre connexion est bonne.")
        await shows(alice, "Your line is good.")
        await seen.look("good")
        await bob.screenshot("quality-good-fr-phone")

        line.up.impairment = LOSING
        await shows(bob, "perd une partie de ce que vous dites")
        assert int(await bob.see("quality").get_attribute("data-score") or 0) < 4
        await shows(alice, "Your line is good.")
        await seen.look("loss up")
        await bob.screenshot("quality-loss-fr-phone")
        await bob.page.set_viewport_size(SIDEWAYS)  # type: ignore[arg-type]
        await seen.look("loss up, sideways")
        await bob.screenshot("quality-loss-fr-sideways")

        line.up.impairment, line.down.impairment = Impairment(), LOSING
        await bob.until("consult.call.quality.down.cause !== null", JUDGED_S)
        down = await bob.page.evaluate("consult.call.quality.down")
        line.down.impairment = Impairment()
        await shows(bob, "Votre connexion est bonne.")
        await alice.screenshot("quality-good-en-desktop")

    assert {} == seen.found
    assert down["cause"] in ("loss", "freeze", "jitter")
    assert [] == [each for each in alice.complaints + bob.complaints if "WebSocket" not in each]


async def test_the_sign_comes_back_with_a_page_that_was_loaded_again(open_page: OpenPage) -> None:
    """
    The relay tells what changes; a page that is new at an old seat is told what is.
    """
    alice, bob = await open_page("alice", role="practitioner"), await open_page("bob")
    await alice.join()
    await bob.join()
    await alice.sees()
    await shows(alice, "Your line")
    await alice.page.reload()
    await shows(alice, "Your line")
    await asyncio.gather(alice.sees(), bob.sees())
