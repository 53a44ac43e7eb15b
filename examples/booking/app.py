"""
Online booking: a patient holds a time at a doctor's desk, books it, moves it, and comes by a link that is good from 15
minutes before it to 30 after; whoever has not come by 10 minutes after is a no-show.

All rules are here, as numbers and as `_check`; the relay keeps to the plan it is given, and gives a time to one alone.
Who is logged in is your site's affair: here the body of a request says who asks, by opaque ids.
"""

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from telerelay import Config, ConsultPlan, Hooks, Relay, RemoteProtocolError, StateEvent, TokenKeys, refusals
from telerelay.config import load

OPENS_BEFORE_S, CLOSES_AFTER_S, NO_SHOW_AFTER_S = 15 * 60, 30 * 60, 10 * 60
SLOT_S = 15 * 60
"""Times begin on this grid, so that no two of a doctor overlap."""
WORDS = ("a-",)
"""What the ids of its consults begin with: nobody else's at the same relay do."""
Slot = tuple[str, int]
"""A doctor and a beginning, Unix seconds."""


@dataclass(slots=True)
class Appointment:
    """One that is booked; whoever has its `key` may move it."""

    slot: Slot
    patient: str
    key: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    states: list[str] = field(default_factory=list)


class Booking(Hooks):
    """The desk book. `now` is Unix seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._appointments: dict[str, Appointment] = {}
        self._told: set[str] = set()
        self.relay: Relay

    def _check(self, slot: Slot) -> None:
        """Whether there is such a time: on the grid, and to come."""
        if slot[1] % SLOT_S or slot[1] < self._now():
            raise RemoteProtocolError("bad_message", "there is no such time")

    async def hold(self, request: web.Request) -> web.Response:
        slot, who = _slot(request), str((await request.json())["patient"])
        self._check(slot)
        return web.json_response({"until": self.relay.consults.booking.hold(*slot, who)})

    async def book(self, request: web.Request) -> web.Response:
        slot, who = _slot(request), str((await request.json())["patient"])
        self._check(slot)
        name = f"a-{secrets.token_hex(8)}"
        self._appointments[name] = Appointment(slot, who)
        try:
            await self.relay.consults.booking.book(_plan(name, slot), who, by="booking")
        except RemoteProtocolError:
            del self._appointments[name]
            raise
        return web.json_response(await self._shown(name), status=201)

    async def move(self, request: web.Request) -> web.Response:
        name, body = request.match_info["name"], await request.json()
        appointment = self._of(name, body["key"])
        slot = (appointment.slot[0], int(body["starts_at"]))
        self._check(slot)
        await self.relay.consults.booking.move(name, slot[1], appointment.patient, by="booking")
        appointment.slot = slot
        return web.json_response(await self._shown(name))

    async def show(self, request: web.Request) -> web.Response:
        appointment = self._of(request.match_info["name"], request.headers.get("Authorization", "")[len("Bearer ") :])
        return web.json_response({"starts_at": appointment.slot[1], "states": appointment.states})

    async def on_state(self, event: StateEvent) -> None:
        """Events come at least once: the key tells one that came before."""
        if event.key not in self._told:
            self._told.add(event.key)
            if event.room in self._appointments:
                self._appointments[event.room].states.append(event.state)

    async def _shown(self, name: str) -> dict[str, object]:
        """What the site sends to each: links that are good once, and until the appointment is moved."""
        appointment = self._appointments[name]
        people = {"patient": appointment.patient, "practitioner": appointment.slot[0]}
        links = {role: await self.relay.consults.link(name, sub, role) for role, sub in people.items()}
        shown = {role: f"/consult/#link={link}" for role, link in links.items()}
        return {"appointment": name, "key": appointment.key, "starts_at": appointment.slot[1], "links": shown}

    def _of(self, name: str, key: object) -> Appointment:
        appointment = self._appointments.get(name)
        if appointment is None or not isinstance(key, str) or not secrets.compare_digest(key, appointment.key):
            raise RemoteProtocolError("not_found", "there is no such appointment")
        return appointment


def _plan(name: str, slot: Slot) -> ConsultPlan:
    return ConsultPlan(
        name,
        queue=slot[0],
        starts_at=slot[1],
        opens_before_s=OPENS_BEFORE_S,
        closes_after_s=CLOSES_AFTER_S,
        no_show_after_s=NO_SHOW_AFTER_S,
    )


def _slot(request: web.Request) -> Slot:
    return request.match_info["doctor"], int(request.match_info["starts_at"])


def site(relay: Relay, booking: Booking) -> web.Application:
    """What is beside the relay; the relay is under /consult of the same site."""
    booking.relay = relay
    app = web.Application(middlewares=[refusals])
    app.router.add_post(r"/slots/{doctor}/{starts_at:\d+}/hold", booking.hold)
    app.router.add_post(r"/slots/{doctor}/{starts_at:\d+}/book", booking.book)
    app.router.add_post("/appointments/{name}/move", booking.move)
    app.router.add_get("/appointments/{name}", booking.show)
    return app


def make(
    config: Config, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> tuple[web.Application, Relay]:
    """The site, with the relay under /consult; its clocks are arguments, so that hours can be rehearsed."""
    booking = Booking(wall)
    relay = Relay(config, hooks=booking, keys=TokenKeys.of(secrets.token_bytes(32)), wall=wall, monotonic=monotonic)
    app = site(relay, booking)
    app.add_subapp("/consult/", relay.app())
    app.cleanup_ctx.append(relay.lifetime)
    return app, relay


if __name__ == "__main__":
    made, its_relay = make(load(None, os.environ))
    web.run_app(made, host=its_relay.config.http.host, port=its_relay.config.http.port)
