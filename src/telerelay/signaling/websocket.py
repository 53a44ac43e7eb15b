"""
GET /ws: one participant's signalling over a WebSocket. docs/signaling.md is normative.

Event loop's thread. A session takes one message after the other; what it waits for is its own worker, nothing else.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping

from aiohttp import web

from telerelay.errors import RemoteProtocolError, TelerelayError
from telerelay.logs import say
from telerelay.protocol.messages import (
    Admit,
    Answer,
    AnswerRecording,
    AnswerStill,
    AskRecording,
    CameraMoved,
    Candidate,
    Chat,
    Decision,
    Deny,
    End,
    ErrorReply,
    Join,
    Leave,
    MoveCamera,
    Mute,
    Pause,
    Priority,
    Publish,
    Reconnect,
    RecordingMessage,
    Reply,
    Report,
    Request,
    RequestStill,
    Restart,
    Stats,
    StillMessage,
    StopRecording,
    WithdrawStill,
    decode,
    encode,
    joined,
    published,
    request_id,
)
from telerelay.signaling.host import RoomHost
from telerelay.signaling.http import Handler, require_origin
from telerelay.signaling.limits import MAX_REFUSED_IN_A_ROW, Bucket
from telerelay.signaling.live import LiveRooms
from telerelay.signaling.seat import Seat
from telerelay.signaling.socket import POLICY_CLOSE, Socket, first_text, serve_socket
from telerelay.signaling.stats import publish_stats, subscribe_stats

_CLOSE_CODES = {
    "unauthorized": 4001,
    "token_expired": 4001,
    "forbidden": 4003,
    "duplicate_join": 4009,
    "draining": 4011,
}
"""Close code by the error that refused a join; POLICY_CLOSE for the rest."""


# Refusals that somebody who waits gets for reaching further, and not for a mistake in what is his.
_ATTEMPTS = frozenset({"bad_message", "forbidden", "not_found"})

Body = Mapping[str, object]


class Session:
    """One WebSocket, from its first message to its end."""

    def __init__(self, rooms: LiveRooms, socket: Socket, source: str) -> None:
        self._rooms = rooms
        self._limits = rooms.config.limits
        self._socket = socket
        self._source = source
        self._host: RoomHost | None = None
        self._seat: Seat | None = None
        self._refused = 0
        self._moving: set[asyncio.Task[None]] = set()
        now = time.monotonic()
        self._messages = Bucket(self._limits.message_burst, self._limits.messages_per_s, now)
        self._offers = Bucket(self._limits.offer_burst, 1 / max(self._limits.offer_every_s, 1e-6), now)

    async def run(self) -> None:
        """Serve the socket until it ends; a seat that was not left is kept."""
        frames = self._socket.messages()
        try:
            if not await self._join_first(frames):
                return
            async for text in frames:
                await self._take(text)
        finally:
            for task in tuple(self._moving):
                task.cancel()
            await frames.aclose()
            if self._host is not None and self._seat is not None:
                self._host.lose_socket(self._seat, self._socket)

    # ---------------------------------------------------------------- joining

    async def _join_first(self, frames: AsyncGenerator[str | None, None]) -> bool:
        """True once the client has its seat; else it was told why not, and the socket closes."""
        number: int | None = None
        try:
            text = await first_text(frames, self._limits.join_timeout_s, "join")
            if text is None:
                return False
            number = request_id(text)
            request = decode(text, self._limits.message_bytes)
            if not isinstance(request, Join) or request.id is None:
                raise RemoteProtocolError("bad_message", "the first message must be a join with an id")
            await self._join(request, request.id)
        except RemoteProtocolError as error:
            self._socket.send(encode(ErrorReply(number, error.code, str(error))))
            self._socket.close(_CLOSE_CODES.get(error.code, POLICY_CLOSE), error.code)
            return False
        return True

    async def _join(self, request: Join, number: int) -> None:
        grant = self._rooms.grant_to_join(request.token, self._source, request.room, request.resume)
        async with self._rooms.admit(grant, request.room, request.resume) as host:
            seat, is_resumed = host.join(grant, request.resume, self._socket)
            self._host, self._seat = host, seat
            missed = None
            if is_resumed and request.keeps_media and request.last_seq is not None:
                missed = seat.log.since(request.last_seq)
            if missed is None:
                await host.renew_media(seat)
            if seat.is_closed:
                raise RemoteProtocolError("duplicate_join", "the same person joined again elsewhere")
            # No await from here on: what the reply says of the room and the first event after it fit together.
            body = joined(
                participant=seat.id,
                sub=grant.sub,
                role=grant.role,
                resume=seat.participant.resume,
                is_admitted=seat.participant.is_admitted,
                is_resumed=is_resumed and (missed is not None or not request.keeps_media),
                participants=host.room.roster(seat.id),
                seq=seat.log.seq - len(missed or ()),
                codecs={
                    "audio": self._rooms.config.media.audio_codecs,
                    "video": self._rooms.config.media.video_codecs,
                },
            )
            seat.save()
            self._reply(number, body)
            host.attach_socket(seat, self._socket, missed)

    # ---------------------------------------------------------------- requests

    async def _take(self, text: str | None) -> None:
        """Answer one frame."""
        number: int | None = None
        request: Request | None = None
        try:
            if not self._messages.take(time.monotonic()):
                number = request_id(text or "")
                raise RemoteProtocolError("too_many_requests", "too many messages")
            if text is None:
                return
            number = request_id(text)
            request = decode(text, self._limits.message_bytes)
            if isinstance(request, MoveCamera):
                self._move_camera(request, number)
                return
            body = await self._do(request)
            self._refused = 0
            if self._seat is not None:
                self._seat.save()  # before it is told that it was done
            if number is not None:
                self._reply(number, body)
            if isinstance(request, Leave):
                self._leave()
        except RemoteProtocolError as error:
            self._note_attempt(request, error.code)
            self._refuse(number, error.code, str(error))
        except Exception as error:
            code = error.code if isinstance(error, TelerelayError) else ""
            say(logging.ERROR, "message_failed", error=type(error).__name__, code=code, exc_info=error)
            self._refuse(number, "internal", "the relay failed; its log has the cause")

    async def _do(self, request: Request) -> Body:
        """Carry out a request; the body of its reply. Raises RemoteProtocolError."""
        host, seat = self._host, self._seat
        assert host is not None
        assert seat is not None
        match request:
            case Publish(_, sdp, tracks):
                self._limit_offers()
                answer, publications = await host.publish(seat, sdp, tracks)
                return published(answer, tuple((each.mid, each.info()) for each in publications))
            case Answer(_, offer_id, sdp):
                if seat.subscribing is None:
                    raise RemoteProtocolError("bad_message", "there is no offer to answer")
                await seat.subscribing.answer(offer_id, sdp)
                seat.answered(offer_id)
            case Mute(_, publication, is_muted, reason):
                host.mute(seat, publication, is_muted, reason)
            case Pause(_, publication, is_paused):
                host.pause(seat, publication, is_paused)
            case Reconnect(_, connection):
                if not seat.has_lost(connection):  # what the relay broke, it does not hold against anyone
                    self._limit_offers()
                await host.reconnect(seat, connection)
            case Restart():
                self._limit_offers()
                if seat.subscribing is not None:
                    seat.subscribing.restart()
            case Report(_, tracks):
                seat.reported = {each.publication: each for each in tracks}
                seat.reported_at = time.monotonic()
            case Stats():
                return await self._stats(seat)
            case Chat(_, text):
                return await host.chat.say(seat, text)
            case CameraMoved():
                host.cameras.moved(seat, request)
            case Admit() | Deny() | End() | Priority():
                await self._decide(request, host, seat)
            case RequestStill() | AnswerStill() | WithdrawStill():
                return await self._still(request, host, seat)
            case AskRecording() | AnswerRecording() | StopRecording():
                return await self._recording(request, host, seat)
            case Join():
                raise RemoteProtocolError("conflict", "this connection has joined already")
            case Candidate() | Leave() | MoveCamera():
                pass
        return {}

    def _move_camera(self, request: MoveCamera, number: int | None) -> None:
        """Answered when the device has: meanwhile other requests are taken."""
        host, seat = self._host, self._seat
        assert host is not None
        assert seat is not None

        async def move() -> None:
            try:
                body = await host.cameras.move(seat, request)
                if number is not None:
                    self._reply(number, body)
            except RemoteProtocolError as error:
                self._note_attempt(request, error.code)
                self._refuse(number, error.code, str(error))

        task = asyncio.get_running_loop().create_task(move(), name="move_camera")
        self._moving.add(task)
        task.add_done_callback(self._moving.discard)

    async def _decide(self, request: Decision, host: RoomHost, seat: Seat) -> None:
        """
        What only a decider may. Who is none learns nothing by it, not even who is here. Answered once it is durable.
        """
        host.watcher.check_decider(seat.participant)
        by = seat.participant.sub
        match request:
            case Admit(_, participant):
                await host.watcher.admit(host.room.participant(participant).sub, by)
            case Deny(_, participant):
                await host.watcher.deny(host.room.participant(participant).sub, by)
            case End():
                await host.watcher.end(by)
            case Priority(_, is_emergency):
                await host.watcher.set_priority(is_emergency, by)

    async def _still(self, request: StillMessage, host: RoomHost, seat: Seat) -> Body:
        """Stills that are asked for, and what is said of them. Answered once it is durable."""
        if not seat.participant.is_admitted:
            raise RemoteProtocolError("forbidden", "only who is in may do that")
        match request:
            case RequestStill(_, participant, label, reason):
                sub = host.room.participant(participant).sub
                return {"request": await host.watcher.request_still(seat.participant, sub, label, reason)}
            case AnswerStill(_, still, answer):
                await host.watcher.answer_still(seat.participant, still, answer)
            case WithdrawStill(_, still):
                await host.watcher.withdraw_still(seat.participant, still)
        return {}

    async def _recording(self, request: RecordingMessage, host: RoomHost, seat: Seat) -> Body:
        """Recordings that are asked for, and what is said of them. Answered once it is durable."""
        if not seat.participant.is_admitted:
            raise RemoteProtocolError("forbidden", "only who is in may do that")
        sub = seat.participant.sub
        match request:
            case AskRecording():
                return {"recording": await host.watcher.ask_recording(sub)}
            case AnswerRecording(_, recording, is_given):
                await host.watcher.answer_recording(sub, recording, is_given)
            case StopRecording():
                await host.watcher.stop_recording(sub)
        return {}

    async def _stats(self, seat: Seat) -> Body:
        body: dict[str, object] = {}
        publishing, subscribing = seat.publishing, seat.subscribing
        if publishing is not None and publishing.transport.is_open:
            mids = {receiving.receiver: mid for mid, receiving in publishing.receiving.items()}
            report = await publishing.transport.stats()
            body["publish"] = publish_stats(report, publishing.transport.srtp_profile, mids)
        if subscribing is not None and subscribing.transport.is_open:
            carried = subscribing.carried()
            report = await subscribing.transport.stats()
            body["subscribe"] = subscribe_stats(report, subscribing.transport.srtp_profile, carried)
        return body

    def _note_attempt(self, request: Request | None, code: str) -> None:
        """Somebody who waits asked for what is not his yet, and was refused."""
        if self._host is None or self._seat is None or self._seat.participant.is_admitted or code not in _ATTEMPTS:
            return
        match request:
            case Pause():
                what = "subscribe"
            case Admit() | Deny() | End() | Priority():
                return  # the consult has counted it: also of those who are in and decide nothing
            case _:
                what = "message"
        self._host.watcher.on_refused(self._seat.participant.sub, what)

    def _leave(self) -> None:
        if self._host is not None and self._seat is not None:
            self._host.leave(self._seat)

    def _limit_offers(self) -> None:
        if not self._offers.take(time.monotonic()):
            raise RemoteProtocolError("too_many_requests", "too many offers: wait a moment")

    def _reply(self, number: int, body: Body) -> None:
        self._socket.send(encode(Reply(number, body)))

    def _refuse(self, number: int | None, code: str, message: str) -> None:
        self._socket.send(encode(ErrorReply(number, code, message)))
        self._refused += 1
        if self._refused >= MAX_REFUSED_IN_A_ROW:
            self._socket.close(POLICY_CLOSE, "too_many_requests")


def websocket_handler(rooms: LiveRooms) -> Handler:
    """The handler of GET /ws."""

    async def handle(request: web.Request) -> web.StreamResponse:
        require_origin(request, rooms.config.http.allowed_origins)
        bound = rooms.config.limits.message_bytes
        return await serve_socket(
            request,
            bound,
            rooms.sockets,
            lambda socket: Session(rooms, socket, request.remote or "").run(),
            rooms.flush_notes,
        )

    return handle
