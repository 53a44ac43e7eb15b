"""
A power cut loses what was written and not synced, in whatever part; nothing of it had been acknowledged (F38).

A process appends while every write, sync and truncation of its files is recorded. Then the disk as it may have been at
a moment is put together again and again: all that was synced by then, and of the rest any part, a torn page included.
"""

from __future__ import annotations

import asyncio
import os
import random
import struct
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from telerelay.journal import Journal, Verification

HERE = Path(__file__).resolve().parent
ENTRY = struct.Struct("=cc6xqq")
SUFFIXES = {b"d": "", b"w": "-wal"}
SECTOR_BYTES = 512
ACKNOWLEDGED = 2500


@dataclass(frozen=True)
class Call:
    word: bytes
    file: bytes
    at: int
    data: bytes


@dataclass
class Disk:
    """One file: what is surely there, and the writes since its last sync, of which any may be."""

    sure: bytearray = field(default_factory=bytearray)
    unsure: list[Call] = field(default_factory=list)

    def sync(self) -> None:
        for call in self.unsure:
            put(self.sure, call)
        self.unsure.clear()

    def after_a_cut(self, dice: random.Random) -> bytes:
        """Each unsynced write is there, or not, or is there in some of its sectors; whatever came last is on top."""
        content = bytearray(self.sure)
        for call in self.unsure:
            chance = dice.random()
            if chance < 0.4:
                put(content, call)
            elif chance < 0.6 and call.word == b"W":
                for at in range(0, len(call.data), SECTOR_BYTES):
                    if dice.random() < 0.5:
                        put(content, Call(b"W", call.file, call.at + at, call.data[at : at + SECTOR_BYTES]))
        return bytes(content)


def put(content: bytearray, call: Call) -> None:
    if call.word == b"T":
        del content[call.at :]
        content.extend(bytes(call.at - len(content)))
        return
    content.extend(bytes(max(0, call.at + len(call.data) - len(content))))
    content[call.at : call.at + len(call.data)] = call.data


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    """What a process did that appended over several of SQLite's checkpoints."""
    folder = tmp_path_factory.mktemp("recorded")
    subprocess.run(
        ["cc", "-std=c11", "-O1", "-shared", "-fPIC", "-o", folder / "recorder.so", HERE / "recorder.c", "-ldl"],
        check=True,
    )
    env = {**os.environ, "LD_PRELOAD": str(folder / "recorder.so"), "RECORD": str(folder / "record")}
    command = [sys.executable, str(HERE / "appending.py"), str(folder / "journal.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        for _ in range(ACKNOWLEDGED):
            process.stdout.readline()
        process.kill()
        process.stdout.read()
    data, at, found = (folder / "record").read_bytes(), 0, []
    while at + ENTRY.size <= len(data):
        word, file, offset, size = ENTRY.unpack_from(data, at)
        at += ENTRY.size
        found.append(Call(word, file, offset, data[at : at + size]))
        at += size
    return found


async def read(path: Path) -> dict[str, int]:
    """How many entries each consult has; raises AssertionError for what a cut may not do."""
    journal = await Journal.of_file(str(path), lambda: 0.0)
    try:
        # A cut is no damage: SQLite's log tells by itself where it ends.
        assert journal.damage is None
        verdict = await journal.store.read(lambda connection: Verification(connection).whole())
        assert [] == verdict.problems
        return {name: len(entries) for name, entries in (await journal.open_consults()).items()}
    finally:
        await journal.store.close()


def losses(path: Path, calls: list[Call], cuts: int, *, has_syncs: bool = True) -> list[str]:
    """What was wrong after cuts at so many moments of their own."""
    dice = random.Random(cuts)
    moments = set(dice.sample(range(len(calls) // 10, len(calls)), cuts))
    disks: defaultdict[bytes, Disk] = defaultdict(Disk)
    acknowledged: dict[str, int] = {}
    found = []
    for number, call in enumerate(calls):
        match call.word:
            case b"A":
                for line in call.data.decode().splitlines():
                    consult, seq = line.split()
                    acknowledged[consult] = int(seq)
            case b"S" if has_syncs:
                disks[call.file].sync()
            case b"U":
                disks.pop(call.file, None)
            case b"W" | b"T":
                disks[call.file].unsure.append(call)
        if number in moments:
            for each in path.parent.glob(f"{path.name}*"):
                each.unlink()
            for file, disk in disks.items():
                Path(f"{path}{SUFFIXES[file]}").write_bytes(disk.after_a_cut(dice))
            try:
                there = asyncio.run(read(path))
            except AssertionError as error:
                found.append(f"{number}: {error}")
            else:
                found += [f"{number}: {each}" for each, seq in acknowledged.items() if there.get(each, 0) < seq]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("cuts", [40, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(3000)])])
def test_a_power_cut_at_any_moment_has_lost_nothing_acknowledged(tmp_path: Path, calls: list[Call], cuts: int) -> None:
    """
    A thousand disks (`make soak`; forty otherwise), each as after a cut at a moment of its own.
    """
    assert [] == losses(tmp_path / "journal.db", calls, cuts)
    # It was long enough for SQLite to bring its log into the file more than once.
    assert sum(call.word == b"S" and call.file == b"d" for call in calls) >= 3
    assert sum(call.word == b"A" for call in calls) >= ACKNOWLEDGED


@pytest.mark.slow
def test_on_a_disk_that_does_not_sync_something_is_lost(tmp_path: Path, calls: list[Call]) -> None:
    """
    The same way of looking finds losses where there must be some.
    """
    assert [] != losses(tmp_path / "journal.db", calls, 3, has_syncs=False)
