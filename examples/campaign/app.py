"""
Films for who waits: the base film, and the focus film of one's topic from its date on; each stops when the wait ends.

The hook `waiting_content` says what is shown; the films are files that were encoded before, sent as they are and as
fast as they play. Who may watch what is a ticket in the film's address, made for one wait.
"""

import asyncio
import os
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from films import FILMS, LENGTH_S, encode, released

from telerelay import Config, ConsultPlan, Hooks, PersonEvent, Relay, RemoteProtocolError, TokenKeys, refusals
from telerelay.config import load
from telerelay.hooks import WaitingContent, WaitingItem, WaitingRequest

WORDS = ("campaign-",)
"""What the ids of its consults begin with: nobody else's at the same relay do."""

AHEAD_S = 3.0
"""How much more than was played is sent: a line may hesitate so long."""
PIECE_S = 0.5


@dataclass(slots=True)
class Wait:
    """One wait of somebody: which films it may see, and whether it is over."""

    room: str
    sub: str
    films: tuple[str, ...]
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Campaign(Hooks):
    """What is shown, to whom, and until when."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._begins_at = wall()
        self._waits: dict[str, Wait] = {}  # by ticket
        self._files: dict[str, bytes] = {}
        self.relay: Relay

    async def prepare(self, _app: web.Application) -> AsyncIterator[None]:
        """The films are encoded: once, and before anybody comes."""
        with tempfile.TemporaryDirectory() as folder:
            for film in FILMS:
                self._files[film.id] = (await asyncio.to_thread(encode, film, Path(folder))).read_bytes()
            yield

    # ---------------------------------------------------------------- who waits

    async def ask(self, request: web.Request) -> web.Response:
        """A patient comes for a topic: {patient, topic}; the consult and its link."""
        body = await request.json()
        name = f"campaign-{secrets.token_hex(8)}"
        await self.relay.consults.schedule(ConsultPlan(name, queue=str(body["topic"])))
        link = await self.relay.consults.link(name, str(body["patient"]), "patient")
        return web.json_response({"consult": name, "link": f"/consult/#link={link}"}, status=201)

    async def let_in(self, request: web.Request) -> web.Response:
        """The secretary lets a patient in: {patient}."""
        patient = str((await request.json())["patient"])
        await self.relay.consults.admit(request.match_info["consult"], patient, by="secretary")
        return web.json_response({})

    async def waiting_content(self, request: WaitingRequest) -> WaitingContent:
        """The films of today for this topic, under a ticket of this wait."""
        films = released(request.queue, self._wall() - self._begins_at)
        ticket = secrets.token_urlsafe(24)
        self._waits[ticket] = Wait(request.room, request.sub, tuple(film.id for film in films))
        return WaitingContent(
            tuple(WaitingItem(film.id, "video", f"/films/{ticket}/{film.id}", film.title) for film in films)
        )

    async def on_person(self, event: PersonEvent) -> None:
        """Let in, sent away or gone: the wait is over, and what plays ends."""
        if event.what not in ("admitted", "denied", "left"):
            return
        for ticket, wait in tuple(self._waits.items()):
            if (wait.room, wait.sub) == (event.room, event.sub):
                wait.over.set()
                del self._waits[ticket]

    # ---------------------------------------------------------------- what plays

    async def film(self, request: web.Request) -> web.StreamResponse:
        """The file as it is, from its beginning, as fast as it plays, for as long as one waits."""
        wait, name = self._waits.get(request.match_info["ticket"]), request.match_info["film"]
        if wait is None or name not in wait.films:
            raise RemoteProtocolError("not_found", "there is no such film, or nobody waits for it")
        data = self._files[name]
        response = web.StreamResponse(headers={"Content-Type": "video/webm", "Cache-Control": "no-store"})
        await response.prepare(request)
        piece = max(1, int(len(data) * PIECE_S / LENGTH_S))
        for number, offset in enumerate(range(0, len(data), piece)):
            if number * PIECE_S > AHEAD_S and await _is_set(wait.over, PIECE_S):
                break
            if wait.over.is_set():
                break
            try:
                await response.write(data[offset : offset + piece])
            except ConnectionError:  # the page was closed
                break
        return response


async def _is_set(event: asyncio.Event, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            return await event.wait()
    except TimeoutError:
        return False


def site(relay: Relay, campaign: Campaign) -> web.Application:
    """What is beside the relay; the relay is under /consult of the same site."""
    campaign.relay = relay
    app = web.Application(middlewares=[refusals])
    app.router.add_post("/patients", campaign.ask)
    app.router.add_post("/consults/{consult}/admit", campaign.let_in)
    app.router.add_get("/films/{ticket}/{film}", campaign.film)
    app.cleanup_ctx.append(campaign.prepare)
    return app


def make(
    config: Config, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> tuple[web.Application, Relay]:
    """The site, with the relay under /consult; its clocks are arguments, so that months can be rehearsed."""
    campaign = Campaign(wall)
    relay = Relay(config, hooks=campaign, keys=TokenKeys.of(secrets.token_bytes(32)), wall=wall, monotonic=monotonic)
    app = site(relay, campaign)
    app.add_subapp("/consult/", relay.app())
    app.cleanup_ctx.append(relay.lifetime)
    return app, relay


if __name__ == "__main__":
    made, its_relay = make(load(None, os.environ))
    web.run_app(made, host=its_relay.config.http.host, port=its_relay.config.http.port)
