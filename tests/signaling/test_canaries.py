"""
What people and hosts write freely is found nowhere that is kept or shown to others (A61): not in logs, metrics, the
journal's clear columns, or addresses.
"""

import asyncio
import itertools
import json
import logging
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from support.live_relay import Live, MakeLive, offer_sdp
from telerelay import Hooks, PersonEvent, StateEvent
from telerelay.consult.plan import ConsultPlan
from telerelay.hooks import AdmitRequest, ChannelRequest, PublishRequest, WaitingRequest
from telerelay.observe.logging import LineFormatter


def canaries(what: str, count: int) -> list[str]:
    """Words that occur nowhere else; names and symptoms, as people type them."""
    return [f"Zorglub-{what}-{number}" for number in range(count)]


def files_with(folder: Path, word: bytes) -> list[str]:
    """Files that hold it, SQLite's own log and unused pages included."""
    return [each.name for each in folder.iterdir() if word in each.read_bytes()]


async def test_what_is_personal_is_sealed_and_what_is_garbage_is_dropped(
    make_live: MakeLive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A hundred of them, in every field that a client or a host controls.
    """
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "journal"
    live = await make_live({"journal": {"path": str(path)}, "log": {"level": "debug"}})
    labels = canaries("label", 10)
    await live.relay.consults.schedule(
        ConsultPlan("r1", labels=tuple((f"n{n}", each) for n, each in enumerate(labels)))
    )
    patient = await live.join("pat", role="patient")
    doctor = await live.join("doc")
    await doctor.ask("admit", participant=patient.id)
    for word in canaries("source", 10):
        await patient.publish(tracks=[{"mid": "1", "source": word}])
    for number, word in enumerate(canaries("garbage", 50)):
        kind = ("admit", "deny", "pause", "mute", word)[number % 5]
        await patient.ask(kind, participant=word, publication=word, muted=True, paused=True, reason=word)
    for word in canaries("link", 10):
        async with live.http.post(f"{live.url}/link", json={"link": f"r1~{word}"}) as answer:
            assert 403 == answer.status
    admin = TestServer(live.relay.admin_app())
    await admin.start_server()
    headers = {"Authorization": f"Bearer {live.relay.admin_token(sub='desk-3')}"}
    for word in canaries("host", 20):
        url = admin.make_url("/consults/r1/deny")
        async with live.http.post(url, json={"sub": "pat", "reason": word}, headers=headers) as answer:
            assert 400 == answer.status
            assert word not in await answer.text()
    async with live.http.get(admin.make_url("/metrics")) as answer:
        metrics = await answer.text()
    await admin.close()
    await doctor.ask("end")
    await patient.close_code()
    await live.entries()
    clear = json.dumps([dict(entry.clear) for entry in await live.entries()])
    await live.relay.__aexit__(None, None, None)
    kept = "".join(str(row) for row in sqlite3.connect(path).iterdump())
    told = "".join(record.getMessage() for record in caplog.records)

    assert [] == [
        name for name, text in {"logs": told, "metrics": metrics, "clear": clear}.items() if "Zorglub" in text
    ]
    assert "Zorglub" not in kept
    assert [] == files_with(tmp_path, b"Zorglub")


KINDS = ("publish", "answer", "candidate", "mute", "pause", "report", "reconnect", "restart", "admit", "deny")
MEMBERS = ("room", "token", "resume", "media", "publication", "participant", "sdp", "connection", "reason", "candidate")


async def everything_is_said_over_a_socket(live: Live, words: Iterator[str]) -> None:
    """Each request with a word in each member it may have and in one it may not, of who waits and of who is in."""
    waiting, doctor = await live.join("com", role="companion"), await live.join("doc")
    stranger = await live.connect()
    for peer in (waiting, doctor):
        for kind in (
            "publish",
            "answer",
            "candidate",
            "mute",
            "pause",
            "report",
            "reconnect",
            "restart",
            "admit",
            "deny",
        ):
            await peer.ask(kind, **{name: next(words) for name in MEMBERS if name != "token"})
            await peer.ask(kind, **{next(words): next(words)})
    for name in MEMBERS:
        members = {"room": "r1", "token": live.token("pat", role="patient")} | {name: next(words)}
        await (await live.connect()).ask("join", **members)
    await stranger.ws.send_str(f'{{"type":"{next(words)}","id":"{next(words)}"')  # no JSON
    await stranger.ws.close(message=next(words).encode())
    sdp = offer_sdp().replace("s=-", f"s={next(words)}").replace("o=-", f"o={next(words)}")
    lines = [f"a=msid:{next(words)} {next(words)}", f"a=x-note:{next(words)}", f"i={next(words)}"]
    await doctor.publish(sdp.replace("a=rtcp-mux\r\n", "a=rtcp-mux\r\n" + "\r\n".join(lines) + "\r\n", 1))
    await doctor.publish(f"v=0\r\n{next(words)}")


async def everything_is_said_over_http(live: Live, admin: str, token: str, words: Iterator[str]) -> None:
    """In bodies, headers and addresses; of the last it is what a client made itself, and nothing may keep it."""
    bearer, host = live.bearer("doc"), {"Authorization": f"Bearer {token}"}
    for name in ("User-Agent", "Origin", "Referer", "If-Match", "Cookie", "X-Patient"):
        await (await live.http.get(f"{live.url}/healthz", headers={name: next(words)})).release()
        await (await live.http.post(f"{live.url}/whip/r1", data=next(words), headers=bearer | {name: "x"})).release()
    for method in ("get", "post", "delete", "patch"):
        for path in ("whip/r1", "whep/r1", "link", "demo-token"):
            url = f"{live.url}/{path}/{next(words)}?{next(words)}={next(words)}"
            await (await live.http.request(method, url, data=next(words), headers=bearer)).release()
    for name in ("", "/r1/end", "/r1/cancel", "/r1/admit", "/r1/timers", "/r1/links", "/r1/remove", "/r1/priority"):
        for body in ({"consult": "r8", next(words): next(words)}, {"sub": 1, "reason": next(words)}, next(words)):
            async with live.http.post(f"{admin}/consults{name}", json=body, headers=host) as answer:
                assert 400 <= answer.status < 500
    for field in ("queue_", "note", "labels", "starts_at"):
        plan = {"consult": "r8", field: next(words)}
        async with live.http.post(f"{admin}/consults", json=plan, headers=host) as answer:
            assert 400 == answer.status
            assert "Zorglub" not in await answer.text()


class Careless(Hooks):
    """Rules that put what they know of people into everything that they raise and answer."""

    def __init__(self, words: Iterator[str]) -> None:
        self._words = words

    async def admit(self, request: AdmitRequest) -> Any:
        return {"answer": next(self._words)}

    async def waiting_content(self, request: WaitingRequest) -> Any:
        raise KeyError(next(self._words))

    async def channel_policy(self, request: ChannelRequest) -> Any:
        raise ValueError(next(self._words))

    async def publish_policy(self, request: PublishRequest) -> Any:
        return next(self._words)

    async def on_person(self, event: PersonEvent) -> None:
        raise RuntimeError(next(self._words))

    async def on_state(self, event: StateEvent) -> None:
        raise RuntimeError(next(self._words))


def said_by(command: str, *arguments: str | Path) -> str:
    """Both outputs of a command of ours, for people and for programs."""
    done = subprocess.run(
        [sys.executable, "-m", "telerelay.cli", *command.split(), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout + done.stderr


async def test_no_word_of_a_person_is_in_anything_an_operator_reads(
    make_live: MakeLive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Some hundreds of words, over each way in, with rules that repeat them: logs and their stacks, metrics, what consults
    show, the journal's bytes, dead letters, `journal show`, attestations and reports have none.
    """
    caplog.set_level(logging.DEBUG)
    used = itertools.count(1)
    words = (f"Zorglub-{number}-Müller-chest pain" for number in used)
    path = tmp_path / "journal"
    values = {"journal": {"path": str(path)}, "log": {"level": "debug"}, "hooks": {"give_up_s": 1}}
    live = await make_live(values, hooks=Careless(words))
    await live.schedule(labels=(("complaint", next(words)), ("name", next(words))))
    admin = TestServer(live.relay.admin_app())
    await admin.start_server(access_log=None)
    token, root = live.relay.admin_token(sub="desk-3"), str(admin.make_url("")).rstrip("/")
    await everything_is_said_over_a_socket(live, words)
    await everything_is_said_over_http(live, root, token, words)
    shown = ""
    for url in (f"{root}/metrics", f"{root}/consults", f"{root}/consults/r1", f"{live.url}/metrics"):
        async with live.http.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
            shown += await answer.text()
    async with asyncio.timeout(30):
        while live.relay._hooks.backlog().letters == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await live.relay.consults.end("r1", "desk-3", "technical_failure")
    await live.entries()
    await admin.close()
    await live.relay.__aexit__(None, None, None)
    formatter = LineFormatter()
    outputs = {
        "logs": "\n".join(map(formatter.format, caplog.records)),
        "metrics and consults": shown,
        "dead letters": said_by("hooks dead --json", "--journal", path),
        "journal show": said_by("journal show --json", "--journal", path, "--consult", "r1"),
        "attestations": said_by("attest export", "--journal", path),
        "report": said_by("report --json", "--journal", path, "--html", tmp_path / "report.html"),
        "page of the report": (tmp_path / "report.html").read_text(),
    }
    kept = "".join(str(row) for row in sqlite3.connect(path).iterdump())

    assert next(used) > 300
    assert "event=hook_failed" in outputs["logs"]
    assert "exception" in outputs["dead letters"]
    assert [] == [where for where, text in outputs.items() if "Zorglub" in text or "chest" in text]
    assert "Zorglub" not in kept
    assert [] == files_with(tmp_path, b"Zorglub")
