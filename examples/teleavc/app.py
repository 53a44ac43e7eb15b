"""
Stroke: the hospital where the patient is, the radiologist and the neurologist on call, in a call at once.

An aiohttp application with the relay mounted under /consult. The on-call doctors are rung one after the other; an
emergency needs no waiting room and no place in the line of what is routine. Settings come from the environment, as
docs/configuration.md has them. Bind it to loopback: whoever reaches it may open a call.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable

from aiohttp import web

from telerelay import Config, ConsultPlan, Hooks, Relay, RemoteProtocolError, TokenKeys, refusals
from telerelay.config import load
from telerelay.hooks import DegradeRequest

ON_CALL = ("neurologist-1", "neurologist-2", "neurologist-3")
"""Tonight's, the first one first; each is rung for thirty seconds."""

SITES = {"hospital": "requester", "radiology": "expert", "neurology": "practitioner"}
"""All of them decide, so none waits to be let in."""

DESK = "stroke"
WORDS = (DESK, "routine-")
"""What the ids of its calls and desk begin with: nobody else's at the same relay do."""


class Strokes(Hooks):
    """Calls, and who is rung for them."""

    def __init__(self) -> None:
        self._strokes: set[str] = set()
        self.relay: Relay

    async def degrade(self, request: DegradeRequest) -> str:
        """A stroke is seen: one picture is sent to the last, in its least layer, and all are told what is held back."""
        return "keep" if request.room in self._strokes else "usual"

    async def stroke(self, request: web.Request) -> web.Response:
        """An emergency: {"call", "links"} for the hospital and radiology; the neurologists on call are rung."""
        call = f"stroke-{secrets.token_hex(8)}"
        self._strokes.add(call)
        plan = ConsultPlan(call, queue=DESK, is_emergency=True, deciders=tuple(SITES.values()))
        await self.relay.consults.schedule(plan)
        await self.relay.consults.ring(call, ON_CALL, "rota")
        links = {site: await self._link(call, site, SITES[site]) for site in ("hospital", "radiology")}
        return web.json_response({"call": call, "links": links}, status=201)

    async def routine(self, request: web.Request) -> web.Response:
        """Anything else: {"call", "link"} for {"patient"}, who waits for a doctor, and for room."""
        call = f"routine-{secrets.token_hex(8)}"
        await self.relay.consults.schedule(ConsultPlan(call))
        link = await self._link(call, str((await request.json())["patient"]), "patient")
        return web.json_response({"call": call, "link": link}, status=201)

    async def desk(self, request: web.Request) -> web.Response:
        """What opens the desk of a neurologist on call, which rings."""
        doctor = request.match_info["doctor"]
        if doctor not in ON_CALL:
            raise RemoteProtocolError("forbidden", "not on call")
        token = self.relay.desk_token(sub=doctor, queues=[DESK])
        return web.json_response({"token": token, "page": f"/consult/desk.html#token={token}"})

    async def _link(self, call: str, sub: str, role: str) -> str:
        return f"/consult/#link={await self.relay.consults.link(call, sub, role)}"


def site(relay: Relay, strokes: Strokes) -> web.Application:
    """What is beside the relay; the relay is under /consult of the same site."""
    strokes.relay = relay
    app = web.Application(middlewares=[refusals])
    app.router.add_post("/strokes", strokes.stroke)
    app.router.add_post("/routine", strokes.routine)
    app.router.add_post("/desks/{doctor}", strokes.desk)
    return app


def make(
    config: Config, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> tuple[web.Application, Relay]:
    """The site, with the relay under /consult; its clocks are arguments, so that hours can be rehearsed."""
    strokes = Strokes()
    relay = Relay(config, hooks=strokes, keys=TokenKeys.of(secrets.token_bytes(32)), wall=wall, monotonic=monotonic)
    app = site(relay, strokes)
    app.add_subapp("/consult/", relay.app())
    app.cleanup_ctx.append(relay.lifetime)
    return app, relay


if __name__ == "__main__":
    made, its_relay = make(load(None, os.environ))
    web.run_app(made, host=its_relay.config.http.host, port=its_relay.config.http.port)
