"""
A publication: one track that a participant sends.
"""

from dataclasses import dataclass

from telerelay.events import PublicationInfo

INSTRUMENTS = frozenset({"stethoscope", "doppler"})
"""Sources whose sound is a measurement: it is negotiated without DTX and RED, and no packet of it is ever another."""


@dataclass(frozen=True, slots=True)
class TrackDescription:
    """
    A section the publisher sends on, and what it says of it. `is_encrypted`: frames are encrypted end to end; None: not
    said, so as it was before, and taken for yes of what is new. `profile`: as a Publication's; None: as it was before.
    """

    mid: str
    kind: str
    source: str
    is_muted: bool = False
    is_encrypted: bool | None = None
    profile: str | None = None


@dataclass(slots=True)
class Publication:
    """
    `attachment` and `mid` say which section of which of the publisher's connections it comes on; `profile` what its
    picture must not lose, "": what its source says.
    """

    id: str
    participant: str
    attachment: str
    mid: str
    kind: str
    source: str
    is_muted: bool = False
    reason: str | None = None
    is_encrypted: bool = True
    profile: str = ""

    @property
    def is_open_voice(self) -> bool:
        """Somebody speaks, and the relay may take packets apart: not of instruments, whose sound is a measurement."""
        return self.kind == "audio" and self.source == "microphone" and not self.is_encrypted

    def info(self) -> PublicationInfo:
        return PublicationInfo(
            id=self.id, kind=self.kind, source=self.source, is_muted=self.is_muted, reason=self.reason
        )
