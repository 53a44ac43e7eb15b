"""
What all HTTP handlers share: errors as JSON, origins, bearer tokens, bodies with bounds.

No cookie is ever read or set, so a foreign page has nothing to ride on; it is refused by its Origin all the same.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from urllib.parse import urlsplit

from aiohttp import web

from telerelay.consult.plan import PlanError
from telerelay.errors import RemoteProtocolError, TelerelayError
from telerelay.logs import say

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BODY_DEADLINE_S = 5.0
_CORS_HEADERS = "Authorization, Content-Type, If-Match"
_CORS_EXPOSED = "Location, ETag, Link"
_PREFLIGHT_S = "600"

_HTTP_CODES = {
    400: "bad_message",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    415: "unsupported_media_type",
}


def error_response(code: str, message: str, status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """`{"error":{"code":…,"message":…}}`."""
    response = web.json_response({"error": {"code": code, "message": message}}, status=status, headers=headers)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="telerelay"'
    return response


# What nobody reads any more is answered with: nginx's number for it.
CLIENT_GONE = 499


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """
    For an application that embeds the relay and calls it in its own handlers: what the relay refuses leaves as the
    relay's own answers do, with code, words and status (docs/signaling.md, Errors), a plan that cannot be one as on the
    admin listener. All else is the application's.
    """
    try:
        return await handler(request)
    except RemoteProtocolError as error:
        return error_response(error.code, str(error), error.status)
    except PlanError as error:
        return error_response(error.code, str(error), 400)


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal leaves as JSON with a stable code; what we did not foresee is `internal`, its words kept here."""
    try:
        return await handler(request)
    except RemoteProtocolError as error:
        return error_response(error.code, str(error), error.status)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        code = _HTTP_CODES.get(error.status, "bad_message")
        kept = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return error_response(code, error.reason, error.status, kept)
    except ConnectionResetError:
        say(logging.DEBUG, "client_gone")
        return web.Response(status=CLIENT_GONE)
    except (TelerelayError, Exception) as error:
        say(logging.ERROR, "request_failed", error=type(error).__name__, exc_info=error)
        return error_response("internal", "the relay failed; the log has the cause", 500)


# ---------------------------------------------------------------------- origins


def is_allowed_origin(request: web.Request, allowed: Collection[str]) -> bool:
    """Whether the page behind a request may speak to us: same origin, listed, or no browser at all. `null` never."""
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    if origin in allowed:
        return origin != "null"
    parts = urlsplit(origin)
    # Behind a proxy that ends TLS the scheme differs; host and port are what names an origin here.
    return parts.scheme in ("http", "https") and parts.netloc.lower() == request.host.lower()


def require_origin(request: web.Request, allowed: Collection[str]) -> None:
    if not is_allowed_origin(request, allowed):
        raise RemoteProtocolError("forbidden", "this origin may not use the relay", status=403)


def cors(request: web.Request, response: web.StreamResponse, allowed: Collection[str], methods: str) -> None:
    """Let the page of a listed origin read this response."""
    response.headers["Vary"] = "Origin"
    origin = request.headers.get("Origin")
    if origin is None or not is_allowed_origin(request, allowed):
        return
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Allow-Methods"] = methods
    response.headers["Access-Control-Allow-Headers"] = _CORS_HEADERS
    response.headers["Access-Control-Expose-Headers"] = _CORS_EXPOSED
    response.headers["Access-Control-Max-Age"] = _PREFLIGHT_S


# ---------------------------------------------------------------------- what comes in


def bearer(request: web.Request) -> str:
    """The token of `Authorization: Bearer` (RFC 6750, 2.1). Raises RemoteProtocolError `unauthorized`."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise RemoteProtocolError("unauthorized", "a bearer token is needed", status=401)
    return token.strip()


def require_plain(request: web.Request) -> None:
    """
    A body is what it is on the line: what is packed may be a thousand times as much, and no length that is said of it
    is its own. Raises RemoteProtocolError unsupported_media_type (RFC 9110, 15.5.16).
    """
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise RemoteProtocolError("unsupported_media_type", "send the body without Content-Encoding", status=415)


async def read_text(request: web.Request, content_type: str, limit_bytes: int) -> str:
    """The body, in time and within its limit. Raises RemoteProtocolError."""
    if request.content_type != content_type:
        raise RemoteProtocolError("unsupported_media_type", f"send {content_type}", status=415)
    require_plain(request)
    too_large = RemoteProtocolError("too_large", f"more than {limit_bytes} bytes", status=413)
    if (request.content_length or 0) > limit_bytes:
        raise too_large
    body = bytearray()
    if request.content.is_eof():  # it came with the head
        body += request.content.read_nowait()
    else:
        try:
            async with asyncio.timeout(BODY_DEADLINE_S):
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > limit_bytes:
                        raise too_large
        except TimeoutError:
            raise RemoteProtocolError("timeout", "the body did not come in time", status=408) from None
    if len(body) > limit_bytes:
        raise too_large
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise RemoteProtocolError("bad_message", "the body is not UTF-8", status=400) from None


def json_text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
