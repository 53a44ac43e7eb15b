"""
A Janus VideoRoom, over its WebSocket API (ws://host:8188) or its HTTP API (http://host:8088/janus).

Each participant has a Janus session, with one handle that publishes and one that subscribes (multistream, Janus 1.0 and
newer: Janus offers what there is, and again when it changes). Rooms are made on first use and destroyed at the end.
Event loop's thread.
"""

import asyncio
import contextlib
import itertools
import json
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp

from telerelay.errors import ConfigError, RemoteProtocolError, TelerelayError
from telerelay.load.targets.base import TIMEOUT_S, Connection, Seat, origin, together

Message = dict[str, Any]

# Janus drops a session it has not heard of for 60 s.
_KEEPALIVE_S = 25.0

# VideoRoom's errors that mean "it is there already".
_ROOM_EXISTS = 427

# The bit rate Janus asks publishers to keep to (REMB); above any load, so that the load is the profile's.
_ROOM_BITRATE_BPS = 20_000_000


class _Link(Protocol):
    """How messages get to Janus and events back, for one session."""

    async def request(self, body: Message) -> Message: ...

    async def listen(self, session: int, on_event: Callable[[Message], None]) -> None: ...

    async def close(self) -> None: ...


class JanusTarget:
    """Rooms of Janus by number; a room's name gives it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss", "http", "https") or not parts.netloc:
            raise ConfigError("bad_url", "--janus must be like ws://127.0.0.1:8188 or http://127.0.0.1:8088/janus")
        self._url = url
        self._is_ws = parts.scheme in ("ws", "wss")
        self._where = origin(url)
        self._http: aiohttp.ClientSession | None = None
        self._made: dict[int, asyncio.Task[None]] = {}
        self._admin: _JanusSession | None = None

    @property
    def name(self) -> str:
        return f"Janus VideoRoom {self._where}"

    async def open(self) -> None:
        """Raises TelerelayError "unreachable"."""
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_S)
        )
        try:
            self._admin = await self._session("")
            await self._admin.attach("admin")
        except (aiohttp.ClientError, OSError, TelerelayError) as error:
            await self._http.close()
            raise TelerelayError("unreachable", f"no Janus answers at {self._where}: {error}") from error

    async def close(self) -> None:
        if self._admin is not None:
            with contextlib.suppress(TelerelayError, OSError, aiohttp.ClientError):
                for room in self._made:
                    await self._admin.ask("admin", {"request": "destroy", "room": room})
            await self._admin.leave()
        if self._http is not None:
            await self._http.close()

    async def join(self, seat: Seat) -> "_JanusSession":
        room = room_number(seat.room)
        task = self._made.get(room)
        if task is None:
            task = self._made[room] = asyncio.create_task(self._create(room))
        await asyncio.shield(task)
        session = await self._session(seat.token)
        try:
            await session.begin(room, seat)
        except BaseException:
            await session.leave()
            raise
        return session

    async def _session(self, token: str) -> "_JanusSession":
        assert self._http is not None
        try:
            link: _Link = await _WsLink.open(self._http, self._url) if self._is_ws else _HttpLink(self._http, self._url)
        except aiohttp.ClientError as error:
            raise TelerelayError("connection_lost", f"Janus cannot be reached: {type(error).__name__}") from error
        session = _JanusSession(link, token)
        await session.create()
        return session

    async def _create(self, room: int) -> None:
        assert self._admin is not None
        body = {
            "request": "create",
            "room": room,
            "permanent": False,
            "publishers": 32,
            "bitrate": _ROOM_BITRATE_BPS,
            "audiocodec": "opus",
            "videocodec": "vp8,h264",
        }
        await self._admin.ask("admin", body, may_fail=(_ROOM_EXISTS,))


def room_number(name: str) -> int:
    """A room's number in Janus, which knows no names by default."""
    return zlib.crc32(name.encode()) or 1


