"""A relay whose worker dies, seen from signalling: what waits, what is told, what is moved."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from support.live_relay import PREFIX, Live, offer_sdp
from telerelay import Config, Relay, TokenKeys
from telerelay.config import with_values


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    """A relay with one worker in a process of its own."""
    values = {
        "udp": {"binds": ["127.0.0.1:0"]},
        "workers": {"host": "process"},
        "serve": {"run_dir": str(tmp_path / "run")},
    }
    async with Relay(with_values(Config(), values), keys=TokenKeys.of(b"k" * 32)) as relay:
        app = aiohttp.web.Application()
        app.add_subapp(PREFIX, relay.app())
        server = TestServer(app)
        await server.start_server()
        async with aiohttp.ClientSession() as http:
            yield Live(relay, server, http)
        await server.close()


async def test_who_comes_while_there_is_no_worker_waits_for_the_next(live: Live) -> None:
    """
    An offer to a room that was there, one to a room that is new, a WHIP session: each gets its answer; the ports are
    the same, the certificate is another, and nobody else is told anything but that connections failed.
    """
    ada = await live.join("ada", room="old")
    before = await ada.publish()
    pid, ports = live.relay.worker_pids, live.relay.udp_addresses
    bob = await live.join("bob", room="old")
    os.kill(pid[0], signal.SIGKILL)
    await live.until(lambda: not live.relay.stats())
    assert 503 == (await live.http.get(f"{live.url}/healthz")).status
    eve = await live.join("eve", room="new")
    whip = live.http.post(f"{live.url}/whip/old", data=offer_sdp(), headers=live.bearer("cam", "old"))
    late, new, created = await asyncio.gather(bob.publish(), eve.publish(), whip)

    assert ["reply", "reply", 201] == [late["type"], new["type"], created.status]
    assert ports == live.relay.udp_addresses
    assert pid != live.relay.worker_pids
    assert 200 == (await live.http.get(f"{live.url}/healthz")).status
    told = await ada.event("connection")
    assert ("publish", "failed") == (told["connection"], told["state"])
    assert {"type": "reply"} == {
        key: value for key, value in (await ada.ask("reconnect", connection="publish")).items() if key != "id"
    }
    again = await ada.publish()
    assert fingerprint(before["sdp"]) != fingerprint(again["sdp"]) == fingerprint(late["sdp"])


async def test_reconnecting_after_a_lost_worker_is_no_offer_too_many(live: Live) -> None:
    """
    Whatever happens to workers, a client may come back as often as it is told to.
    """
    ada = await live.join("ada")
    for _ in range(4):
        assert "reply" == (await ada.publish())["type"]
        seen = ada.seq
        os.kill(live.relay.worker_pids[0], signal.SIGKILL)
        await ada.event("connection", after=seen)
        assert "reply" == (await ada.ask("reconnect", connection="publish"))["type"]


def fingerprint(sdp: str) -> str:
    return next(line for line in sdp.splitlines() if line.startswith("a=fingerprint:"))
