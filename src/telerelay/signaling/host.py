"""
One room, hosted: carries out what the room decides, on the worker where it lives.

Event loop's thread. The room never waits; this does, but only ever for the worker, never for anyone's network.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial

from telerelay import events, states
from telerelay.adaptation import AdaptationTally
from telerelay.allocator import Allocator
from telerelay.config import Config
from telerelay.connection import PublishConnection, Site, Source, SubscribeConnection, WhepConnection
from telerelay.connection.publish import Receiving
from telerelay.connection.tap import TapConnection
from telerelay.errors import NativeError, RemoteProtocolError
from telerelay.hooks import HookRunner
from telerelay.logs import say
from telerelay.protocol.grants import Grant
from telerelay.protocol.messages import PublishedTrack
from telerelay.protocol.negotiation import CodecPolicy, Offer
from telerelay.rooms import (
    AdmissionChanged,
    CloseParticipant,
    Effect,
    Participant,
    Pause,
    Publication,
    Room,
    Route,
    Tell,
    TrackDescription,
    Unroute,
)
from telerelay.rooms.participant import SOCKET
from telerelay.rooms.policy import check_role
from telerelay.rooms.publication import INSTRUMENTS
from telerelay.routing import Router
from telerelay.signaling.adapting import RoomAdapter
from telerelay.signaling.camera import CameraDesk
from telerelay.signaling.channels import ChannelRelay, has_lines
from telerelay.signaling.chat import Chat
from telerelay.signaling.degrading import Degrading
from telerelay.signaling.measurements import MeasurementTally, RoomMeasurements, limits_of
from telerelay.signaling.notes import ROOM_KEY, RoomNote, RoomNotes, SessionNote
from telerelay.signaling.policies import Policies
from telerelay.signaling.seat import HALF_OPEN_DEADLINE_S, UNCHECKED_DEADLINE_S, C, Resource, Seat, new_resource
from telerelay.signaling.socket import Socket
from telerelay.signaling.telling import RoomTelling
from telerelay.signaling.watching import OPEN, RoomWatcher, What
from telerelay.tasks import Tasks

# WebSocket close codes (RFC 6455, 7.4.2: 4000-4999 are the application's) by why a participant is no longer here.
CLOSE_CODES = {"duplicate_join": 4009, "ended": 4010, "removed": 4010, "timeout": 4010}
NORMAL_CLOSE = 1000

# Sessions one sub may hold at once: a wall of screens, and an end to it.
MAX_RESOURCES = 32


def new_id() -> str:
    """Of a participant or a publication: 96 random bits, nobody's name."""
    return secrets.token_urlsafe(12)


