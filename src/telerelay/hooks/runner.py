"""
Runs the application's hooks where they can do no harm: decisions against a deadline, events in a queue for each room.

Event loop's thread. A queue's task lives only while there is something to tell.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from telerelay.hooks.hooks import EndEvent, Hooks, JoinRequest, NoHooks, PersonEvent, QualityEvent
from telerelay.logs import say
from telerelay.tasks import Tasks

DECISION_DEADLINE_S = 2.0
# An event that takes longer is given up, so that one bad minute of an application is not a queue for ever.
EVENT_DEADLINE_S = 10.0
# Per room: hours of comings and goings. Beyond, the oldest are lost, and the log says so.
MAX_QUEUED = 1024

HookEvent = PersonEvent | QualityEvent | EndEvent


class HookRunner:
    """Calls the hooks of one relay."""

    def __init__(
        self,
        hooks: Hooks,
        *,
        decision_deadline_s: float = DECISION_DEADLINE_S,
        event_deadline_s: float = EVENT_DEADLINE_S,
    ) -> None:
        self.before_telling: Callable[[], None] = lambda: None
        """Called before the application is told of an event."""
        self._hooks = hooks
        # Nobody listens: a join need not wait for a decision, nor have a task made for its event.
        self._is_heard = type(hooks) is not NoHooks
        self._decision_deadline_s = decision_deadline_s
        self._event_deadline_s = event_deadline_s
        self._queues: dict[str, deque[HookEvent]] = {}
        self._tasks = Tasks()

    async def authorize_join(self, request: JoinRequest) -> bool:
        """The application's answer; False on anything but True in time."""
        if not self._is_heard:
            return True
        try:
            async with asyncio.timeout(self._decision_deadline_s):
                return await self._hooks.authorize_join(request) is True
        except TimeoutError:
            say(logging.WARNING, "hook_timeout", hook="authorize_join")
        except Exception as error:
            say(logging.ERROR, "hook_failed", hook="authorize_join", error=type(error).__name__, exc_info=error)
        return False

    def post(self, event: HookEvent) -> None:
        """Tell the application, after all that was posted for the same room before. Returns at once."""
        if not self._is_heard:
            return
        queue = self._queues.get(event.room)
        if queue is None:
            queue = self._queues[event.room] = deque()
            self._tasks.spawn(self._drain(event.room, queue), "hooks")
        if isinstance(event, QualityEvent) and _renew(queue, event):
            return
        if len(queue) == MAX_QUEUED:
            queue.popleft()
            say(logging.ERROR, "hook_queue_full", hook="events", count=MAX_QUEUED)
        queue.append(event)

    async def close(self, patience_s: float = EVENT_DEADLINE_S) -> None:
        """Tell what is still queued, within `patience_s`, then end."""
        await self._tasks.join(patience_s)
        if lost := sum(map(len, self._queues.values())):
            say(logging.ERROR, "hook_events_lost", hook="events", count=lost)
        await self._tasks.close()

    async def _drain(self, room: str, queue: deque[HookEvent]) -> None:
        try:
            while queue:
                await self._tell(queue.popleft())
        finally:
            if self._queues.get(room) is queue:
                del self._queues[room]

    async def _tell(self, event: HookEvent) -> None:
        name, call = self._call(event)
        self.before_telling()
        try:
            async with asyncio.timeout(self._event_deadline_s):
                await call()
        except TimeoutError:
            say(logging.ERROR, "hook_timeout", hook=name)
        except Exception as error:
            say(logging.ERROR, "hook_failed", hook=name, error=type(error).__name__, exc_info=error)

    def _call(self, event: HookEvent) -> tuple[str, Callable[[], Coroutine[Any, Any, None]]]:
        match event:
            case PersonEvent():
                return "on_person", lambda: self._hooks.on_person(event)
            case QualityEvent():
                return "on_quality", lambda: self._hooks.on_quality(event)
            case EndEvent():
                return "on_end", lambda: self._hooks.on_end(event)


def _renew(queue: deque[HookEvent], event: QualityEvent) -> bool:
    """
    Put a sample in the place of an older one that was not told yet: samples must not push out what happened.
    """
    for index, each in enumerate(queue):
        if isinstance(each, QualityEvent) and (each.participant, each.direction) == (
            event.participant,
            event.direction,
        ):
            queue[index] = event
            return True
    return False
