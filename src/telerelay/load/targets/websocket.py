"""
telerelay's own signalling: one WebSocket a participant, on which it publishes and the relay offers what there is.

As docs/signaling.md has it. Event loop's thread.
"""

import asyncio
import contextlib
from urllib.parse import urlsplit

import aiohttp

from telerelay.client.ws import Message, Socket, websocket_url
from telerelay.errors import ConfigError, TelerelayError
from telerelay.load.targets.base import TIMEOUT_S, Connection, Seat, origin

_SOURCES = {"audio": "microphone", "video": "camera"}


class WebSocketTarget:
    """A telerelay by the address of its page: http://127.0.0.1:8080."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https", "ws", "wss") or not parts.netloc:
            raise ConfigError("bad_url", "the relay's address must be like http://127.0.0.1:8080")
        self._url = websocket_url(url)
        self._where = origin(url)
        self._health = self._url.replace("ws", "http", 1).removesuffix("/ws") + "/healthz"

    @property
    def name(self) -> str:
        return f"telerelay {self._where}"

    async def open(self) -> None:
        """Raises TelerelayError "unreachable"."""
        try:
            async with aiohttp.ClientSession() as http, http.get(self._health) as response:
                if response.status not in (200, 503):
                    raise TelerelayError("unreachable", f"{self._where} is no telerelay: /healthz is {response.status}")
        except (aiohttp.ClientError, OSError) as error:
            raise TelerelayError("unreachable", f"nobody answers at {self._where}: {error}") from error

    async def close(self) -> None:
        pass

    async def join(self, seat: Seat) -> "_WebSocketSession":
        session = _WebSocketSession(seat.receive)
        try:
            await session.begin(self._url, seat)
        except BaseException:
            await session.vanish()
            raise
        return session


class _WebSocketSession:
    def __init__(self, receive: Connection | None) -> None:
        self._receive = receive
        self._socket = Socket(self._on_event)

    async def begin(self, url: str, seat: Seat) -> None:
        await self._socket.open(url)
        await self._socket.request("join", TIMEOUT_S, room=seat.room, token=seat.token)
        if seat.publish is None:
            return
        offer = await seat.publish.offer()
        tracks = [
            {"mid": str(index), "source": _SOURCES[kind]}
            for index, kind in enumerate(line[2:].split()[0] for line in offer.splitlines() if line.startswith("m="))
        ]
        reply = await self._socket.request("publish", TIMEOUT_S, sdp=offer, tracks=tracks)
        await seat.publish.take_answer(str(reply["sdp"]))

    async def _on_event(self, message: Message) -> None:
        if message.get("type") != "offer" or self._receive is None:
            return
        with contextlib.suppress(TelerelayError):
            answer = await self._receive.answer(str(message["sdp"]))
            await self._socket.request("answer", TIMEOUT_S, offer_id=message["offer_id"], sdp=answer)

    async def leave(self) -> None:
        with contextlib.suppress(TelerelayError):
            await self._socket.request("leave", 5.0)
        await self.vanish()

    async def vanish(self) -> None:
        with contextlib.suppress(asyncio.CancelledError, aiohttp.ClientError):
            await self._socket.close()
