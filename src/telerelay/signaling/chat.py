"""
Chat of a hosted room: what somebody writes goes to everyone who is in, as a numbered event.

Event loop's thread. Nothing is stored: a message is in the events of its readers, which are in memory for whoever lost
the socket, and gone with the seat. Nothing of it reaches a log, a metric or a journal.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping

from telerelay.bucket import Bucket
from telerelay.errors import RemoteProtocolError
from telerelay.events import ChatSaid
from telerelay.rooms.policy import check_role
from telerelay.signaling.seat import Seat

LABEL = "chat"
"""What the application is asked of with `channel_policy`, as of a data channel of that name."""

BURST, PER_S = 10.0, 1.0
"""Messages of one person: who writes faster is no person."""


class Chat:
    """
    One room's. `may_open` asks the application of somebody once, None: there is no rule; `on_refused` is told of who
    may not; `on_said` counts.
    """

    def __init__(
        self,
        seats: Mapping[str, Seat],
        may_open: Callable[[Seat, str], Awaitable[bool]] | None,
        on_refused: Callable[[Seat], None],
        on_said: Callable[[], None],
    ) -> None:
        self._seats = seats
        self._may_open = may_open
        self._on_refused = on_refused
        self._on_said = on_said
        self._allowed: set[str] = set()  # participants' ids
        self._rates: dict[str, Bucket] = {}

    async def say(self, seat: Seat, text: str) -> dict[str, object]:
        """
        Pass a message on; the reply's body. Raises RemoteProtocolError forbidden (who waits, a role that only watches,
        or the application), too_many_requests.
        """
        if not seat.participant.is_admitted or not check_role(seat.participant.role).may_publish:
            self._on_refused(seat)
            raise RemoteProtocolError("forbidden", "this role may not write")
        if not self._rates.setdefault(seat.id, Bucket(BURST, PER_S, time.monotonic())).take(time.monotonic()):
            raise RemoteProtocolError("too_many_requests", "too many messages: wait a moment")
        if self._may_open is not None and seat.id not in self._allowed:
            if not await self._may_open(seat, LABEL):
                self._on_refused(seat)
                raise RemoteProtocolError("forbidden", "the application does not allow chat")
            self._allowed.add(seat.id)
        said = ChatSaid(seat.id, secrets.token_urlsafe(9), text, round(time.time(), 3))
        for other in tuple(self._seats.values()):
            if other is not seat and other.participant.is_admitted and other.participant.has_socket:
                other.tell(said)
        self._on_said()
        return {"message": said.message, "at": said.at}

    def left(self, participant: str) -> None:
        self._allowed.discard(participant)
        self._rates.pop(participant, None)
