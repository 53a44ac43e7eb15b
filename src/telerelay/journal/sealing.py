"""
What is personal in an entry, sealed under a key of its consult that can be destroyed.

Pure but for randomness. AES-256-GCM (NIST SP 800-38D); the entry's place is authenticated with it, so that a sealed
part opens nowhere else.
"""

import hmac
import json
import os
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from telerelay.journal import canonical

KEY_BYTES = 32
NONCE_BYTES = 12
ERASED = bytes(KEY_BYTES)
"""What stands where a destroyed key was: of the same size, so that SQLite overwrites it where it is."""

OBJECT_KEYS = ("document_keys", "recording_keys")
"""Tables beside the journal's own, made by whoever needs them: the keys of what a consult keeps in files."""

PAD_BYTES = 64
"""Sealed parts have lengths in steps of this, so that a length does not tell one name from another."""


def new_key() -> bytes:
    return os.urandom(KEY_BYTES)


def derived(key: bytes, purpose: bytes) -> bytes:
    """Another key of the same life, for one purpose: the first block of HKDF-Expand (RFC 5869, 2.3)."""
    return hmac.digest(key, purpose + b"\x01", "sha256")


def seal(key: bytes, personal: Mapping[str, Any], *, consult: str, seq: int, kind: str) -> bytes:
    """Nonce, then ciphertext and tag; empty where nothing is personal."""
    if not personal:
        return b""
    # ASCII with escapes: whatever a person typed can be kept, half a surrogate pair included.
    text = json.dumps(personal, separators=(",", ":")).encode()
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, text + b" " * (-len(text) % PAD_BYTES), _place(consult, seq, kind))


def unseal(key: bytes, sealed: bytes, *, consult: str, seq: int, kind: str) -> dict[str, Any] | None:
    """What was sealed; None where the key is not the one it was sealed under, a destroyed one included."""
    if not sealed:
        return {}
    if key == ERASED:
        return None
    try:
        text = AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _place(consult, seq, kind))
        personal = json.loads(text)
    except (InvalidTag, ValueError):
        return None
    return personal if isinstance(personal, dict) else None


def _place(consult: str, seq: int, kind: str) -> bytes:
    return canonical.dumps([consult, seq, kind])
