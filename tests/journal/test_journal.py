"""
The journal keeps facts in order, gives them back, and forgets what is personal when told to.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.journal import Said
from telerelay.attest import SigningKey, TrustedKeys
from telerelay.errors import LocalProtocolError
from telerelay.journal import Entry, Journal, Store, Verification, canonical, links, sealing

NOW = 1_764_100_000.0


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    store = await Store.open(str(tmp_path / "journal.db"))
    yield await Journal.open(store, lambda: NOW, SigningKey.new())
    await store.close()


def facts(count: int, word: str = "x") -> list[Said]:
    return [Said(1_764_000_000.0 + each, "noted", {"n": each}, {"note": f"{word}{each}"}) for each in range(count)]


def raw_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


async def test_facts_come_back_as_they_were_given(journal: Journal) -> None:
    """
    Numbers are gapless from 1 within a consult; clear and personal parts are apart.
    """
    given_entries = await journal.append("a", facts(2))
    await journal.append("b", facts(1))
    await journal.append("a", [Said(kind="left", clear={"sub": "é"}, personal={})])
    entries = await journal.read("a")

    assert [
        (1, "noted", {"n": 0}, {"note": "x0"}),
        (2, "noted", {"n": 1}, {"note": "x1"}),
        (3, "left", {"sub": "é"}, {}),
    ] == [(each.seq, each.kind, each.clear, each.personal) for each in entries]
    assert given_entries == entries[:2]
    assert [1, 2, 4] == [each.pos for each in entries]
    assert entries[1:] == await journal.read("a", after=1)
    assert entries[1:2] == await journal.read("a", after=1, limit=1)
    assert () == await journal.read("nobody")


async def test_open_consults_are_those_without_a_last_fact(journal: Journal) -> None:
    """
    What is attested or closed need not be read again after a restart.
    """
    for name, last in (("a", "attested"), ("b", "noted"), ("c", "closed"), ("d", "ended")):
        await journal.append(name, [Said(), Said(kind=last, clear={})])
    opened = await journal.open_consults()

    assert ["b", "d"] == list(opened)
    assert [1, 2] == [each.seq for each in opened["b"]]


async def test_appends_of_one_consult_keep_the_order_of_the_calls(journal: Journal) -> None:
    """
    Nobody has to wait for one before giving the next.
    """
    futures = [journal.append("a", [Said(clear={"n": each})]) for each in range(100)]
    await asyncio.gather(*futures)

    assert list(range(100)) == [each.clear["n"] for each in await journal.read("a")]


async def test_listeners_hear_of_what_is_durable_in_order(journal: Journal) -> None:
    """
    Whoever passes facts on is told when they may be passed on.
    """
    heard: list[Entry] = []
    journal.listen(heard.extend)
    await asyncio.gather(*(journal.append("a", facts(2)) for _ in range(10)))
    await asyncio.sleep(0)

    assert list(range(1, 21)) == [each.seq for each in heard]


@pytest.mark.parametrize(
    ("fact", "code"),
    [
        (Said(at=-1.0), "bad_fact"),
        (Said(at=float("nan")), "bad_fact"),
        (Said(at=1e12), "bad_fact"),
        (Said(clear={"n": float("inf")}), "bad_json"),
        (Said(clear={"n": 2**60}), "bad_json"),
        (Said(clear={"sub": "\ud800"}), "bad_json"),
        (Said(clear={"sub": object()}), "bad_json"),
    ],
)
async def test_a_fact_that_cannot_be_written_down_is_refused_at_the_call(
    journal: Journal, fact: Said, code: str
) -> None:
    """
    And nothing that was given with it is written.
    """
    with pytest.raises(LocalProtocolError) as caught:
        journal.append("a", [Said(), fact])

    assert code == caught.value.code
    assert () == await journal.read("a")


async def test_half_a_character_in_a_note_is_kept(journal: Journal) -> None:
    """
    A client may send a lone surrogate; a consult does not fail by it.
    """
    await journal.append("a", [Said(personal={"note": "\ud800 \x00 é"})])

    assert {"note": "\ud800 \x00 é"} == (await journal.read("a"))[0].personal


async def test_personal_parts_are_nowhere_in_the_file(journal: Journal, tmp_path: Path) -> None:
    """
    A hundred words, in each of a hundred entries: none is in the bytes of the file or of its log.
    """
    canaries = [f"canary-{each:03}-{'nom' * 3}" for each in range(100)]
    for canary in canaries:
        await journal.append("a", [Said(personal={"note": canary, "label": {canary: [canary]}})])
    data = raw_bytes(tmp_path)

    assert [] == [canary for canary in canaries if canary.encode() in data]
    assert canaries == [(each.personal or {})["note"] for each in await journal.read("a")]


async def test_erasing_destroys_the_key_and_the_parts_in_all_files_and_breaks_no_chain(
    journal: Journal, tmp_path: Path
) -> None:
    """
    Neither the key nor any sealed part is left in the raw bytes, the log's included; other consults are untouched.
    """
    for each in range(50):
        await journal.append(f"c{each}", facts(8, "word" * 40))
    key = await journal.store.read(
        lambda c: c.execute(
            "SELECT keys.key FROM keys JOIN consults ON consults.key = keys.id WHERE consult = 'c7'"
        ).fetchone()
    )
    before = await journal.read("c7")
    assert key[0] in raw_bytes(tmp_path)
    assert await journal.erase("c7")
    data = raw_bytes(tmp_path)
    after = await journal.read("c7")

    assert key[0] not in data
    assert [] == [each.seq for each in before if (each.sealed or b"?")[:28] in data]
    assert [(each.seq, each.clear, each.link) for each in before] == [
        (each.seq, each.clear, each.link) for each in after
    ]
    assert {(None, None)} == {(each.sealed, each.personal) for each in after}
    assert {"note": "word" * 40 + "0"} == (await journal.read("c8"))[0].personal
    assert [] == (await journal.store.read(lambda c: Verification(c).whole())).problems
    assert not await journal.erase("c7")
    assert not await journal.erase("nobody")


async def test_what_is_appended_after_an_erasure_has_no_personal_parts(journal: Journal) -> None:
    """
    A late note of somebody whose consult was erased is not kept.
    """
    await journal.append("a", facts(1))
    await journal.erase("a")
    await journal.append("a", facts(1))
    late = (await journal.read("a"))[-1]

    assert ({"n": 0}, {}, b"") == (late.clear, late.personal, late.sealed)
    assert [] == (await journal.store.read(lambda c: Verification(c).whole())).problems


async def test_what_is_kept_too_long_is_erased(tmp_path: Path) -> None:
    """
    Closed consults are erased when their last fact is old enough; open ones never by themselves.
    """
    now = [1_764_000_000.0]
    store = await Store.open(str(tmp_path / "journal.db"))
    journal = await Journal.open(store, lambda: now[0])
    for name, last in (("old", "closed"), ("open", "noted"), ("young", "closed")):
        at = now[0] - 100.0 if name != "young" else now[0]
        await journal.append(name, [Said(at, personal={"n": name}), Said(at, last, {})])

    assert 1 == await journal.expire(50.0)
    assert 0 == await journal.expire(50.0)
    assert [None, {"n": "open"}, {"n": "young"}] == [
        (await journal.read(name))[0].personal for name in ("old", "open", "young")
    ]
    assert [] == (await store.read(lambda c: Verification(c).whole())).problems
    await store.close()


async def test_a_journal_goes_on_where_it_ended(tmp_path: Path) -> None:
    """
    Another process reads what was there and continues the same chains, under another key too.
    """
    first, second = SigningKey.new(), SigningKey.new()
    for signer in (first, second):
        store = await Store.open(str(tmp_path / "journal.db"))
        journal = await Journal.open(store, lambda: NOW, signer)
        await journal.append("a", facts(3))
        await store.close()
    store = await Store.open(str(tmp_path / "journal.db"))
    journal = await Journal.open(store, lambda: NOW)
    trusted = TrustedKeys([first.public, second.public])
    verdict = await store.read(lambda c: Verification(c, trusted).whole())

    assert [1, 2, 3, 4, 5, 6] == [each.seq for each in await journal.read("a")]
    assert ([], 6, 1, 6) == (verdict.problems, verdict.entries, verdict.consults, verdict.anchored)
    await store.close()


@given(
    st.floats(0.0, 253_402_300_799.0),
    st.text(max_size=8).filter(lambda text: text.isprintable()),
    st.dictionaries(st.text(max_size=4), st.integers(-9, 9) | st.text(max_size=4) | st.floats(-9, 9), max_size=3),
)
def test_what_is_hashed_is_canonical_json(at: float, consult: str, clear: dict[str, object]) -> None:
    """
    Put together by hand for speed, it is byte for byte what RFC 8785 makes of the same object.
    """
    import hashlib

    text = canonical.dumps(clear).decode()
    whole = {"at": at, "clear": clear, "consult": consult, "kind": "k", "prev": "01" * 32, "sealed": "", "seq": 7}

    assert hashlib.sha256(canonical.dumps(whole)).digest() == links.entry_link(
        b"\x01" * 32, consult=consult, seq=7, at=at, kind="k", clear=text, sealed_hash=b""
    )


def test_a_sealed_part_opens_only_in_its_place() -> None:
    """
    With another key, in another consult, under another number or kind it is nothing; its length tells little.
    """
    key = sealing.new_key()
    sealed = sealing.seal(key, {"note": "a"}, consult="c", seq=1, kind="noted")
    longer = sealing.seal(key, {"note": "a" * 50}, consult="c", seq=1, kind="noted")

    assert {"note": "a"} == sealing.unseal(key, sealed, consult="c", seq=1, kind="noted")
    assert len(longer) == len(sealed)
    assert [None] * 5 == [
        sealing.unseal(key, sealed, consult="d", seq=1, kind="noted"),
        sealing.unseal(key, sealed, consult="c", seq=2, kind="noted"),
        sealing.unseal(key, sealed, consult="c", seq=1, kind="left"),
        sealing.unseal(sealing.new_key(), sealed, consult="c", seq=1, kind="noted"),
        sealing.unseal(sealing.ERASED, sealed, consult="c", seq=1, kind="noted"),
    ]


async def test_a_journal_of_a_later_version_is_not_touched(tmp_path: Path) -> None:
    """
    A relay that was rolled back says so rather than writing into what it does not know.
    """
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    store = await Store.open(str(path))

    with pytest.raises(Exception, match="later version"):
        await Journal.open(store, lambda: NOW)
    await store.close()


def test_json_that_two_readers_read_differently_is_refused() -> None:
    """
    A key twice, NaN and Infinity are no JSON here.
    """
    for text in ('{"a":1,"a":2}', '{"a":NaN}', "[Infinity]", "[" * 100_000):
        with pytest.raises(ValueError):  # noqa: PT011
            canonical.loads(text)
    assert {"a": 1} == json.loads('{"a":1}')
