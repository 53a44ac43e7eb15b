"""
A served relay whose rules are another program's, over HTTP: it decides who comes in, goes away for a while, during
which the relay is killed as well, and is told all that happened when it is back.
"""

from __future__ import annotations

import base64
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from support.hook_hosts import KEY, Host, host
from support.live_relay import Peer
from support.relay_process import RelayProcess, free_port
from support.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture
async def receiver() -> AsyncIterator[Host]:
    """Lets everybody join but observers, and patients in without a decider."""

    async def decide(_request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        match body.get("hook"):
            case "authorize_join":
                return web.json_response({"answer": body["request"]["role"] != "observer"})
            case "admit":
                is_patient = body["request"]["role"] == "patient"
                answer = {"answer": "admit", "by": "rule-3"} if is_patient else {"answer": "wait"}
                return web.json_response({"answer": answer})
        return web.Response()

    async with host() as running:
        running.answer = decide
        yield running


@pytest.fixture
def relay(receiver: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[RelayProcess]:
    key = tmp_path / "webhook.key"
    key.touch(0o600)
    key.write_bytes(base64.urlsafe_b64encode(KEY))
    for name, value in {
        "HTTP_ADMIN_PORT": free_port(),
        "JOURNAL_PATH": tmp_path / "journal",
        "HOOKS_WEBHOOK_URL": receiver.url,
        "HOOKS_WEBHOOK_KEY_FILE": key,
        "HOOKS_WEBHOOK_DECISIONS": "authorize_join,admit",
    }.items():
        monkeypatch.setenv(f"TELERELAY_{name}", str(value))
    with RelayProcess() as process:
        yield process


class Desk:
    """The host's commands, and people who join."""

    def __init__(self, relay: RelayProcess, http: aiohttp.ClientSession) -> None:
        self._relay = relay
        self._http = http
        token = relay.run("token", "--admin", "--key-file", str(relay.key_file), "--sub", "desk-3")
        self._headers = {"Authorization": f"Bearer {token}"}

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        url = f"http://127.0.0.1:{os.environ['TELERELAY_HTTP_ADMIN_PORT']}/consults{path}"
        async with self._http.request(method, url, json=body, headers=self._headers) as response:
            assert response.status < 300, await response.text()
            return await response.json()

    async def join(self, sub: str, role: str) -> tuple[Peer, dict[str, Any]]:
        peer = Peer(await self._http.ws_connect(f"{self._relay.url}/ws"))
        return peer, await peer.ask("join", room="c1", token=self._relay.token("c1", sub, role))


def journalled(path: str) -> int:
    """How many facts the consult has, on the disk."""
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT COUNT(*) FROM entries WHERE consult = 'c1'").fetchone()[0])
    finally:
        connection.close()


@pytest.mark.timeout(180)
async def test_a_host_that_was_away_is_told_all_that_happened(relay: RelayProcess, receiver: Host) -> None:
    """
    Its decisions hold; while it is away nobody new comes in; then it has each fact, in order, without a gap.
    """
    # No connection is kept: the relay that is killed would leave one behind.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
        desk = Desk(relay, http)
        await desk.ask("POST", "", {"consult": "c1"})
        _patient, joined = await desk.join("p-9", "patient")
        _observer, refused = await desk.join("o-1", "observer")
        assert ("reply", "forbidden") == (joined["type"], refused["code"])
        await until(lambda: "c1:3" in receiver.keys)
        told = [each["event"] for body in receiver.bodies for each in body.get("events", ())]
        assert ("admitted", "rule-3") in [(each.get("what"), each.get("by")) for each in told]

        await receiver.down()
        _doctor, closed = await desk.join("dr-7", "practitioner")
        assert "forbidden" == closed["code"]
        await desk.ask("POST", "/c1/priority", {"emergency": True})
        assert relay.metrics()['telerelay_hook_failures_total{hook="authorize_join",why="unreachable"}'] >= 1
        await until(lambda: relay.metrics()["telerelay_hook_waiting"] == 1)
        relay.kill()
        relay.start()
        await desk.ask("POST", "/c1/end", {"outcome": "technical_failure"})
        await receiver.up()
        path = os.environ["TELERELAY_JOURNAL_PATH"]
        await until(lambda: len(set(receiver.keys)) == journalled(path) and _is_over(receiver), timeout_s=90)

        facts = [f"c1:{number}" for number in range(1, journalled(path) + 1)]
        assert facts == list(dict.fromkeys(receiver.keys))
        sequences = [body["sequence"] for body in receiver.bodies if "key" in body]
        assert sequences == sorted(sequences)
        assert 0 == receiver.forged
        assert "p-9" not in "".join(relay.log)
        assert 0 == relay.metrics()["telerelay_hook_letters"]


def _is_over(receiver: Host) -> bool:
    return any(each["hook"] == "on_end" for body in receiver.bodies for each in body.get("events", ()))
