"""
A publication: one track that a participant sends.
"""

from dataclasses import dataclass

from telerelay.events import PublicationInfo


@dataclass(frozen=True, slots=True)
class TrackDescription:
    """A section the publisher sends on, and what it says of it."""

    mid: str
    kind: str
    source: str
    is_muted: bool = False


@dataclass(slots=True)
class Publication:
    """`attachment` and `mid` say which section of which of the publisher's connections it comes on."""

    id: str
    participant: str
    attachment: str
    mid: str
    kind: str
    source: str
    is_muted: bool = False
    reason: str | None = None

    def info(self) -> PublicationInfo:
        return PublicationInfo(
            id=self.id, kind=self.kind, source=self.source, is_muted=self.is_muted, reason=self.reason
        )
