"""A consult that is erased beside a running relay: its recordings are as gone as its names."""

import sqlite3
import time
from pathlib import Path

import pytest

from support.courses import refused
from support.live_relay import Live, MakeLive
from telerelay.attest.command import _erase_all
from telerelay.journal import DiskTrouble
from telerelay.recording.recordings import Recordings
from telerelay.recording.take import Counts, Part

KEPT = Part("pat", ("microphone",), "audio/webm", time.time(), 1.0, Counts(50, 0, 0, 0))


async def recorded(live: Live, consult: str = "r1") -> Recordings:
    """A consult of which there is a recording, as a take leaves it."""
    await live.schedule(consult)
    recordings = live.relay.consults.recordings
    shelves, keyring = recordings._opened()
    key = await keyring.key(consult)

    def write() -> None:
        writing = shelves.writing(key, consult, "rec")
        writing.opened("pat", "call", "audio/webm", ("microphone",))(b"what the patient said")
        writing.closed("pat", "call", KEPT)

    await recordings._do(write)
    return recordings


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("is_looked_for", [False, True])
async def test_what_is_erased_in_the_journal_is_not_handed_out(
    make_live: MakeLive, tmp_path: Path, is_looked_for: bool
) -> None:
    """
    Neither to whoever asks next, nor is it left on the disk where nobody asks; its key is in no byte of the journal.
    """
    folder, path = tmp_path / "kept", tmp_path / "journal"
    live = await make_live({"recording": {"enabled": True, "folder": str(folder)}, "journal": {"path": str(path)}})
    recordings = await recorded(live)
    await recorded(live, "r2")
    key = recordings._opened()[1].known("r1")
    assert key is not None
    await live.relay.consults.cancel("r1", "host")
    (kept,) = await recordings.found("r1")
    before = await recordings.read(kept, 0, 100)
    erased = await _erase_all(str(path), ["r1"], None)
    if is_looked_for:
        with refused("not_found"):
            await recordings.found("r1")
    else:
        await recordings.expire()
    with refused("not_found"):
        await recordings.read(kept, 0, 100)

    assert (b"what the patient said", {"r1": True}) == (before, erased)
    assert 2 == len(files_in(folder))  # of the other consult
    assert not any(key in file.read_bytes() for file in files_in(tmp_path))
    assert 1 == len(await recordings.found("r2"))


async def test_another_process_finds_none_of_what_was_erased(make_live: MakeLive, tmp_path: Path) -> None:
    """
    While no relay ran.
    """
    folder, path = tmp_path / "kept", tmp_path / "journal"
    values = {"recording": {"enabled": True, "folder": str(folder)}, "journal": {"path": str(path)}}
    live = await make_live(values)
    await recorded(live)
    await live.relay.consults.cancel("r1", "host")
    await live.relay.__aexit__(None, None, None)
    await _erase_all(str(path), ["r1"], None)
    files = len(files_in(folder))
    await make_live(values)

    assert 2 == files
    assert [] == files_in(folder)


async def test_a_consult_that_was_erased_before_has_its_recording_erased_all_the_same(
    make_live: MakeLive, tmp_path: Path
) -> None:
    """
    As where the personal parts of the journal are kept for a shorter time than recordings.
    """
    path = tmp_path / "journal"
    live = await make_live({"recording": {"enabled": True}, "journal": {"path": str(path)}})
    recordings = await recorded(live)
    await live.relay.consults.cancel("r1", "host")
    expired = await live.relay.consults.keeping.journal.expire(-60.0)
    still = await recordings.found("r1")
    erased = await _erase_all(str(path), ["r1"], None)
    again = await _erase_all(str(path), ["r1"], None)
    with sqlite3.connect(path) as connection:
        keys = connection.execute("SELECT key FROM recording_keys").fetchall()

    assert (1, 1, {"r1": True}, {"r1": False}) == (expired, len(still), erased, again)
    assert [(bytes(32),)] == keys


async def test_a_disk_that_does_not_say_whether_something_was_erased_hands_nothing_out(
    make_live: MakeLive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    And the next look goes on.
    """
    live = await make_live({"recording": {"enabled": True}})
    recordings = await recorded(live)
    await live.relay.consults.cancel("r1", "host")

    async def in_trouble(consult: str) -> bool:
        raise DiskTrouble("failing", "the disk fails")

    monkeypatch.setattr(recordings._opened()[1], "is_kept", in_trouble)
    with refused("storage_failed"):
        await recordings.found("r1")
    monkeypatch.undo()

    assert 1 == len(await recordings.found("r1"))
