"""
Medical deserts: a doctor of the patient's own territory is proposed first, any other after; and who says no place is
routed too.

Territories are words of your site's, here departments by number, as communes belong to one each. A doctor is there who
has the desk open; the relay rings whom `route` names, one after the other. What is said of places is about territories,
never an address.
"""

import os
import secrets
import time
from collections.abc import Callable

from aiohttp import web

from telerelay import (
    AttestRequest,
    Config,
    ConsultPlan,
    Hooks,
    PolicyResult,
    Relay,
    RemoteProtocolError,
    Route,
    RouteRequest,
    TokenKeys,
    refusals,
)
from telerelay.config import load
from telerelay.hooks import PresenceEvent

DESK = "deserts"
POLICY, SINCE = "territory", "2018-10-01"
NO_PLACE = "no_place_given"
WORDS = ("desert",)
"""What the ids of its consults and desk begin with: nobody else's at the same relay do."""


class Territories(Hooks):
    """Which doctor is from where, who is there, and who was last with a patient."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._territory: dict[str, str] = {}  # by doctor
        self._free_since: dict[str, float] = {}  # by doctor; who is busy or gone is not in it
        self.relay: Relay

    # ---------------------------------------------------------------- doctors

    async def desk(self, request: web.Request) -> web.Response:
        """What opens a doctor's desk, who says of which territory: {territory}."""
        doctor = request.match_info["doctor"]
        self._territory[doctor] = str((await request.json())["territory"])
        token = self.relay.desk_token(sub=doctor, queues=[DESK])
        return web.json_response({"token": token, "page": f"/consult/desk.html#token={token}"})

    async def on_presence(self, event: PresenceEvent) -> None:
        """Who becomes free goes to the end of the line."""
        if event.status == "available":
            self._free_since.setdefault(event.sub, self._monotonic())
        else:
            self._free_since.pop(event.sub, None)

    async def route(self, request: RouteRequest) -> Route:
        """Those of the same territory first; those who are not there are not waited for."""
        return Route(DESK, self.proposed(request.region) if request.attempt == 1 else ())

    def proposed(self, territory: str) -> tuple[str, ...]:
        """In which order doctors are rung for a patient of there; "" where no place was given."""

        def rank(doctor: str) -> tuple[bool, float]:
            return bool(territory) and self._territory[doctor] != territory, self._free_since[doctor]

        return tuple(sorted(self._free_since, key=rank))

    # ---------------------------------------------------------------- patients

    async def ask(self, request: web.Request) -> web.Response:
        """A patient wants a doctor: {patient, territory?}; the link, and whether one of there is proposed first."""
        body = await request.json()
        territory = str(body.get("territory") or "")
        name = f"desert-{secrets.token_hex(8)}"
        first = self._territory[free[0]] if (free := self.proposed(territory)) else ""
        await self.relay.consults.schedule(
            ConsultPlan(name, region=territory, policy=POLICY, policy_date=SINCE, ring_s=20.0)
        )
        link = f"/consult/#link={await self.relay.consults.link(name, str(body['patient']), 'patient')}"
        return web.json_response(
            {"consult": name, "link": link, "same_territory": first == territory != ""}, status=201
        )

    async def attest(self, request: AttestRequest) -> PolicyResult | None:
        """Which territory the patient was routed by, or that no place was given; and where the doctor is from."""
        place = request.attestation["region"]
        came = [
            each["sub"] for each in request.attestation["people"] if each["role"] == "practitioner" and each["present"]
        ]
        territory = self._territory.get(came[0], "") if came else ""
        if not place:
            outcome, reason = NO_PLACE, "the patient gave no place and was routed to whoever was free"
        elif territory == place:
            outcome, reason = "same_territory", "a doctor of the patient's territory was free"
        else:
            outcome, reason = "other_territory", "no doctor of the patient's territory answered"
        return PolicyResult(POLICY, SINCE, outcome, {"place_given": bool(place), "doctor_territory": territory}, reason)

    async def attested(self, request: web.Request) -> web.Response:
        """The signed file, once the consult is over."""
        document = await self.relay.consults.attestation(request.match_info["consult"])
        if document is None:
            raise RemoteProtocolError("not_found", "there is no attestation yet")
        return web.Response(body=document, content_type="application/json")


def site(relay: Relay, territories: Territories) -> web.Application:
    """What is beside the relay; the relay is under /consult of the same site."""
    territories.relay = relay
    app = web.Application(middlewares=[refusals])
    app.router.add_post("/desks/{doctor}", territories.desk)
    app.router.add_post("/patients", territories.ask)
    app.router.add_get("/consults/{consult}/attestation", territories.attested)
    return app


def make(
    config: Config, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> tuple[web.Application, Relay]:
    """The site, with the relay under /consult; its clocks are arguments, so that hours can be rehearsed."""
    territories = Territories(monotonic)
    relay = Relay(config, hooks=territories, keys=TokenKeys.of(secrets.token_bytes(32)), wall=wall, monotonic=monotonic)
    app = site(relay, territories)
    app.add_subapp("/consult/", relay.app())
    app.cleanup_ctx.append(relay.lifetime)
    return app, relay


if __name__ == "__main__":
    made, its_relay = make(load(None, os.environ))
    web.run_app(made, host=its_relay.config.http.host, port=its_relay.config.http.port)
