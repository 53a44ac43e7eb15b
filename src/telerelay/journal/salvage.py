"""
A journal that is torn or damaged: found at the start, set aside as it is, and what is still good of it carried over.

Blocking: run it in a thread, before the store is opened. Bounded in time, whatever the size of the file.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from telerelay.journal import carry, schema
from telerelay.journal.committer import BUSY_S
from telerelay.journal.verify import Problem, Verification

STRUCTURE_S = 1.0
"""For SQLite's own look at its pages, of the five seconds that a start may take; a larger file is looked at in part."""

TAIL_ENTRIES, TAIL_S = 20_000, 1.0
"""The entries that are held against their links at each start: more than half a day of the busiest there is."""

PROGRESS_STEPS = 20_000
"""Of SQLite's machine, from one look at the time to the next: a few milliseconds."""


@dataclass(frozen=True, slots=True)
class Damage:
    """
    What was found, and became of it. `kept` entries were carried over, `lost` ones could not be read or did not hold
    against their links, `left` ones are older than what is carried over. `file`: the name it was set aside under.
    """

    what: str
    pos: int
    kept: int
    lost: int
    left: int
    file: str


def mend(path: str) -> Damage | None:
    """
    Look at the journal of that path and set it aside if it is damaged; None: it is good as far as could be looked at.

    Raises OSError where the folder cannot be written.
    """
    if not path:
        return None
    file, made = Path(path), _mending(Path(path))
    if not file.exists() and made.exists():
        # The process before was killed between the last two steps of `_set_aside`.
        os.rename(made, file)
    if not file.exists() or not file.stat().st_size:
        return None
    problem = _look(path)
    if problem is None:
        return None
    return _set_aside(file, problem)


# -------------------------------------------------------------------- looking


def _look(path: str) -> Problem | None:
    connection = None
    try:
        connection = _connect(path)
        if not schema.has_tables(connection):
            # Another's tables, or none yet: nothing of ours to look at.
            return None if _is_structure_good(connection) else Problem(1, "damaged")
        if not _is_structure_good(connection):
            return Problem(1, "damaged")
        verdict = Verification(connection, ends_s=time.monotonic() + TAIL_S).tail(TAIL_ENTRIES)
        return verdict.problems[0] if verdict.problems else None
    except sqlite3.DatabaseError as error:
        # Who else writes it, or that the disk is full, is not damage: the store will say so.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        return Problem(1, "damaged") if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) else None
    finally:
        if connection is not None:
            connection.close()


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection


def _is_structure_good(connection: sqlite3.Connection) -> bool:
    with _until(connection, time.monotonic() + STRUCTURE_S):
        try:
            return bool(connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                return True
            raise


@contextlib.contextmanager
def _until(connection: sqlite3.Connection, ends_s: float) -> Iterator[None]:
    """Interrupt what runs on the connection at that time."""
    connection.set_progress_handler(lambda: time.monotonic() >= ends_s, PROGRESS_STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


# -------------------------------------------------------------------- setting aside


def _set_aside(path: Path, problem: Problem) -> Damage:
    """A new file of what is good, then the damaged one out of its way; whatever step is the last, a start goes on."""
    fresh = _mending(path)
    for suffix in ("", "-wal", "-shm"):
        path.with_name(fresh.name + suffix).unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    carried = carry.carry(path, fresh)
    aside = _free_name(path)
    # The log first: beside another file SQLite would take it for that file's.
    for suffix in ("-wal", "-shm", ""):
        source = path.with_name(path.name + suffix)
        if source.exists():
            os.rename(source, path.with_name(aside.name + suffix))
    os.rename(fresh, path)
    folder = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return Damage(problem.what, problem.pos, carried.kept, carried.lost, carried.left, aside.name)


def _mending(path: Path) -> Path:
    return path.with_name(path.name + ".mending")


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return aside
