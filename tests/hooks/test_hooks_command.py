"""`telerelay hooks`: the letters that never arrived are read, and told again."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from support.hook_hosts import AT, KEY, TURN_S, HandClock, beginning, host, journal_in, settle
from telerelay.cli import main
from telerelay.hooks import HookRunner, letters
from telerelay.hooks.outbox import LOOK_S, Outbox
from telerelay.hooks.source import JournalSource
from telerelay.hooks.told import EVENTS
from telerelay.hooks.webhooks import WebhookWay


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, what was printed as JSON, and what for people."""
    capsys.readouterr()
    code = main(["hooks", *arguments])
    printed = capsys.readouterr()
    return code, json.loads(printed.out.splitlines()[-1]) if printed.out else {}, printed.err


async def _give_up(path: Path) -> None:
    """A relay whose host is away for a second too many."""
    async with host() as receiver:
        url = receiver.url
    async with journal_in(str(path)) as journal:
        runner = HookRunner(WebhookWay(url, [KEY], EVENTS))
        await runner.start()
        clock = HandClock()
        outbox = Outbox(journal.store, JournalSource(journal), runner, clock=clock, jitter=lambda: 1.0, give_up_s=1.0)
        await outbox.start()
        for consult in ("c1", "c2"):
            await journal.append(consult, beginning(consult)[:2])
            outbox.wake(consult)
        await clock.pass_time(60, outbox)
        await outbox.close()
        await runner.close()


async def _tell_again(path: Path) -> list[str]:
    """The next relay, whose host is there; the keys it was told, oldest first."""
    async with host() as receiver, journal_in(str(path)) as journal:
        runner = HookRunner(WebhookWay(receiver.url, [KEY], EVENTS))
        await runner.start()
        clock = HandClock()
        outbox = Outbox(journal.store, JournalSource(journal), runner, clock=clock)
        await outbox.start()
        await settle(outbox)
        await clock.pass_time(LOOK_S, outbox)
        while await journal.store.read(lambda connection: letters.queued(connection, "hooks")):
            await settle(outbox)
        await outbox.close()
        await runner.close()
        return receiver.keys


def test_dead_letters_are_read_and_told_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Of one consult, then of all; what was told is gone from the list.
    """
    path = tmp_path / "journal"
    asyncio.run(_give_up(path))
    code, found, text = run(capsys, "dead", "--journal", str(path), "--json")
    first = found["dead"][0]

    assert (0, ["c1:1", "c1:2", "c2:1", "c2:2"]) == (code, [letter["key"] for letter in found["dead"]])
    assert {"consult": "c1", "sequence": 1, "kind": "scheduled", "why": "unreachable", "is_queued": False}.items() <= (
        first.items()
    )
    assert first["first_at"] == AT
    assert "c1:1 scheduled: unreachable, 3 tries from 2027-01-15T08:00:00Z" in text
    assert 2 == len(run(capsys, "dead", "--journal", str(path), "--consult", "c2", "--json")[1]["dead"])

    assert (0, {"queued": 1}) == run(
        capsys, "replay", "--journal", str(path), "--consult", "c1", "--sequence", "2", "--json"
    )[:2]
    assert ["c1:2"] == asyncio.run(_tell_again(path))
    assert (0, {"queued": 3}) == run(capsys, "replay", "--journal", str(path), "--all", "--json")[:2]
    assert (0, {"queued": 0}) == run(capsys, "replay", "--journal", str(path), "--all", "--json")[:2]
    assert ["c1:1", "c2:1", "c2:2"] == sorted(asyncio.run(_tell_again(path)))
    assert (0, {"dead": []}) == run(capsys, "dead", "--journal", str(path), "--json")[:2]


def test_a_running_relay_notices_what_a_command_queued(tmp_path: Path) -> None:
    """
    The file is both theirs: the command works beside the relay, in a process of its own or not.
    """

    async def both() -> list[str]:
        path = tmp_path / "journal"
        async with host() as receiver, journal_in(str(path)) as journal:
            runner = HookRunner(WebhookWay(receiver.url, [KEY], EVENTS))
            await runner.start()
            clock = HandClock()
            outbox = Outbox(journal.store, JournalSource(journal), runner, clock=clock, give_up_s=1.0)
            await outbox.start()
            await receiver.down()
            await journal.append("c1", beginning("c1"))
            outbox.wake("c1")
            await clock.pass_time(60, outbox)
            await receiver.up()
            arguments = ["hooks", "replay", "--all", "--journal", str(path)]
            assert 0 == await asyncio.to_thread(main, arguments)
            await clock.pass_time(LOOK_S, outbox)
            while outbox.letter_count:  # noqa: ASYNC110
                await asyncio.sleep(TURN_S)
            await outbox.close()
            await runner.close()
            return receiver.keys

    assert ["c1:1", "c1:2", "c1:3", "c1:4"] == asyncio.run(both())


def test_a_journal_without_hooks_has_no_letters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    And a file that is not there is not made.
    """
    path = tmp_path / "journal"

    async def make() -> None:
        async with journal_in(str(path)):
            return

    asyncio.run(make())
    assert (0, {"dead": []}) == run(capsys, "dead", "--journal", str(path), "--json")[:2]
    assert (0, {"queued": 0}) == run(capsys, "replay", "--journal", str(path), "--all", "--json")[:2]
    code, _, text = run(capsys, "dead", "--journal", str(tmp_path / "absent"))
    assert (1, False) == (code, (tmp_path / "absent").exists())
    assert "there is no journal" in text


@pytest.mark.parametrize("arguments", [["replay"], ["replay", "--all", "--consult", "c1"], ["dead", "--sequence", "1"]])
def test_wrong_usage_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """
    What to tell again has to be said.
    """
    assert 2 == run(capsys, *arguments)[0]
