"""
Requests for expertise over HTTP, on the admin listener: `Relay.consults.expertise`, for whoever is not Python.

aiohttp handlers, event loop's thread. docs/expertise.md lists them.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from telerelay.consult.facts import MAX_NOTE_CHARS
from telerelay.expertise import Expertise, ExpertiseStatus
from telerelay.expertise.facts import DUE_AFTER_S, REMIND_AFTER_S
from telerelay.protocol.grants import TokenKeys
from telerelay.signaling import bodies
from telerelay.signaling.http import Handler, bearer

# A text of MAX_NOTE_CHARS, each of them escaped, with a plan beside it.
MAX_BODY_BYTES = 12 * MAX_NOTE_CHARS + 65536

Command = Callable[[str, Mapping[str, Any]], Awaitable[ExpertiseStatus]]
"""(request, body) to what it is then."""

_SPANS = {"remind_after_s": REMIND_AFTER_S, "due_after_s": DUE_AFTER_S}


class ExpertiseHandlers:
    """The admin listener's part. Whoever asks for something, `by`, is in the body: the token is the host's."""

    def __init__(self, expertise: Expertise, keys: TokenKeys) -> None:
        self._expertise = expertise
        self._keys = keys

    def add_to(self, app: web.Application) -> None:
        desk, router = self._expertise, app.router
        router.add_post("/expertise", self._request)
        router.add_get("/expertise", self._list)
        router.add_get("/expertise/{request}", self._show)
        commands: dict[str, tuple[frozenset[str], Command]] = {
            "accept": (frozenset({"by"}), lambda name, body: desk.accept(name, bodies.text(body, "by"))),
            "decline": (frozenset({"by"}), lambda name, body: desk.decline(name, bodies.text(body, "by"))),
            "answer": (
                frozenset({"by", "answer"}),
                lambda name, body: desk.answer(name, bodies.text(body, "by"), _note(body, "answer")),
            ),
            "withdraw": (frozenset({"by"}), lambda name, body: desk.withdraw(name, bodies.text(body, "by"))),
            "live": (
                frozenset({"by", "plan"}),
                lambda name, body: desk.go_live(name, bodies.text(body, "by"), bodies.plan(body["plan"])),
            ),
        }
        for name, (members, command) in commands.items():
            router.add_post(f"/expertise/{{request}}/{name}", self._handler(members, command))

    def _check(self, request: web.Request) -> None:
        """Token first, so that a stranger is not read from. Raises RemoteProtocolError."""
        self._keys.verify_admin(bearer(request), time.time())

    async def _request(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        body = await _object(request)
        optional = {"queue", "images", "consult", *_SPANS}
        if body.keys() - optional != {"request", "by", "question"}:
            raise bodies.bad(f"the body has request, by and question, and may have {', '.join(sorted(optional))}")
        images = body.get("images", [])
        if not isinstance(images, list) or not all(isinstance(each, str) for each in images):
            raise bodies.bad("images must be a list of strings")
        status = await self._expertise.request(
            bodies.text(body, "request"),
            bodies.text(body, "by"),
            _note(body, "question"),
            queue=bodies.text(body, "queue", ""),
            images=tuple(images),
            consult=bodies.text(body, "consult", ""),
            **{name: bodies.seconds(body, name, default) for name, default in _SPANS.items()},
        )
        return bodies.answer(status.to_json(), 201)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        found = self._expertise.statuses(request.query.get("queue"))
        return bodies.answer({"expertise": [each.to_json() for each in found]})

    async def _show(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        status, question, answer = await self._expertise.texts(request.match_info["request"])
        return bodies.answer({**status.to_json(), "question": question, "answer": answer})

    def _handler(self, members: frozenset[str], command: Command) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            self._check(request)
            body = await _object(request)
            if body.keys() != members:
                raise bodies.bad(f"the body has {' and '.join(sorted(members))}")
            return bodies.answer((await command(request.match_info["request"], body)).to_json())

        return handle


async def _object(request: web.Request) -> dict[str, Any]:
    return await bodies.read_object(request, MAX_BODY_BYTES)


def _note(body: Mapping[str, Any], name: str) -> str:
    """A question or an answer, whose length the desk judges."""
    return bodies.text(body, name, max_chars=MAX_BODY_BYTES)
