"""
Whether a journal is as it was written: both chains followed, anchors checked, the first place that is wrong named.

Pure but for the connection given, which it only reads. Believes nothing it finds, the file's structure included.
"""

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from telerelay.journal import canonical, links, schema, sealing
from telerelay.journal.anchors import Anchor, Verifier

MOST_PROBLEMS = 100
"""Named at the most; behind the first one most are its consequences."""


BESIDE = ("sealed_gone", "key", "key_kept", "head")
"""What may only follow from something else that is wrong, an erasure that was cut off for one: named last."""


@dataclass(frozen=True, slots=True)
class Problem:
    """
    `pos` is the place in the file, `consult` and `seq` where they are known.

    `what`: damaged (SQLite cannot read it), missing, changed (an entry is not what was linked), order (a consult's
    numbers), file_chain, sealed (the personal part is not what was sealed), sealed_gone (not there, and no erasure
    was journalled), key (does not open what it sealed), key_kept (of an erased consult), head (of a consult), cut (the
    file ends before what was signed), anchor (not signed by that key, or of another chain), unknown_key, unsigned.
    """

    pos: int
    what: str
    consult: str = ""
    seq: int = 0


@dataclass(slots=True)
class Verdict:
    """
    What was looked at, and what was found; `problems` in order of `pos`, those of BESIDE after the others. `anchored`:
    vouched for by a signature up to here.
    """

    entries: int = 0
    consults: int = 0
    anchors: int = 0
    anchored: int = 0
    erased: int = 0
    is_complete: bool = True
    problems: list[Problem] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not self.problems


