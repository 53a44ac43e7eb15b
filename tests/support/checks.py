"""
STUN messages for a peer that lies: any attributes in any order, before and behind the integrity (RFC 8489).

Pure.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
import zlib
from collections.abc import Iterable

REQUEST, INDICATION, SUCCESS, ERROR = 0x0001, 0x0011, 0x0101, 0x0111
USERNAME, MESSAGE_INTEGRITY, PRIORITY, USE_CANDIDATE = 0x0006, 0x0008, 0x0024, 0x0025
FINGERPRINT, ICE_CONTROLLED, ICE_CONTROLLING = 0x8028, 0x8029, 0x802A
COOKIE = 0x2112A442

Attributes = Iterable[tuple[int, bytes]]


def _written(attributes: Attributes) -> bytes:
    return b"".join(struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4) for kind, value in attributes)


def message(
    kind: int, attributes: Attributes, pwd: str = "", *, behind: Attributes = (), has_fingerprint: bool = True
) -> bytes:
    """A message of that type; signed if there is a password, with more attributes `behind` the integrity."""
    transaction = os.urandom(12)
    body = _written(attributes)

    def head(size: int) -> bytes:
        return struct.pack("!HHI", kind, size, COOKIE) + transaction

    if pwd:
        mac = hmac.new(pwd.encode(), head(len(body) + 24) + body, hashlib.sha1).digest()
        body += _written([(MESSAGE_INTEGRITY, mac)])
    body += _written(behind)
    if has_fingerprint:
        crc = zlib.crc32(head(len(body) + 8) + body) ^ 0x5354554E
        body += _written([(FINGERPRINT, struct.pack("!I", crc))])
    return head(len(body)) + body
