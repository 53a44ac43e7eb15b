"""
Documents over HTTP: tus 1.0.0 to send them, GET to have them, and the host's part on the admin listener.

aiohttp handlers, event loop's thread. Nothing about a person is in a path; what somebody sent is handed out as a file
to be kept, never as a page of ours. docs/documents.md lists requests and errors.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from email.utils import formatdate
from typing import Any

from aiohttp import web

from telerelay.documents import Access, Documents, Item, tus
from telerelay.documents.declared import declared
from telerelay.documents.documents import infos
from telerelay.documents.pace import received, spread
from telerelay.errors import RemoteProtocolError
from telerelay.protocol import objects
from telerelay.protocol.grants import Grant, TokenKeys
from telerelay.protocol.messages import document_objects
from telerelay.signaling.http import (
    Handler,
    bearer,
    errors,
    is_allowed_origin,
    json_text,
    read_text,
    require_origin,
    require_plain,
)
from telerelay.signaling.limits import Bucket
from telerelay.signaling.live import LiveRooms

JSON = "application/json"
# What is handed out at once: eight frames.
PIECE_BYTES = 524288
# Raster pictures, papers and sheets of numbers: what a browser runs nothing of. All else is bytes without a type.
SAFE_TYPES = frozenset(
    {
        *("image/jpeg", "image/png", "image/webp", "image/avif", "image/heic", "image/tiff"),
        *("application/pdf", "application/dicom", "application/json", "text/plain", "text/csv"),
        *("audio/wav", "audio/ogg", "audio/mpeg", "video/mp4", "video/webm"),
    }
)
RESUME = "Telerelay-Resume"
"""Header with a seat's resume secret, beside a token that has expired since."""

MAX_RATED = 4096
_METHODS = "GET, HEAD, POST, PATCH, DELETE, OPTIONS"
_CORS_HEADERS = (
    f"Authorization, Content-Type, Range, {RESUME}, Tus-Resumable, Upload-Length, Upload-Offset, Upload-Metadata,"
    " Upload-Checksum, X-HTTP-Method-Override, X-Requested-With"
)
_CORS_EXPOSED = (
    "Location, ETag, Repr-Digest, Content-Range, Accept-Ranges, Tus-Resumable, Tus-Version, Tus-Extension,"
    " Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Offset, Upload-Length, Upload-Metadata, Upload-Expires"
)
_ONE = "document"


