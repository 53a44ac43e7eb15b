"""
JSON objects that others send: read strictly, so that what is not understood is refused and never guessed.

Pure. A member that occurs twice, NaN, or nesting beyond what Python reads is no JSON here (RFC 8259, 4; RFC 7493).
"""

import json
from typing import Any, NoReturn

from telerelay.errors import RemoteProtocolError


def load(text: str) -> object:
    """The value. Raises RemoteProtocolError bad_message."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        _bad("the message is nested too deeply")
    except ValueError:
        _bad("the message is not JSON")


def _bad(message: str) -> NoReturn:
    raise RemoteProtocolError("bad_message", message)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        _bad("a member occurs twice in one object")
    return members


def _no_constant(name: str) -> NoReturn:
    _bad("the message holds a number that JSON does not have")
