"""
The headers of tus 1.0.0 (tus.io/protocols/resumable-upload), of ranges (RFC 9110, 14) and of digests (RFC 9530), read
and written.

Pure. No library for aiohttp has them that is kept up and lets the bytes be sealed; docs/documents.md says which parts
of the protocol there are.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

from telerelay.errors import RemoteProtocolError

VERSION = "1.0.0"
EXTENSIONS = "creation,checksum,expiration,termination"
ALGORITHMS = {"sha1": 20, "sha256": 32}
"""Of Upload-Checksum: length of a digest, bytes. SHA-1 is the protocol's own must; a whole document has SHA-256."""

CONTENT_TYPE = "application/offset+octet-stream"

_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)
_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a PATCH should hash to."""

    algorithm: str
    digest: bytes


def check_version(headers: Mapping[str, str]) -> None:
    """Raises RemoteProtocolError precondition_failed for another version of the protocol, or none."""
    if headers.get("Tus-Resumable") != VERSION:
        raise RemoteProtocolError("precondition_failed", f"send Tus-Resumable: {VERSION}")


def number(headers: Mapping[str, str], name: str) -> int:
    """A header that counts bytes. Raises RemoteProtocolError bad_message."""
    text = headers.get(name, "").strip()
    if _NUMBER.fullmatch(text) is None:
        raise RemoteProtocolError("bad_message", f"{name} must be a number of bytes")
    return int(text)


def checksum(headers: Mapping[str, str]) -> Checksum | None:
    """What Upload-Checksum says, if anything. Raises RemoteProtocolError bad_message."""
    text = headers.get("Upload-Checksum")
    if text is None:
        return None
    algorithm, _, encoded = text.strip().partition(" ")
    try:
        digest = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != ALGORITHMS.get(algorithm, -1):
        raise RemoteProtocolError("bad_message", "Upload-Checksum must be sha1 or sha256 and its digest in base64")
    return Checksum(algorithm, digest)


def range_of(text: str | None, size_bytes: int) -> tuple[int, int] | None:
    """
    The one range that is asked for, as (first byte, byte behind the last); None: all of it, as for several ranges,
    which a server may answer so. Raises RemoteProtocolError range_not_satisfiable.
    """
    found = _RANGE.fullmatch(text.strip()) if text is not None else None
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        start, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
        if last and int(last) < start:
            return None
    if start >= end:
        raise RemoteProtocolError("range_not_satisfiable", "there is nothing in that range")
    return start, end


def repr_digest(sha256: str) -> str:
    """A hash in hex as Repr-Digest has it."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"
