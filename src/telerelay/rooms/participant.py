"""
A participant: one person, or one device, in one room.

Belongs to its room: only Room changes it.
"""

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

    @property
    def is_interrupted(self) -> bool:
        return self.seat_until is not None

    @property
    def has_socket(self) -> bool:
        """It joined over a WebSocket, be it lost for the moment: events are for it."""
        return SOCKET in self.attachments

    def may_resume(self, secret: str) -> bool:
        """Whether this is the secret of the seat; takes the same time whatever it is."""
        return bool(self.resume) and hmac.compare_digest(self.resume.encode(), secret.encode("utf-8", "replace"))

    def info(self) -> ParticipantInfo:
        return ParticipantInfo(
            id=self.id,
            sub=self.sub,
            role=self.role,
            is_interrupted=self.is_interrupted,
            publications=tuple(publication.info() for publication in self.publications.values()),
        )
