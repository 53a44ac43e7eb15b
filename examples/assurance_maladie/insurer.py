"""
Teleconsultations that health insurance pays for, or does not: the insurer's rules in one hook, billing in another.

An aiohttp application with the relay mounted under /consult. Settings come from the environment (docs/configuration.md)
and FOLDER, where attestations and bills are written. Bind it to loopback: whoever reaches it may make appointments.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from pathlib import Path

from aiohttp import web
from rules import POLICIES, judge, read_register

from telerelay import AttestRequest, ConsultPlan, EndEvent, Hooks, PolicyResult, Relay, TokenKeys
from telerelay.config import load

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("FOLDER", "."))
REGISTER = read_register(HERE / "register.json")


class Insurer(Hooks):
    async def attest(self, request: AttestRequest) -> PolicyResult | None:
        """Asked once the consult has ended; the answer is signed with the rest."""
        policy = POLICIES.get(request.policy)
        return None if policy is None else judge(policy, REGISTER, request.attestation)

    async def on_end(self, event: EndEvent) -> None:
        """Told until it is taken: each consult is billed at least once, and the file's name makes it once."""
        if event.state == "ended":
            await bill(event.room)


relay = Relay(load(None, os.environ), hooks=Insurer(), keys=TokenKeys.of(secrets.token_bytes(32)))


async def bill(consult: str) -> None:
    file = FOLDER / f"{consult}.json"
    file.write_bytes(await relay.consults.attestation(consult))
    command = [sys.executable, HERE / "billing.py", relay.config.attest.key_file + ".pub", file]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    answer, _ = await process.communicate()
    file.with_suffix(".bill").write_bytes(answer)


async def appoint(request: web.Request) -> web.Response:
    """{policy, patient, doctor} of a new appointment for now; answers with a link for each."""
    name, body = request.match_info["appointment"], await request.json()
    policy = POLICIES[body["policy"]]
    await relay.consults.schedule(ConsultPlan(name, policy=policy.name, policy_date=policy.date))
    people = {"patient": body["patient"], "practitioner": body["doctor"]}
    return web.json_response({role: await relay.consults.link(name, sub, role) for role, sub in people.items()})


async def billed(request: web.Request) -> web.Response:
    """The bill, once there is one."""
    file = FOLDER / f"{request.match_info['appointment']}.bill"
    answer = file.read_text() if file.exists() else ""
    return web.json_response(json.loads(answer)) if answer else web.Response(status=404)


app = web.Application()
app.router.add_post("/appointments/{appointment}", appoint)
app.router.add_get("/appointments/{appointment}/bill", billed)
app.add_subapp("/consult/", relay.app())
app.cleanup_ctx.append(relay.lifetime)

if __name__ == "__main__":
    web.run_app(app, host=relay.config.http.host, port=relay.config.http.port, print=None)
