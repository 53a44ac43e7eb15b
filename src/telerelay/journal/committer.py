"""
The connection to the journal's SQLite file: batches committed whole, a failing disk told from a wrong call.

Blocking; the store's thread alone. Nothing here waits or retries: `Store` does.
"""

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telerelay.errors import ConfigError, TelerelayError

Work = Callable[[sqlite3.Connection], Any]

BUSY_S = 2.0
"""For another process that writes (`telerelay hooks replay`) to be done; longer than any of its transactions."""

TROUBLES = {
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_IOERR: "io",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_CANTOPEN: "cannot_open",
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_PROTOCOL: "busy",
    sqlite3.SQLITE_NOMEM: "no_memory",
    sqlite3.SQLITE_CORRUPT: "corrupt",
    sqlite3.SQLITE_NOTADB: "corrupt",
}
"""Errors that are the file's or the disk's, not the call's, by SQLite's primary result code."""

_SPOKEN = {
    "full": "its disk is full",
    "io": "its disk fails, or has no room",
    "read_only": "it, or its disk, may only be read",
    "cannot_open": "it cannot be opened as a file",
    "busy": "another process uses it",
    "no_memory": "there is no memory",
    "corrupt": "it is damaged",
}

_REOPENED_FOR = ("read_only", "cannot_open", "io", "corrupt")
"""After these a connection may stay as it is for ever, as one that was opened on a read-only disk does."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a piece of work returned, or raised."""

    value: Any = None
    error: BaseException | None = None


class DiskTrouble(TelerelayError):
    """Nothing was written; the same may work later. `code` is a word of TROUBLES, `taken` or `internal`."""


def trouble_of(error: BaseException) -> str | None:
    """The word for an error of the file or the disk; None for any other."""
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else TROUBLES.get(code & 0xFF)


