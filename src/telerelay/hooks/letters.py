"""
What the outbox remembers in the journal's file: how far each consult was told, and the letters that never arrived.

Blocking SQL on a connection that is handed in: the store's thread, or a command's. Each function may run twice with the
same outcome, as the store asks. Nothing personal is kept: a letter names a fact, and is made from the journal again.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

_TABLES = """
CREATE TABLE IF NOT EXISTS hook_consumers (
  consumer TEXT NOT NULL PRIMARY KEY,
  since_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hook_cursors (
  consumer TEXT NOT NULL,
  consult TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  failing_since REAL,
  PRIMARY KEY (consumer, consult)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hook_letters (
  consumer TEXT NOT NULL,
  consult TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  kind TEXT NOT NULL,
  why TEXT NOT NULL,
  status INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  first_at REAL NOT NULL,
  dead_at REAL NOT NULL,
  is_queued INTEGER NOT NULL,
  PRIMARY KEY (consumer, consult, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS hook_letters_queued ON hook_letters (consumer, consult) WHERE is_queued = 1;
"""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last fact of a consult that was told, or given up; `failing_since` (Unix seconds): the next one fails."""

    consult: str
    sequence: int
    failing_since: float | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """
    A fact that was given up. `why` it failed at last, with the HTTP `status` or 0; tried from `first_at` on, dead at
    `dead_at` (Unix seconds). A queued one is told once more by the relay.
    """

    consumer: str
    consult: str
    sequence: int
    kind: str
    why: str
    status: int
    attempts: int
    first_at: float
    dead_at: float
    is_queued: bool = False

    @property
    def key(self) -> str:
        """As the fact was told."""
        return f"{self.consult}:{self.sequence}"


def make_tables(connection: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        connection.execute(statement)


# -------------------------------------------------------------------- how far


def is_known(connection: sqlite3.Connection, consumer: str) -> bool:
    row = connection.execute("SELECT 1 FROM hook_consumers WHERE consumer = ?", (consumer,)).fetchone()
    return row is not None


def begin(connection: sqlite3.Connection, consumer: str, at: float, heads: Iterable[tuple[str, int]]) -> None:
    """A consumer that is new is told what comes from now on: `heads` are all consults and their last facts."""
    connection.execute("INSERT OR IGNORE INTO hook_consumers VALUES (?, ?)", (consumer, at))
    connection.executemany(
        "INSERT OR IGNORE INTO hook_cursors VALUES (?, ?, ?, NULL)",
        [(consumer, consult, sequence) for consult, sequence in heads],
    )


def cursor(connection: sqlite3.Connection, consumer: str, consult: str) -> Cursor:
    """Where that consult is; before its first fact if nothing of it was told."""
    row = connection.execute(
        "SELECT sequence, failing_since FROM hook_cursors WHERE consumer = ? AND consult = ?", (consumer, consult)
    ).fetchone()
    return Cursor(consult, *row) if row else Cursor(consult, 0)


def move(connection: sqlite3.Connection, consumer: str, cursor: Cursor) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO hook_cursors VALUES (?, ?, ?, ?)",
        (consumer, cursor.consult, cursor.sequence, cursor.failing_since),
    )


# -------------------------------------------------------------------- dead letters


def put(connection: sqlite3.Connection, letter: Letter) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO hook_letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            letter.consumer,
            letter.consult,
            letter.sequence,
            letter.kind,
            letter.why,
            letter.status,
            letter.attempts,
            letter.first_at,
            letter.dead_at,
            int(letter.is_queued),
        ),
    )


def delete(connection: sqlite3.Connection, letter: Letter) -> None:
    connection.execute(
        "DELETE FROM hook_letters WHERE consumer = ? AND consult = ? AND sequence = ?",
        (letter.consumer, letter.consult, letter.sequence),
    )


def put_back(connection: sqlite3.Connection, letter: Letter) -> None:
    """It failed again: it stays dead, and so do those of its consult that were to be told after it."""
    put(connection, letter)
    connection.execute(
        "UPDATE hook_letters SET is_queued = 0 WHERE consumer = ? AND consult = ? AND is_queued = 1",
        (letter.consumer, letter.consult),
    )


def letters(connection: sqlite3.Connection, *, consult: str = "", limit: int = -1) -> list[Letter]:
    """Dead letters in the order of facts, of all consults or of one; -1: all."""
    rows = connection.execute(
        "SELECT * FROM hook_letters WHERE ?1 = '' OR consult = ?1 ORDER BY consumer, consult, sequence LIMIT ?2",
        (consult, limit),
    )
    return [_letter(row) for row in rows]


def count(connection: sqlite3.Connection, consumer: str) -> int:
    found: int = connection.execute("SELECT COUNT(*) FROM hook_letters WHERE consumer = ?", (consumer,)).fetchone()[0]
    return found


def queue(connection: sqlite3.Connection, *, consult: str = "", sequence: int = 0) -> int:
    """Have letters told again: all, those of one consult, or one. How many were not queued before."""
    return connection.execute(
        "UPDATE hook_letters SET is_queued = 1"
        " WHERE is_queued = 0 AND (?1 = '' OR consult = ?1) AND (?2 = 0 OR sequence = ?2)",
        (consult, sequence),
    ).rowcount


def queued(connection: sqlite3.Connection, consumer: str, consult: str = "") -> list[Letter]:
    """Letters that are to be told again, in order."""
    rows = connection.execute(
        "SELECT * FROM hook_letters WHERE consumer = ?1 AND is_queued = 1 AND (?2 = '' OR consult = ?2)"
        " ORDER BY consult, sequence",
        (consumer, consult),
    )
    return [_letter(row) for row in rows]


def has_tables(connection: sqlite3.Connection) -> bool:
    """Whether a relay with hooks ever had this file."""
    row = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'hook_letters'").fetchone()
    return row is not None


def _letter(row: tuple[str, str, int, str, str, int, int, float, float, int]) -> Letter:
    return Letter(*row[:9], is_queued=bool(row[9]))
