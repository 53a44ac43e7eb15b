"""
Nursing homes: a resident and a nurse in front of one device, an expert doctor, an expert nurse, a relative who listens.

One device is two people: each has a link of their own, so that each is named in the call and in what is signed of it.
The face is the resident's, the wound camera the nurse's; the experts may move the nurse's camera, and a wound is
photographed three times under one label, by date a series. A relative has sound alone, and no pictures of a wound.

An aiohttp application with the relay mounted under /consult. Settings come from the environment, as
docs/configuration.md has them. Bind it to loopback: whoever reaches it may open a visit.
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict

from aiohttp import web

from telerelay import Config, ConsultPlan, Hooks, Relay, TokenKeys
from telerelay.config import load
from telerelay.hooks import CameraRequest, DocumentRequest, PublishRequest, StillEvent, SubscribeRequest

WORDS = ("ehpad-",)
"""What the ids of its visits begin with: nobody else's at the same relay do."""
EXPERTS = frozenset({"practitioner", "expert"})
PEOPLE = {
    "resident": "patient",
    "nurse": "assistant",
    "doctor": "practitioner",
    "expert_nurse": "expert",
    "relative": "companion",
}
"""Who is there, and in which role."""


class Homes(Hooks):
    """Who may do what, and the series of stills: a home's wounds, each by its label."""

    def __init__(self) -> None:
        self.series: dict[str, dict[str, dict[str, object]]] = defaultdict(dict)

    async def camera_control(self, request: CameraRequest) -> bool:
        """Experts move the camera that the nurse holds, never the one on the resident's face."""
        return request.role in EXPERTS and request.target_role == "assistant"

    async def publish_policy(self, request: PublishRequest) -> bool:
        """A relative is heard and not seen."""
        return request.role != "companion" or request.kind == "audio"

    async def subscribe_policy(self, request: SubscribeRequest) -> bool:
        """And hears, and does not see."""
        return request.role != "companion" or request.kind == "audio"

    async def document_policy(self, request: DocumentRequest) -> bool:
        """A wound is shown to those who treat it."""
        return request.role != "companion"

    async def on_still(self, event: StillEvent) -> None:
        """It may be told twice: the document's id says which it is."""
        if event.what == "taken":
            self.series[f"{event.room}/{event.label}"][event.key] = asdict(event)


def site(relay: Relay, homes: Homes) -> web.Application:
    """What is beside the relay; the relay is under /consult of the same site."""
    numbers = itertools.count(1)

    async def visit(request: web.Request) -> web.Response:
        """A home calls: {"visit", "links": one for each of PEOPLE}. Either expert lets in, and so does the nurse."""
        number = next(numbers)
        name = f"ehpad-{number}"
        await relay.consults.schedule(ConsultPlan(name, deciders=("practitioner", "expert", "assistant")))
        links = {who: await relay.consults.link(name, f"{name}-{who}", role) for who, role in PEOPLE.items()}
        return web.json_response({"visit": name, "links": links})

    async def series(request: web.Request) -> web.Response:
        """The stills of one wound, oldest first."""
        found = homes.series["{visit}/{label}".format(**request.match_info)].values()
        return web.json_response(sorted(found, key=lambda each: str(each["at"])))

    app = web.Application()
    app.router.add_post("/visits", visit)
    app.router.add_get("/visits/{visit}/wounds/{label}", series)
    return app


def make(
    config: Config, *, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> tuple[web.Application, Relay]:
    """The application and its relay."""
    homes = Homes()
    relay = Relay(config, hooks=homes, keys=TokenKeys.of(secrets.token_bytes(32)), wall=wall, monotonic=monotonic)
    app = site(relay, homes)
    app.add_subapp("/consult/", relay.app())
    app.cleanup_ctx.append(relay.lifetime)
    return app, relay


if __name__ == "__main__":
    settings = load(None, os.environ)
    made, _ = make(settings)
    web.run_app(made, host=settings.http.host, port=settings.http.port)
