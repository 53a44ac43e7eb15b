"""
Resume secrets by which somebody is known to belong to a seat that only the journal remembers.

Pure but for randomness. A relay that was killed with its workers has no seat's secret any more: it was in memory, or in
a worker's. So the secret of a seat in a consult is random and carries a code over the seat, made with a key that the
journal keeps: whoever shows it had it from this relay, for this arrival of this person and for no other.
"""

import hmac
import secrets
from base64 import urlsafe_b64encode

from telerelay.consult.record import Person

PURPOSE = b"telerelay seat 1"
"""What the key of a consult is told apart by from what else is derived of it."""

# 144 random bits, and 144 bits of the code (RFC 2104, 5: not less than half of it), as 24 characters each.
RANDOM_CHARS, CODE_BYTES = 24, 18


class SeatSecrets:
    """Of one consult. `key`: 32 bytes that nothing else is done with."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "SeatSecrets()"

    def make(self, person: Person) -> str:
        """Another one each time."""
        word = secrets.token_urlsafe(RANDOM_CHARS * 3 // 4)
        return word + self._code(person, word)

    def is_of(self, person: Person, secret: str) -> bool:
        """Whether it was made for this person since he arrived. Nothing is said of whether it is the latest."""
        word, code = secret[:RANDOM_CHARS], secret[RANDOM_CHARS:]
        return hmac.compare_digest(self._code(person, word).encode(), code.encode(errors="replace"))

    def _code(self, person: Person, word: str) -> str:
        # No sub, role or number has a line's end in it.
        text = "\n".join((person.sub, person.role, repr(person.since), word))
        digest = hmac.digest(self._key, text.encode(errors="replace"), "sha256")
        return urlsafe_b64encode(digest[:CODE_BYTES]).decode()
