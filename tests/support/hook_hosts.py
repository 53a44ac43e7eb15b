"""
What stands on the other side of hooks in tests: a journal in memory, time that passes when told to, and HTTP hosts.

Real sockets on loopback, a real SQLite; only the clock is made.
"""

import asyncio
import contextlib
import heapq
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from telerelay.consult.facts import Admitted, Arrived, Closed, Entered, Fact, Scheduled
from telerelay.consult.plan import ConsultPlan
from telerelay.hooks.outbox import Outbox
from telerelay.hooks.signature import HEADER, verify
from telerelay.journal import Journal, Store

KEY = b"k" * 32
AT = 1_800_000_000.0


class HandClock:
    """Stands still until `pass_time`; both clocks go alike."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def wall(self) -> float:
        return AT + self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), future))
        await future

    def wake_all(self) -> None:
        """Everyone who sleeps has slept enough."""
        for _, _, future in self._sleepers:
            if not future.done():
                future.set_result(None)
        self._sleepers.clear()

    async def pass_time(self, seconds: float, outbox: Outbox) -> None:
        """Wake who sleeps, one after the other, and let each do what it does before the next."""
        until = self.now + seconds
        await asyncio.sleep(0)  # whatever was just started gets to its first sleep
        await settle(outbox)
        while self._sleepers and self._sleepers[0][0] <= until:
            self.now, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
                await asyncio.sleep(0)
                await settle(outbox)
        self.now = until


TURN_S = 0.001
"""A loop that never rests keeps the interpreter from the journal's thread, which then comes by it every 5 ms only."""


async def settle(outbox: Outbox) -> None:
    """Until all that can be told now was told, or failed."""
    async with asyncio.timeout(30):
        while outbox.pending_count > outbox.waiting_count:  # noqa: ASYNC110
            await asyncio.sleep(TURN_S)


@contextlib.asynccontextmanager
async def journal_in(path: str = "") -> AsyncIterator[Journal]:
    """A journal in that file; "" in memory."""
    store = await Store.open(path)
    try:
        yield await Journal.open(store, lambda: AT)
    finally:
        await store.close()


def beginning(consult: str) -> list[Fact]:
    """A patient comes, is let in by a doctor, and enters."""
    return [
        Scheduled(AT, ConsultPlan(consult), "host"),
        Arrived(AT + 1, "p-9", "patient", "socket", True),
        Admitted(AT + 2, "p-9", "dr-7"),
        Entered(AT + 3, "p-9"),
    ]


def end() -> list[Fact]:
    return [Closed(AT + 4)]


# -------------------------------------------------------------------- HTTP hosts

Handler = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


class Host:
    """A host that takes webhooks at `/hooks`: checks each signature, keeps each body, then does as `answer` says."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.answer: Handler = _taken
        self.forged = 0
        self._server: TestServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    @property
    def keys(self) -> list[str]:
        """Of the facts it was told, in order."""
        return [body["key"] for body in self.bodies if "key" in body]

    async def up(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/hooks", self._handle)
        self._server = TestServer(app, host="127.0.0.1", port=self.port or None)
        await self._server.start_server()
        self.port = self._server.port or 0

    async def down(self) -> None:
        if self._server is not None:
            await self._server.close()
            self._server = None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        loop_time = float(request.headers[HEADER].partition(",")[0].removeprefix("t="))
        if not verify(KEY, request.headers[HEADER], raw, loop_time):
            self.forged += 1
            return web.Response(status=401)
        body = json.loads(raw)
        self.bodies.append(body)
        return await self.answer(request, body)


async def _taken(_request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response({"answer": True} if "request" in body else {})


@contextlib.asynccontextmanager
async def host() -> AsyncIterator[Host]:
    running = Host()
    await running.up()
    try:
        yield running
    finally:
        await running.down()


@contextlib.asynccontextmanager
async def raw_host(reply: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """A server that reads a request's head and then does whatever it likes; yields its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await reply(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/hooks"
    finally:
        server.close()
