"""
Camera control of a hosted room: a command goes to the device of one person, whose answer is the reply.

Event loop's thread. A command is worth something now or not at all: it is a sign, which is not kept for who is away,
and whoever gave it hears within two seconds what became of it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Protocol

from telerelay.errors import RemoteProtocolError
from telerelay.events import CameraAsked
from telerelay.hooks import CameraRequest
from telerelay.protocol.messages import CameraMoved, MoveCamera
from telerelay.rooms.policy import check_role
from telerelay.signaling.seat import Seat

ANSWER_S = 2.0
"""For a device to answer: motors start within a tenth of that, and nobody presses a button longer."""
MAX_UNDER_WAY = 8
"""Commands of one person that wait for their answers."""


class Ask(Protocol):
    """The application's rule, and whether there is one."""

    async def camera_control(self, request: CameraRequest) -> bool: ...


class CameraDesk:
    """
    One room's. `seat_of` finds a participant's seat or raises not_found; `on_outcome(sub, target, outcome)` is told
    what became of each command.
    """

    def __init__(
        self,
        room: str,
        hooks: Ask,
        seat_of: Callable[[str], Seat],
        on_outcome: Callable[[str, str, str], None],
    ) -> None:
        self._room = room
        self._hooks = hooks
        self._seat_of = seat_of
        self._on_outcome = on_outcome
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[str, asyncio.Future[CameraMoved]]] = {}  # by command: target's id
        self._under_way: dict[str, int] = {}

    async def move(self, seat: Seat, asked: MoveCamera) -> dict[str, object]:
        """
        Have it moved; where it stands then, as far as its device says. Raises RemoteProtocolError: forbidden (role or
        application), not_found (nobody of that name is in, or that one has no socket), too_many_requests,
        camera_refused, camera_unsupported, camera_failed, camera_timeout.
        """
        by = seat.participant
        if not by.is_admitted or not check_role(by.role).may_move_cameras:
            raise RemoteProtocolError("forbidden", "this role moves nobody's camera")
        target = self._seat_of(asked.participant)
        if target is seat or not target.participant.is_admitted or target.socket is None:
            raise RemoteProtocolError("not_found", "there is nobody whose camera could be moved")
        if self._under_way.get(seat.id, 0) >= MAX_UNDER_WAY:
            raise RemoteProtocolError("too_many_requests", "too many camera commands at once")
        self._under_way[seat.id] = self._under_way.get(seat.id, 0) + 1
        try:
            return await self._move(seat, target, asked)
        except RemoteProtocolError as error:
            self._on_outcome(by.sub, target.participant.sub, error.code.removeprefix("camera_"))
            raise
        finally:
            self._under_way[seat.id] -= 1
            if not self._under_way[seat.id]:
                del self._under_way[seat.id]

    async def _move(self, seat: Seat, target: Seat, asked: MoveCamera) -> dict[str, object]:
        by, whose = seat.participant, target.participant
        request = CameraRequest(self._room, by.sub, by.role, whose.sub, whose.role)
        if not await self._hooks.camera_control(request):
            raise RemoteProtocolError("forbidden", "the application does not allow it")
        command = next(self._numbers)
        answered: asyncio.Future[CameraMoved] = asyncio.get_running_loop().create_future()
        self._waiting[command] = target.id, answered
        try:
            target.show(CameraAsked(command, seat.id, asked.pan, asked.tilt, asked.zoom, asked.is_home))
            async with asyncio.timeout(ANSWER_S):
                answer = await answered
        except TimeoutError:
            raise RemoteProtocolError("camera_timeout", "the device did not answer in time") from None
        finally:
            del self._waiting[command]
        match answer.outcome:
            case "refused":
                raise RemoteProtocolError("camera_refused", "it was not wanted there")
            case "unsupported":
                raise RemoteProtocolError("camera_unsupported", "that camera does not move so")
            case "failed":
                raise RemoteProtocolError("camera_failed", "the camera did not move")
        self._on_outcome(by.sub, whose.sub, "done")
        stands = {"pan": answer.pan, "tilt": answer.tilt, "zoom": answer.zoom}
        return {name: value for name, value in stands.items() if value is not None}

    def moved(self, seat: Seat, answer: CameraMoved) -> None:
        """A device's answer. Raises RemoteProtocolError not_found: of a command that it was not given, or too late."""
        target, answered = self._waiting.get(answer.command, ("", None))
        if answered is None or target != seat.id:
            raise RemoteProtocolError("not_found", "there is no such command, or it is over")
        if not answered.done():
            answered.set_result(answer)
