"""
A process that is killed loses nothing that it had acknowledged (F38, in part: a kill; a power cut is another test).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

from telerelay.journal import Journal, Verification

KILLS_OF_ONE = 25
"""Of one file: its consults never end, and all of it is read after each."""

APPENDING = Path(__file__).with_name("appending.py")


def append_until_killed(path: Path, after_s: float) -> bytes:
    """What was printed; `after_s` from the first line on."""
    with subprocess.Popen([sys.executable, str(APPENDING), str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = process.stdout.readline()
        time.sleep(after_s)
        os.kill(process.pid, signal.SIGKILL)
        return lines + process.stdout.read()


async def killed_and_read(path: Path, dice: random.Random, acknowledged: dict[str, int]) -> dict[str, int]:
    """Append for a random while, kill, and read: how many entries each consult has."""
    lines = await asyncio.to_thread(append_until_killed, path, dice.uniform(0.0, 0.08))
    for line in lines.decode().splitlines(keepends=True):
        if line.endswith("\n"):
            consult, seq = line.split()
            assert acknowledged[consult] < int(seq)
            acknowledged[consult] = int(seq)
    journal = await Journal.of_file(str(path), time.time)
    assert journal.damage is None
    opened = await journal.open_consults()
    verdict = await journal.store.read(lambda connection: Verification(connection).whole())
    assert [] == verdict.problems
    await journal.store.close()
    for entries in opened.values():
        assert list(range(1, len(entries) + 1)) == [each.seq for each in entries]
    return {consult: len(entries) for consult, entries in opened.items()}


@pytest.mark.parametrize(
    "kills",
    [
        3,
        pytest.param(20, marks=pytest.mark.slow),
        pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
    ],
)
async def test_a_process_killed_at_any_moment_has_lost_nothing_acknowledged(tmp_path: Path, kills: int) -> None:
    """
    Every number that was printed is there, numbers are gapless, the chains hold, and the next process goes on.
    """
    dice = random.Random(kills)
    for number in range(kills):
        if number % KILLS_OF_ONE == 0:
            acknowledged: dict[str, int] = defaultdict(int)
        path = tmp_path / f"journal-{number // KILLS_OF_ONE}.db"
        there = await killed_and_read(path, dice, acknowledged)
        assert {} == {consult: seq for consult, seq in acknowledged.items() if there.get(consult, 0) < seq}
        assert sum(acknowledged.values()) > number % KILLS_OF_ONE


def test_what_appends_is_what_the_journal_reads(tmp_path: Path) -> None:
    """
    The process of this test writes a journal, so that a test that finds nothing lost cannot have looked elsewhere.
    """
    path = tmp_path / "journal.db"
    with subprocess.Popen([sys.executable, str(APPENDING), str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(20):
            process.stdout.readline()
        process.kill()
    connection = sqlite3.connect(path)

    assert 20 <= connection.execute("SELECT count(*) FROM entries").fetchone()[0]
    connection.close()
