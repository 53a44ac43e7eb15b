"""
What a room decided, for others to carry out, in this order.
"""

from dataclasses import dataclass

from telerelay.events import Event


@dataclass(frozen=True, slots=True)
class Tell:
    """Give an event to a participant; one whose socket is lost gets it when it resumes."""

    participant: str
    event: Event


@dataclass(frozen=True, slots=True)
class Route:
    """This participant is to receive this publication, on whatever subscribing connections it has or will have."""

    publication: str
    subscriber: str


@dataclass(frozen=True, slots=True)
class Unroute:
    publication: str
    subscriber: str


@dataclass(frozen=True, slots=True)
class Pause:
    """A subscriber wants this publication held back, or going again; the route stays."""

    publication: str
    subscriber: str
    is_paused: bool


@dataclass(frozen=True, slots=True)
class AdmissionChanged:
    """The participant's transports may carry media, or may no longer."""

    participant: str
    is_admitted: bool


@dataclass(frozen=True, slots=True)
class CloseParticipant:
    """The participant is no longer in the room: close its sockets and transports."""

    participant: str
    reason: str


Effect = Tell | Route | Unroute | Pause | AdmissionChanged | CloseParticipant
