"""
All hosted rooms of a relay: which worker each lives on, who may come in, and the clock that gives up lost seats.

Event loop's thread.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from telerelay.adaptation import AdaptationTally
from telerelay.allocator import Allocator, ConsultAllocator
from telerelay.config import Config
from telerelay.connection import Site
from telerelay.dataplane import Worker
from telerelay.errors import RemoteProtocolError
from telerelay.events import DrainStarted
from telerelay.hooks import HookRunner, JoinRequest
from telerelay.logs import say
from telerelay.protocol.grants import Grant, TokenKeys
from telerelay.protocol.parameters import Candidate, Fingerprint
from telerelay.quality import Tally
from telerelay.rooms import Room, RoomLimits, Rooms
from telerelay.signaling.adapting import AdaptationWatch
from telerelay.signaling.consults import Consults
from telerelay.signaling.host import RoomHost
from telerelay.signaling.limits import FailureLimit
from telerelay.signaling.measurements import MeasurementTally
from telerelay.signaling.notes import RoomNote, clock_note, put_clock
from telerelay.signaling.placement import Placement
from telerelay.signaling.quality import QualityWatch
from telerelay.signaling.restore import restore
from telerelay.signaling.socket import Socket
from telerelay.signaling.watching import OPEN, RoomWatcher
from telerelay.tasks import Tasks

# How often lost seats and the workers' loads are looked at: a seat may be kept that much too long.
SWEEP_S = 0.5


@dataclass(frozen=True, slots=True)
class WorkerSite:
    """One worker with what leads to it: its certificate's fingerprint and its candidates; and as Site has it."""

    worker: Worker
    fingerprint: Fingerprint
    candidates: tuple[Candidate, ...]
    is_estimated: bool = True

    def room(self, number: int) -> Site:
        return Site(self.worker, self.fingerprint, self.candidates, number, self.is_estimated)


