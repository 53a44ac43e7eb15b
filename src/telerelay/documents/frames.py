"""
A document as it lies on the disk: frames of 64 KiB, each sealed by itself, so that any part of it can be read, and an
upload goes on, without the rest.

Pure but for randomness. AES-256-GCM (NIST SP 800-38D) under the consult's key, with a random nonce for each frame: of a
consult's 2^40 bytes at the most there are 2^24 frames, far from where random nonces wear a key out (2^32). A frame's
place is authenticated with it: it opens nowhere else, and none can be left out, doubled or moved.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from telerelay.journal import canonical
from telerelay.journal.sealing import NONCE_BYTES

FRAME_BYTES = 65536
TAG_BYTES = 16
OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES
SLOT_BYTES = FRAME_BYTES + OVERHEAD_BYTES
"""What a full frame takes."""


class Unreadable(Exception):
    """It was not sealed under this key for this place, or is damaged."""


class Sealer:
    """Seals and opens what belongs to one document of one consult."""

    def __init__(self, key: bytes, consult: str, document: str) -> None:
        self._cipher = AESGCM(key)
        self._consult = consult
        self._document = document

    def seal(self, part: str, index: int, data: bytes) -> bytes:
        """Nonce, ciphertext and tag. `part` is what it is of the document: data, tail or meta."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, self._place(part, index))

    def open(self, part: str, index: int, sealed: bytes) -> bytes:
        """What was sealed. Raises Unreadable."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._place(part, index))
        except (InvalidTag, ValueError):
            raise Unreadable from None

    def _place(self, part: str, index: int) -> bytes:
        return canonical.dumps([self._consult, self._document, part, index])
