"""
Every change of what was written is found, and its place named (threat model, A65).
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from support.journal import Said
from telerelay.attest import SigningKey, TrustedKeys
from telerelay.journal import Journal, Store, Verdict, Verification, links
from telerelay.journal import anchors as anchoring

NOW = 1_764_100_000.0
KEY = SigningKey.new()
TRUSTED = TrustedKeys([KEY.public])

CONSULTS, ENTRIES = 8, 60

Edit = Callable[[sqlite3.Connection, random.Random], int]
"""Changes the file; the position that has to be named."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of eight consults, one of them erased, with anchors that stay."""
    import asyncio

    path = tmp_path_factory.mktemp("written") / "journal.db"

    async def write() -> None:
        store = await Store.open(str(path))
        journal = await Journal.open(store, lambda: NOW, KEY)
        for each in range(ENTRIES):
            fact = Said(NOW + each, "noted", {"n": each, "sub": f"p{each}"}, {"note": f"n{each}"})
            await journal.append(f"c{each % CONSULTS}", [fact])
        await journal.erase("c3")
        await store.close()

    every, anchoring.ANCHOR_EVERY = anchoring.ANCHOR_EVERY, 10
    try:
        asyncio.run(write())
    finally:
        anchoring.ANCHOR_EVERY = every
    return path


def verify(path: Path, keys: TrustedKeys | None = TRUSTED) -> Verdict:
    connection = sqlite3.connect(path)
    try:
        return Verification(connection, keys).whole()
    finally:
        connection.close()


def any_pos(connection: sqlite3.Connection, dice: random.Random) -> int:
    return dice.choice([row[0] for row in connection.execute("SELECT pos FROM entries")])


def change(connection: sqlite3.Connection, dice: random.Random) -> int:
    """One column of one row."""
    pos = any_pos(connection, dice)
    column, value = dice.choice(
        [
            ("consult", "'c1x'"),
            ("seq", "seq + 100"),
            ("at", "at + 0.001"),
            ("kind", "kind || 'x'"),
            ("clear", "replace(clear, '{', '{ ')"),
            ("clear", "replace(clear, 'c', 'd') || ' '"),
            ("sealed", "CAST(coalesce(sealed, x'') || x'00' AS BLOB)"),
            ("sealed", "CASE WHEN sealed IS NULL THEN x'01' ELSE NULL END"),
            ("sealed_hash", "randomblob(32)"),
            ("link", "randomblob(32)"),
            ("file_link", "randomblob(32)"),
        ]
    )
    connection.execute(f"UPDATE entries SET {column} = {value} WHERE pos = ?", (pos,))
    return pos


def delete(connection: sqlite3.Connection, dice: random.Random) -> int:
    pos = any_pos(connection, dice)
    connection.execute("DELETE FROM entries WHERE pos = ?", (pos,))
    return pos


def swap(connection: sqlite3.Connection, dice: random.Random) -> int:
    """The whole contents of two rows."""
    first = second = any_pos(connection, dice)
    while second == first:
        second = any_pos(connection, dice)
    for old, new in ((first, -1), (second, first), (-1, second)):
        connection.execute("UPDATE entries SET pos = ? WHERE pos = ?", (new, old))
    return min(first, second)


def cut_tail(connection: sqlite3.Connection, dice: random.Random) -> int:
    pos = any_pos(connection, dice)
    connection.execute("DELETE FROM entries WHERE pos >= ?", (pos,))
    return pos


def cut_tail_and_its_traces(connection: sqlite3.Connection, dice: random.Random) -> int:
    """Also what beside the entries tells of them, but for the head, which cannot be signed anew."""
    pos = cut_tail(connection, dice)
    connection.execute("DELETE FROM anchors WHERE pos >= ?", (pos,))
    for name, seq, link in connection.execute(
        "SELECT consult, max(seq), link FROM entries GROUP BY consult"
    ).fetchall():
        connection.execute("UPDATE consults SET seq = ?, link = ? WHERE consult = ?", (seq, link, name))
    connection.execute("DELETE FROM consults WHERE consult NOT IN (SELECT consult FROM entries)")
    return pos


def insert(connection: sqlite3.Connection, dice: random.Random) -> int:
    """One entry more at the end, linked as it should be."""
    pos, consult, seq, link = connection.execute(
        "SELECT pos, consult, seq, link FROM entries ORDER BY pos DESC LIMIT 1 OFFSET 1"
    ).fetchone()
    last = connection.execute("SELECT max(pos), file_link FROM entries").fetchone()
    made = links.entry_link(link, consult=consult, seq=seq + 1, at=NOW, kind="noted", clear='{"n":9}', sealed_hash=b"")
    connection.execute(
        "INSERT INTO entries VALUES (?, ?, ?, ?, 'noted', '{\"n\":9}', x'', x'', ?, ?)",
        (last[0] + 1, consult, seq + 1, NOW, made, links.file_link(last[1], made)),
    )
    connection.execute("UPDATE consults SET seq = ?, link = ? WHERE consult = ?", (seq + 1, made, consult))
    assert pos < last[0]
    return int(last[0]) + 1


EDITS: tuple[Edit, ...] = (change, change, change, delete, swap, cut_tail, cut_tail_and_its_traces, insert)


