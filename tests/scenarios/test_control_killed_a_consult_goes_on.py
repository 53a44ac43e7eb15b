"""
The control process is killed in the middle of a consult and started again: the consult is what it was, whoever waits
waits, and not one media packet is lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from support.calls import going_on, lost, restart_control, small_picture, widen
from support.relay_process import RelayProcess, free_port
from support.waiting import until
from telerelay.client import Client, Tone

ADMIN_PORT = "TELERELAY_HTTP_ADMIN_PORT"


class Desk:
    """The host, who is another process: it speaks HTTP with the admin listener."""

    def __init__(self, relay: RelayProcess, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"
        token = relay.run("token", "--admin", "--key-file", str(relay.key_file), "--sub", "desk-3")
        self._headers = {"Authorization": f"Bearer {token}"}

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        async with (
            aiohttp.ClientSession(headers=self._headers) as http,
            http.request(method, self._url + path, json=body) as response,
        ):
            assert response.status < 300, await response.text()
            return await response.json()

    async def people(self) -> dict[str, tuple[str, list[str]]]:
        shown = await self.ask("GET", "/consults/r1")
        return {each["sub"]: (each["status"], each["lost"]) for each in shown["people"]}

    async def state(self) -> str:
        return str((await self.ask("GET", "/consults/r1"))["state"])


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[RelayProcess]:
    monkeypatch.setenv(ADMIN_PORT, str(free_port()))
    monkeypatch.setenv("TELERELAY_JOURNAL_PATH", str(tmp_path / "journal"))
    with RelayProcess() as process:
        yield process


@pytest.fixture
def desk(relay: RelayProcess) -> Desk:
    return Desk(relay, int(os.environ[ADMIN_PORT]))


async def reaches(desk: Desk, state: str) -> None:
    """Wait until the consult is in that state."""
    found: list[str] = []

    async def look() -> bool:
        found.append(await desk.state())
        return found[-1] == state

    await until(look, timeout_s=60)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_consult_outlives_three_control_processes(relay: RelayProcess, desk: Desk) -> None:
    """
    Admissions hold, the call goes on, the third person still waits at the door and is let in by the last process.
    """
    await desk.ask("POST", "/consults", {"consult": "r1"})
    async with (
        await Client.join(relay.url, relay.token("r1", "pat", "patient"), "r1") as patient,
        await Client.join(relay.url, relay.token("r1", "doc", "practitioner"), "r1") as doctor,
        await Client.join(relay.url, relay.token("r1", "com", "companion"), "r1") as companion,
    ):
        for client in (patient, doctor, companion):
            await client.publish([Tone(), small_picture()])
        await doctor.request("admit", participant=patient.participant)
        await until(lambda: all(len(each.tap.streams) == 2 for each in (patient, doctor)), timeout_s=30)
        for client in (patient, doctor):
            widen(client._subscribe)
        await reaches(desk, "in_progress")
        await going_on((patient, doctor))
        for _ in range(3):
            people = (patient, doctor, companion)
            due = [each.comebacks + 1 for each in people]
            await restart_control(relay)
            try:
                await until(
                    lambda: all(each.comebacks >= at_least for each, at_least in zip(people, due, strict=True)),  # noqa: B023
                    timeout_s=60,
                )
            except TimeoutError:
                pytest.fail(f"not back: {[each.comebacks for each in people]}, {due}\n{''.join(relay.log)}")
            await reaches(desk, "in_progress")
            await going_on((patient, doctor), packets=20)

        assert {"pat": ("inside", []), "doc": ("inside", []), "com": ("waiting", [])} == await desk.people()
        assert [0, 0] == lost((patient, doctor))
        assert 0 == companion.tap.received
        assert [companion.participant] == [each["participant"] for each in doctor.waiting_room]
        await doctor.request("admit", participant=companion.participant)
        await until(lambda: companion.tap.received > 20, timeout_s=30)
        assert {"pat", "doc"} == {each["sub"] for each in companion.participants.values()}
