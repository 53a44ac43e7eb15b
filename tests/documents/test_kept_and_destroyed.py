"""How documents lie on the disk, and what becomes of them at the end, after a death, and with a disk that fails."""

import asyncio
import errno
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from support.live_relay import Live, MakeLive, Peer
from support.uploads import TUS, Call, Sender, sha256, some_bytes, stalling
from telerelay.documents import volume as volumes
from telerelay.documents.frames import FRAME_BYTES, SLOT_BYTES, Sealer, Unreadable
from telerelay.documents.volume import Volume
from telerelay.errors import RemoteProtocolError

TEXT = b"The patient is called Marie Martin. " * 8192  # longer than a frame


def kept_in(folder: Path) -> bytes:
    """Every byte of every file there."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


async def with_journal(make_live: MakeLive, tmp_path: Path, **documents: Any) -> Call:
    values = {"journal": {"path": str(tmp_path / "journal")}, "documents": documents}
    return await Call.begin(await make_live(values))


async def test_nothing_is_readable_on_the_disk(make_live: MakeLive, tmp_path: Path) -> None:
    """
    Neither what is in a document, nor its name, nor whose it is, nor the consult's; and only its owner may look.
    """
    call = await with_journal(make_live, tmp_path)
    await call.pat.send(TEXT, filename="Marie Martin.txt", label="letter")
    half = await call.pat.create(TEXT)
    await call.pat.patch(half.headers["Location"], 0, TEXT[:100_000])
    folder = tmp_path / "journal.documents"
    kept = kept_in(folder)

    assert len(TEXT) + 100_000 < len(kept)
    assert [] == [word for word in (b"Martin", b"letter", b"patient", sha256(TEXT).encode()) if word in kept]
    assert 0o700 == folder.stat().st_mode & 0o777
    assert {0o600} == {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    assert [] == [path for path in folder.rglob("*") if "r1" in path.name or "pat" in path.name]


async def test_after_the_end_nothing_is_readable(make_live: MakeLive, tmp_path: Path) -> None:
    """
    Not over HTTP, not in the folder, and with a copy of the folder nothing can be done: the key is nowhere.
    """
    call = await with_journal(make_live, tmp_path)
    document = await call.pat.send(TEXT)
    half = await call.pat.create(TEXT)
    key = call.live.relay.consults.documents._store.keyring.known("r1")
    before = kept_in(tmp_path)
    await call.end()
    replies = [
        await call.doc.ask("GET", document),
        await call.pat.ask("GET"),
        await call.pat.create(b"abc"),
        await call.pat.head(half.headers["Location"]),
        await call.pat.patch(half.headers["Location"], 0, TEXT),
        await call.pat.ask("DELETE", half.headers["Location"], **TUS),
    ]

    assert [410] * 6 == [each.status for each in replies]
    assert {"consult_over", ""} == {each.code for each in replies}
    assert [] == list((tmp_path / "journal.documents").rglob("*"))
    assert key is not None
    assert (True, False) == (key in before, key in kept_in(tmp_path))


async def test_a_download_is_cut_off_by_the_end(call: Call) -> None:
    """
    Fewer bytes than were promised: nobody takes them for the whole.
    """
    data = some_bytes(24_000_000)
    document = await call.pat.send(data)
    headers = call.doc.headers
    async with call.live.http.get(f"{call.doc.url}/{document}", headers=headers) as response:
        await response.content.readexactly(1000)
        await call.end()
        with pytest.raises(Exception, match=r"payload|reset|closed"):
            await response.read()


async def test_an_upload_under_way_is_cut_off_by_the_end(call: Call) -> None:
    """
    Its files are gone with the rest.
    """
    gate = asyncio.Event()
    made = await call.pat.create(some_bytes(200_000))
    documents = call.live.relay.consults.documents
    sending = asyncio.create_task(
        call.pat.patch(made.headers["Location"], 0, stalling(some_bytes(200_000)[:100_000], gate))
    )
    await call.live.until(lambda: documents.bytes["in"] == 100_000)
    await call.end()
    reply = await sending

    assert (410, "consult_over") == (reply.status, reply.code)
    assert [] == list(documents._store.vault._folder.rglob("*"))


async def test_the_attestation_has_hashes_and_sizes(call: Call) -> None:
    """
    Of what came as a whole, with whose it was; no name.
    """
    data = some_bytes(1234)
    document = await call.pat.send(data, filename="Mme Martin.pdf", label="referral", filetype="application/pdf")
    await call.pat.create(data)
    await call.end()
    signed = (await call.live.relay.consults.attestation("r1")).decode()

    assert f'"sha256":"{sha256(data)}"' in signed
    assert f'"document":"{document}"' in signed
    assert '"size_bytes":1234' in signed
    assert "Martin" not in signed


async def restarted(make_live: MakeLive, tmp_path: Path, call: Call) -> tuple[Live, Peer, Sender, Sender]:
    """Another process, as after a kill: nothing was told to anybody, and files are as they were left."""
    await call.live.relay.__aexit__(None, None, None)
    live = await make_live({"journal": {"path": str(tmp_path / "journal")}})
    await live.join("doc")
    patient = await live.join("pat", role="patient")
    return live, patient, Sender(live, "doc", "practitioner"), Sender(live, "pat", "patient")


async def test_another_process_goes_on(make_live: MakeLive, tmp_path: Path) -> None:
    """
    With what is here, under its name, and with what was on its way, from the last byte that was acknowledged.
    """
    call = await with_journal(make_live, tmp_path)
    data = some_bytes(200_000, 7)
    document = await call.pat.send(TEXT, filename="letter.txt")
    half = (await call.pat.create(data)).headers["Location"].rpartition("/")[2]
    await call.pat.patch(half, 0, data[:100_001])
    _, patient, doc, pat = await restarted(make_live, tmp_path, call)
    head = await pat.head(half)
    sent = await pat.patch(half, 100_001, data[100_001:])
    sign = await patient.sign("documents", lambda sign: len(sign["documents"]) == 2)

    assert "100001" == head.headers["Upload-Offset"]
    assert 204 == sent.status
    assert [TEXT, data] == [(await doc.ask("GET", each)).body for each in (document, half)]
    assert ["letter.txt", ""] == [each["name"] for each in sign["documents"]]


async def test_what_is_of_no_consult_any_more_is_swept(make_live: MakeLive, tmp_path: Path) -> None:
    """
    The process ended between the end of the consult and that of its documents.
    """
    call = await with_journal(make_live, tmp_path)
    await call.pat.send(TEXT)
    documents = call.live.relay.consults.documents
    documents.end = lambda consult: None
    await call.end()
    folder = tmp_path / "journal.documents"
    left = len(list(folder.rglob("*.data")))
    await call.live.relay.__aexit__(None, None, None)
    live = await make_live({"journal": {"path": str(tmp_path / "journal")}})
    await live.relay.consults.documents._tasks.join(5.0, besides=("documents_expire",))
    with sqlite3.connect(tmp_path / "journal") as connection:
        keys = connection.execute("SELECT key FROM document_keys").fetchall()

    assert (1, []) == (left, list(folder.iterdir()))
    assert [(bytes(32),)] == keys


# -------------------------------------------------------------------- a disk that fails


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """While it holds an errno, every write of a document fails with that."""
    trouble: list[int] = []
    pwrite, write = os.pwrite, os.write

    def maybe(real: Any) -> Any:
        def called(*arguments: Any) -> Any:
            if trouble:
                raise OSError(trouble[0], os.strerror(trouble[0]))
            return real(*arguments)

        return called

    monkeypatch.setattr(volumes.os, "pwrite", maybe(pwrite))
    monkeypatch.setattr(volumes.os, "write", maybe(write))
    return trouble


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "storage_full"), (errno.EIO, "storage_failed")])
async def test_a_disk_that_fails_loses_nothing_that_was_acknowledged(
    call: Call, failing: list[int], number: int, code: str
) -> None:
    """
    It is told by a code; later the upload goes on; what is here stays, and the call hears nothing of it.
    """
    data = some_bytes(400_000)
    before = await call.pat.send(some_bytes(10))
    made = await call.pat.create(data)
    url = made.headers["Location"]
    await call.pat.patch(url, 0, data[:70_000])
    failing.append(number)
    full = await call.pat.patch(url, 70_000, data[70_000:])
    new = await call.pat.create(data)
    answered = await call.patient.ask("stats")
    failing.clear()
    head = await call.pat.head(url)
    rest = await call.pat.patch(url, 70_000, data[70_000:])

    assert [(507, code)] * 2 == [(each.status, each.code) for each in (full, new)]
    assert "reply" == answered["type"]
    assert ("70000", 204) == (head.headers["Upload-Offset"], rest.status)
    assert data == (await call.doc.ask("GET", url)).body
    assert 200 == (await call.doc.ask("GET", before)).status


async def test_a_disk_keeps_room_for_others(make_live: MakeLive) -> None:
    """
    The journal above all: what is promised to uploads on their way counts.
    """
    call = await Call.begin(await make_live({"documents": {"keep_free_bytes": 2**44}}))
    reply = await call.pat.create(b"abc")

    assert (507, "storage_full") == (reply.status, reply.code)


# -------------------------------------------------------------------- files by themselves


def sealer(document: str = "d1", key: bytes = b"k" * 32) -> Sealer:
    return Sealer(key, "r1", document)


def test_what_was_settled_is_there_for_another_process(tmp_path: Path) -> None:
    """
    Whatever it had come to; a frame that was half written is cut off.
    """
    data = some_bytes(3 * FRAME_BYTES + 10)
    for size in (0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, len(data)):
        path = tmp_path / f"{size}.data"
        volume = Volume.create(path, sealer())
        volume.append(data[:size])
        volume.settle()
        volume.append(data[size : size + 1000])  # never settled
        volume.rest()
        with path.open("ab") as file:
            file.write(b"torn")
        again = Volume.open(path, sealer())
        got = again.offset
        again.append(data[got:])
        again.finish()

        assert size <= got
        assert (len(data), sha256(data)) == (again.offset, Volume.open(path, sealer()).digest())


@pytest.mark.parametrize("damage", ["swapped", "cut", "flipped", "other document", "other key"])
def test_a_frame_opens_in_its_place_alone(tmp_path: Path, damage: str) -> None:
    """
    Whoever can write to the disk cannot make another document of it that is taken for this one.
    """
    path = tmp_path / "d1.data"
    volume = Volume.create(path, sealer())
    volume.append(some_bytes(2 * FRAME_BYTES))
    volume.finish()
    raw = bytearray(path.read_bytes())
    if damage == "swapped":
        raw = raw[SLOT_BYTES:] + raw[:SLOT_BYTES]
    elif damage == "cut":
        raw = raw[SLOT_BYTES:]
    elif damage == "flipped":
        raw[100] ^= 1
    path.write_bytes(raw)
    other = {"other document": sealer("d2"), "other key": sealer(key=b"l" * 32)}.get(damage, sealer())

    with pytest.raises(Unreadable):
        Volume.open(path, other)


def test_a_full_disk_leaves_a_volume_where_it_was(tmp_path: Path, failing: list[int]) -> None:
    """
    What was settled before is what is there, and more may be added later.
    """
    data = some_bytes(3 * FRAME_BYTES)
    volume = Volume.create(tmp_path / "d1.data", sealer())
    volume.append(data[:100])
    volume.settle()
    failing.append(errno.ENOSPC)
    with pytest.raises(RemoteProtocolError, match="full"):
        volume.append(data[100:])
    volume.append(b"x")
    with pytest.raises(RemoteProtocolError, match="full"):
        volume.settle()
    failing.clear()

    assert 100 == volume.offset
    volume.append(data[100:])
    volume.finish()
    assert sha256(data) == volume.digest()
