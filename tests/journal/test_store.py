"""
The store acknowledges what is on the disk, in order, and holds what is not.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from telerelay.errors import ConfigError, TelerelayError
from telerelay.journal import Store


def make_table(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, word TEXT UNIQUE) STRICT")


def put(word: str):
    def work(connection: sqlite3.Connection) -> int:
        return connection.execute("INSERT INTO t (word) VALUES (?)", (word,)).lastrowid or 0

    return work


def words(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT word FROM t ORDER BY n")]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(str(tmp_path / "journal.db"))
    await store.write(make_table)
    yield store
    await store.close()


async def test_what_is_acknowledged_is_there_after_opening_again(tmp_path: Path) -> None:
    """
    A write that was awaited is in the file, which only its owner may read.
    """
    path = tmp_path / "journal.db"
    store = await Store.open(str(path))
    await store.write(make_table)
    number = await store.write(put("a"))
    await store.close()
    again = await Store.open(str(path))

    assert (1, ["a"]) == (number, await again.read(words))
    assert 0o600 == path.stat().st_mode & 0o777
    await again.close()


async def test_writes_are_made_in_the_order_of_the_calls_and_several_share_a_commit(store: Store) -> None:
    """
    Five hundred writes that nobody awaits in between take far fewer commits, and keep their order.
    """
    before = store.stats().commits
    futures = [store.write(put(str(each))) for each in range(500)]
    await asyncio.gather(*futures)

    assert [str(each) for each in range(500)] == await store.read(words)
    assert store.stats().commits - before < 50
    assert (0, True) == (store.held, store.is_durable)


async def test_a_write_that_raises_undoes_itself_alone(store: Store) -> None:
    """
    Of three in one batch the middle one breaks a rule of the table; the others are durable.
    """
    first, second, third = store.write(put("a")), store.write(put("a")), store.write(put("b"))

    assert (1, 2) == (await first, await third)
    with pytest.raises(sqlite3.IntegrityError):
        await second
    assert ["a", "b"] == await store.read(words)


async def test_a_read_that_raises_tells_whoever_asked(store: Store) -> None:
    """
    An error of the caller's own is no trouble of the disk.
    """

    def work(connection: sqlite3.Connection) -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await store.read(work)
    assert store.is_durable


async def test_a_later_owner_takes_the_file_and_the_earlier_one_writes_no_more(store: Store, tmp_path: Path) -> None:
    """
    A process that was stopped and comes back after its successor has opened the journal writes nothing.
    """
    successor = await Store.open(str(tmp_path / "journal.db"))
    await successor.write(put("successor"))

    with pytest.raises(TelerelayError) as caught:
        await store.write(put("late"))
    assert "journal_taken" == caught.value.code
    assert ["successor"] == await successor.read(words)
    await successor.close()


async def test_a_guest_writes_beside_the_owner(store: Store, tmp_path: Path) -> None:
    """
    A command that works on the file of a running relay takes nothing over.
    """
    guest = await Store.open(str(tmp_path / "journal.db"), is_owner=False)
    await guest.write(put("guest"))
    await store.write(put("owner"))

    assert ["guest", "owner"] == await store.read(words)
    await guest.close()


async def test_more_than_may_wait_is_refused_by_name(tmp_path: Path) -> None:
    """
    The bound is of the memory; what was taken before it is not hurt.
    """
    store = await Store.open(str(tmp_path / "journal.db"), held_most=3)
    await store.write(make_table)
    futures = [store.write(put(str(each))) for each in range(4)]

    with pytest.raises(TelerelayError) as caught:
        await futures[3]
    assert "journal_full" == caught.value.code
    assert [1, 2, 3] == [await each for each in futures[:3]]
    await store.close()


async def test_a_store_without_a_path_is_in_memory() -> None:
    """
    The same face, for a relay that keeps nothing.
    """
    store = await Store.open("")
    await store.write(make_table)
    await store.write(put("a"))

    assert ["a"] == await store.read(words)
    await store.close()


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    """
    What was given before the end is written; what comes after it is refused.
    """
    store = await Store.open(str(tmp_path / "journal.db"))
    given = store.write(make_table)
    await store.close()

    assert (True, None) == (given.done(), given.exception())
    with pytest.raises(TelerelayError) as caught:
        await store.write(put("a"))
    assert "journal_closed" == caught.value.code


@pytest.mark.parametrize("what", ["folder", "missing"])
async def test_a_path_that_is_no_file_is_an_error_of_the_configuration(tmp_path: Path, what: str) -> None:
    """
    A relay that was told to keep a journal and cannot does not start.
    """
    path = tmp_path if what == "folder" else tmp_path / "nowhere" / "journal.db"

    with pytest.raises(ConfigError) as caught:
        await Store.open(str(path))
    assert "bad_file" == caught.value.code
