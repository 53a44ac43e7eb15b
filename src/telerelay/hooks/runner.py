"""
Runs the application's hooks where they can do no harm: decisions against a deadline, events in a queue for each room.

Event loop's thread. A queue's task lives only while there is something to tell. Events of consults do not come through
these queues but from the journal, by outbox.py; they are told here all the same (`tell`), so that whatever goes wrong
with a hook is cut, counted and named in one place.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, cast

from telerelay.hooks.asked import (
    DECISIONS,
    Admission,
    AdmitRequest,
    AttestRequest,
    CameraRequest,
    ChannelRequest,
    DegradeAnswer,
    DegradeRequest,
    DocumentRequest,
    JoinRequest,
    Nonsense,
    PolicyResult,
    PublishRequest,
    RecordingRequest,
    Route,
    RouteRequest,
    StillRequest,
    SubscribeRequest,
    SurgeAnswer,
    SurgeRequest,
    WaitingContent,
    WaitingRequest,
)
from telerelay.hooks.hooks import Hooks
from telerelay.hooks.objects import ObjectWay
from telerelay.hooks.told import HOOK_OF, HookEvent, MeasurementEvent, PresenceEvent, QualityEvent, Told
from telerelay.hooks.ways import HookError, Way, Why, stack_of
from telerelay.logs import say
from telerelay.tasks import Tasks

DECISION_DEADLINE_S = 2.0
# An event that takes longer is given up, or, where it is told again, tried later, so that one bad minute of an
# application is not a queue for ever.
EVENT_DEADLINE_S = 10.0
# Per room: hours of comings and goings. Beyond, the oldest are lost, and the log says so.
MAX_QUEUED = 1024
# Calls that were cut and do not end, because they swallow their cancellation. Each holds its memory: with so many no
# more are made, and decisions are closed at once.
MAX_HUNG = 256


@dataclass(frozen=True, slots=True)
class HookFailure:
    """A hook did not do what it should, for that room (of a consult: its id)."""

    room: str
    hook: str
    why: Why

    @property
    def fault(self) -> str:
        """As a consult's journal has it (consult/facts.py, HOOK_FAULTS)."""
        return "timeout" if self.why in ("blocked", "hung", "full") else self.why


@dataclass(frozen=True, slots=True)
class Backlog:
    """Consults of which something waits to be told, those of them that wait for another try, and dead letters."""

    pending: int = 0
    waiting: int = 0
    letters: int = 0


