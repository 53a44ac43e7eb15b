"""
Uploads to a relay in a process of its own: it is killed in the midst of them, and its disk has no room.

Blocking calls (kill, start) are beside this loop. What is measured is what HTTP answers, never what the relay's objects
say.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from support.calls import restart_control
from support.relay_process import RelayProcess, free_port
from support.small_disk import mounted
from support.uploads import OFFSET, TUS, metadata, sha256, some_bytes

pytestmark = pytest.mark.slow

FRAME = 65536
WITHIN_S = 60.0
PERMANENT = frozenset({400, 404, 409, 410, 413, 460})
"""Answers to an upload that asking again does not change."""


class Party:
    """One person of the consult "r1": a seat without media, and HTTP."""

    def __init__(self, relay: RelayProcess, http: aiohttp.ClientSession, sub: str, role: str) -> None:
        self._relay = relay
        self._http = http
        self._token = relay.token("r1", sub, role)
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self.headers = {"Authorization": f"Bearer {self._token}"}
        self.participant = ""

    async def enter(self) -> None:
        """Join; again, after the relay was started again."""
        if self._ws is not None:
            await self._ws.close()
        self._ws = await self._http.ws_connect(f"{self._relay.url}/ws")
        self.participant = (await self.ask("join", room="r1", token=self._token))["participant"]

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """A request's reply; what comes before it is not looked at."""
        assert self._ws is not None
        await self._ws.send_json({"type": kind, "id": 1, **fields})
        async with asyncio.timeout(WITHIN_S):
            while (said := await self._ws.receive_json()).get("id") != 1:
                pass
        assert "reply" == said["type"], said
        return dict(said)

    async def create(self, data: bytes, digest: str = "") -> tuple[int, str, str]:
        """Status, code, and the address of a new upload of that."""
        said = metadata(sha256=digest or sha256(data))
        headers = {**self.headers, **TUS, "Upload-Length": str(len(data)), "Upload-Metadata": said}
        async with self._http.post(f"{self._relay.url}/documents", headers=headers) as response:
            return response.status, await code_of(response), response.headers.get("Location", "")

    async def patch(self, address: str, offset: int, body: Any) -> tuple[int, str]:
        """Status and code. Raises aiohttp.ClientError where the relay is gone meanwhile."""
        headers = {**self.headers, **OFFSET, "Upload-Offset": str(offset)}
        async with self._http.patch(self._relay.url + address, data=body, headers=headers) as response:
            return response.status, await code_of(response)

    async def offset(self, address: str) -> int:
        """How far it has come, asked for until the relay says so."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                try:
                    async with self._http.head(self._relay.url + address, headers={**self.headers, **TUS}) as response:
                        assert response.status not in PERMANENT, response.status
                        if response.status == 200:
                            return int(response.headers["Upload-Offset"])
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)

    async def status(self, method: str, address: str, **headers: str) -> int:
        """What a request with these headers over one's own is answered with."""
        sent = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._http.request(method, self._relay.url + address, headers=sent) as response:
            return response.status

    async def listed(self) -> list[str]:
        """Hashes of all that this person may have."""
        async with self._http.get(f"{self._relay.url}/documents", headers=self.headers) as response:
            return [each["sha256"] for each in (await response.json())["documents"]]

    async def get(self, address: str) -> bytes:
        async with self._http.get(self._relay.url + address, headers=self.headers) as response:
            assert 200 == response.status, response.status
            return await response.read()


async def code_of(response: aiohttp.ClientResponse) -> str:
    if response.content_type != "application/json":
        return ""
    return str((await response.json())["error"]["code"])


class Consult:
    """A doctor and a patient in the consult "r1" of a relay that keeps a journal."""

    def __init__(self, relay: RelayProcess, doctor: Party, patient: Party) -> None:
        self.relay = relay
        self.doctor = doctor
        self.patient = patient

    async def enter(self) -> None:
        await self.doctor.enter()
        await self.patient.enter()

    async def killed(self) -> None:
        """SIGKILL to control; it is started again, and both are back."""
        await restart_control(self.relay)
        await self.enter()


