"""
Signed words about how far the file's chain has got: whoever rewrites the file has no key to rewrite these.

Pure but for the connection given; the store's thread.
"""

import sqlite3
from dataclasses import dataclass
from typing import Protocol

from telerelay.journal import canonical, links

ANCHOR_EVERY = 1000
"""Entries from one anchor that stays to the next: half an hour of the busiest day, and 100 bytes in 600,000."""

TYPE = "telerelay-anchor/1"


class Signer(Protocol):
    """Who signs: `telerelay.attest.SigningKey` is one."""

    @property
    def key_id(self) -> str: ...

    def sign(self, message: bytes) -> bytes: ...


class Verifier(Protocol):
    """Whether a signature is of that key. Raises KeyError for a key id it does not know."""

    def is_signed(self, key_id: str, message: bytes, signature: bytes) -> bool: ...


@dataclass(frozen=True, slots=True)
class Anchor:
    """The chain of the file at `pos`; `signature` is empty where there was no key."""

    pos: int
    file_link: bytes
    at: float
    key_id: str
    signature: bytes

    def message(self) -> bytes:
        """What is signed."""
        return canonical.dumps({"at": self.at, "link": self.file_link.hex(), "pos": self.pos, "type": TYPE})


def write(connection: sqlite3.Connection, signer: Signer | None, at: float) -> Anchor | None:
    """
    Sign the head of the chain as it is; the anchor, where it is one that stays.

    The last work of a transaction.
    """
    pos, link, stays_from = connection.execute(
        "SELECT pos, file_link, coalesce((SELECT max(pos) FROM anchors), 0) FROM head"
    ).fetchone()
    anchor = Anchor(pos, link, at, signer.key_id if signer else "", b"")
    if signer is not None:
        anchor = Anchor(pos, link, at, signer.key_id, signer.sign(anchor.message()))
    row = (anchor.at, anchor.key_id, anchor.signature)
    connection.execute("UPDATE head SET at = ?, key_id = ?, signature = ?", row)
    if pos - stays_from < ANCHOR_EVERY:
        return None
    connection.execute("INSERT INTO anchors VALUES (?, ?, ?, ?, ?)", (pos, link, *row))
    return anchor


def head(connection: sqlite3.Connection) -> Anchor:
    """How far the chain has got, as it was last signed."""
    row = connection.execute("SELECT pos, file_link, at, key_id, signature FROM head").fetchone()
    return Anchor(*row) if row else Anchor(0, links.START, 0.0, "", b"")
