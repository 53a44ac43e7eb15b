"""
From a damaged journal into a new file: of each consult the entries from its first to the last one that holds.

Blocking. Believes nothing it reads; what cannot be read is stepped over. The consults' chains stay as they were, the
file's is made anew, and the journal's own begins again.
"""

import contextlib
import hashlib
import sqlite3
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telerelay.journal import canonical, links, schema, sealing
from telerelay.journal.schema import FINAL_KINDS, OWN
from telerelay.journal.verify import is_linked, is_row

CARRIED_ENTRIES = 60_000
"""
The latest entries that are carried over, and those of open consults: a day and a half of the busiest there is, in two
seconds. What is older stays in the file that was set aside, which `telerelay journal verify` and `show` read as well.
"""

READ_S = 2.0
"""For reading, of the five seconds that a start may take: each row that cannot be read is tried by itself."""

MOST_FAILURES = 8192
"""Reads that find a bad page, of one table: by halves they have by then looked at each page of 60,000 entries."""

PROGRESS_STEPS = 20_000
"""Of SQLite's machine, from one look at the time to the next: a few milliseconds."""

_OURS = ("entries", "consults", "keys", "head", "anchors", "store")


@dataclass(slots=True)
class Carried:
    """
    Entries that were kept, that could not be read or do not hold (as far as can be told), that are older than what is
    carried.
    """

    kept: int = 0
    lost: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True)
class _Consult:
    id: int
    is_open: bool
    is_erased: bool
    key: int


def carry(path: Path, fresh: Path) -> Carried:
    """Fill the empty file `fresh` from the one at `path`; whatever that is, `fresh` is a journal afterwards."""
    target = sqlite3.connect(fresh, isolation_level=None)
    target.execute("PRAGMA journal_mode = WAL")
    target.execute("PRAGMA secure_delete = ON")
    target.execute("BEGIN")
    schema.create(target)
    carried = Carried()
    source = sqlite3.connect(path, isolation_level=None)
    try:
        with contextlib.suppress(sqlite3.DatabaseError):
            # So that a start that is cut off between two renames finds all in the one file.
            source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ends_s = time.monotonic() + READ_S
        source.set_progress_handler(lambda: time.monotonic() >= ends_s, PROGRESS_STEPS)
        source.text_factory = bytes
        carried = _Carrier(source, target, ends_s).entries()
        source.text_factory = _text
        _carry_tables(source, target, ends_s)
    except sqlite3.DatabaseError:
        # The first page, or the list of tables: then nothing in it can be found.
        pass
    finally:
        source.close()
    target.execute("INSERT OR IGNORE INTO head VALUES (1, 0, ?, 0.0, '', x'')", (links.START,))
    target.execute("COMMIT")
    target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    target.close()
    return carried


