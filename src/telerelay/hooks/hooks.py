"""
The hooks an application may implement, and what they are handed.

Pure words: what runs them is runner.py.
"""

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """Someone with a valid token wants into a room. Not asked when he comes back to the seat that is kept for him."""

    room: str
    sub: str
    role: str


@dataclass(frozen=True, slots=True)
class PersonEvent:
    """
    Someone came, was cut off, came back or left.

    `sequence` counts the room's events from 1 without gaps; `key` is unique for ever: an event told twice has it twice.
    """

    room: str
    sequence: int
    key: str
    participant: str
    sub: str
    role: str
    what: Literal["joined", "interrupted", "back", "left"]
    reason: str = ""
    """Of `left`: left, timeout, duplicate_join, removed, ended."""


@dataclass(frozen=True, slots=True)
class EndEvent:
    """The last one left, for good: the room is gone."""

    room: str
    sequence: int
    key: str


@dataclass(frozen=True, slots=True)
class QualityEvent:
    """
    How good the call is for one person: `direction` "up" is what they send, as it reaches the relay, "down" what the
    relay sends them. `score` is 1 to 5, 0 where there is nothing to judge any more; `cause` is the worst of what
    keeps it under 5 (docs/signaling.md lists them), else "". The mean opinion scores are None where there is none.

    Told when score or cause is another, every two seconds at most. It is a sample, not part of the room's record: it
    has no number, and where a hook is slow only the latest is told.
    """

    room: str
    participant: str
    sub: str
    role: str
    direction: Literal["up", "down"]
    score: int
    cause: str
    audio_mos: float | None = None
    video_mos: float | None = None


class Hooks(Protocol):
    """
    Inherit and override what you need. All run on the event loop: what blocks there stops signalling, though not media.
    """

    async def authorize_join(self, request: JoinRequest) -> bool:
        """Whether this person may join. Exceptions and more than two seconds refuse."""
        return True

    async def on_person(self, event: PersonEvent) -> None:
        """Someone came, was cut off, came back or left."""
        return

    async def on_quality(self, event: QualityEvent) -> None:
        """The call is better or worse than it was for somebody."""
        return

    async def on_end(self, event: EndEvent) -> None:
        """A room ended. Its last event."""
        return


class NoHooks(Hooks):
    """Everyone with a token may join; nobody is told."""