class LiveRooms:
    """
    The rooms of one relay, by name. A room lives on the worker that had the least to do when it was made, with everyone
    in it: who waits at its door is there too, so that being let in moves nobody.
    """

    def __init__(
        self,
        config: Config,
        keys: TokenKeys,
        hooks: HookRunner,
        allocator: Allocator | None = None,
        consults: Consults | None = None,
    ) -> None:
        self.config = config
        self.consults = consults
        """The consults of the relay; a room without one is open to whoever has a token."""
        self.keys = keys
        self.is_draining = False
        self.sockets: set[Socket] = set()
        """Signalling sockets open now, joined or not."""
        self.drained = asyncio.Event()
        """Set once a draining relay has no room left."""
        limits = RoomLimits(
            max_participants=config.rooms.max_participants,
            max_publications=config.rooms.max_publications,
            seat_s=config.rooms.seat_s,
        )
        self._rooms = Rooms(limits, config.rooms.max_rooms)
        self._hosts: dict[str, RoomHost] = {}
        if consults is not None:
            consults.is_open = self._hosts.__contains__
        self._hooks = hooks
        self._tasks = Tasks()
        self.tally = Tally()
        """Of all scores so far."""
        self.quality = QualityWatch(lambda: self.hosts, hooks, self.tally)
        self._allocator = allocator or ConsultAllocator()
        self.adapted = AdaptationTally()
        """What was done for lines so far."""
        self.shared = MeasurementTally()
        """Of what people shared so far beside picture and sound."""
        self.adaptation = AdaptationWatch(lambda: (host.adapter for host in self.hosts))
        self._sites: list[WorkerSite] = []
        self._placement = Placement()
        self._room_number = 0
        self._participant_number = 0
        self._failures = FailureLimit(config.limits.auth_failure_burst, config.limits.auth_failures_per_s)

    # ---------------------------------------------------------------- life

    def start(self, sites: Iterable[WorkerSite]) -> None:
        """Rooms may be made from now on."""
        self._sites = list(sites)
        for site in self._sites:
            put_clock(site.worker.notes, site.worker.wall_offset_s)
        self._tasks.spawn(self._sweep(), "sweep")
        self._tasks.spawn(self.quality.run(), "quality")
        if any(site.is_estimated for site in self._sites):
            self._tasks.spawn(self.adaptation.run(), "adaptation")

    async def restore(self, site: WorkerSite) -> None:
        """Go on with what another process had on this worker. Before `start`."""
        worker = site.worker
        notes, inventory = await worker.read_notes(), await worker.inventory()
        worker.wall_offset_s = clock_note(notes, worker.wall_offset_s)
        await restore(worker, notes, inventory, lambda found: self._open_found(site, found))
        numbers = [seat.number for host in self._hosts.values() for seat in host.seats.values()]
        self._participant_number = max(self._participant_number, *numbers, 0)

    def worker_lost(self, worker: Worker) -> None:
        """Nobody can be given a connection there, until another takes its place."""
        for host in self._hosts.values():
            if host.site.worker is worker:
                host.worker_lost()

    def replace(self, worker: Worker, site: WorkerSite) -> None:
        """Rooms of a worker that was lost live on another from now on."""
        self._sites = [site if each.worker is worker else each for each in self._sites]
        put_clock(site.worker.notes, site.worker.wall_offset_s)
        for host in self.hosts:
            if host.site.worker is worker:
                host.move_to(site.room(host.site.room))

    async def close(self, reason: str = "shutdown") -> None:
        """Everyone is told and goes; returns when nothing of them is left."""
        for host in list(self._hosts.values()):
            host.end(reason)
        for socket in self.sockets:
            socket.close(1001, reason)
        self._sites = []
        # What closes connections runs to its end before what runs for ever is cancelled.
        await self._tasks.join(1.0, besides=("sweep", "quality", "adaptation", "subscribe", "whep"))
        await self._tasks.close()

    def drain(self) -> None:
        """Open no new rooms; running calls go on, and who belongs to one may still come in."""
        if self.is_draining:
            return
        self.is_draining = True
        say(logging.INFO, "draining", count=len(self._hosts))
        for host in self._hosts.values():
            host.tell_all(DrainStarted())
        self._note_empty()

    @property
    def seats_taken(self) -> int:
        """Ever, each person's return under a new seat counted anew."""
        return self._participant_number

    @property
    def hosts(self) -> tuple[RoomHost, ...]:
        return tuple(self._hosts.values())

    # ---------------------------------------------------------------- who may come in

    def grant_of(self, token: str, source: str, now: float | None = None) -> Grant:
        """
        What a token grants now (Unix seconds). Raises RemoteProtocolError: unauthorized, token_expired, or, for a
        source address that failed too often, too_many_requests.
        """
        try:
            grant = self.keys.verify(token, time.time() if now is None else now)
        except RemoteProtocolError:
            if self._failures.is_over(source, time.monotonic()):
                raise RemoteProtocolError("too_many_requests", "too many failed attempts from this address") from None
            raise
        if self.consults is not None:
            self.consults.check_tenant(grant)
        return grant

    def grant_to_join(self, token: str, source: str, room: str, resume: str | None) -> Grant:
        """
        As grant_of; but a token that has expired since still leads back to the seat its resume secret belongs to: `exp`
        limits joining, not the length of a call.
        """
        try:
            return self.grant_of(token, source)
        except RemoteProtocolError as error:
            if error.code != "token_expired":
                raise
            grant = self.keys.verify(token, time.time(), may_be_expired=True)
            if grant.room != room or not (self._has_seat(grant, room, resume) or self._left_behind(grant, resume)):
                if self.consults is not None:
                    self.consults.tried(grant.room, grant.sub, "token")
                raise
            return grant

    @asynccontextmanager
    async def admit(
        self, grant: Grant, room: str, resume: str | None = None, attachment: str = "socket"
    ) -> AsyncIterator[RoomHost]:
        """
        The hosted room, made if need be, once token, application and consult agree. It stays while the `async with`
        lasts, and after it if anybody came in. Who comes back to a seat that is kept for him was admitted before.

        Raises RemoteProtocolError: forbidden for a room the token does not name, or that the application or its consult
        refuses, draining, room_full.
        """
        require_room(grant, room)
        if not self._has_seat(grant, room, resume):
            request = JoinRequest(room=room, sub=grant.sub, role=grant.role)
            if self.consults is not None:
                request = self.consults.join_request(grant)
            is_kept = self.consults is not None and self.consults.is_kept(grant)
            if not is_kept and not await self._hooks.authorize_join(request):
                raise forbidden()
            if self.consults is not None:
                await self.consults.arrive(grant, attachment)
        host = self._open(room)
        host.pending += 1
        try:
            yield host
        finally:
            host.pending -= 1
            if host.room.by_sub(grant.sub) is None:
                host.watcher.on_absent(grant.sub)
            host.close_if_empty()

    async def check_visitor(self, grant: Grant) -> None:
        """
        Whether somebody with a good token who wants no seat may hand something in at this room: the application and the
        room's consult decide, as of who joins. Raises RemoteProtocolError forbidden, consult_over.
        """
        request = JoinRequest(room=grant.room, sub=grant.sub, role=grant.role)
        if self.consults is not None:
            await self.consults.check_open(grant.room)
            self.consults.check_owned(grant)
            request = self.consults.join_request(grant)
        if not await self._hooks.authorize_join(request):
            raise forbidden()
        if not self._watcher(grant.room).is_admitted(grant.sub, grant.role):
            raise forbidden()

    def find(self, grant: Grant, room: str) -> RoomHost:
        """The hosted room that a token is for. Raises RemoteProtocolError forbidden or not_found."""
        require_room(grant, room)
        host = self._hosts.get(room)
        if host is None:
            raise RemoteProtocolError("not_found", "there is no such session")
        return host

    def spare_site(self) -> Site:
        """
        A place on a worker for media that belongs to no room: under a number of its own, so that no room ever hears it.
        Raises RemoteProtocolError draining.
        """
        if self.is_draining or not self._sites:
            raise RemoteProtocolError("draining", "the relay takes nothing new: try another")
        self._room_number += 1
        return self._place().room(self._room_number)

    def began(self, room: str, secret: str) -> float | None:
        """When the session of that secret began (Unix seconds), whoever's it is; None where there is none."""
        host = self._hosts.get(room)
        found = [seat.resources[secret] for seat in host.seats.values() if secret in seat.resources] if host else []
        return found[0].since if found else None

    def flush_notes(self) -> None:
        """What was noted so far outlives this process: before a client is told what follows from it."""
        for site in self._sites:
            site.worker.notes.flush()

    def expire(self) -> None:
        """Look at all lost seats now."""
        for host in self.hosts:
            host.expire()

    # ---------------------------------------------------------------- within

    def _open(self, name: str) -> RoomHost:
        host = self._hosts.get(name)
        if host is not None:
            return host
        if self.is_draining or not self._sites:
            raise RemoteProtocolError("draining", "the relay takes no new rooms: try another")
        watcher = self._watcher(name)
        room = self._rooms.open(name, watcher.is_admitted)
        chosen = self._place()
        self._room_number += 1
        host = self._host(room, chosen.room(self._room_number), watcher)
        site = host.site
        say(logging.INFO, "room_opened", room=site.room, worker=chosen.worker.index)
        return host

    def _watcher(self, name: str) -> RoomWatcher:
        return OPEN if self.consults is None else self.consults.watcher(name)

    def _host(self, room: Room, site: Site, watcher: RoomWatcher, found: RoomNote | None = None) -> RoomHost:
        host = self._hosts[room.name] = RoomHost(
            room,
            site,
            self.config,
            self._hooks,
            self._tasks,
            self._next_number,
            self._on_empty,
            self._allocator,
            self.adapted,
            found,
            watcher,
            self.shared,
        )
        watcher.on_host(host)
        if not site.worker.is_running:
            host.worker_lost()  # until another takes its place
        return host

    def _next_number(self) -> int:
        self._participant_number += 1
        return self._participant_number

    async def _open_found(self, site: WorkerSite, found: RoomNote) -> RoomHost | None:
        """A room that another process had on this worker; its consult may have ended with that process."""
        self._room_number = max(self._room_number, found.number)
        is_past = self.consults is not None and await self.consults.is_past(found.name)
        if is_past or found.name in self._hosts:
            return None
        watcher = self._watcher(found.name)
        try:
            room = self._rooms.open(found.name, watcher.is_admitted)
        except RemoteProtocolError:  # there may be fewer rooms than before
            return None
        return self._host(room, site.room(found.number), watcher, found)

    def _has_seat(self, grant: Grant, room: str, resume: str | None) -> bool:
        """Of this person in this role: a seat is no way to another one, which application and consult decide of."""
        host = self._hosts.get(room)
        participant = host.room.by_sub(grant.sub) if host else None
        if participant is None or participant.role != grant.role:
            return False
        return resume is not None and participant.may_resume(resume)

    def _left_behind(self, grant: Grant, resume: str | None) -> bool:
        """A seat that no worker has any more, and the journal does."""
        return self.consults is not None and resume is not None and self.consults.has_left_behind(grant, resume)

    def _place(self) -> WorkerSite:
        """A worker for a new room; one that is being replaced only where there is no other."""
        now = time.monotonic()
        sites = {site.worker.index: site for site in self._sites}
        running = {index: site for index, site in sites.items() if site.worker.is_running} or sites
        chosen = self._placement.choose(now, [(index, len(site.worker.transports)) for index, site in running.items()])
        self._placement.opened(now, chosen)
        return sites[chosen]

    def _look_at_loads(self) -> None:
        now = time.monotonic()
        for site in self._sites:
            if site.worker.is_running:
                self._placement.seen(now, site.worker.index, site.worker.packets())

    def _on_empty(self, host: RoomHost) -> None:
        say(logging.INFO, "room_closed", room=host.site.room)
        self._rooms.close_if_empty(host.room.name)
        if self._hosts.get(host.room.name) is host:
            del self._hosts[host.room.name]
        self._note_empty()

    def _note_empty(self) -> None:
        if self.is_draining and not self._hosts:
            self.drained.set()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.expire()
            self._look_at_loads()


def forbidden() -> RemoteProtocolError:
    # One answer for a foreign, a missing and a forbidden room: none of them tells whether the room exists.
    return RemoteProtocolError("forbidden", "this token does not open this room")


def require_room(grant: Grant, room: str) -> None:
    if grant.room != room:
        raise forbidden()
