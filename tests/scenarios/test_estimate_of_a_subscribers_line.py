"""
What a subscriber's line carries is estimated from what real clients report of it: libwebrtc here, Chromium in
tests/browser.

The relay runs in the test's own loop, for its workers are asked what they estimate; media goes over loopback.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestServer

from support.waiting import until
from support.wrtc_peer import Peers
from telerelay import Config, Relay, TokenKeys
from telerelay.config import with_values
from telerelay.dataplane import Worker
from telerelay.dataplane.events import LineEstimate, WorkerEvent

START_BPS, LEAST_BPS, MOST_BPS = 300_000, 50_000, 20_000_000


class InThisLoop:
    """A relay of this loop, as peers want one."""

    def __init__(self, relay: Relay, url: str) -> None:
        self.relay, self.url = relay, url

    def token(self, room: str, sub: str) -> str:
        return self.relay.token(room=room, sub=sub, role="practitioner", ttl_s=600)


async def _subscribing_transport(worker: Worker) -> int:
    """The only transport that anything is sent on."""
    (transport,) = {sender.transport for sender in (await worker.inventory()).senders.values()}
    return transport


@pytest.fixture
async def near() -> AsyncIterator[InThisLoop]:
    config = with_values(Config(), {"udp": {"binds": ["127.0.0.1:0"]}, "media": {"downlink_estimate": True}})
    async with Relay(config, keys=TokenKeys.of(b"k" * 32)) as relay:
        server = TestServer(relay.app())
        await server.start_server()
        yield InThisLoop(relay, str(server.make_url("")).rstrip("/"))
        await server.close()


async def test_libwebrtcs_feedback_becomes_an_estimate(near: InThisLoop) -> None:
    """
    On loopback the estimate climbs from its start past what is sent, with hardly a queue, no loss, a round trip of
    feedback's own interval and less, and goes on being told; the picture is whole.
    """
    told: list[LineEstimate] = []

    def listen(event: WorkerEvent) -> None:
        if isinstance(event, LineEstimate):
            told.append(event)

    async with Peers(near) as peers:  # type: ignore[arg-type]
        ada, bob = await peers.join("story", "ada"), await peers.join("story", "bob")
        await ada.publish(video=(640, 480, 30))

        async def bob_watches() -> bool:
            picture = await bob.inbound("video")
            return picture is not None and (picture.frames_decoded or 0) >= 30

        await until(bob_watches, timeout_s=20)
        (worker,) = near.relay._workers
        transport = await _subscribing_transport(worker)
        worker.listen(transport, listen)
        await worker.leave_downlink(transport)
        await worker.set_downlink(transport, start_bps=START_BPS, least_bps=LEAST_BPS, most_bps=MOST_BPS)
        await until(lambda: len(told) >= 8 and told[-1].target_bps > 2 * START_BPS, timeout_s=20)
        climbed = len(told)
        await until(lambda: len(told) >= climbed + 2, timeout_s=10)
        picture = await bob.inbound("video")

    assert {transport} == {each.transport for each in told}
    assert "free" == told[-1].mode
    assert 0 == told[-1].loss
    assert 0 < told[-1].rtt_us < 500_000
    assert told[-1].queue_us < 100_000
    assert all(LEAST_BPS <= each.target_bps <= MOST_BPS for each in told)
    assert 0 == picture.packets_lost
