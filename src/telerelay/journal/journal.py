"""
The journal: what happened to each consult, in order, chained, and on the disk before anybody is told.

The face is the event loop's; functions that are given a connection run on the store's thread.
"""

import asyncio
import dataclasses
import hashlib
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from telerelay.errors import ConfigError, LocalProtocolError
from telerelay.journal import anchors, canonical, links, salvage, schema, sealing
from telerelay.journal.anchors import Anchor, Signer
from telerelay.journal.committer import DiskTrouble
from telerelay.journal.salvage import Damage
from telerelay.journal.schema import FINAL_KINDS, OWN, Entry
from telerelay.journal.store import Store
from telerelay.logs import say

DAY_S = 86_400.0

ERASED_AT_ONCE = 200
"""Consults that one transaction erases: what `expire` has to do after a long stop must not hold appends up."""

SCRUB_TRIES, SCRUB_EVERY_S = 20, 0.5
"""Another process that reads keeps SQLite's log from being cut: ten seconds are longer than any look at a journal."""


class Fact(Protocol):
    """What can be journalled: facts of `telerelay.consult.facts`."""

    @property
    def at(self) -> float: ...

    def to_json(self) -> tuple[str, Mapping[str, Any], Mapping[str, Any]]:
        """Its kind, its clear parts and its personal ones."""
        ...


@dataclass(frozen=True, slots=True)
class OwnFact:
    """A fact about the journal itself."""

    at: float
    kind: str
    clear: Mapping[str, Any]

    def to_json(self) -> tuple[str, Mapping[str, Any], Mapping[str, Any]]:
        return self.kind, self.clear, {}


_Row = tuple[float, str, str, Mapping[str, Any]]


