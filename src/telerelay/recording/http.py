"""
Recordings over HTTP, on the admin listener: the host asks for one, stops it, has its files, erases them.

aiohttp handlers, event loop's thread. Nobody else has recordings from the relay. docs/recording.md.
"""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from telerelay.documents import tus
from telerelay.errors import RemoteProtocolError
from telerelay.protocol.grants import TokenKeys
from telerelay.recording.shelf import Kept
from telerelay.signaling.consults import Consults
from telerelay.signaling.http import bearer, error_response, json_text

JSON = "application/json"
# What is handed out at once: eight frames.
PIECE_BYTES = 524288


class HostRecordings:
    """The admin listener's part."""

    def __init__(self, consults: Consults, keys: TokenKeys) -> None:
        self._consults = consults
        self._recordings = consults.recordings
        self._keys = keys

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/consults/{consult}/recording", self._ask)
        app.router.add_delete("/consults/{consult}/recording", self._stop)
        app.router.add_get("/consults/{consult}/recordings", self._list)
        app.router.add_delete("/consults/{consult}/recordings", self._erase)
        app.router.add_get("/consults/{consult}/recordings/{file}", self._get)

    def _by(self, request: web.Request) -> str:
        return self._keys.verify_admin(bearer(request), time.time())

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        by = self._by(request)
        live = self._consults.running(request.match_info["consult"])
        return _json({"recording": await self._recordings.ask(live, by, is_host=True)})

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        by = self._by(request)
        await self._recordings.stop(self._consults.running(request.match_info["consult"]), by, is_host=True)
        return web.Response(status=204)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self._by(request)
        found = await self._recordings.found(request.match_info["consult"])
        return _json({"files": [_about(each) for each in found]})

    async def _erase(self, request: web.Request) -> web.StreamResponse:
        self._by(request)
        await self._recordings.erase(request.match_info["consult"])
        return web.Response(status=204)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        self._by(request)
        found = await self._recordings.found(request.match_info["consult"])
        kept = next((each for each in found if each.id == request.match_info["file"]), None)
        if kept is None:
            raise RemoteProtocolError("not_found", "there is no such recording")
        size_bytes = kept.size_bytes
        try:
            wanted = tus.range_of(request.headers.get("Range"), size_bytes)
        except RemoteProtocolError as error:
            said = {"Content-Range": f"bytes */{size_bytes}"}
            return error_response(error.code, str(error), error.status, said)
        start, end = wanted or (0, size_bytes)
        response = web.StreamResponse(
            status=200 if wanted is None else 206,
            headers={
                "Content-Type": str(kept.about.get("media_type", "application/octet-stream")),
                "Content-Length": str(end - start),
                "Content-Disposition": "attachment",
                "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
                "X-Content-Type-Options": "nosniff",
                "Accept-Ranges": "bytes",
                "Cache-Control": "no-store",
            },
        )
        if kept.is_whole:
            response.headers["Repr-Digest"] = tus.repr_digest(await self._recordings.digest(kept))
        if wanted is not None:
            response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size_bytes}"
        await response.prepare(request)
        try:
            while start < end:
                data = await self._recordings.read(kept, start, min(PIECE_BYTES, end - start))
                if not data:
                    raise RemoteProtocolError("storage_failed", "there is less than there was")
                await response.write(data)
                start += len(data)
        except RemoteProtocolError:
            if request.transport is not None:
                request.transport.abort()  # fewer bytes than were promised: nobody takes it for the whole
            return response
        await response.write_eof()
        return response


def _about(kept: Kept) -> dict[str, Any]:
    return {
        "file": kept.id,
        "recording": kept.recording,
        "sub": kept.sub,
        "begun_at": kept.begun_at,
        "size_bytes": kept.size_bytes,
        "whole": kept.is_whole,
        **kept.about,
    }


def _json(value: dict[str, Any]) -> web.Response:
    return web.Response(text=json_text(value), content_type=JSON, headers={"Cache-Control": "no-store"})