class _Carrier:
    def __init__(self, source: sqlite3.Connection, target: sqlite3.Connection, ends_s: float) -> None:
        self._source = source
        self._target = target
        self._ends_s = ends_s
        self._carried = Carried()
        self._consults: dict[bytes, _Consult] = {}
        self._keys: dict[int, bytes] = {}
        self._heads: dict[str, tuple[int, bytes, float, str]] = {}
        self._file_link = links.START
        self._pos = 0

    def entries(self) -> Carried:
        """Carry entries, consults and keys."""
        known = self._last_pos()
        last = known or CARRIED_ENTRIES
        first = max(1, last - CARRIED_ENTRIES + 1)
        rows = {row[0]: row for row in self._rows(schema.COLUMNS, "entries", first, last)}
        if known:
            self._carried.lost = last - first + 1 - len(rows)
        self._carried.left = first - 1
        self._read_consults(last)
        if first > 1:
            for name, consult in self._consults.items():
                if consult.is_open:
                    self._older(name, first, rows)
        unsealed = self._hold(rows, first)
        self._write_consults(unsealed)
        return self._carried

    def _last_pos(self) -> int:
        """0: nobody knows."""
        for query in ("SELECT max(pos) FROM entries", "SELECT pos FROM head"):
            with contextlib.suppress(sqlite3.DatabaseError):
                row = self._source.execute(query).fetchone()
                if row and isinstance(row[0], int):
                    return int(row[0])
        return 0

    def _read_consults(self, most: int) -> None:
        """Consults and their keys; there are no more than `most` entries."""
        with contextlib.suppress(sqlite3.DatabaseError):
            most = self._source.execute("SELECT max(id) FROM consults").fetchone()[0] or 0
        for row in self._rows("id, consult, is_open, is_erased, key", "consults", 1, most):
            if isinstance(row[1], bytes) and isinstance(row[4], int):
                self._consults[row[1]] = _Consult(row[0], row[2] == 1, row[3] == 1, row[4])
        for row in self._rows("id, key", "keys", 1, most):
            if isinstance(row[1], bytes) and len(row[1]) == sealing.KEY_BYTES:
                self._keys[row[0]] = row[1]

    def _older(self, name: bytes, before: int, rows: dict[int, tuple[Any, ...]]) -> None:
        """What an open consult has from before the entries that are carried."""
        query = f"SELECT {schema.COLUMNS} FROM entries WHERE consult = ? AND pos < ? ORDER BY seq"
        with contextlib.suppress(sqlite3.DatabaseError):
            for row in self._source.execute(query, (name.decode(), before)):
                rows[row[0]] = row
                self._carried.left -= 1

    def _rows(self, columns: str, table: str, first: int, last: int) -> Iterator[tuple[Any, ...]]:
        """The rows of a table from one number to another, in no order, as far as they can be read and there is time."""
        key = columns.partition(",")[0]
        query = f"SELECT {columns} FROM {table} WHERE {key} BETWEEN ? AND ? ORDER BY {key}"
        spans, failures = deque([(first, last)]), 0
        while spans and failures < MOST_FAILURES and time.monotonic() < self._ends_s:
            low, high = spans.popleft()
            at = low - 1
            try:
                for row in self._source.execute(query, (low, high)):
                    if not isinstance(row[0], int) or not at < row[0] <= high:
                        break
                    at = row[0]
                    yield row
                else:
                    continue
            except sqlite3.DatabaseError:
                failures += 1
            if at >= low:
                spans.append((at + 1, high))
            elif low < high:
                # Not even the first: the bad page is found by halves.
                middle = (low + high) // 2
                spans += [(middle + 1, high), (low, middle)]

    def _hold(self, rows: dict[int, tuple[Any, ...]], first: int) -> list[tuple[str, int]]:
        """Carry what holds against its links; the places whose personal parts do not hold, and were left out."""
        broken: set[bytes] = set()
        older: set[bytes] = set()
        unsealed: list[tuple[str, int]] = []
        for pos in sorted(rows):
            row = rows[pos]
            if not is_row(row):
                self._carried.lost += 1
                continue
            name, seq = row[1], row[2]
            if name == OWN.encode():
                continue
            if name in older or (seq > 1 and first > 1 and name not in broken and name.decode() not in self._heads):
                # It began before what is carried over.
                older.add(name)
                self._carried.left += 1
            elif name in broken or not self._entry(row, unsealed):
                broken.add(name)
                self._carried.lost += 1
        return unsealed

    def _entry(self, row: tuple[Any, ...], unsealed: list[tuple[str, int]]) -> bool:
        """Carry one entry; False: it is not the next of its consult."""
        _, name, seq, at, kind_bytes, clear_bytes, sealed, sealed_hash, link, _ = row
        try:
            consult, kind, clear = name.decode(), kind_bytes.decode(), clear_bytes.decode()
        except UnicodeDecodeError:
            return False
        before = self._heads.get(consult, (0, links.START))
        if seq != before[0] + 1 or not is_linked(before[1], link, consult, seq, at, kind, clear, sealed_hash):
            return False
        if sealed and hashlib.sha256(sealed).digest() != sealed_hash:
            sealed = None
        if sealed is None or (not sealed and sealed_hash):
            sealed = None
            unsealed.append((consult, seq))
        self._put(consult, seq, at, kind, clear, sealed, sealed_hash, link)
        self._carried.kept += 1
        return True

    def _put(
        self,
        consult: str,
        seq: int,
        at: float,
        kind: str,
        clear: str,
        sealed: bytes | None,
        sealed_hash: bytes,
        link: bytes,
    ) -> None:
        self._pos += 1
        self._file_link = links.file_link(self._file_link, link)
        self._heads[consult] = seq, link, at, kind
        self._target.execute(
            f"INSERT INTO entries ({schema.COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self._pos, consult, seq, at, kind, clear, sealed, sealed_hash, link, self._file_link),
        )

    def _write_consults(self, unsealed: list[tuple[str, int]]) -> None:
        gone: dict[str, list[int]] = {}
        for consult, seq in unsealed:
            gone.setdefault(consult, []).append(seq)
        for name, (seq, link, at, kind) in list(self._heads.items()):
            known = self._consults.get(name.encode())
            key = self._keys.get(known.key) if known and not known.is_erased else None
            is_erased = key is None or key == sealing.ERASED
            self._write_consult(name, seq, link, at, kind not in FINAL_KINDS, key if not is_erased else None)
            if is_erased:
                self._target.execute(
                    "UPDATE entries SET sealed = NULL WHERE consult = ? AND sealed_hash != x''", (name,)
                )
                self._own({"consult": name}, at)
            else:
                for each in gone.get(name, []):
                    self._own({"consult": name, "seq": each}, at)
        if OWN in self._heads:
            seq, link, at, _ = self._heads[OWN]
            self._write_consult(OWN, seq, link, at, False, sealing.new_key())
        self._target.execute("INSERT INTO head VALUES (1, ?, ?, 0.0, '', x'')", (self._pos, self._file_link))

    def _write_consult(self, name: str, seq: int, link: bytes, at: float, is_open: bool, key: bytes | None) -> None:
        """A consult's row and its key's; `key` None: erased."""
        row = self._target.execute("INSERT INTO keys (key) VALUES (?)", (key or sealing.ERASED,)).lastrowid
        self._target.execute(
            "INSERT INTO consults (consult, seq, link, last_at, is_open, is_erased, key) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (name, seq, link, at, is_open, key is None, row),
        )

    def _own(self, clear: dict[str, Any], at: float) -> None:
        """What cannot be opened any more is said, as an erasure is."""
        seq, link = self._heads.get(OWN, (0, links.START))[:2]
        text = canonical.dumps(clear).decode()
        link = links.entry_link(link, consult=OWN, seq=seq + 1, at=at, kind="erased", clear=text, sealed_hash=b"")
        self._put(OWN, seq + 1, at, "erased", text, b"", b"", link)


def _text(data: bytes) -> Any:
    """Text, or the bytes where they are none."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _carry_tables(source: sqlite3.Connection, target: sqlite3.Connection, ends_s: float) -> None:
    """What others keep in the same file: every table as it is, row by row."""
    found = source.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC"
    ).fetchall()
    for kind, name, sql in found:
        if name in _OURS or not isinstance(name, str) or name.startswith(("sqlite_", "consults_")):
            continue
        with contextlib.suppress(sqlite3.DatabaseError):
            target.execute(sql)
        if kind != "table" or time.monotonic() >= ends_s:
            continue
        with contextlib.suppress(sqlite3.DatabaseError):
            for row in source.execute(f'SELECT * FROM "{name}"'):
                with contextlib.suppress(sqlite3.DatabaseError):
                    target.execute(f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(row))})', row)
