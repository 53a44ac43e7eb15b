"""
One WebSocket with bounds on everything: what waits to go out, how long a frame may take to come in, how long a close
may take.

Event loop's thread. `send` never waits: a peer that does not read is closed, and nobody else notices.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from aiohttp import WSCloseCode, WSMsgType, web

from telerelay.errors import RemoteProtocolError
from telerelay.logs import say
from telerelay.tasks import Bell

POLICY_CLOSE = 4008
"""Close code of whoever keeps to no rule, where no other one says more."""
# A client that far behind has not read for many seconds.
MAX_QUEUED_BYTES = 256 * 1024
# Every 2 s is looked whether a whole frame came. A peer that was quiet for three looks is asked (a ping); one of which
# none came for five is gone, or drips one frame for ever: no pong can come inside a frame that has begun (RFC 6455,
# 5.4). Who says something by itself every 5 s, as telerelay.js does, is not asked: a ping and its answer cost more than
# all else that control does for a call at rest. In the 4 s from a ping to the end TCP resends three times on a line
# with a round trip of 200 ms. Counted in turns of our own, so that a late loop blames nobody.
PULSE_S = 2.0
ASK_AFTER = 3
MAX_MISSED = 5
# From the decision to close until the connection is cut, whatever the peer does.
CLOSE_DEADLINE_S = 0.9


@dataclass(frozen=True, slots=True)
class _Frame:
    kind: WSMsgType
    data: str | bytes
    code: int = 0

    @property
    def size(self) -> int:
        return len(self.data)


_PING = _Frame(WSMsgType.PING, b"")


class Socket:
    """
    The WebSocket of one client. `run` sends, `messages` receives; both end with the connection. `before_telling` is
    called before each text leaves.
    """

    def __init__(
        self,
        ws: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        before_telling: Callable[[], None] = lambda: None,
    ) -> None:
        self._ws = ws
        self._transport = transport
        self._before_telling = before_telling
        self._queue: list[_Frame] = []  # a deque has 760 bytes while it is empty
        self._queued_bytes = 0
        self._ready = Bell()
        self._missed = 0
        self._is_closing = False
        self.is_lost = False
        """Cut by us, because the peer is gone or does not read."""

    def send(self, text: str) -> None:
        """Queue one text frame; cuts the connection when too much waits."""
        self._put(_Frame(WSMsgType.TEXT, text))

    def close(self, code: int, reason: str) -> None:
        """Close once what is queued is out, within a second at most. Nothing more is sent or taken in."""
        if self._is_closing:
            return
        self._put(_Frame(WSMsgType.CLOSE, reason, code))
        self._is_closing = True
        asyncio.get_running_loop().call_later(CLOSE_DEADLINE_S, self.cut)

    def cut(self) -> None:
        """Drop the connection without a word."""
        self.is_lost = True
        self._is_closing = True
        self._queue.clear()
        self._queued_bytes = 0
        self._ready.ring()
        if self._transport is not None:
            self._transport.abort()

    async def run(self) -> None:
        """Send what is queued, and a ping every now and then, until the connection ends."""
        self._begin_pulse()
        try:
            while not self.is_lost:
                await self._ready.wait()
                while self._queue:
                    frame = self._queue.pop(0)
                    self._queued_bytes -= frame.size
                    await self._write(frame)
                    if frame.kind is WSMsgType.CLOSE:
                        return
        except (ConnectionError, RuntimeError):
            return  # the connection ended under us: `messages` ends too
        finally:
            self._pulse_timer.cancel()

    async def messages(self) -> AsyncGenerator[str | None, None]:
        """Text frames as they come; None for one that is not text and for a ping, so that they can be counted."""
        while not self._is_closing:
            message = await self._ws.receive()
            self._missed = 0
            match message.type:
                case WSMsgType.TEXT:
                    yield message.data
                case WSMsgType.PING:
                    self._put(_Frame(WSMsgType.PONG, message.data))
                    yield None
                case WSMsgType.PONG:
                    continue
                case WSMsgType.BINARY:
                    self.close(WSCloseCode.UNSUPPORTED_DATA, "text only")
                    return
                case _:
                    return

    # A timer, not a task: a thousand calls at rest are thousands of sockets, and this is what they do.
    def _begin_pulse(self) -> None:
        self._pulse_timer = asyncio.get_running_loop().call_later(PULSE_S, self._pulse)

    def _pulse(self) -> None:
        self._missed += 1
        if self._missed == MAX_MISSED:
            say(logging.INFO, "socket_silent")
            self.cut()
            return
        if self._missed == ASK_AFTER:
            self._put(_PING)
        self._begin_pulse()

    def _put(self, frame: _Frame) -> None:
        if self._is_closing:
            return
        self._queue.append(frame)
        self._queued_bytes += frame.size
        if self._queued_bytes > MAX_QUEUED_BYTES:
            say(logging.WARNING, "socket_slow")
            self.cut()
            return
        self._ready.ring()

    async def _write(self, frame: _Frame) -> None:
        match frame:
            case _Frame(WSMsgType.TEXT, str(text)):
                self._before_telling()
                await self._ws.send_str(text)
            case _Frame(WSMsgType.PING, bytes(data)):
                await self._ws.ping(data)
            case _Frame(WSMsgType.PONG, bytes(data)):
                await self._ws.pong(data)
            case _Frame(WSMsgType.CLOSE, str(reason), code):
                await self._ws.close(code=code, message=reason.encode())


async def first_text(frames: AsyncGenerator[str | None, None], timeout_s: float, what: str) -> str | None:
    """
    The first text of `Socket.messages`; None: the connection ended before.

    Raises RemoteProtocolError: nothing came within `timeout_s` seconds. `what` it should have been goes into its words.
    """
    try:
        async with asyncio.timeout(timeout_s):
            async for text in frames:
                if text is not None:
                    return text
    except TimeoutError:
        raise RemoteProtocolError("timeout", f"no {what} came in time", status=408) from None
    return None


async def serve_socket(
    request: web.Request,
    message_bytes: int,
    sockets: set[Socket],
    talk: Callable[[Socket], Awaitable[None]],
    before_telling: Callable[[], None] = lambda: None,
) -> web.WebSocketResponse:
    """
    One WebSocket from its upgrade to its close: `talk` has it meanwhile, and it is among `sockets`. A message a little
    above `message_bytes` is for `talk` to refuse by name; far above, the connection is closed (1009).
    """
    ws = web.WebSocketResponse(
        timeout=CLOSE_DEADLINE_S, autoping=False, compress=False, max_msg_size=message_bytes + 4096
    )
    await ws.prepare(request)
    socket = Socket(ws, request.transport, before_telling)
    writer = asyncio.get_running_loop().create_task(socket.run(), name="socket")
    sockets.add(socket)
    try:
        await talk(socket)
    finally:
        sockets.discard(socket)
        socket.close(1000, "")
        await asyncio.wait({writer}, timeout=CLOSE_DEADLINE_S + 0.1)
        writer.cancel()
    return ws
