"""
The two chains: each entry links to the one before it of its consult, and to the one before it of the file.

Pure. What is hashed is JSON of RFC 8785, so that anybody can follow a chain with a JSON library and SHA-256.
"""

import hashlib
from functools import lru_cache

from telerelay.errors import LocalProtocolError
from telerelay.journal import canonical

START = bytes(32)
"""What the first entry of a chain links to."""

LATEST_AT = 253_402_300_800.0
"""The year 10000 in Unix seconds; a time past it is a mistake, and below it a time is written without exponent."""


def entry_link(
    previous: bytes, *, consult: str, seq: int, at: float, kind: str, clear: str, sealed_hash: bytes
) -> bytes:
    """
    SHA-256 of `{"at":…,"clear":…,"consult":…,"kind":…,"prev":…,"sealed":…,"seq":…}`, hashes in lower-case hex.

    `clear` is canonical JSON already; `sealed_hash` is empty where nothing is sealed. Raises LocalProtocolError.
    """
    text = (
        f'{{"at":{number(at)},"clear":{clear},"consult":{_string(consult)},"kind":{_string(kind)}'
        f',"prev":"{previous.hex()}","sealed":"{sealed_hash.hex()}","seq":{seq}}}'
    )
    return hashlib.sha256(text.encode()).digest()


def file_link(previous: bytes, link: bytes) -> bytes:
    """The link of the file's chain over the entry with that link of its consult's."""
    return hashlib.sha256(previous + link).digest()


def number(at: float) -> str:
    """A time as RFC 8785 writes it (ECMAScript's Number::toString). Raises LocalProtocolError bad_fact."""
    if not 0.0 <= at < LATEST_AT:
        raise LocalProtocolError("bad_fact", "the time of a fact is not one in Unix seconds")
    if at < 1.0:
        return canonical.dumps(at).decode()
    # From 1 to 1e16 Python and ECMAScript write the same but for a fraction of zero.
    return repr(float(at)).removesuffix(".0")


@lru_cache(4096)
def _string(text: str) -> str:
    return canonical.dumps(text).decode()
