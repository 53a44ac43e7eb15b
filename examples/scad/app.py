"""
Heart failure at home: tablets send readings each day, a rule looks at them, and a nurse calls whom it names.

Readings come without a call, by `POST /consult/measurements/{room}`; the relay hands them to `on_measurement` and keeps
none. What they mean is this site's: here, two kilograms more within three days. A consult is opened then, and whichever
nurse has the desk open is rung; the nurse may add a cardiologist. This is no emergency service: nobody need be there.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from telerelay import (
    Config,
    ConsultPlan,
    EndEvent,
    Hooks,
    MeasurementEvent,
    Relay,
    TokenKeys,
    refusals,
)
from telerelay.config import load

GAIN_KG, WITHIN_S = 2.0, 3 * 86400.0
"""Water, and not food: what the heart does not carry away."""
TABLET_TOKEN_S = 86400
"""A tablet asks for a new token each day."""

WORDS = ("scad-", "home-")
"""What the ids of its consults, and of patients' rooms at home, begin with: nobody else's at the same relay do."""

Reading = tuple[float, float]
"""When it was measured, Unix seconds by the tablet's clock, and what: kilograms."""


class Followup(Hooks):
    """Readings of each patient, nurses who are there, and calls that were opened."""

    def __init__(self) -> None:
        self._readings: dict[str, dict[tuple[str, int], Reading]] = {}  # by patient, then by series and number
        self._calls: dict[str, dict[str, str]] = {}  # by patient: a consult that is not over
        self._open: dict[str, web.WebSocketResponse] = {}  # nurses' desks
        self._tablets: dict[str, web.WebSocketResponse] = {}
        self.relay: Relay

    # ---------------------------------------------------------------- readings

    async def enrol(self, request: web.Request) -> web.Response:
        """A tablet's token, for its patient's room at home, in which nobody ever is."""
        patient = str((await request.json())["patient"])
        room = f"home-{patient}"
        token = self.relay.token(room=room, sub=patient, role="patient", ttl_s=TABLET_TOKEN_S)
        return web.json_response({"room": room, "token": token})

    async def on_measurement(self, event: MeasurementEvent) -> None:
        """They may come twice: sub, series and number say which they are. A real site returns once they are stored."""
        kept = self._readings.setdefault(event.sub, {})
        for batch in event.batches:
            for number, (at, value) in enumerate(zip(batch.times, batch.values, strict=True), batch.seq):
                if value is not None:
                    kept[f"{event.device}/{event.series}", number] = at, value
        if event.of == "body_weight" and self._is_heavier(event.sub):
            await self._call(event.sub)

    def _is_heavier(self, patient: str) -> bool:
        """By the times of the readings, in whatever order they came."""
        found = sorted(self._readings[patient].values())
        last_at, last = found[-1]
        return any(last - value >= GAIN_KG for at, value in found if last_at - at <= WITHIN_S)

    async def readings(self, request: web.Request) -> web.Response:
        """As the nurse's page draws them."""
        return web.json_response(sorted(self._readings.get(request.match_info["patient"], {}).values()))

    # ---------------------------------------------------------------- calls

    async def _call(self, patient: str) -> None:
        """Open a consult and ring whoever is at a desk; who comes later is rung then. One for each patient."""
        if patient in self._calls:
            return
        name = f"scad-{secrets.token_hex(8)}"
        self._calls[patient] = {"consult": name, "patient": patient, "why": "weight"}
        await self.relay.consults.schedule(ConsultPlan(name, deciders=("assistant",)))
        await asyncio.gather(*(self._ring(nurse, patient) for nurse in tuple(self._open)))
        if (tablet := self._tablets.get(patient)) is not None:
            await self._ring_tablet(tablet, patient)

    async def _ring(self, nurse: str, patient: str) -> None:
        call = self._calls[patient]
        await _say(self._open[nurse], call | {"link": await self._link(call["consult"], nurse, "assistant")})

    async def _ring_tablet(self, tablet: web.WebSocketResponse, patient: str) -> None:
        await _say(tablet, {"link": await self._link(self._calls[patient]["consult"], patient, "patient")})

    async def _link(self, consult: str, sub: str, role: str) -> str:
        return f"/consult/#link={await self.relay.consults.link(consult, sub, role)}"

    async def invite(self, request: web.Request) -> web.Response:
        """The nurse adds a cardiologist, who waits until the nurse lets him in."""
        expert = str((await request.json())["cardiologist"])
        link = await self._link(request.match_info["consult"], expert, "expert")
        return web.json_response({"link": link}, status=201)

    async def on_end(self, event: EndEvent) -> None:
        """The next reading that is too high opens another one."""
        self._calls = {patient: call for patient, call in self._calls.items() if call["consult"] != event.room}

    # ---------------------------------------------------------------- who is there

    async def desk(self, request: web.Request) -> web.WebSocketResponse:
        """A nurse's desk: it is rung here, at once for what was opened before."""
        return await self._stay(request, self._open, "nurse", list(self._calls))

    async def tablet(self, request: web.Request) -> web.WebSocketResponse:
        """A patient's tablet, to be rung."""
        patient = request.match_info["patient"]
        return await self._stay(request, self._tablets, "patient", [patient] if patient in self._calls else [])

    async def _stay(
        self, request: web.Request, there: dict[str, web.WebSocketResponse], who: str, waiting: list[str]
    ) -> web.WebSocketResponse:
        name = request.match_info[who]
        socket = web.WebSocketResponse(heartbeat=5.0)
        await socket.prepare(request)
        there[name] = socket
        try:
            for patient in waiting:
                await (self._ring(name, patient) if who == "nurse" else self._ring_tablet(socket, patient))
            async for _ in socket:
                pass
        finally:
            if there.get(name) is socket:
                del there[name]
        return socket


async def _say(socket: web.WebSocketResponse, what: Any) -> None:
    try:
        await socket.send_json(what)
    except ConnectionError:  # it is about to be noticed as gone
        return


def site(relay: Relay, followup: Followup) -> web.Application:
    """What is beside the relay; the relay is under /consult of the same site."""
    followup.relay = relay
    app = web.Application(middlewares=[refusals])
    app.router.add_post("/enrol", followup.enrol)
    app.router.add_get("/patients/{patient}/readings", followup.readings)
    app.router.add_get("/desks/{nurse}", followup.desk)
    app.router.add_get("/tablets/{patient}", followup.tablet)
    app.router.add_post("/consults/{consult}/invite", followup.invite)
    return app


def make(
    config: Config, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> tuple[web.Application, Relay]:
    """The site, with the relay under /consult; its clocks are arguments, so that hours can be rehearsed."""
    followup = Followup()
    relay = Relay(config, hooks=followup, keys=TokenKeys.of(secrets.token_bytes(32)), wall=wall, monotonic=monotonic)
    app = site(relay, followup)
    app.add_subapp("/consult/", relay.app())
    app.cleanup_ctx.append(relay.lifetime)
    return app, relay


if __name__ == "__main__":
    made, its_relay = make(load(None, os.environ))
    web.run_app(made, host=its_relay.config.http.host, port=its_relay.config.http.port)