class DocumentHandlers:
    """The main listener's part."""

    def __init__(self, documents: Documents, rooms: LiveRooms) -> None:
        self._documents = documents
        self._rooms = rooms
        self._origins = rooms.config.http.allowed_origins
        self._rates: dict[tuple[str, str], Bucket] = {}

    def add_to(self, app: web.Application) -> None:
        """Routes relative to wherever the application is mounted."""
        table: tuple[tuple[str, str | None, Mapping[str, Handler]], ...] = (
            ("/documents", None, {"GET": self._list, "POST": self._create}),
            (
                "/documents/{document}",
                _ONE,
                {
                    "GET": self._get,
                    "HEAD": self._head,
                    "PATCH": self._patch,
                    "DELETE": self._delete,
                    "POST": self._post,
                },
            ),
        )
        for path, name, handlers in table:
            resource = app.router.add_resource(path, name=name)
            for method, handler in handlers.items():
                resource.add_route(method, self._guarded(handler))
            resource.add_route("OPTIONS", self._guarded(self._options))

    # ---------------------------------------------------------------- who asks

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            require_origin(request, self._origins)
            response = await errors(request, handler)
            if not response.prepared:
                self._add_headers(request, response)
            return response

        return guarded

    def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Tus-Resumable"] = tus.VERSION
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["X-Content-Type-Options"] = "nosniff"
        if response.status == 412:
            response.headers["Tus-Version"] = tus.VERSION
        response.headers["Vary"] = "Origin"
        origin = request.headers.get("Origin")
        if origin is not None and is_allowed_origin(request, self._origins):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Methods"] = _METHODS
            response.headers["Access-Control-Allow-Headers"] = _CORS_HEADERS
            response.headers["Access-Control-Expose-Headers"] = _CORS_EXPOSED
            response.headers["Access-Control-Max-Age"] = "600"

    async def _access(self, request: web.Request) -> Access:
        """Token first: a stranger learns nothing, and is not read from."""
        grant = self._grant(request)
        key = (grant.room, grant.sub)
        if key not in self._rates:
            if len(self._rates) >= MAX_RATED:
                self._rates.pop(next(iter(self._rates)))
            limits = self._rooms.config.limits
            self._rates[key] = Bucket(limits.message_burst, limits.messages_per_s, time.monotonic())
        if not self._rates[key].take(time.monotonic()):
            raise RemoteProtocolError("too_many_requests", "too many requests for documents")
        await self._check_consult(grant)
        return self._documents.access(grant)

    def _grant(self, request: web.Request) -> Grant:
        """Of who is in the call, a token that has expired since is good enough, with the seat's secret."""
        token, source, resume = bearer(request), request.remote or "", request.headers.get(RESUME)
        try:
            return self._rooms.grant_of(token, source)
        except RemoteProtocolError as error:
            if error.code != "token_expired" or resume is None:
                raise
        room = self._rooms.keys.verify(token, time.time(), may_be_expired=True).room
        return self._rooms.grant_to_join(token, source, room, resume)

    async def _check_consult(self, grant: Grant) -> None:
        consults = self._rooms.consults
        if consults is not None:
            await consults.check_past(grant.room)

    # ---------------------------------------------------------------- tus

    async def _options(self, request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=204,
            headers={
                "Tus-Version": tus.VERSION,
                "Tus-Extension": tus.EXTENSIONS,
                "Tus-Max-Size": str(self._documents.limits.max_bytes),
                "Tus-Checksum-Algorithm": ",".join(tus.ALGORITHMS),
                "Allow": _METHODS,
            },
        )

    async def _create(self, request: web.Request) -> web.StreamResponse:
        access = await self._access(request)
        tus.check_version(request.headers)
        if "Upload-Defer-Length" in request.headers:
            raise RemoteProtocolError("bad_message", "the length must be known: send Upload-Length")
        size_bytes = tus.number(request.headers, "Upload-Length")
        if request.body_exists:
            raise RemoteProtocolError("bad_message", "what is in it comes by PATCH")
        item = await self._documents.create(access, declared(size_bytes, request.headers.get("Upload-Metadata", "")))
        app = request.match_info.apps[-1]
        response = web.Response(status=201, headers=self._of(item))
        response.headers["Location"] = str(app.router[_ONE].url_for(document=item.id))
        return response

    async def _head(self, request: web.Request) -> web.StreamResponse:
        access = await self._access(request)
        tus.check_version(request.headers)
        item = await self._documents.upload(access, request.match_info["document"])
        response = web.Response(status=200, headers=self._of(item))
        response.headers["Upload-Length"] = str(item.declared.size_bytes)
        if item.declared.metadata:
            response.headers["Upload-Metadata"] = item.declared.metadata
        return response

    async def _patch(self, request: web.Request) -> web.StreamResponse:
        access = await self._access(request)
        tus.check_version(request.headers)
        if request.content_type != tus.CONTENT_TYPE:
            raise RemoteProtocolError("unsupported_media_type", f"send {tus.CONTENT_TYPE}")
        require_plain(request)
        item = await self._documents.append(
            access,
            request.match_info["document"],
            tus.number(request.headers, "Upload-Offset"),
            request.content_length,
            self._body(request, access, request.match_info["document"]),
            tus.checksum(request.headers),
        )
        return web.Response(status=204, headers=self._of(item))

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        access = await self._access(request)
        tus.check_version(request.headers)
        await self._documents.remove(access, request.match_info["document"])
        return web.Response(status=204)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        """For what stands between that knows neither PATCH nor DELETE (tus, X-HTTP-Method-Override)."""
        match request.headers.get("X-HTTP-Method-Override", "").upper():
            case "PATCH":
                return await self._patch(request)
            case "DELETE":
                return await self._delete(request)
            case "HEAD":
                return await self._head(request)
            case _:
                raise web.HTTPMethodNotAllowed("POST", ["GET", "HEAD", "PATCH", "DELETE", "OPTIONS"])

    def _of(self, item: Item) -> dict[str, str]:
        headers = {"Upload-Offset": str(item.offset)}
        if not item.is_complete:
            headers["Upload-Expires"] = formatdate(self._documents.expires_at(item), usegmt=True)
        return headers

    def _body(self, request: web.Request, access: Access, document: str) -> AsyncIterator[bytes]:
        """What comes, as fast as the call that goes on beside it allows."""
        bps = self._documents.pace_bps(access, document)
        return received(request, bps) if bps else request.content.iter_any()

    # ---------------------------------------------------------------- having

    async def _list(self, request: web.Request) -> web.StreamResponse:
        access = await self._access(request)
        return await listed(self._documents, access)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        access = await self._access(request)
        item = await self._documents.fetch(access, request.match_info["document"])
        async with spread(request, self._documents.pace_bps(access, item.id)):
            return await handed_out(
                self._documents, access, item, request, lambda response: self._add_headers(request, response)
            )


