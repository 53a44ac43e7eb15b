"""
Expertise at a distance: a doctor asks with a picture, a specialist answers within 24 hours, or both go live.

Requests, their times and their texts are the relay's (`Relay.consults.expertise`). The site has the pictures, each
under its hash, and the messages that people are sent: one for each key, however often it is told. Who is logged in is
your site's affair: here the body of a request says who asks, by opaque ids. FOLDER is where it keeps what is its own.
"""

import hashlib
import os
import re
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from telerelay import Config, ConsultPlan, Hooks, Relay, RemoteProtocolError, TokenKeys, refusals
from telerelay.config import load
from telerelay.hooks import ExpertiseEvent

MAX_PICTURE_BYTES = 20_000_000


class Site(Hooks):
    """Pictures and messages, beside the relay's requests."""

    def __init__(self, folder: Path) -> None:
        self._pictures = folder / "pictures"
        self._pictures.mkdir(mode=0o700, exist_ok=True)
        self._messages = sqlite3.connect(folder / "messages.db", isolation_level=None)
        self._messages.execute(
            "CREATE TABLE IF NOT EXISTS messages (key TEXT PRIMARY KEY, request TEXT, what TEXT, at REAL, due_at REAL)"
        )
        self.relay: Relay

    # ---------------------------------------------------------------- pictures

    async def put_picture(self, request: web.Request) -> web.Response:
        """Under its hash, until what it was for is over."""
        data = await request.read()
        name = hashlib.sha256(data).hexdigest()
        (self._pictures / name).write_bytes(data)
        return web.json_response({"sha256": name}, status=201)

    async def picture(self, request: web.Request) -> web.FileResponse:
        name = request.match_info["sha256"]
        if re.fullmatch("[0-9a-f]{64}", name) is None or not (self._pictures / name).is_file():
            raise RemoteProtocolError("not_found", "there is no such picture")
        return web.FileResponse(self._pictures / name, headers={"Cache-Control": "no-store"})

    # ---------------------------------------------------------------- requests

    async def ask(self, request: web.Request) -> web.Response:
        body = await request.json()
        name = f"e-{secrets.token_hex(8)}"
        images = tuple(body.get("images", ()))
        made = await self.relay.consults.expertise.request(
            name, body["by"], body["question"], queue=body["queue"], images=images
        )
        return web.json_response(made.to_json(), status=201)

    async def waiting(self, request: web.Request) -> web.Response:
        """A specialist's page: the one first that is due first."""
        found = self.relay.consults.expertise.statuses(request.query.get("queue"))
        return web.json_response([each.to_json() for each in found])

    async def show(self, request: web.Request) -> web.Response:
        status, question, answer = await self.relay.consults.expertise.texts(request.match_info["request"])
        return web.json_response({**status.to_json(), "question": question, "answer": answer})

    async def accept(self, request: web.Request) -> web.Response:
        by = (await request.json())["by"]
        status = await self.relay.consults.expertise.accept(request.match_info["request"], by)
        return web.json_response(status.to_json())

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        status = await self.relay.consults.expertise.answer(request.match_info["request"], body["by"], body["answer"])
        for image in status.images:  # they were asked about, and that is over
            if not any(image in each.images for each in self.relay.consults.expertise.statuses()):
                (self._pictures / image).unlink(missing_ok=True)
        return web.json_response(status.to_json())

    async def live(self, request: web.Request) -> web.Response:
        """A consult for the two, at once: a link for each."""
        desk, name = self.relay.consults.expertise, request.match_info["request"]
        plan = ConsultPlan(f"live-{name}", deciders=("expert",))
        status = await desk.go_live(name, (await request.json())["by"], plan)
        people = {"requester": status.by, "expert": status.expert}
        links = {role: await self.relay.consults.link(plan.consult, sub, role) for role, sub in people.items()}
        shown = {role: f"/consult/#link={link}" for role, link in links.items()}
        return web.json_response({"consult": plan.consult, "links": shown}, status=201)

    async def attestation(self, request: web.Request) -> web.Response:
        document = await self.relay.consults.attestation(request.match_info["consult"])
        return web.Response(body=document, content_type="application/json")

    # ---------------------------------------------------------------- messages

    async def on_expertise(self, event: ExpertiseEvent) -> None:
        """Told at least once; a message for each key is sent once. A real site mails it."""
        self._messages.execute(
            "INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?)",
            (event.key, event.request, event.what, event.at, event.due_at),
        )

    async def messages(self, request: web.Request) -> web.Response:
        """Of one request, in order."""
        rows = self._messages.execute(
            "SELECT key, what, at, due_at FROM messages WHERE request = ? ORDER BY rowid",
            (request.match_info["request"],),
        )
        return web.json_response([dict(zip(("key", "what", "at", "due_at"), row, strict=True)) for row in rows])


def make(
    config: Config, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> tuple[web.Application, Relay]:
    """The site, with the relay under /consult; its clocks are arguments, so that days can be rehearsed."""
    site = Site(Path(os.environ.get("FOLDER") or tempfile.mkdtemp(prefix="expertise-")))
    keys = TokenKeys.of(secrets.token_bytes(32))
    site.relay = Relay(config, hooks=site, keys=keys, wall=wall, monotonic=monotonic)
    app = web.Application(middlewares=[refusals], client_max_size=MAX_PICTURE_BYTES)
    app.router.add_post("/pictures", site.put_picture)
    app.router.add_get("/pictures/{sha256}", site.picture)
    app.router.add_post("/requests", site.ask)
    app.router.add_get("/requests", site.waiting)
    app.router.add_get("/requests/{request}", site.show)
    app.router.add_get("/requests/{request}/messages", site.messages)
    app.router.add_post("/requests/{request}/accept", site.accept)
    app.router.add_post("/requests/{request}/answer", site.answer)
    app.router.add_post("/requests/{request}/live", site.live)
    app.router.add_get("/consults/{consult}/attestation", site.attestation)
    app.add_subapp("/consult/", site.relay.app())
    app.cleanup_ctx.append(site.relay.lifetime)
    return app, site.relay


if __name__ == "__main__":
    site_app, relay = make(load(None, os.environ))
    web.run_app(site_app, host=relay.config.http.host, port=relay.config.http.port)
