"""
Files that hold a key: written whole or not at all, for half of one or an empty file would stand in the way, and read if
only their owner may read them. Nothing of what is in one is ever in an error's words.

Blocking.
"""

import base64
import binascii
import os
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


def write_new(path: Path, data: bytes, mode: int = 0o600) -> None:
    """A file that was not there. Raises ConfigError bad_file where it was, or cannot be written: then there is none."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as error:
        raise _unwritten(path, error) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _unwritten(path, error) from None


def _unwritten(path: Path, error: OSError) -> ConfigError:
    return ConfigError("bad_file", f"cannot write the key file {path}: {error.strerror}")


def decode_key(text: str, path: Path) -> bytes:
    """The bytes of a key in base64url, with its padding or without it. Raises ConfigError (bad_key)."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError("bad_key", f"the key file {path} holds no key") from None
