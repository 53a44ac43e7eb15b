"""
The application's rules sleep for ten seconds at every call while two consults are held: media has no gap by it, who
joins is answered within 2.1 s, and whoever is in goes on being answered at once.

The three ways in which rules come: an object on the relay's own loop, a class that the configuration names (it blocks
its thread), a host behind webhooks. Media is bare RTP, and gaps are those at the receivers' sockets.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

import support
from support.arrivals import Arrivals
from support.hook_hosts import KEY, Host, host
from support.processes import waited_s
from support.raw_peer import SocketPerson
from support.relay_process import RelayProcess, free_port
from support.sleepy import SLEEP_S
from support.starved import Starved
from support.waiting import until
from telerelay.hooks.asked import DECISIONS

EVERY_S = 0.02
ROUNDS = 3
ROUND_S = 5.0
LARGEST_GAP_MS = 50.0
ANSWERED_S = 2.1
AT_ONCE_S = 0.5


class Voice:
    """One of two people in a consult speaks, the other listens: what was said, what came, and when."""

    def __init__(self, speaker: SocketPerson, listener: SocketPerson) -> None:
        self.arrivals = Arrivals()
        self.said = 0
        self.heard: set[bytes] = set()
        self._speaker = speaker
        listener.listens.on_packet = self._hear

    def _hear(self, packet: bytes) -> None:
        self.arrivals.came()
        self.heard.add(packet[-8:])

    async def speak(self) -> None:
        while True:
            self._speaker.speaks.say(self.said.to_bytes(8, "big"))
            self.arrivals.sent()
            self.said += 1
            await asyncio.sleep(EVERY_S)


class Rules:
    """The rules' switch: they sleep while it is on."""

    def __init__(self, folder: Path) -> None:
        self.switch, self._calls = folder / "sleepy", folder / "calls"
        self._calls.touch()

    async def answer(self, _request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        """As a host behind webhooks."""
        names = [body["hook"]] if "hook" in body else [each["hook"] for each in body["events"]]
        if self.switch.exists():
            with self._calls.open("a") as calls:
                calls.writelines(f"{name}\n" for name in names)
            await asyncio.sleep(SLEEP_S)
        usual = {"authorize_join": True, "publish_policy": True, "subscribe_policy": True, "channel_policy": True}
        return web.json_response({"answer": usual[body["hook"]]} if body.get("hook") in usual else {})

    @property
    def calls(self) -> set[str]:
        """Hooks that slept."""
        return set(self._calls.read_text().split())


@asynccontextmanager
async def relay_with(way: str, rules: Rules, monkeypatch: pytest.MonkeyPatch, folder: Path) -> AsyncIterator[Any]:
    """A served relay whose rules come in that way, and its admin port's address."""
    port = free_port()
    places = [str(Path(support.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")]), *sys.path]
    for name, value in {
        "TELERELAY_HTTP_ADMIN_PORT": port,
        "SLEEPY_WHILE": rules.switch,
        "SLEEPY_CALLS": rules._calls,
        "PYTHONPATH": os.pathsep.join(places),
    }.items():
        monkeypatch.setenv(name, str(value))
    async with AsyncExitStack() as stack:
        program = None
        if way == "object":
            program = [sys.executable, "-m", "support.sleepy"]
        elif way == "entry point":
            monkeypatch.setenv("TELERELAY_HOOKS_ENTRY_POINT", "support.sleepy:Blocking")
        else:
            running: Host = await stack.enter_async_context(host())
            running.answer = rules.answer
            (folder / "key").touch(0o600)
            (folder / "key").write_bytes(base64.urlsafe_b64encode(KEY))
            monkeypatch.setenv("TELERELAY_HOOKS_WEBHOOK_URL", running.url)
            monkeypatch.setenv("TELERELAY_HOOKS_WEBHOOK_KEY_FILE", str(folder / "key"))
            asked = [name for name in DECISIONS if name in Hooked]
            monkeypatch.setenv("TELERELAY_HOOKS_WEBHOOK_DECISIONS", ",".join(asked))
        relay = RelayProcess(program=program)
        await asyncio.to_thread(relay.__enter__)
        stack.push_async_callback(asyncio.to_thread, relay.__exit__)
        yield relay, f"http://127.0.0.1:{port}"


Hooked = ("authorize_join", "publish_policy", "subscribe_policy", "channel_policy")
"""The decisions that a call cannot begin without; the webhook host has a rule for these."""


@asynccontextmanager
async def call(http: aiohttp.ClientSession, relay: RelayProcess, admin: str, consult: str) -> AsyncIterator[Any]:
    """A consult with a doctor and a patient who was let in; the patient speaks."""
    token = relay.run("token", "--admin", "--key-file", str(relay.key_file), "--sub", "desk-3")
    headers = {"Authorization": f"Bearer {token}"}

    async def ask(path: str, body: Any) -> None:
        async with http.post(f"{admin}/consults{path}", json=body, headers=headers) as response:
            assert response.status < 300, await response.text()

    await ask("", {"consult": consult})
    doctor = SocketPerson(http, relay.url, consult, relay.token(consult, "doc"))
    patient = SocketPerson(http, relay.url, consult, relay.token(consult, "pat", "patient"))
    await doctor.join()
    await patient.join()
    await ask(f"/{consult}/admit", {"sub": "pat"})
    await asyncio.wait_for(doctor.listens.connected.wait(), 60)
    voice = Voice(patient, doctor)
    speaking = asyncio.create_task(voice.speak())
    await until(lambda: len(voice.heard) > 20, timeout_s=60)
    try:
        yield voice, doctor
    finally:
        speaking.cancel()
        for each in (patient, doctor):
            each._reading.cancel()
            await each._ws.close()
            let_go(each)


def let_go(person: SocketPerson) -> None:
    """Let go of its media sockets, without asking anybody."""
    person.speaks.close()
    person.listens.close()


async def asked(http: aiohttp.ClientSession, relay: RelayProcess, room: str, sub: str) -> tuple[str, float]:
    """Somebody new joins: the answer, and how long it took."""
    async with http.ws_connect(f"{relay.url}/ws") as ws:
        began = time.monotonic()
        await ws.send_str(json.dumps({"type": "join", "id": 1, "room": room, "token": relay.token(room, sub)}))
        async for frame in ws:
            message = json.loads(frame.data)
            if message.get("id") == 1:
                return message.get("code", message["type"]), time.monotonic() - began
    raise ConnectionError("closed before an answer")


@pytest.mark.slow
@pytest.mark.timed
@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", ["object", "entry point", "webhook"])
async def test_a_rule_that_sleeps_costs_no_media_and_holds_nobody_else(
    way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    Longest gaps of rounds in which every call sleeps, beside those of rounds in which none does, in the same calls.
    """
    rules = Rules(tmp_path)
    gaps: dict[str, list[float]] = {"usual": [], "sleepy": []}
    answers: list[tuple[str, float, float]] = []
    at_once: list[float] = []
    async with (
        relay_with(way, rules, monkeypatch, tmp_path) as (relay, admin),
        aiohttp.ClientSession() as http,
        call(http, relay, admin, "c1") as (voice, doctor),
        call(http, relay, admin, "c2") as (other, other_doctor),
    ):
        for number in range(2 * ROUNDS):
            kind = "usual" if number < ROUNDS else "sleepy"
            if kind == "sleepy":
                rules.switch.touch()
            begin, waited = time.monotonic(), waited_s(relay.pid)
            with Starved() as starved:
                joining = [asyncio.create_task(asked(http, relay, room, f"n{number}")) for room in ("c1", "r9")]
                for person in (doctor, other_doctor):
                    asked_at = time.monotonic()
                    await person._ask(100 + number, {"type": "stats"})
                    at_once.append(time.monotonic() - asked_at - starved.total_s - (waited_s(relay.pid) - waited))
                found = await asyncio.gather(*joining)
            unable_s = starved.total_s + waited_s(relay.pid) - waited
            answers += [(kind, answer, took_s - unable_s) for answer, took_s in found] if kind == "sleepy" else []
            await asyncio.sleep(max(0.0, begin + ROUND_S - time.monotonic()))
            rounds = [each.arrivals.gaps_ms(begin, time.monotonic())[1] for each in (voice, other)]
            gaps[kind].append(max(rounds))
        for each in (voice, other):
            said = each.said
            await until(lambda: len(each.heard) >= said, timeout_s=30)  # noqa: B023

    print(f"{way}: longest gaps of the relay's making, ms: {gaps}; joins answered in {answers}; others in {at_once}")
    usual, sleepy = (statistics.median(gaps[kind]) for kind in ("usual", "sleepy"))
    assert sleepy <= max(LARGEST_GAP_MS, usual)
    assert ["forbidden"] * len(answers) == [answer for _, answer, _ in answers]
    assert statistics.median(took_s for *_, took_s in answers) <= ANSWERED_S
    assert statistics.median(at_once) <= AT_ONCE_S
    assert {"authorize_join"} < rules.calls
