"""
What a client's message may hold: checks of one member each, and of an object with its members.

Pure. Whatever is wrong is RemoteProtocolError bad_message, which names the member and never holds its value.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from telerelay.errors import RemoteProtocolError
from telerelay.protocol import objects
from telerelay.protocol.names import is_room_name

MAX_MESSAGE_BYTES = 65536
MAX_ID = 2**31

Check = Callable[[object, str], Any]
_ABSENT = object()


def bad(message: str) -> NoReturn:
    raise RemoteProtocolError("bad_message", message)


def text(max_chars: int) -> Check:
    """A string without control characters, and without half surrogate pairs (no UTF-8 can carry those on)."""

    def check(value: object, where: str) -> str:
        if not isinstance(value, str) or not 1 <= len(value) <= max_chars:
            bad(f"{where} must be a string of 1 to {max_chars} characters")
        if any(char < " " or char == "\x7f" or "\ud800" <= char <= "\udfff" for char in value):
            bad(f"{where} holds characters that it may not hold")
        return value

    return check


def word(value: object, where: str) -> str:
    """An identifier of ours or of the client's: letters, digits and a few signs."""
    if not isinstance(value, str) or not 1 <= len(value) <= 64 or not value.isascii():
        bad(f"{where} must be a word of 1 to 64 characters")
    if not all(char.isalnum() or char in "-_.:+/" for char in value):
        bad(f"{where} must be a word of 1 to 64 characters")
    return value


def room(value: object, where: str) -> str:
    if not isinstance(value, str) or not is_room_name(value):
        bad(f"{where} must be 1 to 64 letters, digits, dots, dashes and underscores")
    return value


def any_text(value: object, where: str) -> str:
    """Any string: the SDP parser has its own bounds and its own code."""
    if not isinstance(value, str):
        bad(f"{where} must be a string")
    return value


def boolean(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        bad(f"{where} must be true or false")
    return value


def integer(low: int, high: int) -> Check:
    def check(value: object, where: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            bad(f"{where} must be an integer from {low} to {high}")
        return value

    return check


def number(low: float, high: float) -> Check:
    def check(value: object, where: str) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            bad(f"{where} must be a number from {low:g} to {high:g}")
        return float(value)

    return check


def one_of(*words: str) -> Check:
    def check(value: object, where: str) -> str:
        if not isinstance(value, str) or value not in words:
            bad(f"{where} must be one of {', '.join(words)}")
        return value

    return check


def ignored(value: object, where: str) -> None:
    if not (value is None or (isinstance(value, str) and len(value) <= 1024) or type(value) is int):
        bad(f"{where} must be a short string")


@dataclass(frozen=True, slots=True)
class Field:
    check: Check
    is_required: bool = True


def fields_of(value: object, schema: Mapping[str, Field], where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        bad(f"{where} must be an object")
    unknown = len(value.keys() - schema.keys())
    if unknown:
        bad(f"{where} has {unknown} member(s) that it may not have")
    fields: dict[str, Any] = {}
    for name, field in schema.items():
        found = value.get(name, _ABSENT)
        if found is not _ABSENT:
            fields[name] = field.check(found, f"{where}.{name}")
        elif field.is_required:
            bad(f"{where}.{name} is missing")
    return fields


_ID = {"id": Field(integer(1, MAX_ID), is_required=False)}

Requests = Mapping[str, tuple[Mapping[str, Field], Callable[[dict[str, Any]], Any]]]
"""By a message's type: its members beside `type` and `id`, and what is made of them."""


def decoded(requests: Requests, message: str, max_bytes: int = MAX_MESSAGE_BYTES) -> Any:
    """What one of these makes of a client's message. Raises RemoteProtocolError bad_message or too_large."""
    if len(message) > max_bytes or len(message.encode("utf-8", "surrogatepass")) > max_bytes:
        raise RemoteProtocolError("too_large", f"a message may have {max_bytes} bytes")
    value = objects.load(message)
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in requests:
        bad("the message must be an object of a known type")
    members, make = requests[kind]
    assert isinstance(value, dict)
    del value["type"]
    return make(fields_of(value, _ID | dict(members), kind))