class _JanusSession:
    """One participant; also the target's own session, which makes rooms."""

    def __init__(self, link: _Link, token: str) -> None:
        self._link = link
        self._token = token
        self._id = 0
        self._handles: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._room = 0
        self._receive: Connection | None = None
        self._feeds: set[Any] = set()
        self._is_subscribed = False

    # ---------------------------------------------------------------- the API's words

    async def create(self) -> None:
        reply = await self._send({"janus": "create"})
        self._id = int(reply["data"]["id"])
        self._tasks = [
            asyncio.create_task(self._link.listen(self._id, self._on_event)),
            asyncio.create_task(self._keep_alive()),
            asyncio.create_task(self._follow()),
        ]

    async def attach(self, name: str) -> None:
        reply = await self._send({"janus": "attach", "plugin": "janus.plugin.videoroom"})
        self._handles[name] = int(reply["data"]["id"])
        self._names[self._handles[name]] = name

    async def ask(
        self, handle: str, body: Message, sdp: tuple[str, str] | None = None, may_fail: tuple[int, ...] = ()
    ) -> Message:
        """
        One request to the plugin; what it says, with the SDP it answers by under "sdp". Raises RemoteProtocolError.
        """
        message: Message = {"janus": "message", "handle_id": self._handles[handle], "body": body}
        if sdp is not None:
            message["jsep"] = {"type": sdp[0], "sdp": sdp[1]}
        reply = await self._send(message)
        data: Message = dict(reply.get("plugindata", {}).get("data", {}))
        if "error_code" in data and data["error_code"] not in may_fail:
            raise RemoteProtocolError(f"janus_{data['error_code']}", "Janus refused a request")
        if "jsep" in reply:
            data["sdp"] = reply["jsep"]["sdp"]
        return data

    async def _send(self, message: Message) -> Message:
        """Send, and wait for what answers it: at once, or by an event of the same transaction."""
        transaction = f"t{next(self._numbers)}"
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = future
        message = {**message, "transaction": transaction}
        if self._id:
            message["session_id"] = self._id
        if self._token:
            message["token"] = self._token
        try:
            async with asyncio.timeout(TIMEOUT_S):
                reply = await self._link.request(message)
                if reply.get("janus") == "ack":
                    reply = await future
        except TimeoutError:
            raise RemoteProtocolError("janus_timeout", f"no answer of Janus within {TIMEOUT_S:g} s") from None
        except aiohttp.ClientError as error:
            raise TelerelayError("connection_lost", "the connection to Janus broke") from error
        finally:
            self._waiting.pop(transaction, None)
        if reply.get("janus") == "error":
            code = reply.get("error", {}).get("code", 0)
            raise RemoteProtocolError(f"janus_{code}", "Janus refused a request")
        return reply

    def _on_event(self, message: Message) -> None:
        future = self._waiting.get(str(message.get("transaction", "")))
        if future is not None and not future.done():
            future.set_result(message)
        else:
            self._events.put_nowait(message)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(_KEEPALIVE_S)
            with contextlib.suppress(TelerelayError):
                await self._send({"janus": "keepalive"})

    # ---------------------------------------------------------------- a participant

    async def begin(self, room: int, seat: Seat) -> None:
        self._room, self._receive = room, seat.receive
        await self.attach("publisher")
        joined = await self.ask(
            "publisher", {"request": "join", "ptype": "publisher", "room": room, "display": seat.participant}
        )
        jobs: list[Awaitable[None]] = [self._subscribe(joined.get("publishers", []))]
        if seat.publish is not None:
            jobs.append(self._publish(seat.publish))
        await together(jobs)

    async def _publish(self, connection: Connection) -> None:
        offer = await connection.offer()
        answer = await self.ask("publisher", {"request": "publish"}, ("offer", offer))
        if "sdp" not in answer:
            raise RemoteProtocolError("janus_no_answer", "Janus did not answer the offer")
        await connection.take_answer(answer["sdp"])

    async def _follow(self) -> None:
        """What happens in the room later: publishers who come, offers that follow."""
        while True:
            message = await self._events.get()
            data = message.get("plugindata", {}).get("data", {})
            with contextlib.suppress(TelerelayError):
                if data.get("publishers"):
                    await self._subscribe(data["publishers"])
                elif "jsep" in message and self._names.get(message.get("sender", 0)) == "subscriber":
                    await self._answer(message["jsep"]["sdp"])

    async def _subscribe(self, publishers: list[Message]) -> None:
        wanted = [each["id"] for each in publishers if each["id"] not in self._feeds]
        if self._receive is None or not wanted:
            return
        self._feeds.update(wanted)
        streams = [{"feed": feed} for feed in wanted]
        if not self._is_subscribed:
            self._is_subscribed = True
            await self.attach("subscriber")
            body = {"request": "join", "ptype": "subscriber", "room": self._room, "streams": streams}
        else:
            body = {"request": "subscribe", "streams": streams}
        reply = await self.ask("subscriber", body)
        if "sdp" in reply:
            await self._answer(reply["sdp"])

    async def _answer(self, offer: str) -> None:
        if self._receive is not None:
            answer = await self._receive.answer(offer)
            await self.ask("subscriber", {"request": "start"}, ("answer", answer))

    async def leave(self) -> None:
        if self._id:
            with contextlib.suppress(TelerelayError, OSError):
                await self._send({"janus": "destroy"})
        await self.vanish()

    async def vanish(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._link.close()


class _WsLink:
    """One WebSocket for a session; replies and events come on it."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self._replies: dict[str, asyncio.Future[Message]] = {}
        self._on_event: Callable[[Message], None] | None = None
        self._early: list[Message] = []
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, http: aiohttp.ClientSession, url: str) -> "_WsLink":
        return cls(await http.ws_connect(url, protocols=("janus-protocol",), compress=0))

    async def request(self, body: Message) -> Message:
        transaction = body["transaction"]
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._replies[transaction] = future
        try:
            await self._ws.send_str(json.dumps(body))
            return await future
        finally:
            self._replies.pop(transaction, None)

    async def listen(self, session: int, on_event: Callable[[Message], None]) -> None:
        self._on_event = on_event
        early, self._early = self._early, []
        for message in early:
            on_event(message)
        await asyncio.shield(self._reader)

    async def _read(self) -> None:
        async for raw in self._ws:
            if raw.type is not aiohttp.WSMsgType.TEXT:
                continue
            message: Message = json.loads(raw.data)
            # The first with the transaction answers the request (it may be an ack), all that follow are events.
            future = self._replies.pop(str(message.get("transaction", "")), None)
            if future is not None and not future.done():
                future.set_result(message)
            elif self._on_event is not None:
                self._on_event(message)
            else:
                self._early.append(message)

    async def close(self) -> None:
        self._reader.cancel()
        with contextlib.suppress(aiohttp.ClientError, asyncio.CancelledError):
            await self._ws.close()


class _HttpLink:
    """One POST for each request, one long poll for events."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url.rstrip("/")

    async def request(self, body: Message) -> Message:
        path = [str(body[key]) for key in ("session_id", "handle_id") if key in body]
        async with self._http.post("/".join([self._url, *path]), json=body) as response:
            return dict(await response.json(content_type=None))

    async def listen(self, session: int, on_event: Callable[[Message], None]) -> None:
        while True:
            try:
                async with self._http.get(f"{self._url}/{session}?maxev=10") as response:
                    events = await response.json(content_type=None)
            except (aiohttp.ClientError, ValueError):
                return
            for event in events if isinstance(events, list) else [events]:
                if event.get("janus") == "error":
                    return
                if event.get("janus") != "keepalive":
                    on_event(event)

    async def close(self) -> None:
        pass