def test_an_untouched_journal_is_good(written: Path) -> None:
    """
    All entries, consults and anchors are looked at, and the last entry is vouched for by a signature.
    """
    verdict = verify(written)

    assert ([], ENTRIES + 1, CONSULTS, 6, ENTRIES + 1, 1) == (
        verdict.problems,
        verdict.entries,
        verdict.consults,
        verdict.anchors,
        verdict.anchored,
        verdict.erased,
    )


@pytest.mark.parametrize("edits", [range(200), pytest.param(range(200, 1000), marks=pytest.mark.slow)])
def test_a_thousand_edits_are_found_and_their_places_named(written: Path, tmp_path: Path, edits: range) -> None:
    """
    A row changed, deleted, swapped, added, the tail cut: found every time, and the first problem is at the edit.
    """
    missed = []
    for seed in edits:
        dice = random.Random(seed)
        path = tmp_path / "edited.db"
        shutil.copyfile(written, path)
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA synchronous = OFF")
        edit = EDITS[seed % len(EDITS)]
        pos = edit(connection, dice)
        connection.close()
        verdict = verify(path)
        if verdict.is_good or verdict.problems[0].pos != pos:
            missed.append((seed, edit.__name__, pos, verdict.problems[:2]))

    assert [] == missed


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE anchors SET file_link = randomblob(32) WHERE pos = 20", "anchor"),
        ("UPDATE anchors SET signature = randomblob(64) WHERE pos = 20", "anchor"),
        ("UPDATE anchors SET signature = x'' WHERE pos = 20", "unsigned"),
        ("UPDATE anchors SET key_id = 'other' WHERE pos = 20", "unknown_key"),
        ("UPDATE anchors SET pos = 21 WHERE pos = 20", "anchor"),
        ("UPDATE head SET at = at + 1", "anchor"),
        ("DELETE FROM head", "cut"),
        ("UPDATE consults SET seq = seq - 1 WHERE consult = 'c1'", "head"),
        ("DELETE FROM consults WHERE consult = 'c1'", "head"),
        ("INSERT INTO consults VALUES (99, 'new', 1, randomblob(32), 0, 1, 0, 1)", "head"),
        ("UPDATE keys SET key = randomblob(32) WHERE id = 2", "key"),
        ("DELETE FROM keys WHERE id = 2", "key"),
        ("UPDATE keys SET key = randomblob(32) WHERE id = 4", "key_kept"),
        ("UPDATE consults SET is_erased = 1 WHERE consult = 'c1'", "head"),
    ],
)
def test_what_is_kept_beside_the_entries_is_checked_too(
    written: Path, tmp_path: Path, statement: str, what: str
) -> None:
    """
    Anchors, heads, keys and the marks of erasures.
    """
    path = tmp_path / "edited.db"
    shutil.copyfile(written, path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()

    assert [what] == sorted({problem.what for problem in verify(path).problems})


def rewrite(path: Path, from_pos: int) -> None:
    """What a forger with the file and without the key can do: change one entry and link all anew after it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE entries SET clear = '{\"n\":1000}' WHERE pos = ?", (from_pos,))
    heads: dict[str, bytes] = {}
    file_link = links.START
    for pos, consult, seq, at, kind, clear, sealed_hash in connection.execute(
        "SELECT pos, consult, seq, at, kind, clear, sealed_hash FROM entries ORDER BY pos"
    ).fetchall():
        link = heads[consult] = links.entry_link(
            heads.get(consult, links.START),
            consult=consult,
            seq=seq,
            at=at,
            kind=kind,
            clear=clear,
            sealed_hash=sealed_hash,
        )
        file_link = links.file_link(file_link, link)
        connection.execute("UPDATE entries SET link = ?, file_link = ? WHERE pos = ?", (link, file_link, pos))
        connection.execute("UPDATE anchors SET file_link = ? WHERE pos = ?", (file_link, pos))
        connection.execute("UPDATE head SET file_link = ? WHERE pos = ?", (file_link, pos))
        connection.execute("UPDATE consults SET link = ? WHERE consult = ?", (link, consult))
    connection.close()


def test_a_forger_who_links_all_anew_is_found_by_the_signatures(written: Path, tmp_path: Path) -> None:
    """
    The first anchor after the change is the first that is wrong; without the keys there is nothing to see.
    """
    path = tmp_path / "edited.db"
    shutil.copyfile(written, path)
    rewrite(path, 33)

    assert [(40, "anchor"), (50, "anchor"), (60, "anchor"), (61, "anchor")] == [
        (problem.pos, problem.what) for problem in verify(path).problems
    ]
    assert verify(path, None).is_good


def test_a_page_of_noise_is_a_problem_and_no_crash(written: Path, tmp_path: Path) -> None:
    """
    Whichever page of the file is overwritten, the verdict comes, and is not good unless the page was unused.
    """
    data = written.read_bytes()
    dice = random.Random(1)
    good = []
    for page in range(len(data) // 4096):
        path = tmp_path / "torn.db"
        path.write_bytes(data[: page * 4096] + dice.randbytes(4096) + data[(page + 1) * 4096 :])
        if verify(path).is_good:
            good.append(page)

    connection = sqlite3.connect(written)
    used = {row[0] - 1 for row in connection.execute("SELECT pageno FROM dbstat")}
    connection.close()
    assert set() == used & set(good)
