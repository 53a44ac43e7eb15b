"""
A consult with people in it, and clients of theirs that send and fetch documents: bare ones over HTTP, and tuspy's.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tusclient.client import TusClient

from support.live_relay import Live, Peer

TUS = {"Tus-Resumable": "1.0.0"}
OFFSET = {**TUS, "Content-Type": "application/offset+octet-stream"}


def some_bytes(size: int, seed: int = 1) -> bytes:
    """That many bytes, which no other seed has."""
    return hashlib.shake_256(seed.to_bytes(4, "big")).digest(size)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def metadata(**values: str) -> str:
    """Upload-Metadata of these."""
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


@dataclass(frozen=True, slots=True)
class Reply:
    """What an HTTP request came to."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any = field(default=None)

    @property
    def code(self) -> str:
        """The error's, or ""."""
        return str(self.json["error"]["code"]) if isinstance(self.json, dict) and "error" in self.json else ""


class Sender:
    """One person's HTTP."""

    def __init__(self, live: Live, sub: str, role: str, room: str = "r1", token: str = "") -> None:
        self._live = live
        self.url = f"{live.url}/documents"
        self.headers = {"Authorization": f"Bearer {token or live.token(sub, room, role)}"}

    async def ask(self, method: str, url: str = "", data: Any = None, **headers: str) -> Reply:
        """`url`: "" the documents of the consult, else one's address or id."""
        if url.startswith("/"):
            url = self._live.root + url
        elif not url.startswith("http"):
            url = f"{self.url}/{url}" if url else self.url
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._live.http.request(method, url, data=data, headers={**self.headers, **named}) as response:
            body = await response.read()
            is_json = response.content_type == "application/json" and body
            return Reply(response.status, response.headers, body, await response.json() if is_json else None)

    async def create(self, data: bytes, *, size: int | None = None, **values: str) -> Reply:
        length = len(data) if size is None else size
        said = metadata(**{"sha256": sha256(data), **values})
        return await self.ask("POST", **TUS, **{"Upload-Length": str(length), "Upload-Metadata": said})

    async def patch(self, url: str, offset: int, data: Any, **headers: str) -> Reply:
        return await self.ask("PATCH", url, data, **OFFSET, **{"Upload-Offset": str(offset), **headers})

    async def head(self, url: str) -> Reply:
        return await self.ask("HEAD", url, **TUS)

    async def send(self, data: bytes, **values: str) -> str:
        """All of it at once; its id."""
        made = await self.create(data, **values)
        assert made.status == 201, made
        sent = await self.patch(made.headers["Location"], 0, data)
        assert sent.status == 204, sent
        return made.headers["Location"].rpartition("/")[2]

    async def listed(self) -> list[dict[str, Any]]:
        reply = await self.ask("GET")
        return list(reply.json["documents"])

    async def with_tuspy(self, data: bytes, *, chunk_bytes: int = 65536, **values: str) -> str:
        """All of it by tuspy's own client, in a thread of its own; its address."""
        client = TusClient(self.url, headers=self.headers)

        def upload() -> str:
            uploader = client.uploader(
                file_stream=io.BytesIO(data),
                chunk_size=chunk_bytes,
                metadata={"sha256": sha256(data), **values},
                upload_checksum=True,
                retries=2,
                retry_delay=1,
            )
            uploader.upload()
            return str(uploader.url)

        return await asyncio.to_thread(upload)


async def stalling(data: bytes, gate: asyncio.Event, piece_bytes: int = 16384) -> AsyncIterator[bytes]:
    """A body that stops after `data` until the gate opens: a line that is cut."""
    for start in range(0, len(data), piece_bytes):
        yield data[start : start + piece_bytes]
    await gate.wait()


class Call:
    """A relay with the consult "r1" and people in it."""

    def __init__(self, live: Live, doctor: Peer, patient: Peer) -> None:
        self.live = live
        self.doctor = doctor
        self.patient = patient
        self.doc = Sender(live, "doc", "practitioner")
        self.pat = Sender(live, "pat", "patient")

    @classmethod
    async def begin(cls, live: Live) -> Call:
        await live.schedule()
        doctor = await live.join("doc")
        patient = await live.join("pat", role="patient")
        await doctor.ask("admit", participant=patient.id)
        await patient.event("admitted")
        return cls(live, doctor, patient)

    async def bring(self, sub: str, role: str) -> tuple[Peer, Sender]:
        """One more person who is let in."""
        peer = await self.live.join(sub, role=role)
        await self.doctor.ask("admit", participant=peer.id)
        await peer.event("admitted")
        return peer, Sender(self.live, sub, role)

    async def end(self) -> None:
        """For everyone; when what follows of it is done."""
        await self.doctor.ask("end")
        documents = self.live.relay.consults.documents
        await self.live.entries()
        await documents._tasks.join(5.0, besides=("documents_expire",))
