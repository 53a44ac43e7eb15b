"""
Consults over HTTP: the host's commands on the admin listener, and the one request by which a link becomes a token.

aiohttp handlers, event loop's thread. Whoever is not Python says here what `Relay.consults` says; docs/signaling.md
lists both. Nothing about a person is in a path: links and tokens travel in bodies.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from telerelay.errors import LocalProtocolError
from telerelay.protocol.grants import TokenKeys
from telerelay.protocol.names import is_sub
from telerelay.signaling import bodies
from telerelay.signaling.consults import Consults
from telerelay.signaling.http import Handler, bearer, cors, errors, require_origin

# A plan with everybody invited and every label it may have is well under it.
MAX_BODY_BYTES = 65536
# 128 random bits in base64url at the least: what is shorter could be guessed.
_NONCE = re.compile(r"[A-Za-z0-9_-]{22,64}")
_LINK_METHODS = "POST, OPTIONS"

Command = Callable[[str, str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""(consult, by, members of the body) to the members of the answer."""


class ConsultHandlers:
    """The admin listener's part."""

    def __init__(self, consults: Consults, keys: TokenKeys) -> None:
        self._consults = consults
        self._keys = keys

    def add_to(self, app: web.Application) -> None:
        router = app.router
        router.add_post("/consults", self._schedule)
        router.add_get("/consults", self._list)
        router.add_get("/consults/{consult}", self._show)
        router.add_get("/consults/{consult}/attestation", self._attestation)
        router.add_post("/queues/{queue}/next", self._next)
        router.add_get("/queues/{queue}/people", self._people)
        router.add_post("/queues/{queue}/hold", self._hold)
        router.add_post("/queues/{queue}/release", self._release)
        router.add_post("/queues/{queue}/book", self._book)
        for name, (members, command) in self._commands().items():
            router.add_post(f"/consults/{{consult}}/{name}", self._handler(members, command))

    def _commands(self) -> dict[str, tuple[frozenset[str], Command]]:
        """Each command with the members its body may have."""
        consults = self._consults

        async def admit(consult: str, by: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
            await consults.admit(consult, bodies.text(body, "sub"), by)
            return {}

        async def deny(consult: str, by: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
            await consults.deny(consult, bodies.text(body, "sub"), by, reason=bodies.text(body, "reason", ""))
            return {}

        async def end(consult: str, by: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
            await consults.end(consult, by, outcome=bodies.text(body, "outcome", "completed"))
            return {}

        async def cancel(consult: str, by: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
            await consults.cancel(consult, by, reason=bodies.text(body, "reason", ""))
            return {}

        async def reschedule(consult: str, by: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
            if "sub" in body:  # of a time that is chosen: nobody else may hold or have it
                await consults.booking.move(consult, bodies.seconds(body, "starts_at"), bodies.text(body, "sub"), by)
            else:
                await consults.reschedule(consult, bodies.seconds(body, "starts_at"), by)
            return {}

        async def priority(consult: str, by: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
            is_emergency = body.get("emergency")
            if not isinstance(is_emergency, bool):
                raise bodies.bad("emergency must be true or false")
            await consults.set_priority(consult, is_emergency, by)
            return {}

        async def remove(consult: str, by: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
            await consults.remove(consult, bodies.text(body, "sub"), by)
            return {}

        async def consents(consult: str, by: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
            is_given = body.get("given")
            if not isinstance(is_given, bool):
                raise bodies.bad("given must be true or false")
            await consults.consent(consult, bodies.text(body, "sub"), bodies.text(body, "what"), is_given, by)
            return {}

        async def timers(consult: str, by: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
            await consults.set_timer(consult, bodies.text(body, "timer"), bodies.seconds(body, "due_at"), by)
            return {}

        async def give_back(consult: str, by: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
            await consults.give_back(consult, bodies.text(body, "sub"))
            return {}

        async def ring(consult: str, by: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
            await consults.ring(consult, _subs(body, "people"), by)
            return {}

        async def links(consult: str, by: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
            return {"link": await consults.link(consult, bodies.text(body, "sub"), bodies.text(body, "role"))}

        return {
            "admit": (frozenset({"sub"}), admit),
            "deny": (frozenset({"sub", "reason"}), deny),
            "end": (frozenset({"outcome"}), end),
            "cancel": (frozenset({"reason"}), cancel),
            "reschedule": (frozenset({"starts_at", "sub"}), reschedule),
            "priority": (frozenset({"emergency"}), priority),
            "remove": (frozenset({"sub"}), remove),
            "consents": (frozenset({"sub", "what", "given"}), consents),
            "timers": (frozenset({"timer", "due_at"}), timers),
            "give_back": (frozenset({"sub"}), give_back),
            "ring": (frozenset({"people"}), ring),
            "links": (frozenset({"sub", "role"}), links),
        }

    def _by(self, request: web.Request) -> str:
        """Who asks: token first, so that a stranger is not read from. Raises RemoteProtocolError."""
        return self._keys.verify_admin(bearer(request), time.time())

    async def _schedule(self, request: web.Request) -> web.StreamResponse:
        by = self._by(request)
        plan = bodies.plan(await _object(request))
        await self._consults.schedule(plan, by)
        return bodies.answer(self._consults.get(plan.consult).to_json(), 201)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self._by(request)
        queue = request.query.get("queue")
        statuses = [each for each in self._consults.statuses() if queue in (None, each.queue)]
        return bodies.answer({"consults": [each.to_json() for each in statuses]})

    async def _show(self, request: web.Request) -> web.StreamResponse:
        self._by(request)
        return bodies.answer(self._consults.get(request.match_info["consult"]).to_json())

    async def _attestation(self, request: web.Request) -> web.StreamResponse:
        self._by(request)
        document = await self._consults.attestation(request.match_info["consult"])
        return web.Response(body=document, content_type=bodies.JSON, headers={"Cache-Control": "no-store"})

    async def _next(self, request: web.Request) -> web.StreamResponse:
        self._by(request)
        body = await _object(request)
        if body.keys() != {"sub"}:
            raise bodies.bad("the body has one member, sub")
        return bodies.answer(
            {"consult": await self._consults.take_next(request.match_info["queue"], bodies.text(body, "sub"))}
        )

    async def _hold(self, request: web.Request) -> web.StreamResponse:
        self._by(request)
        starts_at, sub = await _slot(request)
        return bodies.answer({"until": self._consults.booking.hold(request.match_info["queue"], starts_at, sub)})

    async def _release(self, request: web.Request) -> web.StreamResponse:
        self._by(request)
        starts_at, sub = await _slot(request)
        self._consults.booking.release(request.match_info["queue"], starts_at, sub)
        return bodies.answer({})

    async def _book(self, request: web.Request) -> web.StreamResponse:
        """A plan, whose desk is the path's, with whoever holds its time."""
        by = self._by(request)
        body = await _object(request)
        sub = bodies.text(body, "sub")
        plan = bodies.plan({**{name: value for name, value in body.items() if name != "sub"}, "queue": _queue(request)})
        await self._consults.booking.book(plan, sub, by)
        return bodies.answer(self._consults.get(plan.consult).to_json(), 201)

    async def _people(self, request: web.Request) -> web.StreamResponse:
        self._by(request)
        people = self._consults.at_desk(request.match_info["queue"])
        return bodies.answer(
            {
                "people": [
                    {"sub": each.sub, "role": each.role, "status": each.status, "since": each.since} for each in people
                ]
            }
        )

    def _handler(self, members: frozenset[str], command: Command) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            by = self._by(request)
            body = await _object(request)
            if unknown := len(body.keys() - members):
                raise bodies.bad(f"the body has {unknown} member(s) that it may not have")
            try:
                return bodies.answer(await command(request.match_info["consult"], by, body))
            except LocalProtocolError as error:  # a word that no fact may have
                raise bodies.bad(str(error)) from error

        return handle


def add_links(app: web.Application, consults: Consults, origins: tuple[str, ...]) -> None:
    """`POST /link` of the main listener: a link, once, for a token."""

    async def change(request: web.Request) -> web.StreamResponse:
        body = await _object(request)
        if body.keys() - {"nonce"} != {"link"}:
            raise bodies.bad("the body has a member link, and may have a nonce")
        nonce = bodies.text(body, "nonce", "")
        if nonce and not _NONCE.fullmatch(nonce):
            raise bodies.bad("nonce must be 22 to 64 letters, digits, dashes and underscores")
        room, token = await consults.use_link(bodies.text(body, "link"), request.remote or "", nonce)
        return bodies.answer({"room": room, "token": token})

    async def guarded(request: web.Request) -> web.StreamResponse:
        require_origin(request, origins)
        response = await errors(request, change)
        cors(request, response, origins, _LINK_METHODS)
        return response

    async def options(request: web.Request) -> web.StreamResponse:
        require_origin(request, origins)
        response = web.Response(status=204, headers={"Allow": _LINK_METHODS})
        cors(request, response, origins, _LINK_METHODS)
        return response

    resource = app.router.add_resource("/link")
    resource.add_route("POST", guarded)
    resource.add_route("OPTIONS", options)


async def _object(request: web.Request) -> dict[str, Any]:
    return await bodies.read_object(request, MAX_BODY_BYTES)


def _queue(request: web.Request) -> str:
    return request.match_info["queue"]


async def _slot(request: web.Request) -> tuple[float, str]:
    body = await _object(request)
    if body.keys() != {"starts_at", "sub"}:
        raise bodies.bad("the body has two members, starts_at and sub")
    return bodies.seconds(body, "starts_at"), bodies.text(body, "sub")


def _subs(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = body.get(name)
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and is_sub(each) for each in value):
        raise bodies.bad(f"{name} must be a list of subs")
    return tuple(value)
