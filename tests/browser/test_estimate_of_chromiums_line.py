"""
Chromium takes packets that are numbered across tracks, reports of them, and its line is estimated by that; the call is
as it is without.
"""

from __future__ import annotations

import pytest
from consulting import Person
from playwright.async_api import Browser

from support.near_relay import near_relay
from support.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

NUMBERS = "draft-holmer-rmcat-transport-wide-cc-extensions"
START_BPS, LEAST_BPS, MOST_BPS = 300_000, 50_000, 20_000_000
# Every description that the page gives its connections, for the test to read.
KEEP_DESCRIPTIONS = """
    window.descriptions = [];
    const set = RTCPeerConnection.prototype.setLocalDescription;
    RTCPeerConnection.prototype.setLocalDescription = async function (...given) {
      await set.apply(this, given);
      window.descriptions.push([this.localDescription.type, this.localDescription.sdp]);
    };
"""


async def test_chromiums_feedback_becomes_an_estimate(browser: Browser, room: str) -> None:
    """
    Its answer has the numbers and transport-cc for each kind, the estimate climbs on loopback, and pictures and sound
    come whole.
    """
    people: list[Person] = []
    async with near_relay() as relay:
        try:
            for sub, role in (("alice", "practitioner"), ("bob", "observer")):
                token = relay.token(room, sub, role)
                people.append(await Person.open(browser, relay.url, room=room, token=token, script=KEEP_DESCRIPTIONS))
                await people[-1].join()
            alice, bob = people
            await bob.sees()
            await bob.hears()
            transport, told = await relay.estimate(start_bps=START_BPS, least_bps=LEAST_BPS, most_bps=MOST_BPS)
            await until(lambda: len(told) >= 8 and told[-1].target_bps > 2 * START_BPS, timeout_s=30)
            rate = await bob.video_rate("subscribe", 3)
            descriptions = await bob.page.evaluate("window.descriptions")
            tracks = await bob.tracks("subscribe", "video") + await bob.tracks("subscribe", "audio")
        finally:
            for person in people:
                await person.context.close()

    answer = [sdp for kind, sdp in descriptions if kind == "answer"][-1]
    for section in answer.split("\r\nm=")[1:]:
        if not section.startswith("application"):
            assert NUMBERS in section
            assert " transport-cc" in section
    assert {transport} == {each.transport for each in told}
    assert "free" == told[-1].mode
    assert 0 < told[-1].rtt_us < 500_000
    assert told[-1].queue_us < 100_000
    assert rate.per_s >= 20
    assert [0, 0] == [track["packets_lost"] for track in tracks]
    assert [] == alice.complaints + bob.complaints