async def listed(documents: Documents, access: Access) -> web.Response:
    """All that this person may have."""
    found = document_objects(infos(await documents.items(access)))
    text = json_text({"documents": found})
    return web.Response(text=text, content_type=JSON, headers={"Cache-Control": "no-store"})


async def handed_out(
    documents: Documents,
    access: Access,
    item: Item,
    request: web.Request,
    finish: Callable[[web.StreamResponse], None],
) -> web.StreamResponse:
    """A document, or the range of it that is asked for. Cut off where the consult ends meanwhile."""
    size_bytes, etag = item.declared.size_bytes, f'"{item.declared.sha256}"'
    is_same = request.headers.get("If-Range", etag) == etag
    try:
        wanted = tus.range_of(request.headers.get("Range"), size_bytes) if is_same else None
    except RemoteProtocolError as error:
        response: web.StreamResponse = web.json_response(
            {"error": {"code": error.code, "message": str(error)}}, status=error.status
        )
        response.headers["Content-Range"] = f"bytes */{size_bytes}"
        return response
    start, end = wanted or (0, size_bytes)
    media_type = item.declared.media_type
    response = web.StreamResponse(
        status=200 if wanted is None else 206,
        headers={
            "Content-Type": media_type if media_type in SAFE_TYPES else "application/octet-stream",
            "Content-Length": str(end - start),
            "Content-Disposition": "attachment",
            "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
            "Cross-Origin-Resource-Policy": "same-site",
            "Accept-Ranges": "bytes",
            "Repr-Digest": tus.repr_digest(item.declared.sha256),
            "ETag": etag,
            "Cache-Control": "no-store",
        },
    )
    if wanted is not None:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size_bytes}"
    finish(response)
    data = await documents.read(access, item, start, min(PIECE_BYTES, end - start))  # before it is promised
    await response.prepare(request)
    try:
        while data:
            await response.write(data)
            start += len(data)
            data = await documents.read(access, item, start, min(PIECE_BYTES, end - start)) if start < end else b""
    except RemoteProtocolError:
        if request.transport is not None:
            request.transport.abort()  # fewer bytes than were promised: nobody takes it for the whole
        return response
    await response.write_eof()
    return response


class HostDocuments:
    """The admin listener's part."""

    def __init__(self, documents: Documents, keys: TokenKeys) -> None:
        self._documents = documents
        self._keys = keys

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/consults/{consult}/documents", self._list)
        app.router.add_get("/consults/{consult}/documents/{document}", self._get)
        app.router.add_post("/consults/{consult}/stills", self._ask)

    def _by(self, request: web.Request) -> str:
        return self._keys.verify_admin(bearer(request), time.time())

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self._by(request)
        return await listed(self._documents, self._documents.host_access(request.match_info["consult"]))

    async def _get(self, request: web.Request) -> web.StreamResponse:
        self._by(request)
        access = self._documents.host_access(request.match_info["consult"])
        item = await self._documents.fetch(access, request.match_info["document"])
        return await handed_out(self._documents, access, item, request, _nosniff)

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        by = self._by(request)
        access = self._documents.host_access(request.match_info["consult"])
        body = objects.load(await read_text(request, JSON, 8192))
        if not isinstance(body, dict) or not {"sub"} <= body.keys() <= {"sub", "label", "reason"}:
            raise RemoteProtocolError("bad_message", "the body has sub, and may have label and reason")
        words = {name: _short(body.get(name, "")) for name in ("sub", "label", "reason")}
        made = await self._documents.stills.request(access.live, by, **words, is_host=True)
        return web.Response(text=json_text({"request": made}), content_type=JSON, headers={"Cache-Control": "no-store"})


def _nosniff(response: web.StreamResponse) -> None:
    response.headers["X-Content-Type-Options"] = "nosniff"


def _short(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 256 or not value.isprintable():
        raise RemoteProtocolError("bad_message", "sub, label and reason are short strings")
    return value
