"""
A practice whose consults end up in the shared health record: each attestation becomes a FHIR R4 bundle (bundle.py).

SHA-1 of a document, which FHIR's `attachment.hash` is, is made when the document is here: after the end nobody can.
Settings come from the environment, as docs/configuration.md has them. Bind it to loopback: whoever reaches it may open
a visit.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from telerelay import Config, ConsultPlan, Hooks, Relay, RemoteProtocolError, TokenKeys
from telerelay.attest import verify
from telerelay.config import load
from telerelay.hooks import DocumentEvent, StillEvent

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bundle import bundle

PIECE_BYTES = 1 << 20


class Practice(Hooks):
    """Hashes of what people handed each other, by SHA-256. A real site keeps them with the consult's record."""

    def __init__(self) -> None:
        self.sha1: dict[str, str] = {}
        self.relay: Relay

    async def on_document(self, event: DocumentEvent) -> None:
        await self._hash(event.room, event.document, event.sha256)

    async def on_still(self, event: StillEvent) -> None:
        if event.what == "taken":
            await self._hash(event.room, event.document, event.sha256)

    async def _hash(self, consult: str, document: str, sha256: str) -> None:
        documents, found, start = self.relay.consults.documents, hashlib.sha1(), 0
        try:
            access = documents.host_access(consult)
            item = await documents.fetch(access, document)
            while piece := await documents.read(access, item, start, PIECE_BYTES):
                found.update(piece)
                start += len(piece)
        except RemoteProtocolError:  # the consult was over first: it has no SHA-1
            return
        self.sha1[sha256] = found.hexdigest()


def make(
    config: Config, *, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> tuple[web.Application, Relay]:
    """The application and its relay."""
    practice = Practice()
    keys = TokenKeys.of(secrets.token_bytes(32))
    relay = practice.relay = Relay(config, hooks=practice, keys=keys, wall=wall, monotonic=monotonic)
    numbers = itertools.count(1)

    async def visit(request: web.Request) -> web.Response:
        """{"visit", "links": {"patient", "practitioner"}}"""
        name = f"visit-{next(numbers)}"
        await relay.consults.schedule(ConsultPlan(name))
        people = {"patient": "patient-7", "practitioner": "doctor-3"}
        links = {role: f"/consult/#link={await relay.consults.link(name, sub, role)}" for role, sub in people.items()}
        return web.json_response({"visit": name, "links": links})

    async def attested(request: web.Request) -> web.Response:
        document = await _document(request)
        return web.Response(body=document, content_type="application/json")

    async def record(request: web.Request) -> web.Response:
        """What is handed to the record, once the visit is over."""
        document = await _document(request)
        if not verify(document).is_good:
            raise web.HTTPBadGateway(text="the attestation does not verify")
        return web.json_response(bundle(document, practice.sha1), content_type="application/fhir+json")

    async def _document(request: web.Request) -> bytes:
        try:
            return await relay.consults.attestation(request.match_info["visit"])
        except RemoteProtocolError as error:
            raise web.HTTPNotFound(text=str(error)) from error

    app = web.Application()
    app.cleanup_ctx.append(relay.lifetime)
    app.router.add_post("/visits", visit)
    app.router.add_get("/visits/{visit}/attestation", attested)
    app.router.add_get("/visits/{visit}/bundle", record)
    app.add_subapp("/consult/", relay.app())
    return app, relay


if __name__ == "__main__":
    made, the_relay = make(load(None, os.environ))
    web.run_app(made, host=the_relay.config.http.host, port=the_relay.config.http.port)
