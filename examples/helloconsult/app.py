"""
Doctors who are there now: a patient sees who is available, and talks to one now, or books a time.

A doctor is available who has the desk open and no patient. The desk is the relay's: it says who is there, and rings as
soon as a patient waits; here is only which doctor gets which patient. Who is logged in is your site's affair: here the
address says which doctor it is, and the body who the patient is, by opaque ids.

A doctor may ask the patient for a photo: the relay's page says who asks and why. Each consult ends with a question, of
what it needed beside the video; the answer is signed with the rest, so that a report can count them.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from telerelay import (
    AttestRequest,
    Config,
    ConsultPlan,
    EndEvent,
    Hooks,
    PolicyResult,
    Relay,
    RemoteProtocolError,
    TokenKeys,
    refusals,
)
from telerelay.config import load
from telerelay.hooks import PresenceEvent, Route, RouteRequest, StillRequest

PING_EVERY_S = 5.0
"""A page that does not answer is closed."""

DESK = "desk-"
WORDS = ("now-", "book-", DESK)
"""What the ids of its consults and desks begin with: nobody else's at the same relay do."""

ANSWERS = ("video_sufficient", "still_needed", "cabin_needed", "in_person_needed")
"""What a consult may have needed, as its doctor says at the end."""
POLICY, POLICY_DATE = "teledermatology", "2026-01-01"


class Desks(Hooks):
    """Who is there, who has a patient, and who looks."""

    def __init__(self) -> None:
        self._answers: dict[str, str] = {}  # by consult, until it is signed
        self._status: dict[str, str] = {}  # by doctor; who is gone is not in it
        self._given: dict[str, str] = {}  # by doctor: a consult that was given to this one and is not over
        self._watching: set[web.WebSocketResponse] = set()
        self.relay: Relay

    # ---------------------------------------------------------------- doctors

    async def desk(self, request: web.Request) -> web.Response:
        """What opens a doctor's desk: this page, or a WebSocket with this token."""
        doctor = request.match_info["doctor"]
        token = self.relay.desk_token(sub=doctor, queues=[DESK + doctor])
        return web.json_response({"token": token, "page": f"/consult/desk.html#token={token}"})

    def availability(self) -> dict[str, bool]:
        """Of each doctor who is there: whether a patient may come now."""
        return {doctor: status == "available" and doctor not in self._given for doctor, status in self._status.items()}

    async def route(self, request: RouteRequest) -> Route:
        """Each consult is for one doctor, whose desk rings when the patient waits."""
        return Route(request.queue, (request.queue.removeprefix(DESK),) if request.attempt == 1 else ())

    async def on_presence(self, event: PresenceEvent) -> None:
        """A doctor opens the desk, is in a consult, steps away, is gone."""
        self._status[event.sub] = event.status
        if event.status == "gone":
            del self._status[event.sub]
        await self._show()

    async def on_end(self, event: EndEvent) -> None:
        """The consult is over: its doctor may have another patient."""
        for doctor in [doctor for doctor, consult in self._given.items() if consult == event.room]:
            del self._given[doctor]
        await self._show()

    async def still_consent(self, request: StillRequest) -> bool:
        """The doctor may ask the patient, and nobody anybody else. Whether it is sent is the patient's to say."""
        return request.by_role == "practitioner" and request.role == "patient"

    async def end(self, request: web.Request) -> web.Response:
        """The end of a consult, which asks the doctor: {"doctor", "answer"}. Without an answer it does not end."""
        body, name = await request.json(), request.match_info["consult"]
        if body.get("answer") not in ANSWERS:
            raise RemoteProtocolError("bad_message", f"was the video sufficient? One of {', '.join(ANSWERS)}")
        self._answers[name] = body["answer"]
        try:
            await self.relay.consults.end(name, by=str(body["doctor"]))
        except RemoteProtocolError:
            self._answers.pop(name, None)
            raise
        return web.json_response({})

    async def attest(self, request: AttestRequest) -> PolicyResult:
        """What the doctor answered, as the policy's outcome: `telerelay report` gives the shares of these."""
        return PolicyResult(POLICY, POLICY_DATE, self._answers.pop(request.room, "not_answered"))

    async def attested(self, request: web.Request) -> web.Response:
        """What was signed of a consult that is over."""
        document = await self.relay.consults.attestation(request.match_info["consult"])
        return web.Response(body=document, content_type="application/json")

    # ---------------------------------------------------------------- patients

    async def watch(self, request: web.Request) -> web.WebSocketResponse:
        """Who is available: at once, and whenever that changes."""
        socket = web.WebSocketResponse(heartbeat=PING_EVERY_S)
        await socket.prepare(request)
        self._watching.add(socket)
        try:
            await socket.send_json(self.availability())
            async for _ in socket:
                pass
        finally:
            self._watching.discard(socket)
        return socket

    async def now(self, request: web.Request) -> web.Response:
        """Talk to a doctor now."""
        patient = str((await request.json())["patient"])
        doctor = next((doctor for doctor, is_free in self.availability().items() if is_free), None)
        if doctor is None:
            raise RemoteProtocolError("busy", "no doctor is available: book a time")
        name = f"now-{secrets.token_hex(8)}"
        self._given[doctor] = name  # before anything is waited for: nobody else gets this doctor meanwhile
        try:
            link = await self._plan(ConsultPlan(name, queue=DESK + doctor), patient)
        except RemoteProtocolError:
            del self._given[doctor]
            raise
        await self._show()
        return web.json_response({"doctor": doctor, "link": link}, status=201)

    async def book(self, request: web.Request) -> web.Response:
        """Talk to a doctor of one's choice, at a time of one's choice: the desk rings then."""
        body = await request.json()
        name = f"book-{secrets.token_hex(8)}"
        plan = ConsultPlan(name, queue=DESK + str(body["doctor"]), starts_at=float(body["starts_at"]))
        return web.json_response({"link": await self._plan(plan, str(body["patient"]))}, status=201)

    async def _plan(self, plan: ConsultPlan, patient: str) -> str:
        """There is such a consult; the patient's link to it."""
        await self.relay.consults.schedule(plan)
        return f"/consult/#link={await self.relay.consults.link(plan.consult, patient, 'patient')}"

    async def _show(self) -> None:
        said = self.availability()
        await asyncio.gather(*(_say(socket, said) for socket in tuple(self._watching)))


