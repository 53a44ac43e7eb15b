"""
The key of each consult's documents: made with the first of them, destroyed at the end of the consult. Recordings have
another, in a table of its own, for they are kept longer.

Event loop's thread; functions that are given a connection run on the store's thread. Kept beside the journal, whose
disk it shares, and destroyed as the journal destroys its own (journal/sealing.py): overwritten where it is, then gone
from SQLite's log.
"""

import sqlite3

from telerelay.errors import RemoteProtocolError
from telerelay.journal import Journal
from telerelay.journal.sealing import ERASED, OBJECT_KEYS, new_key

TABLES = OBJECT_KEYS
"""What keys are of."""


class Keyring:
    """The keys of one relay's documents, or, in another of TABLES, recordings. `open` it first."""

    def __init__(self, journal: Journal, table: str = TABLES[0]) -> None:
        assert table in TABLES, "its name is part of what SQLite reads"
        self._journal = journal
        self._table = table
        self._keys: dict[str, bytes] = {}

    async def open(self) -> tuple[str, ...]:
        """Read them; of which consults there are. Raises DiskTrouble."""
        self._keys = await self._journal.store.read(lambda connection: _found(connection, self._table))
        return tuple(self._keys)

    async def key(self, consult: str) -> bytes:
        """
        That consult's, made and durable where there was none. Raises RemoteProtocolError consult_over where it was
        destroyed; what the store raises.
        """
        if (known := self._keys.get(consult)) is not None:
            return known
        key = await self._journal.store.write(lambda connection: _made(connection, self._table, consult))
        if key == ERASED:
            raise RemoteProtocolError("consult_over", "the consult is over, and its documents are destroyed")
        self._keys[consult] = key
        return key

    @property
    def consults(self) -> tuple[str, ...]:
        """Of which there is one."""
        return tuple(self._keys)

    def known(self, consult: str) -> bytes | None:
        """That consult's, if there is one."""
        return self._keys.get(consult)

    async def is_kept(self, consult: str) -> bool:
        """
        Whether there is one still: whoever erases a consult beside a running relay (`telerelay journal erase`) destroys
        it, too, and then it is forgotten here. Raises what the store raises.
        """
        if consult not in self._keys:
            return False
        is_kept = await self._journal.store.read(lambda connection: _is_there(connection, self._table, consult))
        if not is_kept:
            self._keys.pop(consult, None)
        return is_kept

    async def destroy(self, consult: str) -> None:
        """
        Gone: from memory at once, from the file and its log when this is done. Raises what the store raises.
        """
        if self._keys.pop(consult, None) is None:
            return
        await self._journal.store.write(lambda connection: _erase(connection, self._table, consult))
        await self._journal.scrub()


def _found(connection: sqlite3.Connection, table: str) -> dict[str, bytes]:
    if not connection.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]:
        return {}
    rows = connection.execute(f"SELECT consult, key FROM {table} WHERE key != ?", (ERASED,))
    return {str(consult): bytes(key) for consult, key in rows}


def _is_there(connection: sqlite3.Connection, table: str, consult: str) -> bool:
    found = connection.execute(f"SELECT count(*) FROM {table} WHERE consult = ? AND key != ?", (consult, ERASED))
    return bool(found.fetchone()[0])


def _made(connection: sqlite3.Connection, table: str, consult: str) -> bytes:
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {table} ("
        "id INTEGER PRIMARY KEY, consult TEXT NOT NULL UNIQUE, key BLOB NOT NULL) STRICT"
    )
    connection.execute(f"INSERT OR IGNORE INTO {table} (consult, key) VALUES (?, ?)", (consult, new_key()))
    (key,) = connection.execute(f"SELECT key FROM {table} WHERE consult = ?", (consult,)).fetchone()
    return bytes(key)


def _erase(connection: sqlite3.Connection, table: str, consult: str) -> None:
    connection.execute(f"UPDATE {table} SET key = ? WHERE consult = ?", (ERASED, consult))
