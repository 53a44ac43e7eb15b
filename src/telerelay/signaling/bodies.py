"""
Bodies of the host's requests as plain values, checked, and answers to them.

Event loop's thread; of aiohttp it touches the request that it reads.
"""

import math
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from telerelay.consult.plan import ConsultPlan, PlanError
from telerelay.errors import RemoteProtocolError
from telerelay.protocol import objects
from telerelay.signaling.http import json_text, read_text

JSON = "application/json"
MAX_WORD_CHARS = 256
"""Of an id, a role, a reason: more than any of them may have."""


async def read_object(request: web.Request, max_bytes: int) -> dict[str, Any]:
    """The members of a body of JSON of at most `max_bytes`. Raises RemoteProtocolError."""
    value = objects.load(await read_text(request, JSON, max_bytes))
    if not isinstance(value, dict):
        raise bad("the body must be an object")
    return value


def text(body: Mapping[str, Any], name: str, default: str | None = None, max_chars: int = MAX_WORD_CHARS) -> str:
    """A string, or its default. Raises RemoteProtocolError bad_message."""
    value = body.get(name, default)
    if not isinstance(value, str) or len(value) > max_chars:
        raise bad(f"{name} must be a string of at most {max_chars} characters")
    return value


def seconds(body: Mapping[str, Any], name: str, default: float | None = None) -> float:
    """A finite number, or its default. Raises RemoteProtocolError bad_message."""
    value = body.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise bad(f"{name} must be seconds")
    return float(value)


def plan(plain: object) -> ConsultPlan:
    """Raises RemoteProtocolError with the plan's own code."""
    try:
        return ConsultPlan.from_json(plain)
    except PlanError as error:
        raise RemoteProtocolError(error.code, str(error), status=400) from error


def bad(message: str) -> RemoteProtocolError:
    """What is said of a body that is not as it should be."""
    return RemoteProtocolError("bad_message", message)


def answer(value: Mapping[str, Any], status: int = 200) -> web.StreamResponse:
    """As JSON, for nobody's cache."""
    return web.Response(text=json_text(value), status=status, content_type=JSON, headers={"Cache-Control": "no-store"})
