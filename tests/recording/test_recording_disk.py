"""
What is kept of a recording whose process is killed, or whose disk is full: all that was said to be there, sealed.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import av
import pytest
from test_recorded_calls import Pair, begin
from test_take import NOW, VOICE, Cutting, report

from support.live_relay import MakeLive
from support.relay_process import RelayProcess, free_port
from support.small_disk import mounted
from telerelay.client import Client, MovingPicture, Tone
from telerelay.documents.vault import Vault
from telerelay.errors import RemoteProtocolError, TelerelayError
from telerelay.recording.shelf import Shelves
from telerelay.recording.take import Counts, Part, Take


def clear_on_disk(data: bytes, *folders: Path) -> list[str]:
    """Which files have some of it as it is, or the words that its containers begin with."""
    marks = [data[at : at + 24] for at in range(0, len(data) - 24, 500)]
    marks = [each for each in marks if len(set(each)) > 12]  # runs of zeros are nobody's
    assert len(marks) > 50
    marks += [b"\x1aE\xdf\xa3\x9fB\x86", b"OpusHead"]
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in paths if any(mark in path.read_bytes() for mark in marks)]


def frames_of(data: bytes) -> Mapping[str, int]:
    """How many there are to be decoded, by kind."""
    found = {"audio": 0, "video": 0}
    with av.open(io.BytesIO(data)) as file:
        try:
            for frame in file.decode():
                found["video" if isinstance(frame, av.VideoFrame) else "audio"] += 1
        except (av.InvalidDataError, EOFError):
            pass  # the last one may be cut off
    return found


def asked(client: Client) -> set[str]:
    """The recordings that it was asked about."""
    return {each["recording"] for each in client.events if each["type"] == "recording" and each["state"] == "asked"}


class Host:
    """The admin listener of a relay."""

    def __init__(self, relay: RelayProcess, port: int, http: aiohttp.ClientSession) -> None:
        token = relay.run("token", "--admin", "--key-file", str(relay.key_file), "--sub", "desk-3")
        self._http, self._headers = http, {"Authorization": f"Bearer {token}"}
        self._url = f"http://127.0.0.1:{port}/consults"

    async def ask(self, method: str, path: str = "", body: dict[str, Any] | None = None) -> bytes:
        async with self._http.request(method, self._url + path, json=body, headers=self._headers) as response:
            assert response.status < 300, await response.text()
            return await response.read()

    async def files(self) -> list[dict[str, Any]]:
        return list(json.loads(await self.ask("GET", "/r1/recordings"))["files"])


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_of_a_process_that_is_killed_all_is_there_that_it_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The next one has each file at least as long as the host was told, with the same bytes; it plays as far as it goes.
    """
    port, kept, scratch = free_port(), tmp_path / "kept", tmp_path / "scratch"
    scratch.mkdir()
    for name, value in {
        "HTTP_ADMIN_PORT": str(port),
        "RECORDING_ENABLED": "true",
        "RECORDING_FOLDER": str(kept),
        "JOURNAL_PATH": str(tmp_path / "journal"),
    }.items():
        monkeypatch.setenv(f"TELERELAY_{name}", value)
    with RelayProcess() as relay:
        monkeypatch.setenv("TMPDIR", str(scratch))
        async with aiohttp.ClientSession() as http:
            host = Host(relay, port, http)
            await host.ask("POST", "", {"consult": "r1"})
            doctor = await Client.join(relay.url, relay.token("r1", "doc"), "r1")
            await doctor.publish([Tone(), MovingPicture()], ["microphone", "camera"])
            await host.ask("POST", "/r1/recording")
            await doctor.wait_for(lambda client: bool(asked(client)), 20)
            (recording,) = asked(doctor)
            await doctor.request("answer_recording", recording=recording, agreed=True)
            told: list[dict[str, Any]] = []
            async with asyncio.timeout(60):
                while not told or max(each["size_bytes"] for each in told) < 100_000:
                    await asyncio.sleep(0.1)
                    try:
                        told = await host.files()
                    except AssertionError:  # there is none yet
                        continue
            largest = max(told, key=lambda each: each["size_bytes"])
            data = await host.ask("GET", f"/r1/recordings/{largest['file']}")
            relay.kill()
            found = clear_on_disk(data, tmp_path)
            relay.start()
            again = {each["file"]: each for each in await host.files()}
            rest = await host.ask("GET", f"/r1/recordings/{largest['file']}")
            with contextlib.suppress(TelerelayError, OSError, TimeoutError, aiohttp.ClientError):
                await asyncio.wait_for(doctor.leave(), 5)  # its socket was cut off

    assert len(data) >= largest["size_bytes"]
    assert all(again[each["file"]]["size_bytes"] >= each["size_bytes"] for each in told)
    assert (False, data) == (again[largest["file"]]["whole"], rest[: len(data)])
    assert largest["media_type"] == again[largest["file"]]["media_type"]
    assert min(frames_of(rest).values()) > 10
    assert [] == found
    assert [] == [path for path in scratch.rglob("*") if path.is_file()]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    with mounted(tmp_path / "small", "2m") as folder:
        yield folder


