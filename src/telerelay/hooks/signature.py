"""
How a webhook's receiver knows that it was us, and when: HMAC-SHA256 over time and body (RFC 2104).

Pure but for reading the key file. `Telerelay-Signature: t=1735689600,v1=5f2c…` holds one `v1` for each key: while a key
is being replaced there are two. What is signed is `t` in digits, a dot, and the body's bytes.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from pathlib import Path

from telerelay.errors import ConfigError
from telerelay.keyfile import decode_key, read_secret_text

HEADER = "Telerelay-Signature"
# As of the tokens' keys: the length of the hash's output (RFC 2104, 3).
MIN_KEY_BYTES = 32
# The new one and the one before.
MAX_KEYS = 2
# How far clocks may differ, and how old a request may be that somebody recorded and sends again.
TOLERANCE_S = 300

_HEADER = re.compile(r"t=([0-9]{1,12})((?:,v1=[0-9a-f]{64}){1,8})", re.ASCII)


def sign(keys: Sequence[bytes], body: bytes, now: float) -> str:
    """The header's value for that body at `now` (Unix seconds)."""
    at = int(now)
    return ",".join([f"t={at}", *(f"v1={_digest(key, at, body)}" for key in keys)])


def verify(key: bytes, header: str, body: bytes, now: float, tolerance_s: float = TOLERANCE_S) -> bool:
    """
    Whether that header was made with `key` for exactly these bytes, at most `tolerance_s` from `now` (Unix seconds).
    """
    found = _HEADER.fullmatch(header)
    if found is None or abs(now - int(found[1])) > tolerance_s:
        return False
    right = _digest(key, int(found[1]), body)
    # All are compared, and each in constant time: how long it takes tells nothing.
    return any([hmac.compare_digest(right, given) for given in found[2].replace("v1=", "").split(",")[1:]])


def load_keys(path: Path) -> tuple[bytes, ...]:
    """
    The keys of a file, one a line in base64url, of mode 0600; `telerelay token --new-key` makes one.

    Raises ConfigError: not readable, readable by others, too short, too many, or no keys.
    """
    lines = read_secret_text(path).split()
    if not 1 <= len(lines) <= MAX_KEYS:
        raise ConfigError("bad_key", f"the key file {path} must hold one key, or two while one replaces the other")
    return tuple(_key(line, path) for line in lines)


def _key(line: str, path: Path) -> bytes:
    key = decode_key(line, path)
    if len(key) < MIN_KEY_BYTES:
        raise ConfigError("weak_key", f"a webhook's key must have at least {MIN_KEY_BYTES} bytes")
    return key


def _digest(key: bytes, at: int, body: bytes) -> str:
    return hmac.new(key, b"%d." % at + body, hashlib.sha256).hexdigest()
