"""
A health unit in a prison: a patient is seen by a doctor outside, with nothing but sound and picture.

An aiohttp application with the relay mounted under /consult. The unit's own register knows who people are; the relay is
given pseudonyms and knows nobody. Settings come from the environment, as docs/configuration.md has them. Bind it to
loopback: whoever reaches it may open a call, and says for the patient what the patient consents to.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable

from aiohttp import web

from telerelay import Config, ConsultPlan, Hooks, JoinRequest, Relay, RemoteProtocolError, TokenKeys, refusals
from telerelay.config import load
from telerelay.hooks import ChannelRequest, DocumentRequest, FactEvent, PublishRequest, StillRequest

WORDS = ("us-",)
"""What the ids of its calls begin with: nobody else's at the same relay do."""

THIRD_PARTIES = ("interpreter", "companion")
"""Who may be there beside doctor and patient, once the patient has consented. Nobody watches, and nobody records."""

SOURCES = frozenset({("audio", "microphone"), ("video", "camera")})
"""What anybody may send."""


class Unit(Hooks):
    """The rules of the unit, and its register."""

    def __init__(self) -> None:
        self._register: dict[str, str] = {}  # pseudonym: a name, which never leaves this
        self._expected: set[tuple[str, str, str]] = set()  # call, pseudonym, role
        self._attempts: dict[str, list[dict[str, str]]] = {}  # by call: what somebody tried, out of the journal
        self.relay: Relay

    # ---------------------------------------------------------------- what is allowed

    async def authorize_join(self, request: JoinRequest) -> bool:
        """Only whom the unit expects in that role: no token for a recorder or an observer opens a call."""
        return (request.room, request.sub, request.role) in self._expected

    async def publish_policy(self, request: PublishRequest) -> bool:
        """No screen, and no second camera under another word."""
        return (request.kind, request.source) in SOURCES

    async def channel_policy(self, request: ChannelRequest) -> bool:
        """No chat and no channel, but for the doctor."""
        return request.role == "practitioner"

    async def document_policy(self, request: DocumentRequest) -> bool:
        """No file, neither to send nor to have, but for the doctor."""
        return request.role == "practitioner"

    async def still_consent(self, request: StillRequest) -> bool:
        """Nobody is asked for a still: it would be a picture that stays."""
        return False

    async def on_fact(self, event: FactEvent) -> None:
        """What was tried, for whoever looks after the unit."""
        if event.kind == "bypass_tried":
            self._attempts.setdefault(event.room, []).append(dict(event.clear))

    # ---------------------------------------------------------------- calls

    async def open(self, request: web.Request) -> web.Response:
        """A call for {"patient": NAME, "doctor": NAME}: {"call", "links"}."""
        names = await request.json()
        call = f"us-{secrets.token_hex(8)}"
        await self.relay.consults.schedule(ConsultPlan(call, third_parties=THIRD_PARTIES))
        links = {
            role: await self._link(call, str(names[who]), role)
            for who, role in (("patient", "patient"), ("doctor", "practitioner"))
        }
        return web.json_response({"call": call, "links": links}, status=201)

    async def third(self, request: web.Request) -> web.Response:
        """Somebody else is expected: {"name", "role"}. To be let in by the doctor, once the patient has consented."""
        body = await request.json()
        if body["role"] not in THIRD_PARTIES:
            raise RemoteProtocolError("forbidden", "nobody comes into a call of the unit in that role")
        link = await self._link(request.match_info["call"], str(body["name"]), body["role"])
        return web.json_response({"link": link}, status=201)

    async def consent(self, request: web.Request) -> web.Response:
        """The patient says to the nurse, who is beside, that somebody else may be there, or no longer: {"given"}."""
        call, is_given = request.match_info["call"], (await request.json())["given"] is True
        sub = next(sub for each, sub, role in self._expected if (each, role) == (call, "patient"))
        await self.relay.consults.consent(call, sub, "third_party", is_given, "nurse")
        return web.json_response({})

    async def attempts(self, request: web.Request) -> web.Response:
        """What was tried in a call that may not be."""
        return web.json_response(self._attempts.get(request.match_info["call"], []))

    async def attestation(self, request: web.Request) -> web.Response:
        """What was signed of a call that is over."""
        document = await self.relay.consults.attestation(request.match_info["call"])
        return web.Response(body=document, content_type="application/json")

    async def _link(self, call: str, name: str, role: str) -> str:
        """For somebody who is another one in each call, so that no two can be laid beside each other."""
        sub = f"{role}-{secrets.token_hex(8)}"
        link = await self.relay.consults.link(call, sub, role)
        self._register[sub] = name
        self._expected.add((call, sub, role))
        return f"/consult/#link={link}"


def site(relay: Relay, unit: Unit) -> web.Application:
    """What is beside the relay; the relay is under /consult of the same site."""
    unit.relay = relay
    app = web.Application(middlewares=[refusals])
    app.router.add_post("/calls", unit.open)
    app.router.add_post("/calls/{call}/third", unit.third)
    app.router.add_post("/calls/{call}/consent", unit.consent)
    app.router.add_get("/calls/{call}/attempts", unit.attempts)
    app.router.add_get("/calls/{call}/attestation", unit.attestation)
    return app


def make(
    config: Config, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> tuple[web.Application, Relay]:
    """The site, with the relay under /consult; its clocks are arguments, so that hours can be rehearsed."""
    unit = Unit()
    relay = Relay(config, hooks=unit, keys=TokenKeys.of(secrets.token_bytes(32)), wall=wall, monotonic=monotonic)
    app = site(relay, unit)
    app.add_subapp("/consult/", relay.app())
    app.cleanup_ctx.append(relay.lifetime)
    return app, relay


if __name__ == "__main__":
    made, its_relay = make(load(None, os.environ))
    web.run_app(made, host=its_relay.config.http.host, port=its_relay.config.http.port)