def fill(path: Path) -> None:
    """To the last block."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)) == 4096:
                pass
        except OSError:
            pass


@pytest.mark.slow
@pytest.mark.may_skip
@pytest.mark.timeout(300)
async def test_of_a_disk_that_is_full_all_is_there_that_was_on_it(
    make_live: MakeLive, tmp_path: Path, small_disk: Path
) -> None:
    """
    The recording stops and says why, the call goes on; another process has what was there, with the same bytes.
    """
    values = {
        "recording": {"enabled": True, "folder": str(small_disk / "kept"), "keep_free_bytes": 0},
        "journal": {"path": str(tmp_path / "journal")},
    }
    pair: Pair = await begin(await make_live(values))
    await pair.agree(await pair.ask())
    async with asyncio.timeout(60):
        while sum(each.size_bytes for each in pair.recordings._shelves.of("r1")) < 100_000:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    told = {each.id: each.size_bytes for each in pair.recordings.kept("r1")}
    fill(small_disk / "filler")
    sign = await pair.is_now("stopped")
    received = pair.doctor.tap.received
    await pair.doctor.wait_for(lambda client: client.tap.received > received + 20)
    kept = {each.id: each for each in pair.recordings.kept("r1")}
    data = {id: await pair.recordings.read(each, 0, each.size_bytes) for id, each in kept.items()}
    await pair.live.relay.consults.end("r1", "host")
    await pair.doctor.leave()
    await pair.patient.leave()
    keyring = pair.recordings._store.keyring
    assert keyring is not None
    other = Shelves(Vault(small_disk / "kept", "recordings"), 0)
    other.find(keyring.known("r1"), "r1")
    again = {each.id: each for each in other.of("r1")}

    assert "full" == sign["why"]
    for id, size_bytes in told.items():
        assert size_bytes <= len(data[id]) <= again[id].size_bytes
        there = other.read(again[id], 0, len(data[id]))
        assert data[id] == there
    largest = max(data.values(), key=len)
    assert min(frames_of(largest).values()) > 10
    assert [] == clear_on_disk(largest, tmp_path)


def test_a_problem_with_one_file_leaves_the_others_whole() -> None:
    """
    It comes out when all of them had their turn.
    """
    cutting = Cutting()
    closed: list[str] = []

    def opened(sub: str, group: str, media_type: str, sources: tuple[str, ...]) -> Any:
        def write(data: bytes) -> None:
            if sub == "pat":
                raise RemoteProtocolError("storage_full", "no room")

        return write

    take = Take(opened, lambda sub, group, part: closed.append(sub), cutting.asked.append)
    cutting.take = take
    take.begin(VOICE)
    take.begin(type(VOICE)(2, "pub-d", "doc", "microphone", "opus", "call"))
    for number in range(10):
        for ssrc in (1, 2):
            cutting.send(NOW + number / 50, ssrc, number * 960, b"\xfc\xff\xfe")
    take.rtcp(report(1, NOW, 0) + report(2, NOW, 0))
    with pytest.raises(RemoteProtocolError, match="no room"):
        take.close(NOW + 1)

    assert ["doc"] == closed


def test_of_a_file_that_is_written_so_much_is_told_as_is_on_the_disk(tmp_path: Path) -> None:
    """
    What came since may be lost, and is counted when it may not.
    """
    shelves = Shelves(Vault(tmp_path, "recordings"), 0)
    writing = shelves.writing(b"k" * 32, "r1", "rec")
    write = writing.opened("pat", "call", "video/webm", ("camera",))
    (kept,) = shelves.of("r1")
    told = [kept.size_bytes]
    for data, now in ((b"a" * 100_000, 10.0), (b"b" * 1000, 10.5), (b"c", 11.5)):
        write(data)
        told.append(kept.size_bytes)
        writing.tick(now)
        told.append(kept.size_bytes)
    write(b"d" * 70_000)
    other = Shelves(Vault(tmp_path, "recordings"), 0)
    other.find(b"k" * 32, "r1")
    (again,) = other.of("r1")

    assert [0, 0, 100_000, 100_000, 100_000, 100_000, 101_001] == told
    assert (True, "video/webm") == (again.size_bytes >= 101_001, again.about["media_type"])
    writing.closed("pat", "call", Part("pat", ("camera",), "video/webm", NOW, 1.0, Counts(1, 0, 0, 0)))
    assert (True, 171_001) == (kept.is_whole, kept.size_bytes)
