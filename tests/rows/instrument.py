"""
Who sends a file, and who fetches it, in a process of its own: `Instrument` is the row's end.

It sends by tuspy, another's client of tus, and hashes what it has by itself; the relay's word is not asked.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from rows.process import Message, Process

CHUNK_BYTES = 1 << 20


class Instrument(Process):
    """`async with Instrument() as instrument:`"""

    def __init__(self, before: Sequence[str] = ()) -> None:
        """`before` is put before its command line: where it runs (NamespacePair.command)."""
        super().__init__("rows.instrument", before=before)

    async def begin(self, url: str, token: str, size: int, label: str, **said: str) -> None:
        """
        Begin to send a file of that size: event "sent" with its address, hash and times tried; "acknowledged".

        `said` is what is said of it besides: kind, request, source, filename, filetype.
        """
        await self.do("begin", url=url, token=token, size=size, label=label, said=said)

    async def post(self, url: str, size: int) -> Message:
        """Post what a file of that size holds, as it is: {"status", "sha256"} of the answer and of what was posted."""
        return await self.do("post", url=url, size=size)

    async def fetch(self, url: str, token: str) -> Message:
        """{"status", "sha256", "size", "code"} of what an address gives."""
        return await self.do("fetch", url=url, token=token)


def file_of(size: int) -> bytes:
    """What a file of that size holds, the same each time."""
    return random.Random(7).randbytes(size)


def _send(url: str, token: str, size: int, label: str, said: Mapping[str, str]) -> Mapping[str, Any]:
    import requests
    from tusclient.client import TusClient
    from tusclient.exceptions import TusCommunicationError

    from rows.orders import tell

    data = file_of(size)
    digest = hashlib.sha256(data).hexdigest()
    client = TusClient(url, headers={"Authorization": f"Bearer {token}"})
    uploader = client.uploader(
        file_stream=io.BytesIO(data),
        chunk_size=CHUNK_BYTES,
        metadata={"sha256": digest, "label": label, "filename": "eye.dcm", "filetype": "application/dicom", **said},
    )
    failures, resumed = 0, []
    while uploader.offset < size:
        try:
            if failures:
                uploader.offset = uploader.get_offset()
                resumed.append(uploader.offset)
                failures = 0
            uploader.upload_chunk()
            tell({"type": "acknowledged", "offset": uploader.offset})
        except (TusCommunicationError, requests.exceptions.RequestException):
            failures += 1
            time.sleep(0.5)
    return {"url": uploader.url, "sha256": digest, "resumed": resumed}


async def _begin(url: str, token: str, size: int, label: str, said: Mapping[str, str]) -> Mapping[str, Any]:
    from rows.orders import tell

    async def send() -> None:
        tell({"type": "sent", **await asyncio.to_thread(_send, url, token, size, label, said)})

    _tasks.add(asyncio.create_task(send()))
    return {}


_tasks: set[asyncio.Task[None]] = set()


async def _post(url: str, size: int) -> Mapping[str, Any]:
    data = file_of(size)
    async with aiohttp.ClientSession() as http, http.post(url, data=data) as response:
        await response.read()
        return {"status": response.status, "sha256": hashlib.sha256(data).hexdigest()}


async def _fetch(url: str, token: str) -> Mapping[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as response:
        found, size = hashlib.sha256(), 0
        async for piece in response.content.iter_any():
            found.update(piece)
            size += len(piece)
        digest = response.headers.get("Repr-Digest", "").removeprefix("sha-256=:").removesuffix(":")
        told = base64.b64decode(digest).hex()
        return {"status": response.status, "sha256": found.hexdigest(), "told": told, "size": size}


async def _main() -> None:
    from rows.orders import take_orders

    await take_orders({"begin": _begin, "fetch": _fetch, "post": _post})


if __name__ == "__main__":
    asyncio.run(_main())