@asynccontextmanager
async def consult(tmp_path: Path, folder: Path | None = None, keep_free_bytes: int = 2**20) -> AsyncIterator[Consult]:
    admin = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TELERELAY_HTTP_ADMIN_PORT", str(admin))
        patch.setenv("TELERELAY_JOURNAL_PATH", str(tmp_path / "journal"))
        patch.setenv("TELERELAY_DOCUMENTS_FOLDER", str(folder or tmp_path / "documents"))
        patch.setenv("TELERELAY_DOCUMENTS_KEEP_FREE_BYTES", str(keep_free_bytes))
        with RelayProcess() as relay:
            token = relay.run("token", "--admin", "--key-file", str(relay.key_file), "--sub", "desk")
            async with aiohttp.ClientSession() as http:
                headers = {"Authorization": f"Bearer {token}"}
                plan = {"consult": "r1"}
                async with http.post(f"http://127.0.0.1:{admin}/consults", json=plan, headers=headers) as response:
                    assert response.status < 300, await response.text()
                found = Consult(relay, Party(relay, http, "doc", "practitioner"), Party(relay, http, "pat", "patient"))
                await found.enter()
                await found.doctor.ask("admit", participant=found.patient.participant)
                yield found


async def until_there(data: bytes, under_way: asyncio.Event) -> AsyncIterator[bytes]:
    """A body that sends all of `data` and does not end: what comes after it never comes."""
    for start in range(0, len(data), 16384):
        yield data[start : start + 16384]
    under_way.set()
    await asyncio.get_running_loop().create_future()


@pytest.mark.timeout(240)
async def test_an_upload_goes_on_after_control_was_killed_in_the_midst_of_it(tmp_path: Path) -> None:
    """
    Killed three times while a piece is under way: nothing that was acknowledged is missing, what is there is right, and
    the whole has the hash that it should have, at the doctor and in the journal, once.
    """
    data = some_bytes(2_000_003)
    acknowledged, found = [], []
    async with consult(tmp_path) as call:
        _, _, address = await call.patient.create(data)
        at = 0
        for settled, sent in ((100_001, 200_000), (3 * FRAME, FRAME), (FRAME - 1, 700_000)):
            assert (204, "") == await call.patient.patch(address, at, data[at : at + settled])
            at += settled
            under_way = asyncio.Event()
            patching = asyncio.create_task(
                call.patient.patch(address, at, until_there(data[at : at + sent], under_way))
            )
            await under_way.wait()
            await call.killed()
            with pytest.raises(aiohttp.ClientError):
                await patching
            acknowledged.append(at)
            at = await call.patient.offset(address)
            found.append(at)
        assert (204, "") == await call.patient.patch(address, at, data[at:])
        got = await call.doctor.get(address)
        listed = await call.doctor.listed()

    assert [] == [(least, there) for least, there in zip(acknowledged, found, strict=True) if there < least]
    assert data == got
    assert [sha256(data)] == listed
    assert 1 == written_down(tmp_path)


@pytest.mark.timeout(240)
async def test_a_kill_at_the_last_byte_leaves_a_document_or_an_upload_that_goes_on(tmp_path: Path) -> None:
    """
    All bytes came, and control is killed before, while, or after it says so: asked again it is whole, and there once.
    """
    documents = [some_bytes(size, size) for size in (1, FRAME, 3 * FRAME + 17)]
    got = []
    async with consult(tmp_path) as call:
        for n, data in enumerate(documents):
            _, _, address = await call.patient.create(data)
            patching = asyncio.create_task(call.patient.patch(address, 0, data))
            await asyncio.sleep(0.005 * n)  # no order is waited for: every one of them must do
            await call.killed()
            await asyncio.wait({patching})
            patching.exception()
            at = await call.patient.offset(address)
            if at < len(data):
                assert (204, "") == await call.patient.patch(address, at, data[at:])
            got.append(await call.doctor.get(address))
        listed = await call.doctor.listed()

    assert documents == got
    assert sorted(map(sha256, documents)) == sorted(listed)
    assert len(documents) == written_down(tmp_path)


