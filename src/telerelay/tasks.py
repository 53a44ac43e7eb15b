"""
Tasks with an owner: whoever starts them ends them.

Event loop's thread. Not an asyncio.TaskGroup, because there one child's failure cancels its siblings: here the siblings
are other people's calls. A failure is logged and stays with its task.
"""

import asyncio
import logging
from collections.abc import Collection, Coroutine
from typing import Any

from telerelay.logs import say


class Bell:
    """
    What one task waits for, to be told that there is something to do: once, however often it was rung meanwhile.

    An asyncio.Event is for any number of waiters and has a deque for them, 816 bytes for each person of a relay who has
    one.
    """

    __slots__ = ("_is_rung", "_waiter")

    def __init__(self) -> None:
        self._is_rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        self._is_rung = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Until it is rung, or at once where it was; from then on it is not. For one task at a time."""
        if not self._is_rung:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._is_rung = False


class Tasks:
    """The running tasks of one owner."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task; it is forgotten when it ends."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    async def join(self, patience_s: float, besides: Collection[str] = ()) -> None:
        """Wait until all have ended of themselves, but for those of the names in `besides`; `patience_s` at most."""
        waited_for = [task for task in self._tasks if task.get_name() not in besides]
        if waited_for:
            await asyncio.wait(waited_for, timeout=patience_s)

    async def close(self) -> None:
        """Cancel all but the caller's own task and wait until they are gone, new ones that they start included."""
        while others := self._tasks - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            say(logging.ERROR, "task_failed", task=task.get_name(), error=type(error).__name__, exc_info=error)
