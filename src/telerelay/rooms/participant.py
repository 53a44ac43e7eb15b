"""
A participant: one person, or one device, in one room.

Belongs to its room: only Room changes it.
"""

import hashlib
import hmac
from dataclasses import dataclass, field

from telerelay.events import ParticipantInfo
from telerelay.rooms.publication import Publication

SOCKET = "socket"
"""The attachment that is the participant's WebSocket; others are the ids of its WHIP and WHEP resources."""


@dataclass(slots=True)
class Participant:
    """
    `attachments` are the ways it is connected: SOCKET, or a WHIP or WHEP resource's id. `seat_until` (monotonic
    seconds) is set while its socket is lost. `resume` is the secret of its seat, another at each join.
    """

    id: str
    sub: str
    role: str
    is_admitted: bool
    resume: str = field(default="", repr=False)
    attachments: set[str] = field(default_factory=set)
    publications: dict[str, Publication] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    seat_until: float | None = None
    resume_hash: bytes = field(default=b"", repr=False)
    """Stands for `resume` where only its hash is known: the seat comes from another process."""

    @property
    def is_interrupted(self) -> bool:
        return self.seat_until is not None

    @property
    def has_socket(self) -> bool:
        """It joined over a WebSocket, be it lost for the moment: events are for it."""
        return SOCKET in self.attachments

    def may_resume(self, secret: str) -> bool:
        """Whether this is the secret of the seat; takes the same time whatever it is."""
        known = self.secret_hash
        return bool(known) and hmac.compare_digest(known, hash_secret(secret))

    @property
    def secret_hash(self) -> bytes:
        """Of the resume secret, SHA-256; empty where there is none. Enough to know it by, and of no use to a thief."""
        return hash_secret(self.resume) if self.resume else self.resume_hash

    def info(self) -> ParticipantInfo:
        return ParticipantInfo(
            id=self.id,
            sub=self.sub,
            role=self.role,
            is_interrupted=self.is_interrupted,
            publications=tuple(publication.info() for publication in self.publications.values()),
        )


def hash_secret(secret: str) -> bytes:
    """A secret of 192 random bits needs neither salt nor slowness."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
