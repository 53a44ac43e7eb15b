"""
Doctors who are there now: a patient sees who is available, and talks to one now, or books a time.

A doctor is available who has the desk open and no patient. The desk is a WebSocket that answers pings: one that is
closed, killed, or silent for a few seconds is no longer there. Who is logged in is your site's affair: here the address
says which doctor it is, and the body who the patient is, by opaque ids.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from telerelay import Config, ConsultPlan, EndEvent, Hooks, PersonEvent, Relay, RemoteProtocolError, TokenKeys
from telerelay.config import load

PING_EVERY_S = 5.0
"""A desk that does not answer within half of that is gone: 7.5 s at the most after it fell silent."""


class Desks(Hooks):
    """Who is there, who has a patient, and who looks."""

    def __init__(self) -> None:
        self._open: dict[str, web.WebSocketResponse] = {}
        self._busy: dict[str, str] = {}  # by doctor: the consult
        self._watching: set[web.WebSocketResponse] = set()
        self.relay: Relay

    # ---------------------------------------------------------------- doctors

    async def desk(self, request: web.Request) -> web.WebSocketResponse:
        """A doctor's desk: what is said here are the links of consults."""
        doctor = request.match_info["doctor"]
        socket = web.WebSocketResponse(heartbeat=PING_EVERY_S)
        await socket.prepare(request)
        self._open[doctor] = socket  # a second desk of one doctor takes over
        await self._show()
        try:
            async for _ in socket:
                pass
        finally:
            if self._open.get(doctor) is socket:
                del self._open[doctor]
                await self._show()
        return socket

    def availability(self) -> dict[str, bool]:
        """Of each doctor who is there: whether a patient may come now."""
        return {doctor: doctor not in self._busy for doctor in self._open}

    async def on_person(self, event: PersonEvent) -> None:
        """A doctor who goes into a consult, booked or not, has a patient."""
        if event.role == "practitioner" and event.what == "arrived":
            self._busy[event.sub] = event.room
            await self._show()

    async def on_end(self, event: EndEvent) -> None:
        """The consult is over: its doctor has no patient."""
        for doctor in [doctor for doctor, consult in self._busy.items() if consult == event.room]:
            del self._busy[doctor]
        await self._show()

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
        self._busy[doctor] = name  # before anything is waited for: nobody else gets this doctor meanwhile
        try:
            link = await self._plan(ConsultPlan(name, queue=doctor), patient)
        except RemoteProtocolError:
            del self._busy[doctor]
            raise
        await self._show()
        return web.json_response({"doctor": doctor, "link": link}, status=201)

    async def book(self, request: web.Request) -> web.Response:
        """Talk to a doctor of one's choice, at a time of one's choice, who is told at the desk."""
        body = await request.json()
        name = f"book-{secrets.token_hex(8)}"
        plan = ConsultPlan(name, queue=str(body["doctor"]), starts_at=float(body["starts_at"]))
        return web.json_response({"link": await self._plan(plan, str(body["patient"]))}, status=201)

    async def _plan(self, plan: ConsultPlan, patient: str) -> str:
        """There is such a consult: its doctor is told at the desk, and the patient's link is returned."""
        await self.relay.consults.schedule(plan)
        links = [
            await self.relay.consults.link(plan.consult, sub, role)
            for sub, role in ((plan.queue, "practitioner"), (patient, "patient"))
        ]
        shown = [f"/consult/#link={link}" for link in links]
        if (desk := self._open.get(plan.queue)) is not None:
            await _say(desk, {"consult": plan.consult, "starts_at": plan.starts_at, "link": shown[0]})
        return shown[1]

    async def _show(self) -> None:
        said = self.availability()
        await asyncio.gather(*(_say(socket, said) for socket in tuple(self._watching)))


async def _say(socket: web.WebSocketResponse, what: Any) -> None:
    try:
        await socket.send_json(what)
    except ConnectionError:  # it is about to be noticed as gone
        return


@web.middleware
async def _refusals(request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
        return response
    except RemoteProtocolError as error:
        return web.json_response({"error": {"code": error.code, "message": str(error)}}, status=error.status)


def make(
    config: Config, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> tuple[web.Application, Relay]:
    """The site, with the relay under /consult; its clocks are arguments, so that hours can be rehearsed."""
    desks = Desks()
    keys = TokenKeys.of(secrets.token_bytes(32))
    desks.relay = Relay(config, hooks=desks, keys=keys, wall=wall, monotonic=monotonic)
    app = web.Application(middlewares=[_refusals])
    app.router.add_get("/desks/{doctor}", desks.desk)
    app.router.add_get("/available", desks.watch)
    app.router.add_post("/now", desks.now)
    app.router.add_post("/book", desks.book)
    app.add_subapp("/consult/", desks.relay.app())
    app.cleanup_ctx.append(desks.relay.lifetime)
    return app, desks.relay


if __name__ == "__main__":
    site, relay = make(load(None, os.environ))
    web.run_app(site, host=relay.config.http.host, port=relay.config.http.port)
