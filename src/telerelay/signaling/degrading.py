"""
What is given up on a line that does not carry everything, as far as the application has a word in it.

Event loop's thread. The allocator goes on by its own rule until the answer is there; media waits for none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from telerelay.adaptation import How, Lacking, RoomAdaptation
from telerelay.hooks import DegradeRequest, HookRunner
from telerelay.signaling.seat import Seat
from telerelay.signaling.watching import RoomWatcher
from telerelay.tasks import Tasks

if TYPE_CHECKING:
    from telerelay.signaling.adapting import RoomAdapter


class Degrading:
    """Of one room, whose `seats` are by participant. `watcher` has it written down where the room has a consult."""

    def __init__(
        self, room: str, seats: Mapping[str, Seat], hooks: HookRunner, tasks: Tasks, watcher: RoomWatcher
    ) -> None:
        self._room = room
        self._seats = seats
        self._hooks = hooks
        self._tasks = tasks
        self._watcher = watcher

    @property
    def has_rule(self) -> bool:
        return self._hooks.hears("degrade", self._room)

    def ask(self, adapter: RoomAdapter, adaptation: RoomAdaptation, lacking: Lacking) -> None:
        """A line does not carry everything: the application is asked beside it what is given up."""
        if lacking.participant in self._seats:
            self._tasks.spawn(self._ask(adapter, adaptation, lacking), "degrade")

    async def _ask(self, adapter: RoomAdapter, adaptation: RoomAdaptation, lacking: Lacking) -> None:
        seat = self._seats.get(lacking.participant)
        if seat is None:
            return
        how = await self._hooks.degrade(
            DegradeRequest(
                room=self._room,
                sub=seat.participant.sub,
                role=seat.participant.role,
                direction=lacking.direction,
                source=lacking.source,
                bps=lacking.bps,
            )
        )
        adapter.degrade(adaptation, lacking, how)
        self.tell(lacking.participant, lacking.direction, how)

    def tell(self, participant: str, direction: Literal["up", "down"], how: How) -> None:
        """What is given up on somebody's line from now on; nothing where he is not here any more."""
        if (seat := self._seats.get(participant)) is not None:
            self._watcher.on_degraded(seat.participant, direction, how)