class RoomHost:
    """A room with its seats, its router, and the worker it lives on; `found`: as another process left it."""

    def __init__(
        self,
        room: Room,
        site: Site,
        config: Config,
        hooks: HookRunner,
        tasks: Tasks,
        next_number: Callable[[], int],
        on_empty: Callable[["RoomHost"], None],
        allocator: Allocator,
        tally: AdaptationTally,
        found: RoomNote | None = None,
        watcher: RoomWatcher = OPEN,
        shared: MeasurementTally | None = None,
    ) -> None:
        self.room = room
        self.watcher = watcher
        self.site = site
        self.seats: dict[str, Seat] = {}
        self.pending = 0
        """How many are just coming in."""
        self._policy = CodecPolicy(audio=config.media.audio_codecs, video=config.media.video_codecs)
        self._max_replayed_events = config.rooms.max_replayed_events
        self._seat_s = config.rooms.seat_s
        self._router = Router()
        self._policies = Policies(hooks, room, watcher.on_refused)
        self.notes = RoomNotes(site.room, lambda: self.site.worker.notes)
        self._shared = shared or MeasurementTally()
        self.measurements = RoomMeasurements(
            room.name,
            self.seats,
            limits_of(config.measurements),
            hooks,
            tasks,
            self.notes,
            self._shared,
            lambda: self.site.worker.wall_offset_s,
            watcher.on_measured,
        )
        self._data = ChannelRelay(
            self.seats,
            self._save_channels,
            lambda seat: watcher.on_refused(seat.participant.sub, "data"),
            self._ask_channel if self._policies.has_channel_rule else None,
            self.measurements,
        )
        self.chat = Chat(
            self.seats,
            self._may_open if self._policies.has_channel_rule else None,
            lambda seat: watcher.on_refused(seat.participant.sub, "data"),
            self._shared.said,
        )
        self.cameras = CameraDesk(room.name, hooks, self._admitted_seat, self._on_camera)
        self.degrading = Degrading(room.name, self.seats, hooks, tasks, watcher)
        self.adapter = RoomAdapter(self, allocator, tally)
        self._tasks = tasks
        self._next_number = next_number
        self._on_empty = on_empty
        self._telling = RoomTelling(room.name, hooks, found)
        self._is_over = False
        self._new_worker: asyncio.Event | None = None  # while the room's is lost

    # ---------------------------------------------------------------- coming and going

    def join(self, grant: Grant, resume: str | None, socket: Socket) -> tuple[Seat, bool]:
        """
        Seat whoever came over a WebSocket; True if it is its old seat. Raises RemoteProtocolError.

        Its socket is not told anything yet: first comes the reply to its join (`attach_socket`).
        """
        before = self.room.by_sub(grant.sub)
        was_interrupted = before is not None and before.is_interrupted
        secret = partial(self.watcher.new_secret, grant.sub)
        joined = self.room.join(_now(), grant.sub, grant.role, resume, new_id, secret)
        seat = self._seat_of(joined.participant)
        old, seat.socket = seat.socket, None
        if old is not None and old is not socket:
            old.cut()  # its client is here again, on another connection
        self._carry_out(joined.effects)
        is_new = before is None or before.id != joined.participant.id
        if is_new or was_interrupted:
            self._person(joined.participant, "joined" if is_new else "back")
        return seat, joined.is_resumed

    def attach_socket(self, seat: Seat, socket: Socket, missed: Iterable[str] | None = None) -> None:
        """
        From now on events go to this socket, those it missed first (None: its client begins anew). Its subscribing
        connection comes up.
        """
        seat.socket = socket
        for text in missed or ():
            socket.send(text)
        if (sign := seat.quality_sign()) != events.QualityChanged(None, None):
            seat.show(sign)  # a page that was loaded again has not seen it
        if seat.limits or missed is not None:  # also that there are none: who comes back may have some of before
            seat.show(seat.limits_sign())
        if seat.participant.is_admitted:
            self.adapter.show_all(seat)
        for publication in self._policies.refused_to(seat.id) if missed is None else ():
            seat.tell(events.SubscriptionRefused(publication, "forbidden"))
        if seat.subscribing is None:
            self._subscribe(seat)
        self.watcher.on_socket(seat)

    def lose_socket(self, seat: Seat, socket: Socket) -> None:
        """The connection ended without a word: the seat is kept, media goes on."""
        if seat.socket is not socket:
            return
        seat.socket = None
        if seat.id in self.room.participants and not seat.participant.is_interrupted:
            effects = self.room.interrupt(_now(), seat.id)
            self._person(seat.participant, "interrupted")
            self._carry_out(effects)
            seat.save()

    def leave(self, seat: Seat) -> None:
        if seat.id in self.room.participants:
            self._carry_out(self.room.leave(_now(), seat.id))

    def admit(self, participant: str) -> None:
        """
        Whoever waited comes in: listed, heard and hearing. Nothing where he is not here, or is in already.
        """
        if participant in self.room.participants:
            self._carry_out(self.room.admit(_now(), participant))
            if participant in self.seats:
                self.adapter.show_all(self.seats[participant])

    def remove(self, participant: str, reason: str) -> None:
        """Somebody is sent away, told why by `ended`; nothing where he is not here."""
        if participant in self.room.participants:
            seat = self.seats.get(participant)
            if seat is not None and seat.participant.has_socket:
                seat.tell(events.RoomEnded(reason))
            self._carry_out(self.room.leave(_now(), participant, "removed"))

    def expire(self) -> None:
        """
        Give up seats whose time is over. Who is still here by WHIP or WHEP loses only what belonged to the socket.
        """
        due = self.room.next_expiry()
        if due is None or due > _now():
            return
        self._carry_out(self.room.expire(_now()))
        for seat in self.seats.values():
            if not seat.participant.has_socket and (seat.publishing or seat.subscribing):
                if seat.subscribing is not None:
                    self._router.detach(seat.id, seat.subscribing)
                self._tasks.spawn(seat.close_socket_media(), "close")

    def end(self, reason: str) -> None:
        """Everyone is told and goes."""
        self._carry_out(self.room.end(_now(), reason))

    def tell_all(self, event: events.Event) -> None:
        for seat in self.seats.values():
            if seat.participant.has_socket:
                seat.tell(event)

    # ---------------------------------------------------------------- WebSocket media

    async def publish(
        self, seat: Seat, sdp: str, tracks: Iterable[PublishedTrack]
    ) -> tuple[str, tuple[Publication, ...]]:
        """
        Take an offer on the seat's publishing connection; the answer and what is published. Raises RemoteProtocolError.
        """
        self.room.check_publish(seat.id)
        tracks = tuple(tracks)
        own = {each.mid: each for each in seat.participant.publications.values() if each.attachment == SOCKET}
        await self._policies.check_publish(seat.participant.sub, seat.participant.role, sdp, tracks, own)
        async with seat.media_lock:
            while True:
                await self._until_worker()
                self._check_open(seat)
                is_first = seat.publishing is None
                connection = seat.publishing = seat.publishing or self.publish_connection(seat)
                try:
                    return await self._take_offer(seat, connection, sdp, tracks)
                except BaseException as error:
                    if is_first or connection.is_broken:
                        await self._unpublish(seat)
                    # Its worker died under an offer that has no answer yet: the next worker can give one.
                    is_lost = isinstance(error, RemoteProtocolError) and self._new_worker is not None
                    if not (is_lost and is_first):
                        raise

    async def _take_offer(
        self, seat: Seat, connection: PublishConnection, sdp: str, tracks: Sequence[PublishedTrack]
    ) -> tuple[str, tuple[Publication, ...]]:
        answer = await connection.offer(sdp, [each.mid for each in tracks if each.source in INSTRUMENTS])
        self._check_open(seat)
        try:
            return answer, self._publish(seat, connection, SOCKET, {track.mid: track for track in tracks})
        except RemoteProtocolError:
            connection.is_broken = True  # agreed with the client, refused by the room: neither can go on with it
            raise

    def publish_connection(self, seat: Seat) -> PublishConnection:
        """A new one for what is negotiated over the seat's socket."""
        return PublishConnection(
            self.site,
            self._policy,
            participant=seat.number,
            is_admitted=seat.participant.is_admitted,
            on_state=lambda state: self._connection_changed(seat, "publish", state),
            data_listener=self._data.listener(lambda: seat.id),
        )

    async def reconnect(self, seat: Seat, connection: str) -> None:
        """Take one of the seat's connections down and begin it anew."""
        async with seat.media_lock:
            await self._until_worker()
            self._check_open(seat)
            if connection == "publish":
                await self._unpublish(seat)
            else:
                if seat.subscribing is not None:
                    self._router.detach(seat.id, seat.subscribing)
                await seat.close_subscribing()
                self._subscribe(seat)

    async def renew_media(self, seat: Seat) -> None:
        """The client begins anew (a page was loaded again): its connections go; a new one to subscribe on comes up."""
        async with seat.media_lock:
            await self._unpublish(seat)
            if seat.subscribing is not None:
                self._router.detach(seat.id, seat.subscribing)
            await seat.close_subscribing()

    def mute(self, seat: Seat, publication: str, is_muted: bool, reason: str | None = None) -> None:
        self._carry_out(self.room.mute(_now(), seat.id, publication, is_muted, reason))
        self.watcher.on_publication(seat.participant, self.room.publications[publication])

    def pause(self, seat: Seat, publication: str, is_paused: bool) -> None:
        self._carry_out(self.room.pause(_now(), seat.id, publication, is_paused))

    def set_limits(self, participant: str, limits: Mapping[str, events.Limit]) -> None:
        """
        What is worth sending of a participant's publications, by their ids, from now on; what is not named has no
        limit, and what is not theirs (any more) is passed over. Nothing is told where nothing changes.

        Over the WebSocket the client is told of each and obeys at once. A WHIP client is told one figure for all it
        sends, by REMB: the sum, where each of its pictures has a limit, and none else. RIDs cannot be said so.
        """
        seat = self.seats.get(participant)
        if seat is None:
            return
        for connection, bps in seat.set_limits(limits):
            self._tasks.spawn(connection.transport.set_limit(bps), "limit")

    # ---------------------------------------------------------------- WHIP and WHEP

    async def open_whip(self, grant: Grant, sdp: str) -> tuple[Resource, str]:
        """
        A publishing session; the sub's former one ends. Returns it and the SDP answer. Raises RemoteProtocolError.
        """
        if not check_role(grant.role).may_publish:
            raise RemoteProtocolError("forbidden", "this role may not publish")
        await self._policies.check_publish(grant.sub, grant.role, sdp)
        await self._until_worker()
        resource, connection = self._new_session(PublishConnection, self._number_of(grant.sub), is_admitted=False)
        answer, seat = await self._open(resource, grant, connection.offer(sdp))
        try:
            self._publish(seat, connection, resource.secret, {})
        except RemoteProtocolError:
            self.end_resource(resource)
            raise
        for other in [each for each in seat.resources.values() if each.is_whip and each is not resource]:
            self.end_resource(other)
        seat.save()
        return resource, answer

    async def open_whep(self, grant: Grant, sdp: str, publisher: str | None) -> tuple[Resource, str]:
        """A receiving session, of one participant (its id or sub) or of all others. Raises RemoteProtocolError."""
        only: str | None = None
        if publisher is not None:
            if not self.room.may_see(grant.sub, grant.role):
                if (waiting := self.room.by_sub(grant.sub)) is not None:
                    self.watcher.on_refused(waiting.sub, "subscribe")
                raise RemoteProtocolError("not_found", "there is no such participant in this room")
            found = self.room.participants.get(publisher) or self.room.by_sub(publisher)
            if found is None or not found.is_admitted:
                raise RemoteProtocolError("not_found", "there is no such participant in this room")
            only = found.id
        await self._until_worker()
        resource, connection = self._new_session(WhepConnection, self._number_of(grant.sub), is_admitted=False)
        answer, seat = await self._open(resource, grant, connection.offer(sdp))
        resource.publisher = only
        self.start_whep(seat, resource, connection)
        seat.save()
        return resource, answer

    def start_whep(self, seat: Seat, resource: Resource, connection: WhepConnection) -> None:
        """From now on it is sent what is to be had."""
        self._router.attach(seat.id, connection, publisher=resource.publisher)
        resource.task = self._tasks.spawn(connection.run(), "whep")

    def resource(self, sub: str, secret: str) -> Resource:
        """This sub's session of that name; another's is not found. Raises RemoteProtocolError."""
        participant = self.room.by_sub(sub)
        seat = self.seats.get(participant.id) if participant else None
        if seat is None or secret not in seat.resources:
            raise RemoteProtocolError("not_found", "there is no such session")
        return seat.resources[secret]

    def open_tap(self, sub: str, role: str, make: Callable[[Site, int], TapConnection]) -> tuple[str, TapConnection]:
        """
        Somebody without a client takes part, as everybody sees: which participant, and what receives for it, which its
        owner runs and closes. Raises RemoteProtocolError room_full, forbidden, conflict.
        """
        joined = self.room.attach(_now(), sub, role, "tap", new_id)  # a session's secret is longer
        participant, is_new = joined.participant, joined.participant.id not in self.seats
        seat = self._seat_of(participant)
        connection = make(self.site, seat.number)
        self._carry_out(joined.effects)
        if is_new:
            self._person(participant, "joined")
        self._router.attach(seat.id, connection)
        return seat.id, connection

    def close_tap(self, participant: str, connection: TapConnection) -> None:
        """Nothing comes there any more; who it is for stays."""
        self._router.detach(participant, connection)

    def end_resource(self, resource: Resource, reason: str = "left") -> None:
        """A session ends; its participant too, if that was all it had."""
        seat = self.seats.get(resource.participant)
        if seat is None or seat.resources.pop(resource.secret, None) is None:
            return
        seat.forget_session(resource.secret)
        resource.state = "ended"
        resource.disarm()
        if isinstance(resource.connection, WhepConnection):
            self._router.detach(seat.id, resource.connection)
        self._tasks.spawn(resource.close(), "close")
        self._carry_out(self.room.detach(_now(), seat.id, resource.secret, reason))
        seat.save()

    def _new_session(self, make: Callable[..., C], number: int, *, is_admitted: bool) -> tuple[Resource, C]:
        """A session, and its connection; nobody else knows of them yet."""

        def connect(on_state: Callable[[str], None], whose: Callable[[], str]) -> C:
            return make(
                self.site,
                self._policy,
                participant=number,
                is_admitted=is_admitted,
                on_state=on_state,
                data_listener=self._data.listener(whose),
            )

        resource, connection, whose = new_resource(connect, self._session_moved)
        if isinstance(connection, WhepConnection):
            connection.on_adapting(
                lambda event: self.adapter.on_line(self.seats.get(whose()), event), self.adapter.carried
            )
        return resource, connection

    async def _open(self, resource: Resource, grant: Grant, offer: Awaitable[str]) -> tuple[str, Seat]:
        """
        Negotiate first, come in afterwards: a bad offer is seen by nobody else in the room.
        """
        try:
            answer = await offer
            before = self.room.by_sub(grant.sub)
            if before is not None and before.id in self.seats and len(self.seats[before.id].resources) >= MAX_RESOURCES:
                raise RemoteProtocolError("conflict", "more sessions than one participant may have")
            joined = self.room.attach(_now(), grant.sub, grant.role, resource.secret, new_id)
        except BaseException:
            await resource.close()
            raise
        seat = self._seat_of(joined.participant)
        seat.resources[resource.secret] = resource
        resource.participant = seat.id
        self._carry_out(joined.effects)
        if before is None:
            self._person(joined.participant, "joined")
        try:
            await resource.connection.transport.set_admitted(joined.participant.is_admitted)
            self._check_open(seat)
        except BaseException:
            self.end_resource(resource)
            raise
        self.arm(resource)  # from now on, for now the answer goes out: nobody can begin before it
        return answer, seat

    def _session_moved(self, resource: Resource, event: str) -> None:
        self._resource_changed(resource, event)
        participant = self.room.participants.get(resource.participant)
        if participant is not None:
            self.watcher.on_connection(participant, resource.secret, event)

    def _resource_changed(self, resource: Resource, event: str) -> None:
        """Its transport moved; states.SESSION says what that makes of the session."""
        state = states.after(states.SESSION, resource.state, event)
        if state == resource.state:
            return
        resource.state = state
        if state == "ended":
            self.end_resource(resource, "left" if event == "closed" else "timeout")
            return
        self.arm(resource)

    def arm(self, resource: Resource) -> None:
        """Give a session as much time as its state deserves."""
        match resource.state:
            case "opened":
                resource.arm(UNCHECKED_DEADLINE_S, lambda: self._half_open(resource))
            case "checked":
                resource.arm(HALF_OPEN_DEADLINE_S, lambda: self.end_resource(resource, "timeout"))
            case "connected":
                resource.disarm()
            case "disconnected":
                resource.arm(self._seat_s, lambda: self.end_resource(resource, "timeout"))

    def _half_open(self, resource: Resource) -> None:
        say(logging.INFO, "session_abandoned", room=self.site.room, participant=resource.participant)
        self.end_resource(resource, "timeout")

    # ---------------------------------------------------------------- another worker, another process

    def worker_lost(self) -> None:
        """All transports are gone; whoever comes for a new one waits until there is a worker again."""
        if self._new_worker is None:
            self._new_worker = asyncio.Event()

    async def _until_worker(self) -> None:
        """There is a worker: at once, but for the time from the loss of one until there is another."""
        while self._new_worker is not None:
            await self._new_worker.wait()

    def move_to(self, site: Site) -> None:
        """
        The room lives on another worker from now on. Seats stay; connections were on the lost one, and their clients
        are told to begin them anew.
        """
        self.site = site
        self.notes.renew()
        if self._new_worker is not None:
            self._new_worker.set()
            self._new_worker = None
        self.save()
        self.measurements.save()
        for seat in list(self.seats.values()):
            for resource in list(seat.resources.values()):
                resource.connection.transport.lost()  # ends the session: nobody could be told
            if seat.publishing is not None:
                seat.publishing.transport.lost()
            if (subscribing := seat.subscribing) is not None:
                self._router.detach(seat.id, subscribing)
                if seat.subscribing_task is not None:
                    seat.subscribing_task.cancel()
                if subscribing.transport.is_open:
                    subscribing.transport.lost()
                else:
                    self._subscribe(seat)
            seat.save()

    def end_attachment(self, seat: Seat, attachment: str) -> None:
        """A way the participant was connected by is not there any more."""
        self._carry_out(self.room.detach(_now(), seat.id, attachment, "timeout"))

    def add_sources(self, seat: Seat, connection: PublishConnection, attachment: str) -> None:
        """What a connection receives is what its publications are made of."""
        for publication in seat.participant.publications.values():
            receiving = connection.receiving.get(publication.mid)
            if publication.attachment == attachment and receiving is not None:
                self._router.add_source(_source(publication, receiving))
        self.adapter.changed()

    def source(self, publication: str) -> Source | None:
        """The receiver a publication comes in at; None: it is not there yet."""
        return self._router.source(publication)

    def route_all(self) -> None:
        """The routes of a room that comes from another process: what is sent goes on, of the rest it is asked anew."""
        of = self._router.by_receiver()
        carried = {(publication, seat.id) for seat in self.seats.values() for publication in seat.carried(of)}
        for route in self.room.routes:
            (self._router.route if route in carried else self._route)(*route)

    def session(self, seat: Seat, note: SessionNote) -> Resource:
        """A session of another process: its connection is one that goes on nowhere yet."""
        make = PublishConnection if note.publish is not None else WhepConnection
        resource, _ = self._new_session(make, seat.number, is_admitted=seat.participant.is_admitted)
        resource.secret, resource.etag, resource.since = note.secret, note.etag, note.since
        resource.participant, resource.publisher = seat.id, note.publisher
        return resource

    # ---------------------------------------------------------------- within

    def _publish(
        self, seat: Seat, connection: PublishConnection, attachment: str, described: Mapping[str, PublishedTrack]
    ) -> tuple[Publication, ...]:
        """What arrives on a connection becomes the participant's publications, and they get their sources."""
        tracks = []
        for mid, receiving in connection.receiving.items():
            kind = receiving.params.kind
            named = described.get(mid) or PublishedTrack(mid, "microphone" if kind == "audio" else "camera")
            tracks.append(TrackDescription(mid, kind, named.source, named.is_muted, named.is_encrypted, named.profile))
        decision = self.room.publish(_now(), seat.id, tracks, new_id, attachment)
        self._carry_out(decision.effects)
        for publication in decision.publications:
            receiving = connection.receiving[publication.mid]
            self._router.add_source(_source(publication, receiving))
            self.watcher.on_publication(seat.participant, publication)
        self.adapter.changed()
        return decision.publications

    async def _unpublish(self, seat: Seat) -> None:
        """The publishing connection of the socket goes, with what was published there."""
        if seat.id in self.room.participants and seat.publishing is not None:
            self._carry_out(self.room.publish(_now(), seat.id, (), new_id, SOCKET).effects)
        await seat.close_publishing()

    def _subscribe(self, seat: Seat) -> None:
        seat.subscribing = self.subscribe_connection(seat)
        self.start_subscribing(seat, seat.subscribing)

    def subscribe_connection(self, seat: Seat) -> SubscribeConnection:
        """A new one for what the relay offers over the seat's socket."""
        connection = SubscribeConnection(
            self.site,
            participant=seat.number,
            is_admitted=seat.participant.is_admitted,
            on_offer=lambda offer: seat.tell(self._offer_made(offer)),
            on_refused=lambda publication: seat.tell(events.SubscriptionRefused(publication, "no_common_codec")),
            on_state=lambda state: self._connection_changed(seat, "subscribe", state),
            on_line=lambda event: self.adapter.on_line(seat, event),
            on_carried=self.adapter.carried,
            data_listener=self._data.listener(lambda: seat.id),
        )
        for publication in seat.participant.paused:
            connection.pause(publication, True)
        return connection

    def start_subscribing(self, seat: Seat, connection: SubscribeConnection) -> None:
        """From now on it is offered what is to be had."""
        self._router.attach(seat.id, connection)
        seat.subscribing_task = self._tasks.spawn(connection.run(), "subscribe")
        self._data.renewed(seat.id)

    def _offer_made(self, offer: Offer) -> events.OfferMade:
        tracks = []
        for track in offer.tracks:
            publication = self.room.publications.get(track.key)
            if publication is not None:
                tracks.append(
                    events.OfferedTrackInfo(
                        mid=track.mid,
                        participant=publication.participant,
                        publication=publication.id,
                        kind=publication.kind,
                        source=publication.source,
                        is_muted=publication.is_muted,
                    )
                )
        return events.OfferMade(offer.offer_id, offer.sdp, tuple(tracks))

    def _connection_changed(self, seat: Seat, connection: str, state: str) -> None:
        say(logging.INFO, "connection", room=self.site.room, participant=seat.id, kind=connection, state=state)
        if not seat.is_closed:
            seat.tell(events.ConnectionChanged(connection, state))
            self.watcher.on_connection(seat.participant, connection, state)

    def _seat_of(self, participant: Participant) -> Seat:
        seat = self.seats.get(participant.id)
        if seat is None:
            seat = self.new_seat(participant, self._next_number())
        return seat

    def new_seat(self, participant: Participant, number: int) -> Seat:
        seat = self.seats[participant.id] = Seat(participant, number, self._max_replayed_events, self.notes)
        return seat

    def _number_of(self, sub: str) -> int:
        participant = self.room.by_sub(sub)
        seat = self.seats.get(participant.id) if participant else None
        return seat.number if seat else self._next_number()

    def _check_open(self, seat: Seat) -> None:
        if seat.is_closed or seat.id not in self.room.participants:
            raise RemoteProtocolError("not_found", "this seat is no longer kept")

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Tell(participant, event):
                    if participant in self.seats:
                        self.seats[participant].tell(event)
                case Route(publication, subscriber):
                    self._route(publication, subscriber)
                case Unroute(publication, subscriber):
                    self._router.unroute(publication, subscriber)
                case Pause(publication, subscriber, is_paused):
                    subscribing = self.seats[subscriber].subscribing if subscriber in self.seats else None
                    if subscribing is not None:
                        subscribing.pause(publication, is_paused)
                case AdmissionChanged(participant, is_admitted):
                    if participant in self.seats:
                        # Posted now, before what routes make of it: the worker refuses to bind who is not admitted.
                        posted = self._admit(self.seats[participant], is_admitted)
                        self._tasks.spawn(_settled(posted), "admit")
                case CloseParticipant(participant, reason):
                    self._close(participant, reason)
        self._router.keep_only(self.room.publications)
        self._data.changed()
        self.adapter.changed()
        self.close_if_empty()

    def _admitted_seat(self, participant: str) -> Seat:
        seat = self.seats.get(participant)
        if seat is None or not seat.participant.is_admitted:
            raise RemoteProtocolError("not_found", "there is no such participant in this room")
        return seat

    def _on_camera(self, sub: str, target: str, outcome: str) -> None:
        self._shared.camera_commands[outcome] += 1
        self.watcher.on_camera(sub, target, outcome)

    async def _may_open(self, seat: Seat, label: str) -> bool:
        return await self._policies.may_open(seat.participant, label)

    def _route(self, publication: str, subscriber: str) -> None:
        """What the room decided, as far as the application agrees; whoever is not to have it is told."""
        if not self._policies.has_subscribe_rule:
            self._router.route(publication, subscriber)
            return

        async def ask() -> None:
            is_allowed = await self._policies.may_route(publication, subscriber)
            if is_allowed:
                self._router.route(publication, subscriber)
            elif is_allowed is False and subscriber in self.seats:
                self.seats[subscriber].tell(events.SubscriptionRefused(publication, "forbidden"))

        self._tasks.spawn(ask(), "route")

    def _ask_channel(self, seat: Seat, label: str, then: Callable[[bool], None]) -> None:
        async def ask() -> None:
            is_allowed = await self._policies.may_open(seat.participant, label)
            if not is_allowed:
                self.watcher.on_refused(seat.participant.sub, "data")
            then(is_allowed)

        self._tasks.spawn(ask(), "channel")

    def _admit(self, seat: Seat, is_admitted: bool) -> list[Awaitable[object]]:
        connections = [seat.publishing, seat.subscribing, *(each.connection for each in seat.resources.values())]
        return [each.transport.begin_admitted(is_admitted) for each in connections if each is not None]

    def _close(self, participant: str, reason: str) -> None:
        seat = self.seats.pop(participant, None)
        if seat is None:
            return
        self._person(seat.participant, "left", reason)
        self._router.forget(participant)
        self.measurements.left(seat.participant.sub)
        self.chat.left(participant)
        self._data.renewed(participant)
        socket, seat.socket = seat.socket, None
        if socket is not None:
            socket.close(CLOSE_CODES.get(reason, NORMAL_CLOSE), reason)
        seat.is_closed = True
        seat.forget()
        self._tasks.spawn(seat.close(), "close")

    def close_if_empty(self) -> None:
        """The room is gone with its last participant, unless somebody is just coming in."""
        if self.seats or self.pending or self._is_over:
            return
        self._is_over = True
        if not self.watcher.is_consult:
            self._telling.ended()
        self.measurements.close()
        self.notes.close()
        self.watcher.on_empty()
        self._on_empty(self)

    def save(self) -> None:
        """Leave what a successor of this process has to know of the room itself."""
        self.notes.put(ROOM_KEY, self._telling.note(self.site.room))

    def _save_channels(self) -> None:
        for seat in self.seats.values():
            if has_lines(seat):
                seat.save()

    def _person(self, participant: Participant, what: What, reason: str = "") -> None:
        self._telling.count()
        self.save()
        say(logging.INFO, f"participant_{what}", room=self.site.room, participant=participant.id, reason=reason)
        self.watcher.on_person(participant, what, reason)
        if not self.watcher.is_consult:
            self._telling.person(participant, what, reason)


async def _settled(posted: Iterable[Awaitable[object]]) -> None:
    for each in posted:
        try:
            await each
        except NativeError as error:  # the transport is going, or its worker: what comes after it is told anew
            if not error.is_not_found:
                say(logging.ERROR, "admit_failed", code=error.code, status=error.status)


def _source(publication: Publication, receiving: Receiving) -> Source:
    return Source(
        publication.id,
        publication.participant,
        receiving.receiver,
        receiving.params,
        is_open_voice=publication.is_open_voice,
    )


def _now() -> float:
    return time.monotonic()
