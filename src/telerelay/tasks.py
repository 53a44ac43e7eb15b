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
