"""
JSON as RFC 8785 wants it: the same bytes for the same value, so that they can be hashed and signed.

Pure. The bytes are made by the `rfc8785` package; this puts our errors in place of its own, and reads strictly.
"""

import json
from typing import Any, NoReturn

import rfc8785

from telerelay.errors import LocalProtocolError


def dumps(value: Any) -> bytes:
    """
    The canonical form of a value of dicts with string keys, lists, strings, numbers, booleans and None.

    Raises LocalProtocolError bad_json for anything else: NaN, integers that a double does not hold, lone surrogates.
    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, TypeError, RecursionError):
        raise LocalProtocolError("bad_json", "the value has no canonical JSON form (RFC 8785)") from None


def loads(data: bytes | str) -> Any:
    """
    The value, refusing what two readers could read differently: a key twice, NaN. Raises ValueError.
    """
    try:
        return json.loads(data, object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key is there twice")
    return result


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")
