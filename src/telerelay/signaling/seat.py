"""
What a participant has at the relay: its socket, what it was told, and its connections.

Event loop's thread. The room decides who has a seat; RoomHost hands out and takes away what is in it.
"""

import asyncio
import logging
import secrets
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from telerelay.config import LimitsConfig
from telerelay.connection import PublishConnection, SubscribeConnection, WhepConnection
from telerelay.errors import LocalProtocolError, NativeError, RemoteProtocolError
from telerelay.events import Event, Limit, LimitsChanged, OfferMade, QualityChanged, ScoreInfo, Sign
from telerelay.logs import say
from telerelay.protocol.fragment import IceFragment
from telerelay.protocol.messages import ReportedTrack, encode
from telerelay.quality import DIRECTIONS, Direction, Told
from telerelay.rooms import Participant
from telerelay.rooms.participant import SOCKET
from telerelay.signaling.eventlog import EventLog
from telerelay.signaling.limits import Bucket
from telerelay.signaling.notes import (
    ParticipantNote,
    RoomNotes,
    SeatNote,
    SessionNote,
    publish_key,
    seat_key,
    session_key,
    subscribe_key,
)
from telerelay.signaling.socket import Socket

C = TypeVar("C", bound=PublishConnection | WhepConnection)

# A client reports each five seconds at least (telerelay.js); what it said longer ago is not so any more.
REPORT_GOOD_FOR_S = 7.0
# A session whose client never finishes ICE and DTLS is given up: sooner where not one check came (A49).
UNCHECKED_DEADLINE_S = 10.0
HALF_OPEN_DEADLINE_S = 30.0

# What sound without a limit of its own is taken for in the limit of all that a WHIP client sends: Opus at its usual 32
# to 48 kbit/s, with headers.
SOUND_BPS = 64_000
# A REMB of 0 is no rate; with this encoders do the least they can.
LEAST_BPS = 10_000
NO_LIMIT = Limit()


