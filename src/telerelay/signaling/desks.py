"""
Desks that are open: who is told of whom, what rings where, and the WebSocket of each (GET /desk).

Event loop's thread. Nothing about a desk is written down: whom a consult rings is in its facts (consult_ringing.py),
and who is there follows from the sockets. A desk that is closed is gone at once, a dead one as soon as its socket is.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol

from aiohttp import web

from telerelay.config import Config
from telerelay.consult.presence import GONE, AtDesk, Desk, Presence
from telerelay.errors import RemoteProtocolError, TelerelayError
from telerelay.hooks import HookRunner, PresenceEvent
from telerelay.logs import say
from telerelay.protocol import desks as messages
from telerelay.protocol.desks import Accept, Away, Call, Decline, GiveBack, InLine, Open, Take
from telerelay.protocol.grants import TokenKeys
from telerelay.protocol.messages import ErrorReply, Reply, encode, request_id
from telerelay.signaling.http import Handler, require_origin
from telerelay.signaling.limits import MAX_REFUSED_IN_A_ROW, Bucket, FailureLimit
from telerelay.signaling.socket import POLICY_CLOSE, Socket, first_text, serve_socket

_CLOSE_CODES = {"unauthorized": 4001, "token_expired": 4001, "forbidden": 4003}

Body = Mapping[str, object]


class Consulted(Protocol):
    """What desks ask of the consults."""

    is_closing: bool
    """The process ends: who is gone is gone by that, and nobody is told."""

    def now(self) -> float:
        """The consults' clock, Unix seconds."""

    def is_busy(self, sub: str) -> bool:
        """Whether somebody is in a consult that he decides over, or was handed one."""

    def calls_for(self, sub: str) -> Sequence[Call]:
        """What rings for somebody."""

    def in_line(self, queue: str) -> Sequence[InLine]:
        """Who waits at a queue, the next one first."""

    def reached(self, subs: frozenset[str]) -> None:
        """These can be rung now who could not, or no longer."""

    async def accept(self, consult: str, sub: str, role: str) -> None: ...
    async def decline(self, consult: str, sub: str) -> None: ...
    async def take_for(self, queue: str, sub: str, role: str) -> str: ...
    async def give_back(self, consult: str, by: str) -> None: ...


class Desks:
    """All of one relay. `consults` is put in before the first one is opened."""

    consults: Consulted

    def __init__(self, config: Config, keys: TokenKeys, hooks: HookRunner) -> None:
        self.config = config
        self.keys = keys
        self.sockets: set[Socket] = set()
        self.failures = FailureLimit(config.limits.auth_failure_burst, config.limits.auth_failures_per_s)
        self._hooks = hooks
        self._presence = Presence()
        self._open: dict[DeskSession, Desk] = {}
        self._shown: dict[DeskSession, dict[str, str]] = {}
        self._is_due = False

    # ---------------------------------------------------------------- what is so

    def at(self, queue: str) -> tuple[AtDesk, ...]:
        """Who is at that queue now."""
        return self._presence.at(queue)

    def statuses(self, subs: Sequence[str]) -> dict[str, str]:
        """Of each of these: available, busy, away or gone."""
        return {sub: self._presence.status(sub) for sub in subs}

    def opened(self, session: DeskSession, desk: Desk) -> None:
        """Raises RemoteProtocolError too_many_requests."""
        self._presence.open(session, desk)
        self._open[session] = desk
        self._shown[session] = {}

    def set_away(self, session: DeskSession, is_away: bool) -> None:
        self._presence.set_away(session, is_away)
        self.look()

    def closed(self, session: DeskSession) -> None:
        """Safe twice, and where it never was open."""
        self._presence.close(session)
        self._open.pop(session, None)
        self._shown.pop(session, None)
        self.look()

    def changed(self) -> None:
        """Something of consults is another: looked at before the loop's next turn."""
        if self._open and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self.look)

    def look(self) -> None:
        """Tell whoever is to know what is another than before."""
        self._is_due = False
        if self.consults.is_closing:
            return
        changes = self._presence.look(self.consults.now(), self.consults.is_busy)
        for each in changes:
            is_available = each.status == "available"
            self._hooks.post(PresenceEvent(each.queue, each.sub, each.role, is_available, each.since, each.status))
        if changes:
            self.consults.reached(frozenset(each.sub for each in changes if each.status != GONE))
        self._show()

    # ---------------------------------------------------------------- what is shown

    def _show(self) -> None:
        queues = {queue for desk in self._open.values() for queue in desk.queues}
        people = {queue: self._presence.at(queue) for queue in queues}
        lines = {queue: self.consults.in_line(queue) for queue in queues}
        for session, desk in tuple(self._open.items()):
            signs = {
                "presence": messages.presence([each for queue in desk.queues for each in people[queue]]),
                "line": messages.line([each for queue in desk.queues for each in lines[queue]]),
                "ringing": messages.ringing(self.consults.calls_for(desk.sub)),
            }
            shown = self._shown[session]
            for name, text in signs.items():
                if shown.get(name) != text:
                    shown[name] = text
                    session.send(text)


