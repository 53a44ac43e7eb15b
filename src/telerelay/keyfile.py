"""
Files that hold a key: read if only their owner may read them. Nothing of what is in one is ever in an error's words.
"""

import base64
import binascii
from pathlib import Path

from telerelay.errors import ConfigError


def read_bytes(path: Path) -> bytes:
    """What the file holds, whoever may read it. Raises ConfigError (bad_file)."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError("bad_file", f"cannot read the key file {path}: {error.strerror}") from None


def read_secret(path: Path) -> bytes:
    """What the file of mode 0600 holds. Raises ConfigError (bad_file; bad_key: it is open to others)."""
    secret = read_bytes(path)
    if path.stat().st_mode & 0o077:
        raise ConfigError("bad_key", f"the key file {path} is open to others: it must have mode 0600")
    return secret


def read_secret_text(path: Path) -> str:
    """The same as ASCII. Raises ConfigError (bad_key: it is something else)."""
    secret = read_secret(path)
    if not secret.isascii():
        raise ConfigError("bad_key", f"the key file {path} holds no key")
    return secret.decode("ascii")


def decode_key(text: str, path: Path) -> bytes:
    """The bytes of a key in base64url, with its padding or without it. Raises ConfigError (bad_key)."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError("bad_key", f"the key file {path} holds no key") from None
