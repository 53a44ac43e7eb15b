"""
A complete teleconsultation: a waiting room, a doctor who lets in, a signed attestation of what was held.
`curl -X POST http://127.0.0.1:8080/appointments/42` gives one link for each, good once; the doctor's page has the desk.
After the end the attestation is in the current folder: `telerelay attest verify FILE`.
"""

import os
import secrets
from pathlib import Path

from aiohttp import web

from telerelay import ConsultPlan, EndEvent, Hooks, Relay, TokenKeys, refusals
from telerelay.config import load


class Clinic(Hooks):
    async def on_end(self, event: EndEvent) -> None:
        file = Path(f"attestation-{event.room}.json")
        if event.state == "ended":
            file.write_bytes(await relay.consults.attestation(event.room))  # noqa: ASYNC240


relay = Relay(load(None, os.environ), hooks=Clinic(), keys=TokenKeys.of(secrets.token_bytes(32)))


async def plan(request: web.Request) -> web.Response:
    name = request.match_info["appointment"]
    await relay.consults.schedule(ConsultPlan(name))
    people = {"patient": "patient-7", "practitioner": "doctor-3"}
    links = {role: await relay.consults.link(name, sub, role) for role, sub in people.items()}
    return web.json_response({role: f"/consult/#link={link}" for role, link in links.items()})


app = web.Application(middlewares=[refusals])
app.router.add_post("/appointments/{appointment}", plan)
app.add_subapp("/consult/", relay.app())
app.cleanup_ctx.append(relay.lifetime)
if __name__ == "__main__":
    web.run_app(app, host=relay.config.http.host, port=relay.config.http.port)
