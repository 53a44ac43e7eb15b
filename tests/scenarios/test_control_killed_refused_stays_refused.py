"""
The control process is killed and started again: a picture that the application refuses somebody stays refused, and what
was sent goes on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.calls import going_on, lost, restart_control, small_picture, whip_to_whep
from support.relay_process import RelayProcess
from support.waiting import until
from telerelay.client import Client, Tone

TESTS = Path(__file__).resolve().parents[1]
ROOM = "r1-heard"


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """Once there is such a file, the rules allow sound alone."""
    return tmp_path / "closed"


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch, closed: Path) -> Iterator[RelayProcess]:
    monkeypatch.setenv("CLOSED", str(closed))
    monkeypatch.setenv("TELERELAY_HOOKS_ENTRY_POINT", "support.page_rules:Rules")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))
    with RelayProcess() as process:
        yield process


def offered(client: Client) -> list[str]:
    """The kinds of all that was ever offered."""
    tracks = [track for event in client.events if event["type"] == "offer" for track in event["tracks"]]
    return sorted({track["kind"] for track in tracks})


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_refused_picture_is_not_sent_by_the_next_process(relay: RelayProcess) -> None:
    """
    The relative, whom the rule gives sound alone, is offered no picture by the process that comes after, is told again
    that there is none, and hears on; the patient sees on.
    """
    async with (
        await Client.join(relay.url, relay.token(ROOM, "doc", "practitioner"), ROOM) as doctor,
        await Client.join(relay.url, relay.token(ROOM, "pat", "patient"), ROOM) as patient,
        await Client.join(relay.url, relay.token(ROOM, "rel", "companion"), ROOM) as relative,
    ):
        await doctor.publish([Tone(), small_picture()])
        await until(lambda: (2, 1) == (len(patient.tap.streams), len(relative.tap.streams)), timeout_s=30)
        refusals = [each for each in relative.events if each["type"] == "refused"]
        await restart_control(relay)
        await until(lambda: all(each.comebacks for each in (doctor, patient, relative)), timeout_s=60)
        await until(lambda: len([each for each in relative.events if each["type"] == "refused"]) > 1, timeout_s=60)
        await going_on((patient, relative), packets=20)

        assert ["forbidden"] == [each["code"] for each in refusals]
        assert (["audio"], ["audio", "video"]) == (offered(relative), offered(patient))
        assert (2, 1) == (len(patient.tap.streams), len(relative.tap.streams))


async def test_of_what_is_sent_over_whep_the_next_process_asks_nobody(relay: RelayProcess, closed: Path) -> None:
    """
    It goes on, though the rule would no longer allow it, and nothing is lost.
    """
    async with whip_to_whep(relay) as (_, whep):
        closed.touch()  # noqa: ASYNC240
        await restart_control(relay)
        streams = list(whep.tap.streams.values())
        before = [each.gaps.received for each in streams]
        await until(lambda: all(each.gaps.received > had + 30 for each, had in zip(streams, before, strict=True)))

        assert (2, [0]) == (len(streams), lost([whep]))