async def _say(socket: web.WebSocketResponse, what: Any) -> None:
    try:
        await socket.send_json(what)
    except ConnectionError:  # it is about to be noticed as gone
        return


def site(relay: Relay, desks: Desks) -> web.Application:
    """What is beside the relay; the relay is under /consult of the same site."""
    desks.relay = relay
    app = web.Application(middlewares=[refusals])
    app.router.add_post("/desks/{doctor}", desks.desk)
    app.router.add_get("/available", desks.watch)
    app.router.add_post("/now", desks.now)
    app.router.add_post("/book", desks.book)
    app.router.add_post("/consults/{consult}/end", desks.end)
    app.router.add_get("/consults/{consult}/attestation", desks.attested)
    return app


def make(
    config: Config, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> tuple[web.Application, Relay]:
    """The site, with the relay under /consult; its clocks are arguments, so that hours can be rehearsed."""
    desks = Desks()
    relay = Relay(config, hooks=desks, keys=TokenKeys.of(secrets.token_bytes(32)), wall=wall, monotonic=monotonic)
    app = site(relay, desks)
    app.add_subapp("/consult/", relay.app())
    app.cleanup_ctx.append(relay.lifetime)
    return app, relay


if __name__ == "__main__":
    made, its_relay = make(load(None, os.environ))
    web.run_app(made, host=its_relay.config.http.host, port=its_relay.config.http.port)
