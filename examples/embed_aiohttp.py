"""
An aiohttp application of your own, with consults in it: the relay is mounted under /consult.

Your application decides who meets whom: it hands out a link with a token, here to whoever asks. Open the link of
`curl -X POST http://127.0.0.1:8080/appointments/42/patient-7`; for a second person change the last word.
"""

import os
import secrets

from aiohttp import web

from telerelay import Relay, TokenKeys
from telerelay.config import load

# Ports come from the environment: TELERELAY_HTTP_PORT, TELERELAY_UDP_BINDS. Keep the key where your other secrets are.
relay = Relay(load(None, os.environ), keys=TokenKeys.of(secrets.token_bytes(32)))


async def invite(request: web.Request) -> web.Response:
    room, person = request.match_info["appointment"], request.match_info["person"]
    token = relay.token(room=room, sub=person, role="patient")
    return web.json_response({"link": f"/consult/?room={room}#token={token}"})


app = web.Application()
app.router.add_post("/appointments/{appointment}/{person}", invite)
app.add_subapp("/consult/", relay.app())
app.cleanup_ctx.append(relay.lifetime)

if __name__ == "__main__":
    web.run_app(app, host=relay.config.http.host, port=relay.config.http.port)
