"""
The tables of a journal, and the rows that are read from them.

Pure but for the connection given; the store's thread, or that of a command that only looks.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from telerelay.errors import ConfigError
from telerelay.journal import canonical, sealing

OWN = ""
"""The consult under which the journal keeps facts about itself: erasures, damage."""

FINAL_KINDS = frozenset({"attested", "closed", "expertise_answered", "expertise_withdrawn"})
"""Kinds of facts after which a consult, or a request for expertise, has no more; `open_consults` leaves it out."""

VERSION = 1

TABLES = (
    # `pos` is gapless from 1; so is `seq` within a consult. `sealed`: NULL erased, empty none.
    """CREATE TABLE IF NOT EXISTS entries (
        pos INTEGER PRIMARY KEY, consult TEXT NOT NULL, seq INTEGER NOT NULL, at REAL NOT NULL, kind TEXT NOT NULL,
        clear TEXT NOT NULL, sealed BLOB, sealed_hash BLOB NOT NULL, link BLOB NOT NULL, file_link BLOB NOT NULL,
        UNIQUE (consult, seq)) STRICT""",
    # Where each consult's chain has got to. `key`: the row of `keys`.
    """CREATE TABLE IF NOT EXISTS consults (
        id INTEGER PRIMARY KEY, consult TEXT NOT NULL UNIQUE, seq INTEGER NOT NULL, link BLOB NOT NULL,
        last_at REAL NOT NULL, is_open INTEGER NOT NULL, is_erased INTEGER NOT NULL, key INTEGER NOT NULL) STRICT""",
    "CREATE INDEX IF NOT EXISTS consults_open ON consults (consult) WHERE is_open",
    # Rows are appended and overwritten, never deleted: SQLite then moves none, and leaves no copy of a key behind.
    "CREATE TABLE IF NOT EXISTS keys (id INTEGER PRIMARY KEY, key BLOB NOT NULL) STRICT",
    # Where the file's chain has got to, signed with each commit; and now and then, to stay.
    """CREATE TABLE IF NOT EXISTS head (
        id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, file_link BLOB NOT NULL, at REAL NOT NULL, key_id TEXT NOT NULL,
        signature BLOB NOT NULL) STRICT""",
    """CREATE TABLE IF NOT EXISTS anchors (
        pos INTEGER PRIMARY KEY, file_link BLOB NOT NULL, at REAL NOT NULL, key_id TEXT NOT NULL,
        signature BLOB NOT NULL) STRICT""",
)

COLUMNS = "pos, consult, seq, at, kind, clear, sealed, sealed_hash, link, file_link"


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One fact as the journal keeps it. `at` in Unix seconds; `pos` is its place in the file, `seq` in the consult.

    `sealed` is None once the consult is erased. `personal` is what was sealed, None where it cannot be read any more.
    """

    consult: str
    seq: int
    at: float
    kind: str
    clear: Mapping[str, Any]
    sealed: bytes | None = field(repr=False)
    link: bytes = field(repr=False)
    pos: int
    sealed_hash: bytes = field(repr=False)
    personal: Mapping[str, Any] | None = field(repr=False)


def create(connection: sqlite3.Connection) -> None:
    """Make the tables that are not there. Raises ConfigError where a later version made the file."""
    is_ready(connection)
    for statement in TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def is_ready(connection: sqlite3.Connection) -> bool:
    """Whether nothing has to be made. Raises ConfigError as `create` does."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise ConfigError("bad_file", "the journal was made by a later version of telerelay")
    return bool(version == VERSION)


def has_tables(connection: sqlite3.Connection) -> bool:
    """Whether the file is a journal at all."""
    row = connection.execute("SELECT count(*) FROM sqlite_master WHERE name IN ('entries', 'consults', 'keys')")
    return bool(row.fetchone()[0] == 3)


def entries_of(connection: sqlite3.Connection, consult: str, after: int = 0, limit: int = -1) -> tuple[Entry, ...]:
    """A consult's entries in order, from the one after that seq on; their personal parts opened where they can be."""
    row = connection.execute(
        "SELECT keys.key FROM consults JOIN keys ON keys.id = consults.key WHERE consult = ?", (consult,)
    ).fetchone()
    if row is None:
        return ()
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM entries WHERE consult = ? AND seq > ? ORDER BY seq LIMIT ?", (consult, after, limit)
    )
    return tuple(_entry(row[0], each) for each in rows)


def open_consults(connection: sqlite3.Connection, is_wanted: Callable[[str], bool]) -> dict[str, tuple[Entry, ...]]:
    """The entries of each wanted consult that is not closed, those first that were opened first."""
    names = [row[0] for row in connection.execute("SELECT consult FROM consults WHERE is_open ORDER BY id")]
    return {name: entries_of(connection, name) for name in names if is_wanted(name)}


def keys_of_open(connection: sqlite3.Connection) -> dict[str, bytes]:
    """The key of each consult that is not closed, and whose key was not destroyed."""
    query = "SELECT consult, keys.key FROM consults JOIN keys ON keys.id = consults.key WHERE is_open AND NOT is_erased"
    return dict(connection.execute(query).fetchall())


def key_of(connection: sqlite3.Connection, consult: str) -> bytes | None:
    """A consult's key; None where there is none, or it was destroyed."""
    row = connection.execute(
        "SELECT keys.key FROM consults JOIN keys ON keys.id = consults.key WHERE consult = ? AND NOT is_erased",
        (consult,),
    ).fetchone()
    return None if row is None else bytes(row[0])


def all_consults(connection: sqlite3.Connection) -> Iterator[str]:
    """The names of all consults, those first that were opened first; the journal's own is none of them."""
    for (name,) in connection.execute("SELECT consult FROM consults WHERE consult != ? ORDER BY id", (OWN,)):
        yield name


def _entry(key: bytes, row: tuple[Any, ...]) -> Entry:
    pos, consult, seq, at, kind, clear, sealed, sealed_hash, link, _ = row
    personal = None if sealed is None else sealing.unseal(key, sealed, consult=consult, seq=seq, kind=kind)
    return Entry(consult, seq, at, kind, canonical.loads(clear), sealed, link, pos, sealed_hash, personal)
