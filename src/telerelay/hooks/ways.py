"""
The ways by which hooks are reached, which all mean the same: `Way`, and what they have in common.

Event loop's thread. A way knows no deadline and counts nothing: that is runner.py's.
"""

import asyncio
import inspect
from types import FrameType, TracebackType
from typing import Any, Literal, Protocol, get_args

from telerelay.hooks.asked import Nonsense
from telerelay.hooks.hooks import Hooks
from telerelay.hooks.told import Told

Why = Literal[
    "timeout", "blocked", "exception", "nonsense", "hung", "unreachable", "status", "too_large", "full", "dead"
]
WHYS: tuple[Why, ...] = get_args(Why)
"""
What can go wrong with a hook: it took too long; it kept its thread busy beyond that; it raised; its answer is none; so
many calls hang that no more are made; nobody answered at its address; an HTTP status of failure; a reply over its
limit; so much waits that something was lost; an event was given up.
"""


class HookError(Exception):
    """A call that failed, and why. `status` is the HTTP status where that is why."""

    def __init__(self, why: Why, status: int = 0) -> None:
        super().__init__(why)
        self.why = why
        self.status = status


class Way(Protocol):
    """How the application's rules are reached."""

    def hears(self, hook: str, room: str | None = None) -> bool:
        """Whether there is a rule behind that hook, of that room or of any: if not it is never called."""
        ...

    async def ask(self, hook: str, request: object) -> object:
        """The answer as Python has it, not looked at yet. Raises HookError, Nonsense, or whatever the rule raises."""
        ...

    async def tell(self, told: Told) -> None:
        """Returns when the application has taken it. Raises as `ask`."""
        ...

    async def start(self) -> None:
        """Before the first call. Raises ConfigError."""
        ...

    async def close(self) -> None:
        """After the last call."""
        ...


async def call(hooks: Hooks, hook: str, argument: object) -> object:
    """Call one hook of an object. Raises Nonsense where it is not an async function."""
    result = getattr(hooks, hook)(argument)
    if not inspect.isawaitable(result):
        raise Nonsense("the hook is not an async function")
    return await result


def stack_of(task: "asyncio.Task[Any]") -> BaseException:
    """Where a task stands, down to what it waits for: an exception whose stack says so, for the log."""
    frames: list[FrameType] = []
    waiting: Any = task.get_coro()
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
        if frame is not None:
            frames.append(frame)
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
    return _standing(frames)


def stack_at(frame: FrameType | None) -> BaseException:
    """The same of a thread that stands there."""
    frames: list[FrameType] = []
    while frame is not None:
        frames.insert(0, frame)
        frame = frame.f_back
    return _standing(frames)


def _standing(frames: list[FrameType]) -> BaseException:
    found: TracebackType | None = None
    for frame in reversed(frames):
        found = TracebackType(found, frame, frame.f_lasti, frame.f_lineno)
    return RuntimeError("here").with_traceback(found)
