"""
What a participant has at the relay: its socket, what it was told, and its connections.

Event loop's thread. The room decides who has a seat; RoomHost hands out and takes away what is in it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from telerelay.connection import PublishConnection, SubscribeConnection, WhepConnection
from telerelay.errors import NativeError
from telerelay.events import Event
from telerelay.logs import say
from telerelay.rooms import Participant
from telerelay.signaling.eventlog import EventLog
from telerelay.signaling.socket import Socket

# A session whose client never finishes ICE and DTLS is given up: sooner where not one check came (A49).
UNCHECKED_DEADLINE_S = 10.0
HALF_OPEN_DEADLINE_S = 30.0


@dataclass(slots=True)
class Resource:
    """One WHIP or WHEP session: `secret` is the last part of its URL, `etag` names its ICE session (RFC 9725, 4.3)."""

    secret: str
    etag: str
    connection: PublishConnection | WhepConnection
    participant: str = ""
    since: float = field(default_factory=time.time)
    """Unix seconds."""
    timer: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] | None = None

    @property
    def is_whip(self) -> bool:
        return isinstance(self.connection, PublishConnection)

    def arm(self, delay_s: float, end: Callable[[], None]) -> None:
        self.disarm()
        self.timer = asyncio.get_running_loop().call_later(delay_s, end)

    def disarm(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    async def close(self) -> None:
        self.disarm()
        if self.task is not None:
            self.task.cancel()
        await self.connection.close()


class Seat:
    """One participant's seat. `number` is what C knows the participant by: its streams share one clock offset."""

    def __init__(self, participant: Participant, number: int, max_replayed_events: int) -> None:
        self.participant = participant
        self.number = number
        self.log = EventLog(max_replayed_events)
        self.socket: Socket | None = None
        self.publishing: PublishConnection | None = None
        self.subscribing: SubscribeConnection | None = None
        self.subscribing_task: asyncio.Task[None] | None = None
        self.resources: dict[str, Resource] = {}
        self.media_lock = asyncio.Lock()
        """
        Held while a connection of this seat is made, negotiated or taken down; never while waiting for its network.
        """
        self.is_closed = False

    @property
    def id(self) -> str:
        return self.participant.id

    def tell(self, event: Event) -> None:
        """Number an event, send it if the socket is there, keep it for when it is again."""
        text = self.log.add(event)
        if self.socket is not None:
            self.socket.send(text)

    async def close_publishing(self) -> None:
        connection, self.publishing = self.publishing, None
        if connection is not None:
            await _close(connection.close)

    async def close_subscribing(self) -> None:
        connection, self.subscribing = self.subscribing, None
        task, self.subscribing_task = self.subscribing_task, None
        if task is not None:
            task.cancel()
        if connection is not None:
            await _close(connection.close)

    async def close_socket_media(self) -> None:
        """Both connections that were negotiated over the socket go."""
        async with self.media_lock:
            await self.close_publishing()
            await self.close_subscribing()

    async def close(self) -> None:
        """Everything goes. The socket is the caller's, who knows what to tell it."""
        self.is_closed = True
        async with self.media_lock:
            await self.close_publishing()
            await self.close_subscribing()
            resources, self.resources = self.resources, {}
            for resource in resources.values():
                await _close(resource.close)


async def _close(close: Callable[[], Awaitable[None]]) -> None:
    """What the worker says against a removal is for the log: the seat goes in any case."""
    try:
        await close()
    except NativeError as error:
        say(logging.ERROR, "close_failed", error=type(error).__name__, code=error.code, status=error.status)
