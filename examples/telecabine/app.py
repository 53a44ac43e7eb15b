"""
A booth with instruments: two pictures, two sounds, waves and values out of one device, and files of tens of megabytes,
that come to the doctor whatever the line does meanwhile. One visit is one consult: who sits down next finds nothing.

An aiohttp application with the relay mounted under /consult. Settings come from the environment, as
docs/configuration.md has them. Bind it to loopback: whoever reaches it may open a visit.
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
from telerelay.hooks import ChannelRequest, DocumentRequest, PublishRequest

WORDS = ("cabin-",)
"""What the ids of its visits begin with: nobody else's at the same relay do."""
LABELS = frozenset({"oct", "fundus", "tonometry"})
"""What the booth's instruments make."""
TRACKS = frozenset({"camera", "scope", "microphone", "stethoscope"})
"""What the booth sends: the face and what the scope sees, the voice and what the stethoscope hears."""


class Booth(Hooks):
    async def document_policy(self, request: DocumentRequest) -> bool:
        """An instrument sends what it makes, and nothing else."""
        return request.role != "device" or request.label in LABELS

    async def publish_policy(self, request: PublishRequest) -> bool:
        """The booth sends what it has; a patient's own telephone no picture and no sound."""
        return request.role != "patient" and (request.role != "device" or request.source in TRACKS)

    async def channel_policy(self, request: ChannelRequest) -> bool:
        """Measurements, and what is written to each other: there is no other channel."""
        return request.label in {"measurements", "chat"}


def site(relay: Relay, _booth: Booth) -> web.Application:
    """What is beside the relay; the relay is under /consult of the same site."""
    numbers = itertools.count(1)

    async def visit(request: web.Request) -> web.Response:
        """
        Somebody sits down: {"visit", "links": {"device", "practitioner", "patient"}}. The booth lets itself in; the
        patient's link is for a telephone, to read along.
        """
        number = next(numbers)
        name = f"cabin-{number}"
        await relay.consults.schedule(ConsultPlan(name, deciders=("practitioner", "device")))
        people = {"device": "instrument-1", "practitioner": "doctor-3", "patient": f"patient-{number}"}
        links = {role: await relay.consults.link(name, sub, role) for role, sub in people.items()}
        return web.json_response({"visit": name, "links": links})

    async def attested(request: web.Request) -> web.Response:
        """What was signed of a visit that is over."""
        document = await relay.consults.attestation(request.match_info["visit"])
        return web.Response(body=document, content_type="application/json")

    app = web.Application()
    app.router.add_post("/visits", visit)
    app.router.add_get("/visits/{visit}/attestation", attested)
    return app


def make(
    config: Config, *, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> tuple[web.Application, Relay]:
    """The application and its relay."""
    booth = Booth()
    relay = Relay(config, hooks=booth, keys=TokenKeys.of(secrets.token_bytes(32)), wall=wall, monotonic=monotonic)
    app = site(relay, booth)
    app.add_subapp("/consult/", relay.app())
    app.cleanup_ctx.append(relay.lifetime)
    return app, relay


if __name__ == "__main__":
    made, _ = make(load(None, os.environ))
    web.run_app(made, host="127.0.0.1", port=int(os.environ.get("PORT", "8090")))
