"""
A disk that is full, read-only, failing or slow stops nobody: facts are held, and written in order when it works again
(F19, F20).

The faults are real ones, made between SQLite and the kernel in a process of its own, and a file system that is full.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.journal import Said
from support.small_disk import mounted
from telerelay.journal import Journal, Verification, store

HERE = Path(__file__).resolve().parent
NONE, WRITES_FAIL, SYNCS_FAIL, SYNCS_SLOW, FULL, READ_ONLY = range(6)
NOW = 1_764_100_000.0


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer that fails, compiled."""
    library = tmp_path_factory.mktemp("faulty") / "faulty.so"
    subprocess.run(["cc", "-std=c11", "-O1", "-shared", "-fPIC", "-o", library, HERE / "faulty.c", "-ldl"], check=True)
    return library


class Appending:
    """A process of appending_on.py on a disk that can be told to fail."""

    def __init__(self, path: Path, faulty: Path) -> None:
        self._control = path.parent / "faulty"
        self._control.write_bytes(b"\0")
        env = {**os.environ, "FAULTY": str(self._control), "LD_PRELOAD": str(faulty)}
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "appending_on.py"), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
        )
        self.acknowledged = 0

    def fail(self, how: int) -> None:
        with self._control.open("r+b") as file:
            file.write(bytes([how]))

    def until(self, wanted: str) -> str:
        """Read lines up to one that begins so; acknowledged facts come in order."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            word, _, rest = line.decode().partition(" ")
            if word == "ack":
                assert int(rest) == self.acknowledged + 1
                self.acknowledged = int(rest)
            if line.decode().startswith(wanted):
                return rest
        raise AssertionError(f"the process ended before it said {wanted}")

    def end(self) -> tuple[int, int]:
        """How many it appended, and how late its loop ran, ms."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        appended, latest_ms = self.until("end").split()
        self.process.wait()
        return int(appended), int(latest_ms)


@pytest.fixture
def appending(tmp_path: Path, faulty: Path) -> Iterator[Appending]:
    process = Appending(tmp_path / "journal.db", faulty)
    yield process
    process.process.kill()
    process.process.wait()


async def numbers(path: Path) -> list[int]:
    """What the journal has; its chains hold."""
    journal = await Journal.of_file(str(path), lambda: NOW)
    assert journal.damage is None
    verdict = await journal.store.read(lambda connection: Verification(connection).whole())
    assert [] == verdict.problems
    entries = await journal.read("c")
    await journal.store.close()
    return [each.clear["n"] for each in entries]


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(WRITES_FAIL, id="writes fail"),
        pytest.param(SYNCS_FAIL, id="syncs fail"),
        pytest.param(FULL, id="full"),
        pytest.param(READ_ONLY, id="read-only"),
        pytest.param(SYNCS_SLOW, id="syncs are slow", marks=pytest.mark.slow),
    ],
)
def test_facts_are_held_while_the_disk_fails_and_written_in_order_after(
    tmp_path: Path, appending: Appending, how: int
) -> None:
    """
    The alarm comes and goes, nothing is acknowledged that is not durable, nothing is lost, nothing is there twice, and
    the event loop never waits for the disk.
    """
    appending.until("ack 50")
    appending.fail(how)
    appending.until("alarm 0")
    time.sleep(0.0 if how == SYNCS_SLOW else 0.5)
    appending.fail(NONE)
    appending.until("alarm 1")
    appending.until(f"ack {appending.acknowledged + 50}")
    appended, latest_ms = appending.end()

    assert list(range(1, appended + 1)) == asyncio.run(numbers(tmp_path / "journal.db"))
    assert appending.acknowledged == appended
    assert latest_ms < 500


@pytest.mark.parametrize("how", [WRITES_FAIL, SYNCS_FAIL])
def test_what_was_acknowledged_before_a_fault_outlives_a_kill_within_it(
    tmp_path: Path, appending: Appending, how: int
) -> None:
    """
    Nothing that was printed is missing, and nothing was printed while the disk failed.
    """
    appending.until("ack 50")
    appending.fail(how)
    appending.until("alarm 0")
    before = appending.acknowledged
    time.sleep(0.3)
    appending.process.kill()
    with pytest.raises(AssertionError, match="ended"):
        appending.until("end")
    found = asyncio.run(numbers(tmp_path / "journal.db"))

    # What was under way when the disk began to fail may still have been told.
    assert appending.acknowledged - before < 100
    assert list(range(1, len(found) + 1)) == found
    assert appending.acknowledged <= len(found)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    with mounted(tmp_path / "small", "4m") as folder:
        yield folder


@pytest.mark.may_skip
@pytest.mark.parametrize("events", [3000, pytest.param(100_000, marks=pytest.mark.slow)])
async def test_a_hundred_thousand_facts_wait_for_a_full_disk(
    small_disk: Path, events: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    All are taken at once, none is acknowledged; when there is room they are written in order.
    """
    monkeypatch.setattr(store, "SLOW_S", 60.0)  # the alarm is the full disk's alone, however slow this machine is
    path = small_disk / "journal.db"
    journal = await Journal.of_file(str(path), lambda: NOW)
    alarms: list[bool] = []
    journal.store.on_alarm = alarms.append
    first = await journal.append("c", [Said(clear={"n": 0})])
    filler = small_disk / "filler"
    fill(filler)
    futures = []
    for number in range(1, events + 1):
        futures.append(journal.append("c", [Said(clear={"n": number})]))
        if number % 500 == 0:
            await asyncio.sleep(0)
    await until(lambda: not journal.store.is_durable)
    held = journal.store.held
    # What went into the room that was left is done; then nothing.
    assert 0 < held <= events
    assert (events - held, [False]) == (sum(future.done() for future in futures), alarms)
    filler.unlink()
    enlarge(small_disk)
    entries = [each for future in futures for each in await future]

    assert [1] == [each.seq for each in first]
    assert list(range(1, events + 1)) == [each.clear["n"] for each in entries]
    assert list(range(2, events + 2)) == [each.seq for each in entries]
    assert (True, [False, True]) == (journal.store.is_durable, alarms)
    await journal.store.close()


@pytest.mark.may_skip
async def test_a_relay_starts_on_a_full_disk_and_reads_what_is_there(small_disk: Path) -> None:
    """
    A process that was killed while the disk was full is followed by one that goes on holding.
    """
    path = small_disk / "journal.db"
    append_until_full(path, small_disk / "filler")
    journal = await Journal.of_file(str(path), lambda: NOW)
    before = await journal.read("c0")
    appended = journal.append("c0", [Said(clear={"n": 9}, personal={"note": "x" * 100_000})])
    await until(lambda: not journal.store.is_durable)
    assert not appended.done()
    (small_disk / "filler").unlink()
    entry = (await appended)[0]

    assert len(before) + 1 == entry.seq
    await journal.store.close()


def enlarge(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)


def append_until_full(path: Path, filler: Path) -> None:
    """A process is killed that appends while there is no room."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "appending.py"), str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        fill(filler)
        process.kill()


def fill(filler: Path) -> None:
    """Take all the room there is."""
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20.0):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
