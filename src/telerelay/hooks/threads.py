"""
The way to a Python object on a thread of its own: what blocks there stops nothing but itself.

The face is the relay's loop's; `_Thread` is shared with the thread it starts, as it says of each member. A thread that
does not turn its loop for `STUCK_S` while somebody waits is named with its stack and left alone; another one, with
another object, takes its place and what it had not begun. Python cannot end a thread: it ends by itself when whatever
holds it lets go.
"""

import asyncio
import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from telerelay.errors import ConfigError
from telerelay.hooks.hooks import Hooks
from telerelay.hooks.told import HOOK_OF, Told
from telerelay.hooks.ways import HookError, call, stack_at, stack_of
from telerelay.logs import say

# A quarter of a decision's time: the rest is enough for the thread that takes over to answer in time.
STUCK_S = 0.5
# How often a thread that somebody waits for is asked whether it turns.
LOOK_S = 0.1
# Threads that are stuck at once. With so many it is the rule for all that blocks, not one call: what is asked more is
# closed at once.
MAX_STUCK = 8
# Calls that were cut and do not end on one thread, because they swallow their cancellation: each holds its memory.
MAX_ABANDONED = 256
# To make its object, for what it opens first; and from one try to make it to the next.
START_S = 10.0
# For what runs when the relay ends. Then the thread is left: it is a daemon.
END_S = 5.0


@dataclass(slots=True, eq=False)
class _Call:
    """One call. The loop makes and awaits it; the thread alone touches `task`."""

    hook: str
    argument: object
    future: "asyncio.Future[object]"
    has_begun: bool = False
    is_over: bool = False
    task: "asyncio.Task[None] | None" = None


class ThreadWay:
    """
    `make` makes the hooks, on the thread and its loop; again for each thread that takes a stuck one's place, so what
    has to be the same for all calls belongs elsewhere, such as in a database. What it makes is entered and left there
    if it is an async context manager. `rules` are the hooks it has; `name` is for errors.
    """

    def __init__(self, make: Callable[[], Hooks], rules: frozenset[str], name: str) -> None:
        self._make = make
        self._rules = rules
        self._name = name
        self._thread: _Thread | None = None
        self._stuck: list[_Thread] = []
        self._watch: asyncio.TimerHandle | None = None

    def hears(self, hook: str, room: str | None = None) -> bool:
        return hook in self._rules

    async def start(self) -> None:
        thread = self._thread = _Thread(self._make)
        try:
            async with asyncio.timeout(START_S):
                await thread.ready
        except TimeoutError:
            raise ConfigError("bad_hooks", f"hooks.entry_point: {self._name} took too long to be made") from None
        except Exception as error:
            # Its words may hold anything: the class of the error must do.
            kind = type(error).__name__
            raise ConfigError("bad_hooks", f"hooks.entry_point: {self._name} cannot be made: {kind}") from error

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if self._thread is not None:
            self._thread.end()
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join, END_S)

    async def ask(self, hook: str, request: object) -> object:
        return await self._call(hook, request)

    async def tell(self, told: Told) -> None:
        for event in told.events:
            hook = HOOK_OF[type(event)]
            if hook in self._rules:
                await self._call(hook, event)

    # ---------------------------------------------------------------- within

    async def _call(self, hook: str, argument: object) -> object:
        thread = self._thread
        if thread is None or len(self._stuck) >= MAX_STUCK or len(thread.abandoned) >= MAX_ABANDONED:
            raise HookError("hung")
        if thread.has_failed:
            self._begin_anew()
            raise HookError("exception")
        calling = _Call(hook, argument, asyncio.get_running_loop().create_future())
        thread.hand(calling)
        self._look_later()
        try:
            return await calling.future
        finally:
            calling.is_over = True
            for each in (self._thread, *self._stuck):
                if each is not None:
                    each.drop(calling)

    def _begin_anew(self) -> None:
        """The last object could not be made: is it to be made now?"""
        if self._thread is not None and time.monotonic() - self._thread.made_at > START_S:
            self._thread = _Thread(self._make)

    def _look_later(self) -> None:
        if self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _look(self) -> None:
        self._watch = None
        self._stuck = [each for each in self._stuck if each.is_stuck()]
        thread = self._thread
        if thread is not None and thread.calls and thread.is_stuck():
            self._replace(thread)
        if self._stuck or (self._thread is not None and self._thread.calls):
            self._look_later()

    def _replace(self, thread: "_Thread") -> None:
        stack = stack_at(sys._current_frames().get(thread.ident))
        say(logging.ERROR, "hook_thread_stuck", count=len(self._stuck) + 1, exc_info=stack)
        self._stuck.append(thread)
        thread.end()
        fresh = self._thread = _Thread(self._make)
        for calling in tuple(thread.calls):
            # Should it begin there just now, it is made twice, and the first answer counts.
            if not calling.has_begun:
                thread.drop(calling)
                fresh.hand(calling)