class DeskSession:
    """One WebSocket of a desk, from its first message to its end."""

    def __init__(self, desks: Desks, socket: Socket, source: str) -> None:
        self._desks = desks
        self._socket = socket
        self._source = source
        self._desk: Desk | None = None
        self._refused = 0
        limits = desks.config.limits
        self._limits = limits
        self._messages = Bucket(limits.message_burst, limits.messages_per_s, time.monotonic())

    def send(self, text: str) -> None:
        self._socket.send(text)

    async def run(self) -> None:
        """Serve the socket until it ends."""
        frames = self._socket.messages()
        try:
            if await self._open_first(frames):
                async for text in frames:
                    await self._take(text)
        finally:
            await frames.aclose()
            self._desks.closed(self)

    async def _open_first(self, frames: AsyncGenerator[str | None, None]) -> bool:
        """True once the desk is open; else its client was told why not, and the socket closes."""
        number: int | None = None
        try:
            text = await first_text(frames, self._limits.join_timeout_s, "open")
            if text is None:
                return False
            number = request_id(text)
            request = messages.decode(text, self._limits.message_bytes)
            if not isinstance(request, Open) or request.id is None:
                raise RemoteProtocolError("bad_message", "the first message must be an open with an id")
            self._open(request, request.id)
        except RemoteProtocolError as error:
            self.send(encode(ErrorReply(number, error.code, str(error))))
            self._socket.close(_CLOSE_CODES.get(error.code, POLICY_CLOSE), error.code)
            return False
        return True

    def _open(self, request: Open, number: int) -> None:
        try:
            grant = self._desks.keys.verify_desk(request.token, time.time())
        except RemoteProtocolError:
            if self._desks.failures.is_over(self._source, time.monotonic()):
                raise RemoteProtocolError("too_many_requests", "too many attempts from this address") from None
            raise
        desk = Desk(grant.sub, grant.role, grant.queues, request.is_away)
        self._desks.opened(self, desk)
        self._desk = desk
        self._reply(number, {"sub": desk.sub, "role": desk.role, "queues": list(desk.queues)})
        self._desks.look()

    async def _take(self, text: str | None) -> None:
        number: int | None = None
        try:
            number = request_id(text or "")
            if not self._messages.take(time.monotonic()):
                raise RemoteProtocolError("too_many_requests", "too many messages")
            if text is None:
                return
            body = await self._do(messages.decode(text, self._limits.message_bytes))
            self._refused = 0
            if number is not None:
                self._reply(number, body)
        except RemoteProtocolError as error:
            self._refuse(number, error.code, str(error))
        except Exception as error:
            code = error.code if isinstance(error, TelerelayError) else ""
            say(logging.ERROR, "message_failed", error=type(error).__name__, code=code, exc_info=error)
            self._refuse(number, "internal", "the relay failed; its log has the cause")

    async def _do(self, request: messages.Request) -> Body:
        """Carry out a request; the body of its reply. Raises RemoteProtocolError."""
        desk, consults = self._desk, self._desks.consults
        assert desk is not None
        match request:
            case Away(_, is_away):
                self._desks.set_away(self, is_away)
            case Accept(_, consult):
                await consults.accept(consult, desk.sub, desk.role)
                return self._entrance(consult, desk)
            case Decline(_, consult):
                await consults.decline(consult, desk.sub)
            case Take(_, queue):
                if queue not in desk.queues:
                    raise RemoteProtocolError("forbidden", "this desk is not for that queue")
                return self._entrance(await consults.take_for(queue, desk.sub, desk.role), desk)
            case GiveBack(_, consult):
                await consults.give_back(consult, desk.sub)
            case Open():
                raise RemoteProtocolError("conflict", "this desk is open already")
        return {}

    def _entrance(self, consult: str, desk: Desk) -> Body:
        """What leads in."""
        ttl_s = self._desks.config.consults.token_s
        keys = self._desks.keys
        return {
            "room": consult,
            "token": keys.sign(room=consult, sub=desk.sub, role=desk.role, ttl_s=ttl_s, now=time.time()),
        }

    def _reply(self, number: int, body: Body) -> None:
        self.send(encode(Reply(number, body)))

    def _refuse(self, number: int | None, code: str, message: str) -> None:
        self.send(encode(ErrorReply(number, code, message)))
        self._refused += 1
        if self._refused >= MAX_REFUSED_IN_A_ROW:
            self._socket.close(POLICY_CLOSE, "too_many_requests")


def desk_handler(desks: Desks) -> Handler:
    """The handler of GET /desk."""

    async def handle(request: web.Request) -> web.StreamResponse:
        require_origin(request, desks.config.http.allowed_origins)
        bound = desks.config.limits.message_bytes
        return await serve_socket(
            request, bound, desks.sockets, lambda socket: DeskSession(desks, socket, request.remote or "").run()
        )

    return handle
