"""
Compatible software: practices that each have a system of their own launch consults at one relay, by appointment.

An aiohttp application with the relay mounted under /consult. Each practice is a tenant with a secret; its system says
an appointment's id, which is its own and may be another practice's too, and gets a link into the right consult.
Settings come from the environment, as docs/configuration.md has them. Bind it to loopback: whoever reaches it may
enrol.
"""

from __future__ import annotations

import hmac
import os
import secrets
import time
from collections.abc import Callable

from aiohttp import web

from telerelay import Config, ConsultPlan, Hooks, Relay, RemoteProtocolError, TokenKeys, refusals
from telerelay.config import load

WORDS = ("pe-",)
"""What the ids of its consults begin with: nobody else's at the same relay do."""


class Practices(Hooks):
    """Tenants, their secrets, and the consults of their appointments. Who may what is in the tenants' tokens."""

    def __init__(self) -> None:
        self.relay: Relay
        self._secrets: dict[str, str] = {}  # by tenant
        self._consults: dict[tuple[str, str], str] = {}  # by tenant and appointment

    async def enrol(self, request: web.Request) -> web.Response:
        """A practice comes: {"tenant"} is answered with its {"secret"}, once."""
        tenant = str((await request.json())["tenant"])
        if tenant in self._secrets:
            raise RemoteProtocolError("conflict", "there is such a practice")
        self._secrets[tenant] = secrets.token_urlsafe(32)
        return web.json_response({"secret": self._secrets[tenant]}, status=201)

    async def plan(self, request: web.Request) -> web.Response:
        """A practice has an appointment: {"appointment"}, by its own id."""
        tenant, key = await self._named(request)
        if key in self._consults:
            raise RemoteProtocolError("conflict", "there is such an appointment")
        consult = self._consults[key] = f"pe-{secrets.token_hex(8)}"
        await self.relay.consults.schedule(ConsultPlan(consult, tenant=tenant))
        return web.json_response({"consult": consult}, status=201)

    async def launch(self, request: web.Request) -> web.Response:
        """A practice launches a consult for somebody: {"appointment", "sub", "role"} to {"consult", "link"}."""
        _, key = await self._named(request)
        body = await request.json()
        consult = self._consults.get(key)
        if consult is None:  # of another practice, or of none: nobody learns which
            raise RemoteProtocolError("forbidden", "the practice has no such appointment")
        link = await self.relay.consults.link(consult, str(body["sub"]), str(body["role"]))
        return web.json_response({"consult": consult, "link": f"/consult/#link={link}"}, status=201)

    async def _named(self, request: web.Request) -> tuple[str, tuple[str, str]]:
        """Whose request it is, by the secret, and of which appointment."""
        said = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
        for tenant, secret in self._secrets.items():
            if hmac.compare_digest(said, secret.encode()):
                return tenant, (tenant, str((await request.json())["appointment"]))
        raise RemoteProtocolError("unauthorized", "no practice has that secret")


def site(relay: Relay, practices: Practices) -> web.Application:
    """What is beside the relay; the relay is under /consult of the same site."""
    practices.relay = relay
    app = web.Application(middlewares=[refusals])
    app.router.add_post("/practices", practices.enrol)
    app.router.add_post("/appointments", practices.plan)
    app.router.add_post("/launch", practices.launch)
    return app


def make(
    config: Config, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> tuple[web.Application, Relay]:
    """The site, with the relay under /consult; its clocks are arguments, so that hours can be rehearsed."""
    practices = Practices()
    relay = Relay(config, hooks=practices, keys=TokenKeys.of(secrets.token_bytes(32)), wall=wall, monotonic=monotonic)
    app = site(relay, practices)
    app.add_subapp("/consult/", relay.app())
    app.cleanup_ctx.append(relay.lifetime)
    return app, relay


if __name__ == "__main__":
    made, its_relay = make(load(None, os.environ))
    web.run_app(made, host=its_relay.config.http.host, port=its_relay.config.http.port)
