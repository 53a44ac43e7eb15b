"""
GET /probe: is this site fit for a consult? A WebSocket with a test call, rates up and down, and a judgement.

Event loop's thread. No room is opened, nobody is anywhere, no hook is asked and nothing is written down: a sound comes
in on one connection and goes back on another, both the prober's own. Bounded in number, time and bytes, for it may be
open to whoever has the address (`probe.needs_token`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping

from aiohttp import WSMsgType, web

from telerelay.connection import PublishConnection, Site, Source, WhepConnection
from telerelay.errors import RemoteProtocolError
from telerelay.logs import say
from telerelay.probe.judging import judge, passed
from telerelay.probe.rates import Rate
from telerelay.protocol import probe as messages
from telerelay.protocol.messages import ErrorReply, Reply, encode, request_id
from telerelay.protocol.negotiation import CodecPolicy
from telerelay.protocol.probe import Begin, CallStats, Down, Judge, Ping, Publish, Receive, Up
from telerelay.signaling.http import Handler, require_origin
from telerelay.signaling.limits import Bucket, FailureLimit
from telerelay.signaling.live import LiveRooms
from telerelay.signaling.socket import POLICY_CLOSE

SESSION_S = 30.0
"""A probe takes 15 s; whoever asks somebody for a camera meanwhile takes longer."""
CLOSE_S = 1.0
BLOCK = bytes(16384)
"""What rates are measured with. Not compressed on the way: the WebSocket has no extension."""
MAX_DOWN_BYTES = 8 << 20
MAX_UP_BYTES = 16 << 20
"""What needs 1.3 Mbit/s is found good long before. Up there is more room, for what is on its way at the end."""
SENDER, RECEIVER = 1, 2
"""Both ends of a test call, alone on their number."""
MAX_REFUSED = 20

Body = Mapping[str, object]


class Probes:
    """All that are under way at one relay."""

    def __init__(self, rooms: LiveRooms) -> None:
        self.rooms = rooms
        self.config = rooms.config.probe
        self.sockets: set[web.WebSocketResponse] = set()
        self.running = 0
        """Those that have begun."""
        self._starts = FailureLimit(self.config.burst, 1 / self.config.every_s)

    def handler(self) -> Handler:
        """Of GET /probe."""

        async def handle(request: web.Request) -> web.StreamResponse:
            require_origin(request, self.rooms.config.http.allowed_origins)
            if not self.config.enabled:
                raise RemoteProtocolError("not_found", "there are no probes here")
            ws = web.WebSocketResponse(timeout=CLOSE_S, compress=False, max_msg_size=len(BLOCK) * 4 + 4096)
            await ws.prepare(request)
            self.sockets.add(ws)
            session = ProbeSession(self, ws, request.remote or "")
            loop, transport = asyncio.get_running_loop(), request.transport
            hurry = loop.call_later(self.rooms.config.limits.join_timeout_s, session.hurry, transport)
            try:
                async with asyncio.timeout(SESSION_S):
                    await session.run()
            except (TimeoutError, ConnectionError):
                pass
            finally:
                hurry.cancel()
                self.sockets.discard(ws)
                await session.close()
                await ws.close()
            return ws

        return handle

    def check_start(self, token: str, source: str) -> None:
        """Raises RemoteProtocolError: too_many_requests, unauthorized, token_expired."""
        if self.running >= self.config.at_once or self._starts.is_over(source, time.monotonic()):
            raise RemoteProtocolError("too_many_requests", "too many probes: try again in a minute")
        if self.config.needs_token or token:
            self.rooms.grant_of(token, source)

    async def close(self) -> None:
        """The listener ends."""
        for ws in tuple(self.sockets):
            await ws.close(code=1001, message=b"shutdown")


class ProbeSession:
    """One of them, from its WebSocket's first message to its end."""

    def __init__(self, probes: Probes, ws: web.WebSocketResponse, source: str) -> None:
        self._probes = probes
        self._ws = ws
        self._source = source
        self._has_begun = False
        self._publish: PublishConnection | None = None
        self._receive: WhepConnection | None = None
        self._filling: asyncio.Task[None] | None = None
        self._site: Site | None = None
        self._down_bytes = self._up_bytes = 0
        self._up: Rate | None = None
        self._counting: asyncio.Task[None] | None = None
        self._refused = 0
        limits = probes.rooms.config.limits
        self._messages = Bucket(limits.message_burst, limits.messages_per_s, time.monotonic())

    async def run(self) -> None:
        """Serve it until it ends."""
        async for message in self._ws:
            if message.type is WSMsgType.BINARY:
                if not self._count(len(message.data)):
                    return
            elif message.type is WSMsgType.TEXT:
                await self._take(message.data)
                if self._refused > (MAX_REFUSED if self._has_begun else 0):
                    await self._ws.close(code=POLICY_CLOSE)
                    return

    def hurry(self, transport: asyncio.Transport | None) -> None:
        """Who has not begun by now does not keep a connection."""
        if not self._has_begun and transport is not None:
            transport.abort()

    async def close(self) -> None:
        """Give everything back."""
        self._probes.running -= self._has_begun
        for task in (self._filling, self._counting):
            if task is not None:
                task.cancel()
        for connection in (self._publish, self._receive):
            if connection is not None:
                await connection.close()

    # ---------------------------------------------------------------- requests

    async def _take(self, text: str) -> None:
        number = request_id(text)
        try:
            if not self._messages.take(time.monotonic()):
                raise RemoteProtocolError("too_many_requests", "too many messages")
            body = await self._do(messages.decode(text, self._probes.rooms.config.limits.message_bytes))
        except RemoteProtocolError as error:
            self._refused += 1
            await self._ws.send_str(encode(ErrorReply(number, error.code, str(error))))
        else:
            if number is not None and body is not None:
                await self._ws.send_str(encode(Reply(number, body)))

    async def _do(self, request: messages.Request) -> Body | None:
        """Carry out a request; the body of its reply, None: it comes later. Raises RemoteProtocolError."""
        if isinstance(request, Begin):
            if self._has_begun:
                raise RemoteProtocolError("conflict", "this probe has begun already")
            self._probes.check_start(request.token, self._source)
            self._has_begun = True
            self._probes.running += 1
            return {}
        if not self._has_begun and not isinstance(request, Judge):
            raise RemoteProtocolError("bad_message", "the first message must be a begin")
        match request:
            case Publish(_, sdp):
                return {"sdp": await self._open_publish(sdp)}
            case Receive(_, sdp):
                return {"sdp": await self._open_receive(sdp)}
            case CallStats():
                return await self._stats()
            case Down(_, seconds):
                return await self._send_down(seconds)
            case Up(number, seconds):
                self._begin_up(number, seconds)
                return None
            case Judge(_, found, language):
                checks = judge(found, language)
                say(logging.INFO, "probe_judged", reason="passed" if passed(checks) else "failed")
                return {"passed": passed(checks), "checks": [check.as_object() for check in checks]}
            case Ping():
                pass
        return {}

    # ---------------------------------------------------------------- the test call

    async def _open_publish(self, sdp: str) -> str:
        if self._publish is not None:
            raise RemoteProtocolError("conflict", "there is a test call already")
        self._site = self._site or self._probes.rooms.spare_site()
        self._publish = PublishConnection(self._site, self._policy(), participant=SENDER, is_admitted=True)
        try:
            return await self._publish.offer(sdp)
        except RemoteProtocolError:
            await self._publish.close()
            self._publish = None
            raise

    async def _open_receive(self, sdp: str) -> str:
        if self._publish is None or self._site is None or self._receive is not None:
            raise RemoteProtocolError("conflict", "the way back comes once, after what is sent")
        self._receive = WhepConnection(self._site, self._policy(), participant=RECEIVER, is_admitted=True)
        try:
            answer = await self._receive.offer(sdp)
        except RemoteProtocolError:
            await self._receive.close()
            self._receive = None
            raise
        self._filling = asyncio.get_running_loop().create_task(self._receive.run(), name="probe")
        for mid, receiving in self._publish.receiving.items():
            self._receive.want(Source(mid, "", receiving.receiver, receiving.params))
        return answer

    def _policy(self) -> CodecPolicy:
        """A sound is enough, and costs nobody an encoder."""
        return CodecPolicy(audio=self._probes.rooms.config.media.audio_codecs, video=())

    async def _stats(self) -> Body:
        """What came of the sound: packets, those that did not come, and how unevenly."""
        if self._publish is None or not self._publish.transport.is_open:
            raise RemoteProtocolError("conflict", "there is no test call")
        receivers = (await self._publish.transport.stats()).receivers
        return {
            "rx_packets": sum(each.rx_packets for each in receivers),
            "lost_packets": sum(each.lost_packets for each in receivers),
            "jitter_us": max((each.jitter_us for each in receivers), default=0),
        }

    # ---------------------------------------------------------------- rates

    async def _send_down(self, seconds: float) -> Body:
        """As fast as the connection takes it; its buffers, and no more than they, are ahead of the client."""
        ends_at = time.monotonic() + seconds
        sent = 0
        while time.monotonic() < ends_at and self._down_bytes < MAX_DOWN_BYTES and not self._ws.closed:
            await self._ws.send_bytes(BLOCK)
            sent += len(BLOCK)
            self._down_bytes += len(BLOCK)
            await asyncio.sleep(0)  # a fast client must not keep everybody else waiting
        return {"bytes": sent}

    def _begin_up(self, number: int | None, seconds: float) -> None:
        """Answered by the clock, not by a message: one would come behind all that is still on its way."""
        if self._up is not None:
            raise RemoteProtocolError("conflict", "the rate up is measured once")
        self._up = Rate(time.monotonic())
        self._counting = asyncio.get_running_loop().create_task(self._answer_up(self._up, number, seconds), name="rate")

    async def _answer_up(self, up: Rate, number: int | None, seconds: float) -> None:
        await asyncio.sleep(seconds)
        with contextlib.suppress(ConnectionError):
            await self._ws.send_str(encode(Reply(number or 0, {"bytes": up.bytes, "bps": up.bps})))

    def _count(self, size: int) -> bool:
        """False: nobody asked for it, or it is more than anybody needs to send."""
        if self._up is None:
            return False
        self._up_bytes += size
        self._up.add(time.monotonic(), size)
        return self._up_bytes <= MAX_UP_BYTES
