"""
A torn or damaged journal keeps no relay from starting: it is set aside, and what is good of it goes on (F37).
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from support.journal import Said
from telerelay.attest import SigningKey, TrustedKeys
from telerelay.journal import Journal, Verification

NOW = 1_764_100_000.0
KEY = SigningKey.new()
START_S = 5.0
"""Of a processor: others may use it, too."""


async def write(path: Path, consults: int, entries: int) -> None:
    journal = await Journal.of_file(str(path), lambda: NOW, KEY)
    await journal.store.write(make_others)
    for at in range(entries):
        for each in range(consults):
            kind = "closed" if at == entries - 1 and each % 2 else "noted"
            journal.append(f"c{each}", [Said(NOW + at, kind, {"n": at}, {"note": f"note {each} {at} " * 4})])
    await journal.erase("c1")
    await journal.store.close()


def make_others(connection: sqlite3.Connection) -> None:
    """What another part keeps in the same file."""
    connection.execute("CREATE TABLE cursors (consult TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT")
    connection.execute("CREATE INDEX cursors_seq ON cursors (seq)")
    connection.executemany("INSERT INTO cursors VALUES (?, ?)", [(f"c{each}", each) for each in range(40)])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of forty consults with twelve entries each, half of them closed, one erased."""
    path = tmp_path_factory.mktemp("written") / "journal.db"
    asyncio.run(write(path, 40, 12))
    return path


@pytest.fixture(scope="module")
def data(written: Path) -> bytes:
    return written.read_bytes()


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def has_bytes(path: Path, data: bytes) -> bool:
    return path.read_bytes() == data


def roots_of(path: Path) -> set[int]:
    """The pages all else hangs on: the list of tables, and the root of the entries; from 0."""
    connection = sqlite3.connect(path)
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'entries'").fetchone()[0]
    connection.close()
    return {0, root - 1}


async def start(path: Path) -> tuple[Journal, float]:
    begun_s = time.process_time()
    journal = await Journal.of_file(str(path), lambda: NOW, KEY)
    await journal.open_consults()
    return journal, time.process_time() - begun_s


async def check(path: Path, before: dict[str, int]) -> tuple[dict[str, int], Journal]:
    """Start; what is there is good, goes on, and is a beginning of what was. How many entries each consult has."""
    journal, took_s = await start(path)
    assert took_s < START_S
    kept = {}
    for name, count in before.items():
        entries = await journal.read(name)
        kept[name] = len(entries)
        assert list(range(1, len(entries) + 1)) == [each.seq for each in entries]
        assert len(entries) <= count
    await journal.append("c0", [Said()])
    verdict = await journal.store.read(lambda connection: Verification(connection, TrustedKeys([KEY.public])).whole())
    assert [] == verdict.problems
    return kept, journal


BEFORE = {f"c{each}": 12 for each in range(40)}


def damaged(path: Path, data: bytes) -> None:
    for each in path.parent.glob(path.name + "*"):
        each.unlink()
    path.write_bytes(data)


async def test_a_good_journal_is_left_as_it_is(written: Path, tmp_path: Path) -> None:
    """
    Nothing is set aside, nothing is said.
    """
    path = tmp_path / "journal.db"
    shutil.copyfile(written, path)
    kept, journal = await check(path, BEFORE)

    assert (BEFORE, None) == (kept, journal.damage)
    await journal.store.close()
    assert ["journal.db"] == names_in(tmp_path)


