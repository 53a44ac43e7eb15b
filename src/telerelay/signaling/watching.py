"""
Whoever has a say over one room and has to know what happens in it: its consult, where it has one.

Event loop's thread; nothing here waits. A room without a consult is open to everyone, and nobody watches it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from telerelay.errors import RemoteProtocolError
from telerelay.measurements import Position
from telerelay.rooms import Participant, Publication
from telerelay.rooms.room import new_secret

if TYPE_CHECKING:
    from telerelay.signaling.host import RoomHost
    from telerelay.signaling.seat import Seat

What = Literal["joined", "interrupted", "back", "left"]


class RoomWatcher:
    """
    Inherit and override: all of it returns at once. Told after the room has changed.

    `is_consult`: the application is told of this room's people out of a consult's journal, and not by the room.
    """

    is_consult = False

    def is_admitted(self, sub: str, role: str) -> bool:
        """The door: whether this person enters without waiting. Asked when a participant is made."""
        return True

    def new_secret(self, sub: str) -> str:
        """The next resume secret of this person's seat."""
        return new_secret()

    def on_host(self, host: RoomHost) -> None:
        """The room was made; it is gone when nobody is in it any more (`on_empty`)."""

    def on_absent(self, sub: str) -> None:
        """Somebody whom the consult knows to have arrived did not get a seat after all."""

    def on_empty(self) -> None:
        """The room is gone."""

    def on_person(self, participant: Participant, what: What, reason: str) -> None:
        """Somebody came, lost the socket, is back, or left for `reason`."""

    def on_connection(self, participant: Participant, connection: str, state: str) -> None:
        """A connection has another tr_transport_state: "publish", "subscribe" or the secret of a session."""

    def on_publication(self, participant: Participant, publication: Publication) -> None:
        """Something is published, or muted, or no longer; `publication` says which."""

    def on_socket(self, seat: Seat) -> None:
        """A socket has its seat: from now on signs reach it."""

    def on_refused(self, sub: str, what: str) -> None:
        """Somebody tried what is not his, or not yet: one of telerelay.consult.facts.BYPASSES."""

    def on_measured(self, positions: Sequence[Position]) -> None:
        """So many samples of each series were handed over, so far."""

    def on_camera(self, sub: str, target: str, outcome: str) -> None:
        """Somebody moved the camera of `target`, or tried to: one of telerelay.consult.facts.CAMERA_OUTCOMES."""

    def on_degraded(self, participant: Participant, direction: Literal["up", "down"], how: str) -> None:
        """The application said what is given up on this person's line; "usual" again: it carries everything."""

    # ---------------------------------------------------------------- stills

    async def request_still(self, by: Participant, sub: str, label: str, reason: str) -> str:
        """Somebody asks for a still; under which request. Raises RemoteProtocolError."""
        raise _no_consult()

    async def answer_still(self, participant: Participant, request: str, answer: str) -> None:
        """Somebody allows or refuses it, or could not make it. Raises RemoteProtocolError."""
        raise _no_consult()

    async def withdraw_still(self, by: Participant, request: str) -> None:
        """Whoever asked wants it no more. Raises RemoteProtocolError."""
        raise _no_consult()

    # ---------------------------------------------------------------- recordings

    async def ask_recording(self, by: str) -> str:
        """Somebody wants the consult recorded; which recording. Raises RemoteProtocolError."""
        raise _no_consult()

    async def answer_recording(self, sub: str, recording: str, is_given: bool) -> None:
        """Somebody agrees to it, or not, or no longer. Raises RemoteProtocolError."""
        raise _no_consult()

    async def stop_recording(self, by: str) -> None:
        """Somebody wants no more of it. Raises RemoteProtocolError."""
        raise _no_consult()

    # ---------------------------------------------------------------- what deciders may

    def check_decider(self, participant: Participant) -> None:
        """Whether this person may let others in. Raises RemoteProtocolError forbidden, or not_found: no consult."""
        raise _no_consult()

    async def admit(self, sub: str, by: str) -> None:
        """Let one person in. Returns once it is durable and carried out. Raises RemoteProtocolError."""
        raise _no_consult()

    async def deny(self, sub: str, by: str) -> None:
        """Send one person away who waits; otherwise as `admit`."""
        raise _no_consult()

    async def set_priority(self, is_emergency: bool, by: str) -> None:
        """The consult is an emergency, or is none any more; otherwise as `admit`."""
        raise _no_consult()

    async def end(self, by: str) -> None:
        """The consult is over, for everyone; otherwise as `admit`."""
        raise _no_consult()


def _no_consult() -> RemoteProtocolError:
    return RemoteProtocolError("not_found", "this room has no consult")


OPEN = RoomWatcher()
"""Of a room without a consult."""