class _Thread:
    """
    One thread with a loop and an object on it. Made and used on the relay's loop; what stands under `thread's side` is
    the thread's own.
    """

    def __init__(self, make: Callable[[], Hooks]) -> None:
        self.calls: set[_Call] = set()
        """Handed over and not answered yet. The relay's loop's; the thread only looks whether a call is in it."""
        self.abandoned: set[asyncio.Task[None]] = set()
        """Cancelled and not ended. The thread's; the loop only looks how many there are."""
        self.made_at = time.monotonic()
        self._make = make
        self._outer = asyncio.get_running_loop()
        self.ready: asyncio.Future[object] = self._outer.create_future()
        """Done when the object is made."""
        self.ready.add_done_callback(_note_failure)
        self._loop = asyncio.new_event_loop()
        self._made = asyncio.Event()
        self._end = asyncio.Event()
        self._pinged_at: float | None = None
        self._hooks: Hooks | None = None
        self._thread = threading.Thread(target=self._run, name="telerelay-hooks", daemon=True)
        self._thread.start()

    @property
    def ident(self) -> int:
        return self._thread.ident or 0

    @property
    def has_failed(self) -> bool:
        """Whether its object could not be made."""
        return self.ready.done() and not self.ready.cancelled() and self.ready.exception() is not None

    def hand(self, calling: _Call) -> None:
        self.calls.add(calling)
        self._post(self._begin, calling)

    def drop(self, calling: _Call) -> None:
        """Nobody waits for it any more, or another thread has it."""
        if calling in self.calls:
            self.calls.discard(calling)
            if calling.future.cancelled():
                self._post(self._cancel, calling)

    def is_stuck(self) -> bool:
        """Whether it has not turned for STUCK_S since it was asked to; asks again where it has."""
        now = time.monotonic()
        if not self._thread.is_alive():
            return False
        if not self.ready.done():
            return now - self.made_at > START_S
        if self._pinged_at is None:
            self._pinged_at = now
            self._post(self._pong)
            return False
        return now - self._pinged_at > STUCK_S

    def end(self) -> None:
        """As soon as it turns. What it has begun is cancelled."""
        self._post(self._end.set)

    def join(self, patience_s: float) -> None:
        self._thread.join(patience_s)

    def _post(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            return  # it has ended

    # ---------------------------------------------------------------- thread's side

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._live())
            except BaseException as error:
                self._tell(_fail, self.ready, error)

    async def _live(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            self._hooks = self._make()
            if isinstance(self._hooks, contextlib.AbstractAsyncContextManager):
                await stack.enter_async_context(self._hooks)
            self._made.set()
            self._tell(_succeed, self.ready, None)
            await self._end.wait()

    def _begin(self, calling: _Call) -> None:
        if not calling.is_over and calling in self.calls:
            calling.task = self._loop.create_task(self._answer(calling))

    async def _answer(self, calling: _Call) -> None:
        try:
            await self._made.wait()
            if calling not in self.calls:
                return  # another thread has it by now, or nobody waits for it
            calling.has_begun = True
            assert self._hooks is not None
            answer = await call(self._hooks, calling.hook, calling.argument)
        except BaseException as error:
            self._tell(_fail, calling.future, error)
        else:
            self._tell(_succeed, calling.future, answer)

    def _cancel(self, calling: _Call) -> None:
        if calling.task is not None and not calling.task.done():
            say(logging.WARNING, "hook_cut", hook=calling.hook, exc_info=stack_of(calling.task))
            calling.task.cancel()
            self.abandoned.add(calling.task)
            calling.task.add_done_callback(self.abandoned.discard)

    def _pong(self) -> None:
        self._pinged_at = None

    def _tell(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            self._outer.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            return  # the relay has ended


def _succeed(future: "asyncio.Future[object]", value: object) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: "asyncio.Future[object]", error: BaseException) -> None:
    if future.done():
        return
    # A future takes no StopIteration, and a rule that wants to end the process ends nothing.
    is_usual = isinstance(error, Exception) and not isinstance(error, StopIteration)
    future.set_exception(error if is_usual else RuntimeError("the hook ended itself"))


def _note_failure(ready: "asyncio.Future[object]") -> None:
    if not ready.cancelled() and (error := ready.exception()) is not None:
        say(logging.ERROR, "hook_thread_failed", error=type(error).__name__, exc_info=error)