class HookRunner:
    """Calls the hooks of one relay, whichever way they are reached."""

    def __init__(
        self,
        hooks: Hooks | Way,
        *,
        decision_deadline_s: float = DECISION_DEADLINE_S,
        event_deadline_s: float = EVENT_DEADLINE_S,
        emergency_passes: bool = False,
    ) -> None:
        self.before_telling: Callable[[], None] = lambda: None
        """Called before the application is told of an event."""
        self.on_failure: Callable[[HookFailure], None] = lambda failure: None
        """Called for each failed decision, and for an event the first time it fails."""
        self.failures: Counter[tuple[str, str]] = Counter()
        """How often which hook failed, and why."""
        self.backlog: Callable[[], Backlog] = Backlog
        """What waits of consults; the outbox says."""
        self._way: Way = cast(Way, hooks) if is_way(hooks) else ObjectWay(cast(Hooks, hooks))
        self._decision_deadline_s = decision_deadline_s
        self._event_deadline_s = event_deadline_s
        self._emergency_passes = emergency_passes
        self._queues: dict[str, deque[HookEvent]] = {}
        self._tasks = Tasks()
        self._hung: set[asyncio.Task[object]] = set()

    # ---------------------------------------------------------------- life

    async def start(self) -> None:
        """Open what the hooks are reached by. Raises ConfigError."""
        await self._way.start()

    async def close(self, patience_s: float = EVENT_DEADLINE_S) -> None:
        """Tell what is still queued, within `patience_s`, then end."""
        await self._tasks.join(patience_s)
        if lost := sum(map(len, self._queues.values())):
            say(logging.ERROR, "hook_events_lost", hook="events", count=lost)
        await self._tasks.close()
        await self._way.close()

    def hears(self, hook: str, room: str | None = None) -> bool:
        """
        Whether the application has a rule there, for that room (of a consult: its id) or for any: without one the
        answer is known, and nobody is told.
        """
        return self._way.hears(hook, room)

    @property
    def queued_count(self) -> int:
        """Events that wait to be told, of rooms without a consult."""
        return sum(map(len, self._queues.values()))

    # ---------------------------------------------------------------- decisions

    async def authorize_join(self, request: JoinRequest) -> bool:
        """The application's answer; False on anything but True in time."""
        return cast(bool, await self._decide("authorize_join", request))

    async def route(self, request: RouteRequest) -> Route:
        return cast(Route, await self._decide("route", request))

    async def admit(self, request: AdmitRequest) -> Admission:
        return cast(Admission, await self._decide("admit", request))

    async def surge(self, request: SurgeRequest) -> SurgeAnswer:
        return cast(SurgeAnswer, await self._decide("surge", request))

    async def publish_policy(self, request: PublishRequest) -> bool:
        return cast(bool, await self._decide("publish_policy", request))

    async def subscribe_policy(self, request: SubscribeRequest) -> bool:
        return cast(bool, await self._decide("subscribe_policy", request))

    async def channel_policy(self, request: ChannelRequest) -> bool:
        return cast(bool, await self._decide("channel_policy", request))

    async def camera_control(self, request: CameraRequest) -> bool:
        return cast(bool, await self._decide("camera_control", request))

    async def document_policy(self, request: DocumentRequest) -> bool:
        return cast(bool, await self._decide("document_policy", request))

    async def still_consent(self, request: StillRequest) -> bool:
        return cast(bool, await self._decide("still_consent", request))

    async def recording_consent(self, request: RecordingRequest) -> bool:
        return cast(bool, await self._decide("recording_consent", request))

    async def waiting_content(self, request: WaitingRequest) -> WaitingContent:
        return cast(WaitingContent, await self._decide("waiting_content", request))

    async def attest(self, request: AttestRequest) -> PolicyResult | None:
        return cast(PolicyResult | None, await self._decide("attest", request))

    async def degrade(self, request: DegradeRequest) -> DegradeAnswer:
        return cast(DegradeAnswer, await self._decide("degrade", request))

    async def _decide(self, hook: str, request: Any) -> object:
        decision = DECISIONS[hook]
        if not self._way.hears(hook, request.room):
            return decision.unruled(request)
        began = time.monotonic()
        try:
            answer = await self._within(self._decision_deadline_s, self._way.ask(hook, request))
            if time.monotonic() - began > self._decision_deadline_s:
                raise HookError("blocked")  # it kept the loop, and with it the deadline, from running
            if not decision.is_answer(answer):
                raise Nonsense("not an answer")
            return answer
        except Exception as error:
            self._failed(request.room, hook, error)
        if self._emergency_passes and decision.passes_as is not None and request.is_emergency:
            return decision.passes_as
        return decision.closed(request)

    # ---------------------------------------------------------------- events

    def post(self, event: HookEvent) -> None:
        """Tell the application, after all that was posted for the same room before. Returns at once."""
        line = Told.of(event).room
        if not self._way.hears(HOOK_OF[type(event)], line):
            return
        queue = self._queues.get(line)
        if queue is None:
            queue = self._queues[line] = deque()
            self._tasks.spawn(self._drain(line, queue), "hooks")
        if isinstance(event, QualityEvent | PresenceEvent) and _renew(queue, event):
            return
        if len(queue) == MAX_QUEUED:
            lost = queue.popleft()
            self.failures[HOOK_OF[type(lost)], "full"] += 1
            say(logging.ERROR, "hook_queue_full", hook="events", count=MAX_QUEUED)
        queue.append(event)

    async def tell(self, told: Told, *, is_new: bool = True) -> None:
        """
        Tell it now, within the deadline of events. Raises HookError when it failed, which is counted and logged;
        `on_failure` hears of it where it fails for the first time (`is_new`).
        """
        self.before_telling()
        try:
            await self._within(self._event_deadline_s, self._way.tell(told))
        except Exception as error:
            why = self._failed(told.room, told.hook, error, is_new=is_new, is_event=True)
            raise HookError(why, error.status if isinstance(error, HookError) else 0) from None

    async def tell_measurement(self, event: MeasurementEvent, *, is_new: bool = True) -> None:
        """As `tell`, of what was measured: whoever has to have it taken waits for it, and tries again."""
        await self.tell(Told.of(event), is_new=is_new)

    def give_up(self, told: Told) -> None:
        """It was tried for long enough, and is a dead letter from now on: counted and named as `dead`."""
        self.failures[told.hook, "dead"] += 1
        say(logging.ERROR, "hook_given_up", hook=told.hook)

    async def _drain(self, line: str, queue: deque[HookEvent]) -> None:
        try:
            while queue:
                try:
                    await self.tell(Told.of(queue.popleft()))
                except HookError:
                    continue  # it is counted; there is no journal to tell it from again
        finally:
            if self._queues.get(line) is queue:
                del self._queues[line]

    # ---------------------------------------------------------------- within

    async def _within(self, deadline_s: float, calling: Coroutine[Any, Any, object]) -> object:
        """
        What the call returns, or raises, in time. After that it is cancelled, and not waited for: a rule that swallows
        its cancellation must not hold anyone.
        """
        if len(self._hung) >= MAX_HUNG:
            calling.close()
            raise HookError("hung")
        task = asyncio.get_running_loop().create_task(_guarded(calling), name="hook")
        try:
            await asyncio.wait((task,), timeout=deadline_s)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not task.done():
            where = stack_of(task)
            task.cancel()
            self._hung.add(task)
            task.add_done_callback(self._hung.discard)
            task.add_done_callback(_forget)
            raise TimeoutError from where
        if task.cancelled():
            raise RuntimeError("the hook cancelled itself")
        return task.result()

    def _failed(self, room: str, hook: str, error: Exception, *, is_new: bool = True, is_event: bool = False) -> Why:
        """Count and name it."""
        # A host that is away for an hour fails two thousand consults each minute: each says so once.
        level = (logging.ERROR if is_new else logging.DEBUG) if is_event else logging.WARNING
        match error:
            case TimeoutError():
                why: Why = "timeout"
                say(level, "hook_timeout", hook=hook, exc_info=error.__cause__ or error)
            case HookError():
                why = error.why
                say(level, "hook_failed", hook=hook, error=why, status=error.status)
            case Nonsense():
                why = "nonsense"
                say(logging.ERROR if is_new else level, "hook_failed", hook=hook, error=why)
            case _:
                why = "exception"
                level = logging.ERROR if is_new else level
                say(level, "hook_failed", hook=hook, error=type(error).__name__, exc_info=error)
        self.failures[hook, why] += 1
        if is_new:
            self.on_failure(HookFailure(room, hook, why))
        return why


