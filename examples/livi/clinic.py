"""
Doctors in one place for patients in the whole country: one line, emergencies first, then whoever came first.

An aiohttp application with the relay mounted under /consult. Settings come from the environment, as
docs/configuration.md has them. Bind it to loopback: whoever reaches it may ask for a consult, or for the next patient.
"""

from __future__ import annotations

import itertools
import os
import secrets

from aiohttp import web

from telerelay import (
    AttestRequest,
    ConsultPlan,
    Hooks,
    PolicyResult,
    Relay,
    RemoteProtocolError,
    Route,
    RouteRequest,
    TokenKeys,
)
from telerelay.config import load

DESK = "creteil"
POLICY, SINCE = "livi", "2018-09-15"


class Livi(Hooks):
    async def route(self, request: RouteRequest) -> Route:
        """Wherever a patient is, the doctors are at one desk."""
        return Route(DESK)

    async def attest(self, request: AttestRequest) -> PolicyResult | None:
        reason = "the service is paid by the patient, outside of what health insurance reimburses"
        return PolicyResult(POLICY, SINCE, "not_reimbursed", {"reimbursable": False}, reason)


relay = Relay(load(None, os.environ), hooks=Livi(), keys=TokenKeys.of(secrets.token_bytes(32)))
numbers = itertools.count(1)


async def ask(request: web.Request) -> web.Response:
    """A patient wants a consult now: {patient, region, emergency}; answers with its link."""
    body = await request.json()
    name = f"livi-{next(numbers)}"
    plan = ConsultPlan(name, region=body["region"], is_emergency=body["emergency"], policy=POLICY, policy_date=SINCE)
    await relay.consults.schedule(plan)
    return web.json_response({"link": await relay.consults.link(name, body["patient"], "patient")})


async def call_next(request: web.Request) -> web.Response:
    """A doctor wants the next patient: {doctor}. 409 for one who has a patient, 404 where nobody waits."""
    doctor = (await request.json())["doctor"]
    try:
        consult = await relay.consults.take_next(DESK, by=doctor)
    except RemoteProtocolError as error:
        return web.json_response({"code": error.code}, status={"busy": 409, "not_found": 404}.get(error.code, 503))
    link = await relay.consults.link(consult, doctor, "practitioner")
    return web.json_response({"consult": consult, "link": link})


app = web.Application()
app.router.add_post("/patients", ask)
app.router.add_post("/next", call_next)
app.add_subapp("/consult/", relay.app())
app.cleanup_ctx.append(relay.lifetime)

if __name__ == "__main__":
    web.run_app(app, host=relay.config.http.host, port=relay.config.http.port, print=None)
