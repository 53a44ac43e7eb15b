"""
What people and hosts write freely is found nowhere that is kept or shown to others (A61): not in logs, metrics, the
journal's clear columns, or addresses.
"""

import json
import logging
import sqlite3
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from support.live_relay import MakeLive
from telerelay.consult.plan import ConsultPlan


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
