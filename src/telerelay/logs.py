"""
What may be logged, and how a line looks: `event=… key=value …`.

Any thread. Fields are a fixed list of ids and codes the relay itself made: no names, no addresses, no tokens, nothing
that a client sent but what is listed here, escaped and cut. So a log can be kept where health data may not.
"""

import json
import logging
import re
from typing import TypedDict, Unpack

MAX_FIELD_CHARS = 256

logger = logging.getLogger("telerelay")

_PLAIN = re.compile(r"[A-Za-z0-9_.:/+-]+")


class Fields(TypedDict, total=False):
    """Every key a line may have. `room` is the relay's number of it, `participant` its random id."""

    code: str
    count: int
    duration_ms: float
    error: str
    file: str
    hook: str
    http: str
    libraries: str
    kind: str
    link: str
    path_kind: str
    pid: int
    reason: str
    room: int
    participant: str
    publication: str
    resource: str
    state: str
    status: int
    task: str
    transport: int
    udp: str
    version: str
    worker: int


def escape(value: object) -> str:
    """One value, at most 256 characters, without anything that could end the line or start another."""
    text = _cut(str(value))
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def members(event: str, fields: Fields) -> dict[str, object]:
    """The same event as the members of an object: numbers as they are, all else cut text."""
    known = Fields.__annotations__
    values = {key: value for key, value in fields.items() if key in known}
    return {"event": event} | {
        key: value if isinstance(value, int | float) else _cut(str(value)) for key, value in values.items()
    }


def line(event: str, fields: Fields) -> str:
    """`event=join room=3`; a key that is not listed is left out."""
    known = Fields.__annotations__
    return " ".join([f"event={event}", *(f"{key}={escape(value)}" for key, value in fields.items() if key in known)])


def say(level: int, event: str, *, exc_info: BaseException | None = None, **fields: Unpack[Fields]) -> None:
    """
    Log one event. `exc_info` adds the stack, without the exception's own words: those may hold what a client sent.
    """
    if logger.isEnabledFor(level):
        extra = {"members": members(event, fields)}
        logger.log(level, line(event, fields), exc_info=_wordless(exc_info), extra=extra)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_FIELD_CHARS else text[:MAX_FIELD_CHARS] + "…"


def _wordless(error: BaseException | None) -> BaseException | None:
    return None if error is None else _Stack().with_traceback(error.__traceback__)


class _Stack(Exception):
    """Stands for an exception whose words stay out of the log."""