class Journal:
    """
    The facts of all consults of one relay. Make it with `of_file`, or with `open` in a store that is there already;
    end it by closing its store.
    """

    def __init__(self, store: Store, clock: Callable[[], float], signer: Signer | None) -> None:
        self._store = store
        self._clock = clock
        self._signer = signer
        self._is_head_stale = False  # the store's thread's alone
        self._listeners: list[Callable[[tuple[Entry, ...]], None]] = []
        self._loop = asyncio.get_running_loop()
        self.damage: Damage | None = None
        """What was wrong with the file at the start."""

    @classmethod
    async def open(cls, store: Store, clock: Callable[[], float], signer: Signer | None = None) -> Self:
        """
        The journal in that store. `clock` gives Unix seconds, from any thread; `signer` signs the chain's head.

        Raises ConfigError where the file is of a later version; what `Store.write` raises.
        """
        journal = cls(store, clock, signer)
        # A disk that is full keeps nobody from reading: a start waits for nothing that need not be written.
        if not await store.read(schema.is_ready):
            await store.write(_prepare)
        store.before_commit = journal._sign_head
        return journal

    @classmethod
    async def of_file(cls, path: str, clock: Callable[[], float], signer: Signer | None = None) -> Self:
        """
        The journal of that file, in a store of its own; "" is in memory. A damaged file is set aside, and what is
        good of it carried over: `damage` says so, a line of the log, and an entry of the journal about itself.

        Raises ConfigError.
        """
        try:
            damage = await asyncio.to_thread(salvage.mend, path)
        except OSError as error:
            raise ConfigError("bad_file", f"cannot set the damaged journal {path} aside: {error.strerror}") from None
        if damage is not None:
            say(logging.ERROR, "journal_damaged", reason=damage.what, file=damage.file, count=damage.lost)
        store = await Store.open(path)
        try:
            journal = await cls.open(store, clock, signer)
            if damage is not None:
                journal.damage = damage
                await journal.note("salvaged", dataclasses.asdict(damage))
        except BaseException:
            await store.close()
            raise
        return journal

    @property
    def store(self) -> Store:
        return self._store

    # ------------------------------------------------------------------ writing

    def append(self, consult: str, facts: Sequence[Fact]) -> "asyncio.Future[tuple[Entry, ...]]":
        """
        Journal those facts; done, with their entries, when they are durable. Those of one consult stay in order.

        Raises at once LocalProtocolError bad_fact or bad_json for what cannot be written down, before any of it is;
        by the future, what `Store.write` raises.
        """
        if not consult:
            raise LocalProtocolError("bad_fact", "a fact belongs to a consult")
        return self._append(consult, [_row(fact) for fact in facts])

    def _append(self, consult: str, rows: list[_Row]) -> "asyncio.Future[tuple[Entry, ...]]":
        future = self._store.write(lambda connection: self._write(connection, consult, rows))
        if self._listeners:
            future.add_done_callback(self._on_appended)
        return future

    def listen(self, listener: Callable[[tuple[Entry, ...]], None]) -> None:
        """Call `listener` on the loop with entries that have become durable, in order."""
        self._listeners.append(listener)

    def _on_appended(self, future: "asyncio.Future[tuple[Entry, ...]]") -> None:
        if future.cancelled() or future.exception() is not None:
            return
        for listener in self._listeners:
            listener(future.result())

    def _write(self, connection: sqlite3.Connection, consult: str, rows: list[_Row]) -> tuple[Entry, ...]:
        self._is_head_stale = True
        return _append_rows(connection, consult, rows)

    def _sign_head(self, connection: sqlite3.Connection) -> None:
        """The store's, before each commit."""
        if not self._is_head_stale:
            return
        anchor = anchors.write(connection, self._signer, self._clock())
        self._is_head_stale = False
        if anchor is not None:
            self._loop.call_soon_threadsafe(_tell_anchor, anchor)

    # ------------------------------------------------------------------ reading

    async def read(self, consult: str, *, after: int = 0, limit: int = -1) -> tuple[Entry, ...]:
        """A consult's entries after that seq, in order, `limit` at most; none where there is no such consult."""
        return await self._store.read(lambda connection: schema.entries_of(connection, consult, after, limit))

    async def open_consults(self, is_wanted: Callable[[str], bool] = bool) -> dict[str, tuple[Entry, ...]]:
        """
        All entries of each consult that has not had its last fact, those first that were opened first: of those whose
        names are wanted, or of all but the journal's own.
        """
        return await self._store.read(lambda connection: schema.open_consults(connection, is_wanted))

    async def derived_keys(self, purpose: bytes) -> dict[str, bytes]:
        """For that purpose alone, a key of each consult that has not had its last fact; gone with its own key."""
        keys = await self._store.read(schema.keys_of_open)
        return {consult: sealing.derived(key, purpose) for consult, key in keys.items()}

    async def derived_key(self, consult: str, purpose: bytes) -> bytes | None:
        """As `derived_keys`, of one consult; None where there is no such consult, or its key was destroyed."""
        key = await self._store.read(lambda connection: schema.key_of(connection, consult))
        return None if key is None else sealing.derived(key, purpose)

    async def head(self) -> Anchor:
        """How far the chain of the whole file has got."""
        return await self._store.read(anchors.head)

    # ------------------------------------------------------------------ forgetting

    async def erase(self, consult: str) -> bool:
        """
        Destroy the key of a consult's personal parts, and the parts, and the keys of its documents and recordings;
        True: there was something to destroy.

        Done when none of it is in the file or in SQLite's log any more. Its entries stay, and so do the chains. What is
        appended later has its personal parts left out. Raises DiskTrouble busy where another process reads on and on:
        they are destroyed then, and gone from the log when that process ends.
        """
        erased = await self._store.write(
            lambda connection: self._erase(connection, [consult]) + _erase_object_keys(connection, consult)
        )
        if erased:
            await self.scrub()
        return bool(erased)

    async def expire(self, retain_s: float) -> int:
        """Erase all closed consults whose last fact is older than that; how many there were."""
        count = 0
        while erased := await self._store.write(lambda connection: self._expire(connection, retain_s)):
            count += erased
        if count:
            await self.scrub()
        return count

    def _expire(self, connection: sqlite3.Connection, retain_s: float) -> int:
        rows = connection.execute(
            "SELECT consult FROM consults WHERE NOT is_open AND NOT is_erased AND last_at < ? AND consult != ? LIMIT ?",
            (self._clock() - retain_s, OWN, ERASED_AT_ONCE),
        )
        return self._erase(connection, [row[0] for row in rows.fetchall()])

    def _erase(self, connection: sqlite3.Connection, consults: list[str]) -> int:
        erased: list[_Row] = []
        for consult in consults:
            row = connection.execute(
                "SELECT key FROM consults WHERE consult = ? AND consult != ? AND NOT is_erased", (consult, OWN)
            ).fetchone()
            if row is None:
                continue
            connection.execute("UPDATE keys SET key = ? WHERE id = ?", (sealing.ERASED, row[0]))
            connection.execute(
                "UPDATE entries SET sealed = NULL WHERE consult = ? AND length(sealed_hash) > 0", (consult,)
            )
            connection.execute("UPDATE consults SET is_erased = 1 WHERE consult = ?", (consult,))
            erased.append((self._clock(), "erased", canonical.dumps({"consult": consult}).decode(), {}))
        if erased:
            self._write(connection, OWN, erased)
        return len(erased)

    async def scrub(self) -> None:
        """Done when what was overwritten is nowhere in SQLite's log. Raises DiskTrouble busy as `erase`."""
        for left in reversed(range(SCRUB_TRIES)):
            try:
                await self._store.scrub()
                return
            except DiskTrouble:
                if not left:
                    raise
            await asyncio.sleep(SCRUB_EVERY_S)

    async def note(self, kind: str, clear: Mapping[str, Any]) -> None:
        """Journal a fact about the journal itself."""
        await self._append(OWN, [_row(OwnFact(self._clock(), kind, clear))])


