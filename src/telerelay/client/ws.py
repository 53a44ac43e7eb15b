"""
The WebSocket half of the Python client: requests with replies, events in order (docs/signaling.md).

Knows JSON and numbers, nothing of media. Event loop of the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from telerelay.errors import RemoteProtocolError, TelerelayError

Message = dict[str, Any]

# A relay that has not answered by then is not going to: joins under load take a second or two.
REPLY_TIMEOUT_S = 10.0

# Both sides close after a leave; whoever is second may wait for an answer that does not come.
CLOSE_TIMEOUT_S = 1.0


def websocket_url(url: str) -> str:
    """The signalling address of the relay at `url` (http or https, any prefix)."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    path = parts.path.rstrip("/").removesuffix("/ws") + "/ws"
    return urlunsplit((scheme, parts.netloc, path, "", ""))


class Socket:
    """
    One signalling connection. `on_event` is awaited for each event, one after the other, in the order they came.

    Raises from `request`: RemoteProtocolError with the code the relay sent; TelerelayError "connection_lost" when the
    socket is gone, "timeout" when no reply came.
    """

    def __init__(self, on_event: Callable[[Message], Awaitable[None]], last_seq: int = 0) -> None:
        self._on_event = on_event
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._is_closing = False
        self.last_seq = last_seq
        self.close_code: int | None = None
        self.closed = asyncio.Event()

    async def open(self, url: str) -> None:
        """Connect to ws://…/ws. Raises TelerelayError "connection_lost" if nobody answers there."""
        self._session = aiohttp.ClientSession()
        try:
            # The relay pings; an answer to a ping is given by aiohttp while it reads.
            self._ws = await self._session.ws_connect(
                url, max_msg_size=1 << 20, compress=0, timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S)
            )
        except (aiohttp.ClientError, OSError) as error:
            await self._session.close()
            raise TelerelayError("connection_lost", f"no signalling connection to the relay: {error}") from error
        self._tasks = [asyncio.create_task(self._read(self._ws)), asyncio.create_task(self._deliver())]

    async def request(self, type: str, timeout_s: float = REPLY_TIMEOUT_S, **fields: Any) -> Message:
        """Send one request and wait for its reply, whose `type` and `id` are left out."""
        if self._ws is None or self.closed.is_set():
            raise TelerelayError("connection_lost", "the signalling connection is closed")
        number = next(self._ids)
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = reply
        try:
            await self._ws.send_str(json.dumps({"type": type, "id": number, **fields}))
            # Not wait_for: before Python 3.12 it swallows a cancellation that comes together with the reply.
            async with asyncio.timeout(timeout_s):
                return await reply
        except TimeoutError:
            raise TelerelayError("timeout", f"no reply to {type} within {timeout_s:g} s") from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise TelerelayError("connection_lost", "the signalling connection broke") from error
        finally:
            self._waiting.pop(number, None)

    async def handled(self) -> None:
        """Wait until every event that has come was handled: of a socket that is lost, all there will be."""
        await self._events.join()

    async def close(self) -> None:
        """Close the socket; safe to call twice."""
        self._is_closing = True  # should a handler swallow the cancellation below
        if self._ws is not None:
            await self._ws.close()
        for task in self._tasks:
            task.cancel()
            if task is not asyncio.current_task():
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._tasks = []
        if self._session is not None:
            await self._session.close()

    async def _read(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        """Take messages until the socket ends; a reply wakes its request, the rest is for `_deliver`."""
        lost = TelerelayError("connection_lost", "the relay closed the signalling connection")
        try:
            async for raw in ws:
                if raw.type is not aiohttp.WSMsgType.TEXT:
                    continue
                message: Message = json.loads(raw.data)
                number = message.pop("id", None)
                waiting = self._waiting.get(number) if number is not None else None
                match message.get("type"):
                    case "reply" if waiting is not None and not waiting.done():
                        message.pop("type")
                        waiting.set_result(message)
                    case "error" if waiting is not None and not waiting.done():
                        waiting.set_exception(_as_error(message))
                    case "reply":
                        pass
                    case "error":
                        lost = _as_error(message)
                    case _:
                        self.last_seq = max(self.last_seq, message.get("seq", 0))
                        self._events.put_nowait(message)
        finally:
            self.close_code = ws.close_code
            self.closed.set()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(lost)

    async def _deliver(self) -> None:
        # Apart from reading, so that an event's handler may itself send a request and wait for the reply.
        while not self._is_closing:
            event = await self._events.get()
            try:
                await self._on_event(event)
            except Exception as error:  # of whoever is told: those that follow are told all the same
                what = {"message": f"telling of the event {event.get('type')!r} failed", "exception": error}
                asyncio.get_running_loop().call_exception_handler(what)
            finally:
                self._events.task_done()


def _as_error(message: Mapping[str, Any]) -> RemoteProtocolError:
    return RemoteProtocolError(str(message.get("code", "internal")), str(message.get("message", "")))
