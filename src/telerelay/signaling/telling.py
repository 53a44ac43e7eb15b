"""
What the application's hooks hear of one room's people where it has no consult: numbered, each under a key, out of
memory. A consult's room is told of by the consult's journal, and only counted here.

Event loop's thread. Posts events and never waits.
"""

import secrets

from telerelay.hooks import EndEvent, HookRunner, PersonEvent
from telerelay.rooms import Participant
from telerelay.signaling.notes import RoomNote
from telerelay.signaling.watching import What


class RoomTelling:
    """Of one room; `found` is where another process was with it."""

    def __init__(self, room: str, hooks: HookRunner, found: RoomNote | None = None) -> None:
        self._room = room
        self._hooks = hooks
        self._key = found.key if found else secrets.token_urlsafe(12)
        self._sequence = found.sequence if found else 0

    def note(self, number: int) -> RoomNote:
        """For a successor of this process; `number` is the room's on its worker."""
        return RoomNote(self._room, number, self._key, self._sequence)

    def count(self) -> None:
        """One more has happened: before `note`, so that no number is given twice."""
        self._sequence += 1

    def person(self, participant: Participant, what: What, reason: str) -> None:
        """What was counted last is this."""
        self._hooks.post(
            PersonEvent(
                room=self._room,
                sequence=self._sequence,
                key=self._event_key(),
                participant=participant.id,
                sub=participant.sub,
                role=participant.role,
                what=what,
                reason=reason,
            )
        )

    def ended(self) -> None:
        """The room is gone; said where somebody was in it."""
        if self._sequence:
            self._sequence += 1
            self._hooks.post(EndEvent(self._room, self._sequence, self._event_key()))

    def _event_key(self) -> str:
        return f"{self._key}-{self._sequence}"