def _prepare(connection: sqlite3.Connection) -> None:
    schema.create(connection)
    connection.execute("INSERT OR IGNORE INTO head VALUES (1, 0, ?, 0.0, '', x'')", (links.START,))


def _row(fact: Fact) -> _Row:
    """What is written of a fact; made at once, so that whoever gives a bad one learns it at the call."""
    kind, clear, personal = fact.to_json()
    links.number(fact.at)
    return fact.at, kind, canonical.dumps(dict(clear)).decode(), dict(personal)


def _append_rows(connection: sqlite3.Connection, consult: str, rows: list[_Row]) -> tuple[Entry, ...]:
    """Seal, link and insert; the entries. Reads the heads of both chains anew: the run before may have been undone."""
    head_pos, head_link = connection.execute("SELECT pos, file_link FROM head").fetchone()
    found = connection.execute(
        "SELECT consults.id, seq, link, is_open, is_erased, keys.key FROM consults JOIN keys ON keys.id = consults.key"
        " WHERE consult = ?",
        (consult,),
    ).fetchone()
    if found is None:
        key = sealing.new_key()
        key_row = connection.execute("INSERT INTO keys (key) VALUES (?)", (key,)).lastrowid
        number = connection.execute(
            "INSERT INTO consults (consult, seq, link, last_at, is_open, is_erased, key) VALUES (?, 0, ?, 0, 1, 0, ?)",
            (consult, links.START, key_row),
        ).lastrowid
        seq, link, is_open, is_erased = 0, links.START, consult != OWN, False
    else:
        number, seq, link, is_open, is_erased, key = found
    entries: list[Entry] = []
    for at, kind, clear, personal in rows:
        seq, head_pos = seq + 1, head_pos + 1
        sealed = b"" if is_erased else sealing.seal(key, personal, consult=consult, seq=seq, kind=kind)
        sealed_hash = hashlib.sha256(sealed).digest() if sealed else b""
        link = links.entry_link(link, consult=consult, seq=seq, at=at, kind=kind, clear=clear, sealed_hash=sealed_hash)
        head_link = links.file_link(head_link, link)
        connection.execute(
            f"INSERT INTO entries ({schema.COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (head_pos, consult, seq, at, kind, clear, sealed, sealed_hash, link, head_link),
        )
        is_open = is_open and kind not in FINAL_KINDS
        entries.append(
            Entry(consult, seq, at, kind, canonical.loads(clear), sealed, link, head_pos, sealed_hash, personal)
        )
    connection.execute(
        "UPDATE consults SET seq = ?, link = ?, is_open = ?, last_at = max(last_at, ?) WHERE id = ?",
        (seq, link, is_open, rows[-1][0] if rows else 0.0, number),
    )
    connection.execute("UPDATE head SET pos = ?, file_link = ?", (head_pos, head_link))
    return tuple(entries)


def _tell_anchor(anchor: Anchor) -> None:
    # In the log it is out of reach of whoever rewrites the file.
    say(logging.INFO, "journal_anchor", count=anchor.pos, link=anchor.file_link.hex())


def _erase_object_keys(connection: sqlite3.Connection, consult: str) -> int:
    """Of the consult's documents and recordings: how many there were."""
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return sum(
        connection.execute(
            f"UPDATE {table} SET key = ? WHERE consult = ? AND key != ?", (sealing.ERASED, consult, sealing.ERASED)
        ).rowcount
        for table in sealing.OBJECT_KEYS
        if table in names
    )