@pytest.mark.timeout(240)
async def test_a_kill_neither_mends_a_wrong_hash_nor_opens_what_is_over(tmp_path: Path) -> None:
    """
    Half of it comes before the kill: the whole is held against what was declared all the same, and thrown away. After
    the end, and a kill right behind it, nobody has the document or begins another, whatever their token.
    """
    data = some_bytes(200_000)
    async with consult(tmp_path) as call:
        _, _, wrong = await call.patient.create(data, sha256(b"something else"))
        _, _, address = await call.patient.create(data)
        for each in (wrong, address):
            assert (204, "") == await call.patient.patch(each, 0, data[:100_001])
        await call.killed()
        told = await call.patient.patch(wrong, 100_001, data[100_001:])
        gone = await call.patient.status("HEAD", wrong, **TUS)
        assert (204, "") == await call.patient.patch(address, 100_001, data[100_001:])
        foreign = await call.patient.status("GET", address, Authorization="Bearer x.y.z")
        elsewhere = await call.patient.status("GET", address, Authorization=f"Bearer {call.relay.token('r2', 'doc')}")
        await call.doctor.ask("end")
        await restart_control(call.relay)
        after = [
            await call.doctor.status("GET", address),
            await call.patient.status("HEAD", address, **TUS),
            (await call.patient.create(data))[0],
            (await call.patient.patch(address, 0, data))[0],
        ]
        left = list((tmp_path / "documents").rglob("*.data"))

    assert (460, "wrong_hash") == told
    assert 404 == gone
    assert (401, 404) == (foreign, elsewhere)
    assert [410] * 4 == after
    assert [] == left


def written_down(tmp_path: Path) -> int:
    """How many documents the journal says have come."""
    with sqlite3.connect(tmp_path / "journal") as connection:
        (count,) = connection.execute("SELECT count(*) FROM entries WHERE kind = 'document_received'").fetchone()
    return int(count)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    with mounted(tmp_path / "small", "8m") as folder:
        yield folder


def fill(filler: Path, leave_bytes: int = 0) -> None:
    """Take all the room there is but that."""
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
        file.truncate(max(0, file.tell() - leave_bytes))


@pytest.mark.may_skip
@pytest.mark.timeout(240)
async def test_an_upload_waits_for_a_disk_that_is_full(tmp_path: Path, small_disk: Path) -> None:
    """
    Others filled it in the midst of an upload: it and a new one are told by a code, the call goes on, a kill meanwhile
    loses nothing that was acknowledged, and when there is room it goes on to the end.
    """
    data = some_bytes(3_000_000)
    filler = small_disk / "filler"
    async with consult(tmp_path, small_disk / "documents") as call:
        _, _, address = await call.patient.create(data)
        assert (204, "") == await call.patient.patch(address, 0, data[:100_001])
        fill(filler, 4 * FRAME)
        full = await call.patient.patch(address, 100_001, data[100_001:])
        refused = await call.patient.create(data)
        answered = await call.patient.ask("stats")
        kept = await call.patient.offset(address)
        await call.killed()
        there = await call.patient.offset(address)
        still = await call.patient.patch(address, there, data[there:])
        filler.unlink()
        at = await call.patient.offset(address)
        rest = await call.patient.patch(address, at, data[at:])
        again, _, _ = await call.patient.create(some_bytes(1000))
        got = await call.doctor.get(address)

    assert (507, "storage_full") == full
    assert (507, "storage_full") == refused[:2]
    assert (507, "storage_full") == still
    assert "reply" == answered["type"]
    assert 100_001 <= kept <= there <= at
    assert (204, "") == rest
    assert 201 == again
    assert data == got


@pytest.mark.may_skip
@pytest.mark.timeout(240)
async def test_room_is_exact_on_a_real_disk(tmp_path: Path, small_disk: Path) -> None:
    """
    What is kept free is left free: an upload that would use one byte of it is refused, and one less is taken.
    """
    async with consult(tmp_path, small_disk / "documents") as call:
        await call.patient.create(b"x")  # its folder and files are there
        free_bytes = free(small_disk)
        kept, promised = 2**20, 1
        over = await call.patient.create(bytes(free_bytes - kept - promised + 1))
        just = await call.patient.create(bytes(free_bytes - kept - promised))

    assert (507, "storage_full") == over[:2]
    assert 201 == just[0]


def free(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize
