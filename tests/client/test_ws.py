"""The client's signalling socket against a server of a few lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from telerelay.client.ws import Socket
from telerelay.errors import RemoteProtocolError, TelerelayError

Serve = Callable[[Callable[[web.WebSocketResponse, dict[str, Any]], Awaitable[None]]], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server that hands each message to the function given; returns its address."""
    servers = []

    async def start(answer: Callable[[web.WebSocketResponse, dict[str, Any]], Awaitable[None]]) -> str:
        async def handle(request: web.Request) -> web.WebSocketResponse:
            ws = web.WebSocketResponse()
            await ws.prepare(request)
            async for message in ws:
                await answer(ws, json.loads(message.data))
            return ws

        app = web.Application()
        app.router.add_get("/ws", handle)
        server = TestServer(app)
        await server.start_server()
        servers.append(server)
        return f"ws://127.0.0.1:{server.port}/ws"

    yield start
    for server in servers:
        await server.close()


async def ignore(_event: dict[str, Any]) -> None:
    """Takes an event and does nothing."""


async def test_replies_in_any_order_find_their_requests(serve: Serve) -> None:
    """
    The reply to the second request comes first, and each caller gets its own.
    """
    held: list[int] = []

    async def answer(ws: web.WebSocketResponse, message: dict[str, Any]) -> None:
        held.append(message["id"])
        if len(held) == 2:
            for number in reversed(held):
                await ws.send_str(json.dumps({"type": "reply", "id": number, "echo": number}))

    socket = Socket(ignore)
    await socket.open(await serve(answer))
    replies = await asyncio.gather(socket.request("stats"), socket.request("stats"))
    await socket.close()

    assert [{"echo": 1}, {"echo": 2}] == replies


async def test_an_error_keeps_its_code(serve: Serve) -> None:
    """
    What the relay refuses is raised with the relay's code and sentence.
    """

    async def answer(ws: web.WebSocketResponse, message: dict[str, Any]) -> None:
        error = {"type": "error", "id": message["id"], "code": "forbidden", "message": "not your room"}
        await ws.send_str(json.dumps(error))

    socket = Socket(ignore)
    await socket.open(await serve(answer))
    with pytest.raises(RemoteProtocolError, match="not your room") as raised:
        await socket.request("join")
    await socket.close()

    assert "forbidden" == raised.value.code


async def test_a_closed_socket_fails_what_waits_with_the_reason_given(serve: Serve) -> None:
    """
    An error without an id belongs to the connection: it is what a waiting request gets when the socket closes.
    """

    async def answer(ws: web.WebSocketResponse, _message: dict[str, Any]) -> None:
        await ws.send_str(json.dumps({"type": "error", "code": "duplicate_join", "message": "joined elsewhere"}))
        await ws.close(code=4009)

    socket = Socket(ignore)
    await socket.open(await serve(answer))
    with pytest.raises(TelerelayError) as raised:
        await socket.request("join")
    code = socket.close_code
    await socket.close()

    assert ("duplicate_join", 4009) == (raised.value.code, code)
    with pytest.raises(TelerelayError, match="closed"):
        await socket.request("stats")


async def test_events_are_delivered_in_order_and_may_send_requests(serve: Serve) -> None:
    """
    A handler that itself waits for a reply holds back the next event, not the reply.
    """

    async def answer(ws: web.WebSocketResponse, message: dict[str, Any]) -> None:
        if message["type"] == "join":
            for seq in (1, 2):
                await ws.send_str(json.dumps({"type": "draining", "seq": seq}))
        await ws.send_str(json.dumps({"type": "reply", "id": message["id"]}))

    seen: list[int] = []

    async def handle(event: dict[str, Any]) -> None:
        await socket.request("stats")
        seen.append(event["seq"])
        if event["seq"] == 2:
            done.set()

    done = asyncio.Event()
    socket = Socket(handle)
    await socket.open(await serve(answer))
    await socket.request("join")
    await asyncio.wait_for(done.wait(), 5)
    last_seq = socket.last_seq
    await socket.close()

    assert ([1, 2], 2) == (seen, last_seq)


async def test_nobody_there_is_a_named_error() -> None:
    """
    A connection that cannot be made is "connection_lost", not a stack trace of the HTTP library.
    """
    socket = Socket(ignore)
    with pytest.raises(TelerelayError) as raised:
        await socket.open("ws://127.0.0.1:9/ws")

    assert "connection_lost" == raised.value.code


async def test_no_reply_is_a_timeout(serve: Serve) -> None:
    """
    A request that is never answered ends after its time.
    """

    async def answer(_ws: web.WebSocketResponse, _message: dict[str, Any]) -> None:
        return

    socket = Socket(ignore)
    await socket.open(await serve(answer))
    with pytest.raises(TelerelayError) as raised:
        await socket.request("stats", timeout_s=0.05)
    await socket.close()

    assert "timeout" == raised.value.code