@dataclass(slots=True, weakref_slot=True)
class Resource:
    """
    One WHIP or WHEP session: `secret` is the last part of its URL, `etag` names its ICE session (RFC 9725, 4.3). What
    its connection tells does not hold it, so that it is gone once it has ended, without a search for garbage.
    """

    secret: str
    etag: str
    connection: PublishConnection | WhepConnection
    participant: str = ""
    publisher: str | None = None
    """Whom alone it receives from, where it asked for that."""
    state: str = "opened"
    """Of states.SESSION."""
    since: float = field(default_factory=time.time)
    """Unix seconds."""
    timer: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while its ICE restarts: of two at once the later one wins."""
    _restarts: Bucket | None = None
    """How often it may restart."""

    @property
    def is_whip(self) -> bool:
        return isinstance(self.connection, PublishConnection)

    async def restart(self, fragment: IceFragment, limits: LimitsConfig) -> IceFragment:
        """
        Restart ICE for a client that did; the relay's side of it. Raises RemoteProtocolError.

        Asked again with the same credentials (the response was lost), it answers as it did.
        """
        async with self._lock:
            transport = self.connection.transport
            before = transport.local
            if fragment.ice != transport.remote_ice and not self._may_restart(limits):
                raise RemoteProtocolError("too_many_requests", "too many restarts: wait a moment", status=429)
            try:
                local = await transport.restart_for(fragment.ice)
            except (LocalProtocolError, NativeError) as error:
                raise RemoteProtocolError("conflict", "the session is over", status=409) from error
            if local is not before:
                self.etag = new_etag()
            return IceFragment(local.ice, fragment.tagged, local.candidates)

    def _may_restart(self, limits: LimitsConfig) -> bool:
        now = time.monotonic()
        if self._restarts is None:
            self._restarts = Bucket(limits.offer_burst, 1 / max(limits.offer_every_s, 1e-6), now)
        return self._restarts.take(now)

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


def new_resource(
    connect: Callable[[Callable[[str], None], Callable[[], str]], C], moved: Callable[[Resource, str], None]
) -> tuple[Resource, C, Callable[[], str]]:
    """
    A session, its connection, and whose it is, "" once it is gone. `connect(on_state, whose)` makes the connection,
    which holds the session by neither; `moved` is told what its states are.
    """
    known: weakref.ref[Resource]

    def tell(state: str) -> None:
        if (resource := known()) is not None:
            moved(resource, state)

    def whose() -> str:
        return resource.participant if (resource := known()) is not None else ""

    connection = connect(tell, whose)
    resource = Resource(secrets.token_urlsafe(24), new_etag(), connection)
    known = weakref.ref(resource)
    return resource, connection, whose


class ChannelRates:
    """How often a participant may open data channels and send on them, and is told of what was refused."""

    def __init__(self, now: float) -> None:
        self.openings = Bucket(64, 4, now)
        self.messages = Bucket(500, 500, now)
        self.refusals = Bucket(20, 2, now)


class Seat:
    """One participant's seat. `number` is what C knows the participant by: its streams share one clock offset."""

    def __init__(self, participant: Participant, number: int, max_replayed_events: int, notes: RoomNotes) -> None:
        self.participant = participant
        self._notes = notes
        self.number = number
        self.log = EventLog(max_replayed_events)
        self._offered = (0, 0)  # the latest offer's id, and its number among the events
        self._confirmed_seq = 0
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
        self._channel_rates: ChannelRates | None = None
        self.quality: dict[Direction, Told] = {direction: Told() for direction in DIRECTIONS}
        self.reported: dict[str, ReportedTrack] = {}
        """What the client said last of each publication, at `reported_at` (monotonic seconds)."""
        self.reported_at = 0.0
        self.limits: dict[str, Limit] = {}
        """By publication, of those that have one."""
        self.line_bps = 0
        """What the participant's line was found to carry last, for the next connection; 0: nobody knows."""

    @property
    def id(self) -> str:
        return self.participant.id

    @property
    def channel_rates(self) -> ChannelRates:
        """Made when the participant first does anything with a data channel, which few do."""
        if self._channel_rates is None:
            self._channel_rates = ChannelRates(time.monotonic())
        return self._channel_rates

    def tell(self, event: Event) -> None:
        """Number an event, send it if the socket is there, keep it for when it is again."""
        text = self.log.add(event)
        # Before it is sent: a successor of this process must not know less than the client does.
        self._notes.event(self.id, self.log.seq, text, self._confirmed_seq)
        if isinstance(event, OfferMade):
            self._offered = (event.offer_id, self.log.seq)
        self.save()
        if self.socket is not None:
            self.socket.send(text)

    def answered(self, offer_id: int) -> None:
        """
        The client answered an offer, and so has every event up to that: they need not be kept for it, and offers are
        most of what would be.
        """
        if offer_id == self._offered[0]:
            self._confirmed_seq = self._offered[1]
            self.log.confirm(self._confirmed_seq)

    def show(self, sign: Sign) -> None:
        """Tell what is now, if the socket is there."""
        if self.socket is not None:
            self.socket.send(encode(sign))

    def carried(self, by_receiver: Mapping[int, str]) -> set[str]:
        """The publications that are sent to this participant; `by_receiver`, for what another process sent it."""
        sessions = [each.connection for each in self.resources.values() if isinstance(each.connection, WhepConnection)]
        carried = {
            publication
            for connection in (self.subscribing, *sessions)
            if connection is not None
            for publication in connection.carried().values()
        }
        return carried | {by_receiver[each] for session in sessions for each in session.found if each in by_receiver}

    def set_limits(self, limits: Mapping[str, Limit]) -> list[tuple[PublishConnection, int]]:
        """As RoomHost.set_limits: the socket is told; returned are sessions, and what each may send in all (0: any)."""
        publications = self.participant.publications
        before = self.limits
        self.limits = {name: limit for name, limit in limits.items() if name in publications and limit != NO_LIMIT}
        changed = {
            each.attachment
            for each in publications.values()
            if before.get(each.id, NO_LIMIT) != self.limits.get(each.id, NO_LIMIT)
        }
        if SOCKET in changed:
            self.show(self.limits_sign())
        return [
            (resource.connection, self._total_bps(resource))
            for resource in self.resources.values()
            if resource.secret in changed and isinstance(resource.connection, PublishConnection)
        ]

    def _total_bps(self, resource: Resource) -> int:
        total_bps = 0
        for publication in self.participant.publications.values():
            if publication.attachment != resource.secret:
                continue
            limit = self.limits.get(publication.id, NO_LIMIT)
            max_bps = 0 if limit.rids == () else limit.max_bps
            if max_bps is None:
                if publication.kind == "video":
                    return 0
                max_bps = SOUND_BPS
            total_bps += max_bps
        return max(total_bps, LEAST_BPS)

    def limits_sign(self) -> LimitsChanged:
        """Of what is negotiated over the socket; sessions hear of theirs by REMB."""
        publications = self.participant.publications.values()
        return LimitsChanged(
            tuple(
                (each.id, self.limits[each.id])
                for each in publications
                if each.attachment == SOCKET and each.id in self.limits
            )
        )

    def quality_sign(self) -> QualityChanged:
        """How good the participant's line was found to be last."""
        up, down = (
            ScoreInfo(told.score, told.cause) if told.score else None
            for told in (self.quality[direction] for direction in DIRECTIONS)
        )
        return QualityChanged(up, down)

    def has_lost(self, connection: str) -> bool:
        """Whether this connection ("publish" or "subscribe") went with its worker."""
        lost = self.publishing if connection == "publish" else self.subscribing
        return lost is not None and lost.transport.is_lost

    def save(self) -> None:
        """
        Leave what a successor of this process has to know of this seat, as far as it has changed: as it is when the
        notes are flushed, for a join changes it a dozen times.
        """
        self._notes.later(self._save)

    def _save(self) -> None:
        if not self._notes.is_kept or self.is_closed:
            return
        put, id = self._notes.put, self.id
        seq = self._notes.seq_to_note(id, self.log.seq)
        put(seat_key(id), SeatNote(ParticipantNote.of(self.participant), self.number, seq))
        put(publish_key(id), None if self.publishing is None else self.publishing.snapshot())
        put(subscribe_key(id), None if self.subscribing is None else self.subscribing.snapshot())
        for resource in self.resources.values():
            put(session_key(id, resource.secret), SessionNote.of(resource))

    def forget_session(self, secret: str) -> None:
        """Nothing is left to know of a session that ended."""
        self._notes.put(session_key(self.id, secret), None)

    def forget(self) -> None:
        """Nothing is left to know."""
        self._notes.forget(self.id)

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


def new_etag() -> str:
    return secrets.token_urlsafe(9)


async def _close(close: Callable[[], Awaitable[None]]) -> None:
    """What the worker says against a removal is for the log: the seat goes in any case."""
    try:
        await close()
    except NativeError as error:
        say(logging.ERROR, "close_failed", error=type(error).__name__, code=error.code, status=error.status)