class Verification:
    """
    One look at one file. `keys` verify anchors, where they are given; without, the chains alone are followed, which
    whoever may write the file can also write anew.
    """

    def __init__(self, connection: sqlite3.Connection, keys: Verifier | None = None, *, ends_s: float = float("inf")):
        self._connection = connection
        self._keys = keys
        self._ends_s = ends_s  # by time.monotonic: what is not looked at by then is left
        self._verdict = Verdict()
        self._heads: dict[str, tuple[int, bytes]] = {}
        self._gone: dict[tuple[str, int], int] = {}  # entries whose sealed part is not there
        self._to_open: dict[str, tuple[Any, ...]] = {}  # the first entry with a sealed part
        self._erased: set[str] = set()
        self._erased_parts: set[tuple[str, int]] = set()
        self._last_pos = 0
        self._last_link = links.START
        self._is_partial = False

    def whole(self) -> Verdict:
        """From the first entry to the last."""
        return self._guarded(self._whole)

    def tail(self, count: int) -> Verdict:
        """The last `count` entries, each held against what it links to."""
        return self._guarded(lambda: self._tail(count))

    def _guarded(self, look: Any) -> Verdict:
        factory, self._connection.text_factory = self._connection.text_factory, bytes
        try:
            look()
        except sqlite3.DatabaseError:
            self._found(self._last_pos + 1, "damaged")
        finally:
            self._connection.text_factory = factory
        self._verdict.problems.sort(key=lambda problem: (problem.what in BESIDE, problem.pos))
        del self._verdict.problems[MOST_PROBLEMS:]
        return self._verdict

    def _whole(self) -> None:
        self._follow("SELECT * FROM entries ORDER BY pos")
        if self._verdict.is_complete:
            self._check_consults()
            self._check_anchors()
            self._check_structure()

    def _tail(self, count: int) -> None:
        last = self._connection.execute("SELECT coalesce(max(pos), 0) FROM entries").fetchone()[0]
        first = max(1, last - count + 1)
        if first > 1:
            self._is_partial = True
            before = self._connection.execute("SELECT file_link FROM entries WHERE pos = ?", (first - 1,)).fetchone()
            self._last_pos, self._last_link = first - 1, before[0] if before else links.START
        self._follow(f"SELECT * FROM entries WHERE pos >= {first} ORDER BY pos")
        if self._verdict.is_complete:
            self._check_head()

    # ------------------------------------------------------------------ entries

    def _follow(self, query: str) -> None:
        for count, row in enumerate(self._rows(query)):
            if count % 256 == 0 and time.monotonic() >= self._ends_s:
                self._verdict.is_complete = False
                return
            self._verdict.entries += 1
            if is_row(row):
                self._entry(*row)
            else:
                self._found(self._last_pos + 1, "damaged")
                self._last_pos += 1

    def _rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        columns = query.replace("*", schema.COLUMNS)
        yield from self._connection.execute(columns)

    def _entry(
        self,
        pos: int,
        consult_bytes: bytes,
        seq: int,
        at: float,
        kind_bytes: bytes,
        clear_bytes: bytes,
        sealed: bytes | None,
        sealed_hash: bytes,
        link: bytes,
        file_link: bytes,
    ) -> None:
        if pos != self._last_pos + 1:
            self._found(self._last_pos + 1, "missing")
        self._last_pos = pos
        try:
            consult, kind, clear = consult_bytes.decode(), kind_bytes.decode(), clear_bytes.decode()
        except UnicodeDecodeError:
            self._found(pos, "changed")
            self._last_link = file_link
            return
        previous_seq, previous = self._head(consult, seq)
        if seq != previous_seq + 1:
            self._found(pos, "order", consult, seq)
        if not is_linked(previous, link, consult, seq, at, kind, clear, sealed_hash):
            self._found(pos, "changed", consult, seq)
        if links.file_link(self._last_link, link) != file_link:
            self._found(pos, "file_chain", consult, seq)
        self._heads[consult] = seq, link
        self._last_link = file_link
        self._sealed(pos, consult, seq, kind, sealed, sealed_hash)
        if consult == schema.OWN and kind == "erased":
            self._erase(clear)

    def _head(self, consult: str, seq: int) -> tuple[int, bytes]:
        known = self._heads.get(consult)
        if known is None and self._is_partial and seq > 1:
            before = self._connection.execute(
                "SELECT seq, link FROM entries WHERE consult = ? AND seq = ?", (consult, seq - 1)
            ).fetchone()
            known = before or None
        return known or (0, links.START)

    def _sealed(self, pos: int, consult: str, seq: int, kind: str, sealed: bytes | None, sealed_hash: bytes) -> None:
        if not sealed_hash:
            if sealed != b"":
                self._found(pos, "sealed", consult, seq)
        elif sealed is None:
            self._gone[consult, seq] = pos
        elif hashlib.sha256(sealed).digest() != sealed_hash:
            self._found(pos, "sealed", consult, seq)
        else:
            self._to_open.setdefault(consult, (pos, seq, kind, sealed))

    def _erase(self, clear: str) -> None:
        try:
            plain = canonical.loads(clear)
        except ValueError:
            return  # changed, which its link tells
        match plain:
            case {"consult": str(consult), "seq": int(seq)}:
                self._erased_parts.add((consult, seq))
            case {"consult": str(consult)}:
                self._erased.add(consult)

    # ------------------------------------------------------------------ what is beside them

    def _check_structure(self) -> None:
        """SQLite's own look at its pages: those of indexes are not read by anything above."""
        if self._connection.execute("PRAGMA integrity_check(1)").fetchone()[0] != b"ok":
            self._found(self._last_pos + 1, "damaged")

    def _check_consults(self) -> None:
        for (consult, seq), pos in self._gone.items():
            if consult not in self._erased and (consult, seq) not in self._erased_parts:
                self._found(pos, "sealed_gone", consult, seq)
        rows = {}
        for name, seq, link, is_erased, key in self._connection.execute(
            "SELECT consult, seq, link, is_erased, keys.key FROM consults LEFT JOIN keys ON keys.id = consults.key"
        ):
            rows[name.decode(errors="replace")] = seq, link, bool(is_erased), key
        for consult, (seq, link) in self._heads.items():
            row = rows.pop(consult, None)
            if row is None or row[:2] != (seq, link) or row[2] != (consult in self._erased):
                self._found(self._place_of(consult, row[0] if row else 0), "head", consult, seq)
            else:
                self._check_key(consult, row[3])
        for consult, row in rows.items():
            self._found(self._last_pos + 1, "head", consult, row[0])
        self._verdict.consults = len(self._heads) - (schema.OWN in self._heads)
        self._verdict.erased = len(self._erased)

    def _check_key(self, consult: str, key: bytes | None) -> None:
        if consult in self._erased:
            if key != sealing.ERASED:
                self._found(self._place_of(consult, 1), "key_kept", consult)
            return
        if consult not in self._to_open:
            if key is None or len(key) != sealing.KEY_BYTES:
                self._found(self._place_of(consult, 1), "key", consult)
            return
        pos, seq, kind, sealed = self._to_open[consult]
        is_key = key is not None and len(key) == sealing.KEY_BYTES
        if not is_key or sealing.unseal(key or b"", sealed, consult=consult, seq=seq, kind=kind) is None:
            self._found(pos, "key", consult, seq)

    def _place_of(self, consult: str, seq: int) -> int:
        """Where an entry of that consult is; the end of the file where it is not there."""
        row = self._connection.execute(
            "SELECT pos FROM entries WHERE consult = ? AND seq = ?", (consult, seq)
        ).fetchone()
        return row[0] if row else self._last_pos + 1

    def _check_anchors(self) -> None:
        # Compared place by place, so that of a rewritten file the first anchor that contradicts it is named.
        rows = self._connection.execute("SELECT pos, file_link, at, key_id, signature FROM anchors ORDER BY pos")
        for row in rows.fetchall():
            self._verdict.anchors += 1
            self._check_anchor(Anchor(row[0], row[1], row[2], row[3].decode(errors="replace"), row[4]))
        self._check_head()

    def _check_head(self) -> None:
        row = self._connection.execute("SELECT pos, file_link, at, key_id, signature FROM head").fetchone()
        if row is None:
            self._found(self._last_pos + 1, "cut")
            return
        head = Anchor(row[0], row[1], row[2], row[3].decode(errors="replace"), row[4])
        if head.pos > self._last_pos:
            self._found(self._last_pos + 1, "cut")
        elif head.pos < self._last_pos or head.file_link != self._last_link:
            self._found(head.pos + 1 if head.pos < self._last_pos else head.pos, "anchor")
        if head.pos:
            self._check_signature(head)

    def _check_anchor(self, anchor: Anchor) -> None:
        row = self._connection.execute("SELECT file_link FROM entries WHERE pos = ?", (anchor.pos,)).fetchone()
        if row is None:
            self._found(self._last_pos + 1 if anchor.pos > self._last_pos else anchor.pos, "cut")
        elif row[0] != anchor.file_link:
            self._found(anchor.pos, "anchor")
        self._check_signature(anchor)

    def _check_signature(self, anchor: Anchor) -> None:
        if self._keys is None:
            return
        if not anchor.signature:
            self._found(anchor.pos, "unsigned")
            return
        try:
            is_signed = self._keys.is_signed(anchor.key_id, anchor.message(), anchor.signature)
        except KeyError:
            self._found(anchor.pos, "unknown_key")
            return
        except (TypeError, ValueError):
            is_signed = False
        if is_signed:
            self._verdict.anchored = max(self._verdict.anchored, anchor.pos)
        else:
            self._found(anchor.pos, "anchor")

    def _found(self, pos: int, what: str, consult: str = "", seq: int = 0) -> None:
        # A file whose every entry is wrong must not be held in memory twice; the first ones are the ones that tell.
        if len(self._verdict.problems) < 10 * MOST_PROBLEMS:
            self._verdict.problems.append(Problem(pos, what, consult, seq))


_TYPES = (int, bytes, int, float, bytes, bytes, bytes | None, bytes, bytes, bytes)


def is_row(row: tuple[Any, ...]) -> bool:
    """Whether every column is of its type: SQLite does not look at what it reads."""
    return all(isinstance(value, kind) for value, kind in zip(row, _TYPES, strict=True))


def is_linked(
    previous: bytes, link: bytes, consult: str, seq: int, at: float, kind: str, clear: str, sealed_hash: bytes
) -> bool:
    try:
        expected = links.entry_link(
            previous, consult=consult, seq=seq, at=at, kind=kind, clear=clear, sealed_hash=sealed_hash
        )
    except Exception:  # a changed row may hold anything
        return False
    return expected == link
