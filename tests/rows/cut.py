"""
A line that can be cut: a TCP forwarder between a client and a relay. Event loop of the row.

Cut, it breaks what is open and takes nothing new, as a router without a line does.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from types import TracebackType


class CutLine:
    """`async with CutLine(host, port) as line:` clients come to `line.url`."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self._cut_at_bytes: int | None = None
        self._has_come = asyncio.Event()
        self.up_bytes = 0
        """What went towards the relay so far."""
        self.url = ""

    async def __aenter__(self) -> CutLine:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._break()
        self._server.close()

    async def cut(self, for_s: float, behind_bytes: int) -> tuple[float, float]:
        """Nothing goes through for so long, once so much more has gone up: from when until when, monotonic seconds."""
        self._has_come.clear()
        self._cut_at_bytes = self.up_bytes + behind_bytes
        await self._has_come.wait()
        began = time.monotonic()
        await asyncio.sleep(for_s)
        until = time.monotonic()
        self._is_cut = False
        return began, until

    def _break(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(*self._to)
        self._writers |= {writer, back}
        await asyncio.gather(self._pipe(reader, back, is_up=True), self._pipe(there, writer, is_up=False))
        self._writers -= {writer, back}

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_up: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if is_up:
                    self.up_bytes += len(data)
                if self._cut_at_bytes is not None and self.up_bytes > self._cut_at_bytes:
                    self._cut_at_bytes, self._is_cut = None, True
                    self._has_come.set()
                    self._break()
                    break
                writer.write(data)
                await writer.drain()
        writer.close()