@pytest.mark.parametrize("pages", [slice(0, None, 12), pytest.param(slice(0, None), marks=pytest.mark.slow)])
async def test_each_page_may_be_noise(written: Path, data: bytes, tmp_path: Path, pages: slice) -> None:
    """
    Whichever page is lost: a start takes less than five seconds, the damaged file is kept as it was, most entries are
    carried over but where a root is lost on which all hang, and a second start finds nothing wrong.
    """
    path = tmp_path / "journal.db"
    dice = random.Random(1)
    roots = roots_of(written)
    for page in range(len(data) // 4096)[pages]:
        torn = data[: page * 4096] + dice.randbytes(4096) + data[(page + 1) * 4096 :]
        damaged(path, torn)
        kept, journal = await check(path, BEFORE)
        await journal.store.close()
        if journal.damage is not None:
            aside = tmp_path / journal.damage.file
            assert has_bytes(aside, torn), page
            own = [each.kind for each in await read_own(path)]
            assert "salvaged" in own
            assert journal.damage.kept == sum(kept.values())
        assert page in roots or sum(kept.values()) > 0.5 * sum(BEFORE.values()), (page, journal.damage)
        again, _ = await start(path)
        assert again.damage is None, page
        await again.store.close()


async def read_own(path: Path) -> tuple[object, ...]:
    journal = await Journal.of_file(str(path), lambda: NOW, KEY)
    entries = await journal.read("")
    await journal.store.close()
    return entries


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
async def test_a_file_may_end_anywhere(data: bytes, tmp_path: Path, share: float) -> None:
    """
    As after a copy that was broken off.
    """
    path = tmp_path / "journal.db"
    damaged(path, data[: int(len(data) * share)])
    _, journal = await check(path, BEFORE)

    assert journal.damage is not None
    await journal.store.close()


@pytest.mark.parametrize("flips", [8, pytest.param(100, marks=pytest.mark.slow)])
async def test_single_bits_that_flip_are_found_in_the_latest_entries(data: bytes, tmp_path: Path, flips: int) -> None:
    """
    SQLite does not notice most of them; the chain does. No start says that all is well and reads something else.
    """
    path = tmp_path / "journal.db"
    dice = random.Random(2)
    for _ in range(flips):
        at = dice.randrange(len(data))
        flipped = bytearray(data)
        flipped[at] ^= 1 << dice.randrange(8)
        damaged(path, bytes(flipped))
        journal, _ = await start(path)
        verdict = await journal.store.read(lambda connection: Verification(connection).whole())
        # Keys and the rows of consults are not looked at in a start: `telerelay journal verify` does.
        assert [] == [each for each in verdict.problems if each.what not in ("key", "key_kept", "head")]
        await journal.store.close()


async def test_what_others_keep_in_the_file_is_carried_over(written: Path, tmp_path: Path) -> None:
    """
    Cursors of hooks, for one.
    """
    path = tmp_path / "journal.db"
    shutil.copyfile(written, path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE entries SET clear = '{}' WHERE pos = 400")
    connection.close()
    kept, journal = await check(path, BEFORE)

    def count(connection: sqlite3.Connection) -> tuple[int, int]:
        return connection.execute("SELECT count(*), sum(seq) FROM cursors").fetchone()

    assert (40, sum(range(40))) == await journal.store.read(count)
    assert journal.damage is not None
    assert ("changed", 400, 3, 0) == (journal.damage.what, journal.damage.pos, journal.damage.lost, journal.damage.left)
    assert {"c39": 9} == {name: count for name, count in kept.items() if count != 12}
    await journal.store.close()


async def test_personal_parts_are_still_sealed_and_still_open(written: Path, tmp_path: Path) -> None:
    """
    Carried over, an erased consult stays erased and the others can be read.
    """
    path = tmp_path / "journal.db"
    shutil.copyfile(written, path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE entries SET sealed = x'00' WHERE consult = 'c2' AND seq = 3")
    connection.close()
    _, journal = await check(path, BEFORE)

    assert [None] * 12 == [each.personal for each in await journal.read("c1")]
    assert [3] == [each.seq for each in await journal.read("c2") if each.personal is None]
    assert ["note 3 0 " * 4] == [(each.personal or {})["note"] for each in (await journal.read("c3"))[:1]]
    await journal.store.close()


async def test_a_start_that_was_killed_between_two_renames_is_gone_on_with(written: Path, tmp_path: Path) -> None:
    """
    The new file is there under its passing name, the damaged one is away already.
    """
    path = tmp_path / "journal.db"
    shutil.copyfile(written, tmp_path / "journal.db.mending")
    shutil.copyfile(written, tmp_path / "journal.db.damaged-1")
    kept, journal = await check(path, BEFORE)

    assert BEFORE == kept
    await journal.store.close()


@pytest.mark.slow
async def test_a_large_damaged_journal_starts_as_fast(tmp_path: Path) -> None:
    """
    Of two hundred thousand entries the latest are carried over, all of open consults among them; the rest is left.
    """
    path = tmp_path / "journal.db"
    journal = await Journal.of_file(str(path), lambda: NOW, KEY)
    await journal.append("open", [Said()])
    for each in range(0, 10_000, 500):
        facts = [Said(NOW, "noted", {"n": n, "sub": "p"}, {"note": "x" * 100}) for n in range(19)]
        facts.append(Said(NOW, "closed", {}))
        await asyncio.gather(*(journal.append(f"c{each + n}", facts) for n in range(500)))
    await journal.store.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE entries SET clear = '{}' WHERE pos = 199000")
    connection.close()
    journal, took_s = await start(path)

    assert took_s < START_S
    assert journal.damage is not None
    # And the one that lost its end.
    assert ["open", "c9949"] == list(await journal.open_consults())
    assert journal.damage.kept > 50_000
    assert 200_001 == journal.damage.kept + journal.damage.lost + journal.damage.left
    print(f"{took_s:.2f} s", journal.damage)
    await journal.store.close()
