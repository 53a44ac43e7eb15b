"""
Who is behind a line that loses packets sends the voice as RED, where page and relay both have it.

Chromium and the relay are real; what is sent is what the browser counts (getStats).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from consulting import OpenPage, Person

from support.relay_process import RelayProcess

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    """A relay that takes RED from whoever offers it first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TELERELAY_MEDIA_AUDIO_CODECS", "opus,red")
        with RelayProcess() as process:
            yield process


ENOUGH_PACKETS = 100
SENDS_ENOUGH = f"(each) => each.direction === 'publish' && each.kind === 'audio' && each.packets > {ENOUGH_PACKETS}"


async def bytes_a_packet(person: Person) -> float:
    """Of the voice that this page sends. (What codec it is the statistics call Opus either way, or RED.)"""
    await person.until(f"consult.call.stats().then(({{ tracks }}) => tracks.some({SENDS_ENOUGH}))")
    (voice,) = await person.tracks("publish", "audio")
    return float(voice["size_bytes"] / voice["packets"])


async def test_a_link_that_asks_for_redundancy_gets_it(open_page: OpenPage) -> None:
    """
    Of two people one has it in the address: that voice takes twice as much, and both are heard.
    """
    alice = await open_page("alice", role="practitioner")
    bob = await open_page("bob", query="&redundancy=1")
    await alice.join()
    await bob.join()
    for person in (alice, bob):
        await person.hears()
    single, double = [await bytes_a_packet(person) for person in (alice, bob)]

    assert 1.6 < double / single < 2.4
    assert [] == alice.complaints + bob.complaints