def is_way(hooks: Hooks | Way) -> bool:
    """Whether this is a way to hooks, not an object that has them."""
    return hasattr(hooks, "hears") and hasattr(hooks, "tell")


async def _guarded(calling: Coroutine[Any, Any, object]) -> object:
    try:
        return await calling
    except (Exception, asyncio.CancelledError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if isinstance(error, GeneratorExit) and _is_thrown_in(error):
            raise
        # Of SystemExit asyncio would end the loop, and with it the relay; of others whoever waits for the answer, and
        # the outbox with all that it has to tell.
        raise RuntimeError("the hook wanted to end more than itself") from error


def _is_thrown_in(error: GeneratorExit) -> bool:
    """Whether our own coroutine is closed, with its loop: then there is no frame of a rule that raised it."""
    return error.__traceback__ is None or error.__traceback__.tb_next is None


def _forget(task: asyncio.Task[object]) -> None:
    """What a call that was cut comes to in the end concerns nobody; asyncio would complain that nobody looked."""
    if not task.cancelled():
        task.exception()


def _renew(queue: deque[HookEvent], event: QualityEvent | PresenceEvent) -> bool:
    """
    Put a sample in the place of an older one that was not told yet: samples must not push out what happened.
    """
    for index, each in enumerate(queue):
        if type(each) is type(event) and _whose(each) == _whose(event):
            queue[index] = event
            return True
    return False


def _whose(event: HookEvent) -> tuple[str, ...]:
    match event:
        case QualityEvent():
            return (event.participant, event.direction)
        case PresenceEvent():
            return (event.queue, event.sub)
        case _:
            return ()