class Committer:
    """
    One file, "" one in memory. An owner is the one relay that writes it: who opens it later takes it over, and what
    the one before had not committed it will not commit.
    """

    def __init__(self, path: str, *, is_owner: bool) -> None:
        self._path = path
        self._is_owner = is_owner
        self._owner = secrets.token_hex(8)
        self._batch = 0
        self._is_claimed = not is_owner
        self._connection: sqlite3.Connection | None = None
        self._unsure: list[Outcome] | None = None

    # ------------------------------------------------------------------ opening

    def open(self) -> str:
        """
        The first connection; the file is made if need be, for its owner alone. Raises ConfigError.

        The word for what keeps an owner from taking over a journal that can be read: then the first commit does.
        """
        try:
            is_new = bool(self._path) and self._make_file()
            connection = self._connect()
        except OSError as error:
            raise self._unopened(error.strerror or "") from None
        except sqlite3.Error as error:
            raise self._unopened(_spoken(trouble_of(error) or "io")) from None
        if not self._is_owner:
            return ""
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._claim(connection)
            connection.execute("COMMIT")
            # What the process before had written and could not sync is durable before anybody reads it.
            self._settle(connection)
        except DiskTrouble as trouble:
            return trouble.code
        except sqlite3.Error as error:
            word = self._trouble(error).code
            if is_new or word == "corrupt":
                self.close()
                raise self._unopened(_spoken(word)) from None
            return word
        self._is_claimed = True
        return ""

    def _unopened(self, why: str) -> ConfigError:
        return ConfigError("bad_file", f"cannot open the journal {self._path}: {why}")

    def _claim(self, connection: sqlite3.Connection) -> None:
        self._batch = 1
        connection.execute(
            "CREATE TABLE IF NOT EXISTS store (id INTEGER PRIMARY KEY, owner TEXT NOT NULL,"
            " batch INTEGER NOT NULL) STRICT"
        )
        connection.execute("INSERT OR REPLACE INTO store VALUES (1, ?, ?)", (self._owner, self._batch))

    def _make_file(self) -> bool:
        """Whether it was not there."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return False
        os.close(descriptor)
        folder = os.open(Path(self._path).resolve().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return True

    def _connect(self) -> sqlite3.Connection:
        self.close()
        # Named `rw`: a file that somebody took away is trouble, not a new empty journal.
        name = f"file:{_quoted(self._path)}?mode=rw" if self._path else ":memory:"
        connection = sqlite3.connect(name, uri=True, isolation_level=None, timeout=BUSY_S)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # FULL: a commit returns when the log is on the disk, not when it is on its way there.
            connection.execute("PRAGMA synchronous = FULL")
            # What is erased is overwritten, not only forgotten.
            connection.execute("PRAGMA secure_delete = ON")
        except sqlite3.Error:
            connection.close()
            raise
        self._connection = connection
        return connection

    def close(self) -> None:
        """Let go of the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    # ------------------------------------------------------------------ work

    def commit(self, works: Sequence[Work], last: Work) -> list[Outcome]:
        """
        Run them in order in one transaction, then `last`; each may fail by itself, and is undone then.

        Raises DiskTrouble: then give the same again.
        """
        try:
            connection = self._connection or self._connect()
            connection.execute("BEGIN IMMEDIATE")
            done = self._begun(connection)
            if done is not None:
                connection.execute("ROLLBACK")
                self._settle(connection)
                self._unsure = None
                self._is_claimed = True
                return done
            outcomes = [_attempt(connection, work) for work in works]
            if _attempt(connection, last).error is not None:
                _roll_back(connection)
                raise DiskTrouble("internal", "a transaction could not be brought to its end")
            self._unsure = outcomes
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._trouble(error) from None
        self._unsure = None
        self._is_claimed = True
        return outcomes

    def _settle(self, connection: sqlite3.Connection) -> None:
        """
        Make durable what SQLite's log holds, though its sync has failed: by new writes, to the file itself.

        To sync the log again would not do: Linux takes pages for clean that it could not write. Raises sqlite3.Error;
        DiskTrouble busy.
        """
        if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise DiskTrouble("busy", "another process reads the journal")

    def _begun(self, connection: sqlite3.Connection) -> list[Outcome] | None:
        """
        Count this batch; the outcomes of the one before, where its commit failed and has come about all the same.

        A log whose last sync failed may hold the commit, and a connection that is opened anew would find it.
        """
        if not self._is_owner:
            return None
        if not self._is_claimed and self._unsure is None:
            self._claim(connection)
            return None
        owner, batch = connection.execute("SELECT owner, batch FROM store").fetchone() or ("", 0)
        if self._unsure is not None and (owner, batch) == (self._owner, self._batch):
            return self._unsure
        if not self._is_claimed:
            self._claim(connection)
            return None
        if owner != self._owner:
            raise DiskTrouble("taken", "another relay has this journal")
        self._batch = batch + 1
        connection.execute("UPDATE store SET batch = ?", (self._batch,))
        return None

    def read(self, work: Work) -> Outcome:
        """Run it on what is committed, as it is at one moment. Raises DiskTrouble."""
        try:
            connection = self._connection or self._connect()
            connection.execute("BEGIN")
        except sqlite3.Error as error:
            raise self._trouble(error) from None
        try:
            value = work(connection)
        except sqlite3.Error as error:
            if trouble_of(error) is not None:
                raise self._trouble(error) from None
            return Outcome(error=error)
        except Exception as error:
            return Outcome(error=error)
        finally:
            _roll_back(connection)
        return Outcome(value)

    def scrub(self) -> bool:
        """Bring the log into the file and cut it to nothing; False while another process reads. Raises DiskTrouble."""
        try:
            connection = self._connection or self._connect()
            is_busy: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error as error:
            raise self._trouble(error) from None
        return not is_busy

    def _trouble(self, error: sqlite3.Error) -> DiskTrouble:
        # What is no known trouble fails the same way: it is not for a caller to see, and nothing may be lost by it.
        word = trouble_of(error) or "io"
        if self._connection is not None:
            _roll_back(self._connection)
        if word in _REOPENED_FOR and self._path:
            self.close()
        return DiskTrouble(word, f"the journal cannot be written: {_spoken(word)}")


def _attempt(connection: sqlite3.Connection, work: Work) -> Outcome:
    """One piece of work, undone by itself where it raises. Raises sqlite3.Error where the disk is to blame."""
    connection.execute("SAVEPOINT work")
    try:
        value = work(connection)
    except Exception as error:
        if trouble_of(error) is not None:
            raise
        connection.execute("ROLLBACK TO work")
        connection.execute("RELEASE work")
        return Outcome(error=error)
    connection.execute("RELEASE work")
    return Outcome(value)


def _roll_back(connection: sqlite3.Connection) -> None:
    # SQLite has undone a transaction by itself after some errors, and some have had the connection closed.
    with contextlib.suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _quoted(path: str) -> str:
    """A path as SQLite's `file:` wants it (https://sqlite.org/uri.html)."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _spoken(word: str) -> str:
    return _SPOKEN.get(word, word.replace("_", " "))
