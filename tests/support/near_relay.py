"""
A relay in the test's own loop that real clients can come to, and whose workers can be asked what they estimate.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp.test_utils import TestServer

from telerelay import Config, Relay, TokenKeys
from telerelay.config import with_values
from telerelay.dataplane.events import LineEstimate, WorkerEvent


class NearRelay:
    """The relay, and the address of its HTTP."""

    def __init__(self, relay: Relay, url: str) -> None:
        self.relay, self.url = relay, url

    def token(self, room: str, sub: str, role: str = "practitioner") -> str:
        return self.relay.token(room=room, sub=sub, role=role, ttl_s=600)

    async def estimate(self, *, start_bps: int, least_bps: int, most_bps: int) -> tuple[int, list[LineEstimate]]:
        """
        Begin to estimate afresh the line of the only transport that anything is sent on: its number, and the list of
        what is told from now on. Nobody else hears of that transport any more.
        """
        (worker,) = self.relay._workers
        (transport,) = {sender.transport for sender in (await worker.inventory()).senders.values()}
        told: list[LineEstimate] = []

        def listen(event: WorkerEvent) -> None:
            if isinstance(event, LineEstimate):
                told.append(event)

        worker.listen(transport, listen)
        await worker.leave_downlink(transport)
        await worker.set_downlink(transport, start_bps=start_bps, least_bps=least_bps, most_bps=most_bps)
        return transport, told

    async def bound(self, sub: str, *, least_bps: int, most_bps: int) -> None:
        """
        Have what is estimated of that participant's line lie between these from now on: a line made to be so, whatever
        the machine that the test runs on does to real ones.
        """
        (host,) = self.relay._rooms.hosts
        (seat,) = (each for each in host.seats.values() if each.participant.sub == sub)
        assert seat.subscribing is not None
        transport = seat.subscribing.transport.id
        await host.site.worker.set_downlink(transport, start_bps=least_bps, least_bps=least_bps, most_bps=most_bps)


@asynccontextmanager
async def near_relay(*, adapts: bool = True) -> AsyncIterator[NearRelay]:
    """One worker on loopback; unless it `adapts`, a test says which layers are forwarded."""
    config = with_values(Config(), {"udp": {"binds": ["127.0.0.1:0"]}, "media": {"adaptation": adapts}})
    async with Relay(config, keys=TokenKeys.of(b"k" * 32)) as relay:
        server = TestServer(relay.app())
        await server.start_server()
        try:
            yield NearRelay(relay, str(server.make_url("")).rstrip("/"))
        finally:
            await server.close()
