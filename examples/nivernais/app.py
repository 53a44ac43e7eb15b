"""
Pays Nivernais Morvan: a doctor sees patients of villages whose lines carry half a megabit, and now and then much less.

What a weak line gives up is the picture, never the voice: that is the relay's own order, which pauses the picture, says
so to both ends and brings it back by itself; the rule here (`degrade`) is to leave it at that. What is the territory's
is the register: for each village how many visits there were, how long they had picture or sound alone, and in how many
the line could not carry everything, so that it knows where to ask for a better one.

A village is a word of the territory's own, told of no patient. An aiohttp application with the relay mounted under
/consult; settings come from the environment, as docs/configuration.md has them. Bind it to loopback: whoever reaches it
may open a visit.
"""

from __future__ import annotations

import os
import secrets
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

from aiohttp import web

from telerelay import (
    AttestRequest,
    Config,
    ConsultPlan,
    Hooks,
    PolicyResult,
    Relay,
    RemoteProtocolError,
    TokenKeys,
    refusals,
)
from telerelay.config import load
from telerelay.hooks import DegradeAnswer, DegradeRequest

POLICY, SINCE = "nivernais", "2018-10-01"
REDUNDANT = "?redundancy=1"
"""Of a village's page: each word is sent twice, for its line loses packets and is too long to wait for what is lost."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What one line was good for, once. Seconds are those that the relay attests."""

    village: str
    picture_s: float
    sound_only_s: float
    is_weak: bool
    """Whether the line did not carry everything for five seconds or more."""


class Territory(Hooks):
    """The rule for weak lines, and the register of villages."""

    def __init__(self) -> None:
        self._visits: dict[str, Visit] = {}  # that are over
        self._weak: defaultdict[str, int] = defaultdict(int)  # by visit: how often its lines did not carry everything
        self.relay: Relay

    # ---------------------------------------------------------------- lines

    async def degrade(self, request: DegradeRequest) -> DegradeAnswer:
        """Voices first, and the picture comes back by itself; that it was so is kept for the register."""
        self._weak[request.room] += 1
        return "usual"

    async def attest(self, request: AttestRequest) -> PolicyResult:
        """The visit is over. May be asked twice, by a relay that was killed meanwhile: it is one visit."""
        attested, weak = request.attestation, self._weak[request.room]
        self._visits[request.room] = Visit(
            str(attested["region"]), attested["two_way_video_s"], attested["audio_only_s"], weak > 0
        )
        if weak:
            outcome, reason = "weak_line", "the line did not carry everything all the time; sound came first"
        else:
            outcome, reason = "good_line", "the line carried what was sent"
        return PolicyResult(POLICY, SINCE, outcome, {"weak_stretches": weak}, reason)

    # ---------------------------------------------------------------- the site

    async def open(self, request: web.Request) -> web.Response:
        """A visit for somebody in {"village"}: {"visit", "links"} of patient and practitioner, who lets in."""
        village = str((await request.json())["village"])
        visit = f"visit-{secrets.token_hex(8)}"
        await self.relay.consults.schedule(ConsultPlan(visit, region=village, policy=POLICY, policy_date=SINCE))
        links = {}
        for role, query in (("patient", REDUNDANT), ("practitioner", "")):
            link = await self.relay.consults.link(visit, f"{role}-{secrets.token_hex(8)}", role)
            links[role] = f"/consult/{query}#link={link}"
        return web.json_response({"visit": visit, "links": links}, status=201)

    async def villages(self, request: web.Request) -> web.Response:
        """The register: of each village how many visits, and what its line was good for."""
        found: dict[str, dict[str, float]] = {}
        for visit in self._visits.values():
            village = found.setdefault(
                visit.village, {"visits": 0, "weak_visits": 0, "picture_s": 0.0, "sound_only_s": 0.0}
            )
            village["visits"] += 1
            village["weak_visits"] += visit.is_weak
            village["picture_s"] += visit.picture_s
            village["sound_only_s"] += visit.sound_only_s
        return web.json_response(found)

    async def attestation(self, request: web.Request) -> web.Response:
        """What was signed of a visit that is over."""
        document = await self.relay.consults.attestation(request.match_info["visit"])
        if document is None:
            raise RemoteProtocolError("not_found", "there is no attestation yet")
        return web.Response(body=document, content_type="application/json")


def make(
    config: Config, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> tuple[web.Application, Relay]:
    """The site, with the relay under /consult; its clocks are arguments, so that hours can be rehearsed."""
    # RED is taken from whose page offers it first: those of villages.
    config = replace(config, media=replace(config.media, audio_codecs=("opus", "red")))
    territory = Territory()
    keys = TokenKeys.of(secrets.token_bytes(32))
    territory.relay = Relay(config, hooks=territory, keys=keys, wall=wall, monotonic=monotonic)
    app = web.Application(middlewares=[refusals])
    app.router.add_post("/visits", territory.open)
    app.router.add_get("/visits/{visit}/attestation", territory.attestation)
    app.router.add_get("/villages", territory.villages)
    app.add_subapp("/consult/", territory.relay.app())
    app.cleanup_ctx.append(territory.relay.lifetime)
    return app, territory.relay


if __name__ == "__main__":
    site, relay = make(load(None, os.environ))
    web.run_app(site, host=relay.config.http.host, port=relay.config.http.port)
