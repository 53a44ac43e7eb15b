"""
A general practitioner asks for a specialist near by; whoever accepts opens a consult, in which the GP hands over.

The request is the relay's (`Relay.consults.expertise`), and so is its consult. Who is near, who is told, and the mail
at the end are the site's. `on_end` is told again until the mail was taken; the page is told once, by the event's key.
SMTP is the mail server, "host:port"; FOLDER keeps stills until they are mailed.
"""

import asyncio
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from telerelay import Config, ConsultPlan, EndEvent, Hooks, Relay, RemoteProtocolError, TokenKeys, refusals
from telerelay.config import load
from telerelay.hooks import StillEvent

sys.path.insert(0, str(Path(__file__).resolve().parent))

from mail import message, send

SENDER = "medilien@clinic.example"
SPECIALISTS = (("expert-3", "skin", "lens"), ("expert-4", "skin", "lille"), ("expert-5", "heart", "lens"))
"""Who there is: an opaque id, what for, and where."""
ADDRESSES = {"gp-1": "gp-1@practice.example"}
PIECE_BYTES = 1 << 20


class Medilien(Hooks):
    """Requests, pages that are open, and what is to be mailed. Ids are opaque; names of patients are not needed."""

    def __init__(self, server: str, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._pages: dict[str, web.WebSocketResponse] = {}
        self._unsaid: dict[str, list[Any]] = {}
        self._told: set[str] = set()  # keys of events that a page was told of, or that were mailed
        self._patients: dict[str, str] = {}  # by request
        self._stills: dict[str, list[tuple[str, Path]]] = {}  # by consult
        self.relay: Relay

    # ---------------------------------------------------------------- requests

    async def ask(self, request: web.Request) -> web.Response:
        """The nearest first: of the same place, if there is one."""
        body = await request.json()
        found = [each for each in SPECIALISTS if each[1] == body["for"]]
        if not found:
            raise RemoteProtocolError("not_found", "there is no such specialist")
        expert = min(found, key=lambda each: each[2] != body["place"])[0]
        name = f"r-{secrets.token_hex(8)}"
        self._patients[name] = body["patient"]
        await self.relay.consults.expertise.request(name, body["by"], body["question"], queue=expert)
        await self._say(expert, {"asked": name})
        return web.json_response({"request": name, "expert": expert}, status=201)

    async def accept(self, request: web.Request) -> web.Response:
        """It becomes a consult, of which GP and specialist decide; the GP hands the patient's link on."""
        desk, name, by = self.relay.consults.expertise, request.match_info["request"], (await request.json())["by"]
        if desk.get(name).queue != by:
            raise RemoteProtocolError("forbidden", "another was asked")
        await desk.accept(name, by)
        plan = ConsultPlan(_consult(name), deciders=("requester", "expert"))
        status = await desk.go_live(name, by, plan)
        people = {"requester": status.by, "patient": self._patients[name], "expert": by}
        links = {role: await self._link(plan.consult, sub, role) for role, sub in people.items()}
        await self._say(
            status.by, {"accepted": name, "links": {role: links[role] for role in ("requester", "patient")}}
        )
        return web.json_response({"consult": plan.consult, "link": links["expert"]})

    async def again(self, request: web.Request) -> web.Response:
        """A GP who left may look in again."""
        status = self.relay.consults.expertise.get(request.match_info["request"])
        link = await self._link(_consult(status.request), status.by, "requester")
        return web.json_response({"link": link}, status=201)

    async def hand_over(self, request: web.Request) -> web.Response:
        """The GP may go once the specialist is there: nobody is left alone with it."""
        status = self.relay.consults.expertise.get(request.match_info["request"])
        if (await request.json())["by"] != status.by:
            raise RemoteProtocolError("forbidden", "whoever asked hands over")
        people = self.relay.consults.get(_consult(status.request)).people
        if not any(each.sub == status.expert and each.status == "inside" and not each.lost for each in people):
            raise RemoteProtocolError("conflict", "the specialist is not there")
        await self._say(status.expert, {"handed_over": status.request})
        return web.json_response({"to": status.expert})

    async def _link(self, consult: str, sub: str, role: str) -> str:
        return f"/consult/#link={await self.relay.consults.link(consult, sub, role)}"

    # ---------------------------------------------------------------- what comes of it

    async def on_still(self, event: StillEvent) -> None:
        """Kept until it is mailed: with the consult's end it is gone from the relay."""
        if event.what != "taken" or event.key in self._told:
            return
        documents, start = self.relay.consults.documents, 0
        path = self._folder / event.sha256
        try:
            access = documents.host_access(event.room)
            item = await documents.fetch(access, event.document)
            with path.open("wb") as file:
                while piece := await documents.read(access, item, start, PIECE_BYTES):
                    file.write(piece)
                    start += len(piece)
        except RemoteProtocolError:  # the consult was over first
            path.unlink(missing_ok=True)
            return
        self._told.add(event.key)
        self._stills.setdefault(event.room, []).append((event.media_type, path))

    async def on_end(self, event: EndEvent) -> None:
        """The page is told, the request is closed, the mail is sent; what raises has all of it told again."""
        request = event.room.removeprefix("live-")
        status, _, _ = await self.relay.consults.expertise.texts(request)
        if not status.is_over:
            await self.relay.consults.expertise.answer(request, status.expert, "")
        if f"page {event.key}" not in self._told:
            self._told.add(f"page {event.key}")
            await self._say(status.by, {"ended": request, "outcome": event.outcome})
        if event.key not in self._told:
            stills = [(kind, path.read_bytes()) for kind, path in self._stills.get(event.room, [])]
            made = message(event.key, SENDER, ADDRESSES[status.by], request, stills)
            await asyncio.to_thread(send, self._server, made)
            self._told.add(event.key)
            for _, path in self._stills.pop(event.room, []):
                path.unlink(missing_ok=True)

    # ---------------------------------------------------------------- pages

    async def page(self, request: web.Request) -> web.WebSocketResponse:
        """Somebody's; what was said while it was shut comes first."""
        name = request.match_info["sub"]
        socket = web.WebSocketResponse(heartbeat=30.0)
        await socket.prepare(request)
        self._pages[name] = socket
        for what in self._unsaid.pop(name, []):
            await self._say(name, what)
        try:
            async for _ in socket:
                pass
        finally:
            if self._pages.get(name) is socket:
                del self._pages[name]
        return socket

    async def _say(self, sub: str, what: Any) -> None:
        try:
            await self._pages[sub].send_json(what)
        except (KeyError, ConnectionError):
            self._unsaid.setdefault(sub, []).append(what)


def _consult(request: str) -> str:
    return f"live-{request}"


def make(
    config: Config, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> tuple[web.Application, Relay]:
    """The site, with the relay under /consult; its clocks are arguments, so that hours can be rehearsed."""
    folder = Path(os.environ.get("FOLDER") or tempfile.mkdtemp(prefix="medilien-"))
    site = Medilien(os.environ.get("SMTP", "127.0.0.1:25"), folder)
    keys = TokenKeys.of(secrets.token_bytes(32))
    site.relay = Relay(config, hooks=site, keys=keys, wall=wall, monotonic=monotonic)
    app = web.Application(middlewares=[refusals])
    app.router.add_post("/requests", site.ask)
    app.router.add_post("/requests/{request}/accept", site.accept)
    app.router.add_post("/requests/{request}/link", site.again)
    app.router.add_post("/requests/{request}/hand_over", site.hand_over)
    app.router.add_get("/pages/{sub}", site.page)
    app.add_subapp("/consult/", site.relay.app())
    app.cleanup_ctx.append(site.relay.lifetime)
    return app, site.relay


if __name__ == "__main__":
    site_app, relay = make(load(None, os.environ))
    web.run_app(site_app, host=relay.config.http.host, port=relay.config.http.port)
