"""
A practice's calls, more of them than there is room for, and the letters that go with them.

An aiohttp application with the relay mounted under /consult. Who comes when there is no room waits with a position, and
an emergency does not; doctor and patient hand each other PDFs, and nothing else. Settings come from the environment, as
docs/configuration.md has them. Bind it to loopback: whoever reaches it may open a consult.
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Callable

from aiohttp import web

from telerelay import Config, ConsultPlan, Hooks, Relay, TokenKeys
from telerelay.config import load
from telerelay.hooks import DocumentRequest, SurgeAnswer, SurgeRequest

MAX_HELD = 200
"""A line that nobody will see the end of is worse than a word."""


class Practice(Hooks):
    async def document_policy(self, request: DocumentRequest) -> bool:
        """Letters, prescriptions and reports are PDFs; a companion has none of them."""
        return request.role != "companion" and request.media_type == "application/pdf"

    async def surge(self, request: SurgeRequest) -> SurgeAnswer:
        """An emergency has what is kept for it; whoever else comes waits, with a position."""
        if request.is_emergency:
            return "take"
        return "hold" if request.held < MAX_HELD else "refuse"


def make(
    config: Config, *, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> tuple[web.Application, Relay]:
    """The application and its relay."""
    keys = TokenKeys.of(secrets.token_bytes(32))
    relay = Relay(config, hooks=Practice(), keys=keys, wall=wall, monotonic=monotonic)
    numbers = itertools.count(1)

    async def consult(request: web.Request) -> web.Response:
        """Opens one, {"emergency"}: {"consult", "links": {"patient", "practitioner", "companion", "observer"}}."""
        number = next(numbers)
        name = f"consult-{number}"
        is_emergency = bool((await request.json()).get("emergency", False))
        await relay.consults.schedule(ConsultPlan(name, is_emergency=is_emergency))
        roles = ("patient", "practitioner", "companion", "observer")
        links = {role: await relay.consults.link(name, f"{role}-{number}", role) for role in roles}
        return web.json_response({"consult": name, "links": links})

    async def attested(request: web.Request) -> web.Response:
        """What was signed of a consult that is over."""
        document = await relay.consults.attestation(request.match_info["consult"])
        return web.Response(body=document, content_type="application/json")

    app = web.Application()
    app.cleanup_ctx.append(relay.lifetime)
    app.router.add_post("/consults", consult)
    app.router.add_get("/consults/{consult}/attestation", attested)
    app.add_subapp("/consult/", relay.app())
    return app, relay


if __name__ == "__main__":
    settings = load(None, os.environ)
    made, _ = make(settings)
    web.run_app(made, host=settings.http.host, port=settings.http.port)
