"""Classes of hooks for `hooks.entry_point` in tests: what they do goes by the room, so that one may block alone."""

import asyncio
import threading
import time
from types import TracebackType

from telerelay import Hooks, JoinRequest, PersonEvent

SLEEP_S = 10.0
made: list[threading.Thread] = []
told: list[tuple[str, int]] = []
left: list[str] = []


class Sleepy(Hooks):
    """In rooms that begin with `block` it keeps its thread, in those with `sleep` only itself, for ten seconds."""

    def __init__(self) -> None:
        made.append(threading.current_thread())

    async def authorize_join(self, request: JoinRequest) -> bool:
        await _sleep(request.room)
        return not request.room.startswith("no")

    async def on_person(self, event: PersonEvent) -> None:
        await _sleep(event.room)
        told.append((event.room, event.sequence))


async def _sleep(room: str) -> None:
    if room.startswith("block"):
        time.sleep(SLEEP_S)  # noqa: ASYNC251
    if room.startswith("sleep"):
        await asyncio.sleep(SLEEP_S)


class Opening(Sleepy):
    """Has something to open and to close, on its own loop."""

    async def __aenter__(self) -> "Opening":
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is asyncio.get_running_loop()
        left.append("left")


class Broken(Hooks):
    """Cannot be made."""

    def __init__(self) -> None:
        raise RuntimeError("the password is hunter2")


class NotHooks:
    """Inherits nothing."""

    async def authorize_join(self, request: JoinRequest) -> bool:
        return True


class Misspelled(Hooks):
    """A rule as a British developer would write it."""

    async def authorise_join(self, request: JoinRequest) -> bool:
        return False
