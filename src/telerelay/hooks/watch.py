"""
Notices that a hook on the relay's own loop keeps it from turning, and says where.

A thread of its own, which sleeps while no hook runs. It can end nothing: Python stops no call from outside. But a
stalled loop whose stack nobody has is the worst of bugs to find (F28).
"""

import asyncio
import logging
import sys
import threading
from types import FrameType

from telerelay.hooks.ways import stack_at
from telerelay.logs import say

# Well before a decision's two seconds, and longer than any search for garbage or burst of joins takes.
BLOCKED_S = 1.0
# From one look to the next while hooks run.
LOOK_S = 0.5


class LoopWatch:
    """`start` on the loop that is watched; `enter` before a hook is called there, `leave` after it returned."""

    def __init__(self) -> None:
        self._calls = 0
        self._busy = threading.Event()
        self._turned = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self.blocked = 0
        """How often it was found blocked."""

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        arguments = (loop, threading.get_ident())
        self._thread = threading.Thread(target=self._run, args=arguments, name="telerelay-hook-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Returns at once; the thread ends by itself."""
        self._closed.set()
        self._busy.set()
        self._turned.set()

    def enter(self) -> None:
        self._calls += 1
        self._busy.set()

    def leave(self) -> None:
        self._calls -= 1
        if not self._calls:
            self._busy.clear()

    # ---------------------------------------------------------------- the thread's side

    def _run(self, loop: asyncio.AbstractEventLoop, ident: int) -> None:
        while self._busy.wait() and not self._closed.is_set():
            self._turned.clear()
            try:
                loop.call_soon_threadsafe(self._turned.set)
            except RuntimeError:
                return  # the loop has ended
            if not self._turned.wait(BLOCKED_S):
                frame = sys._current_frames().get(ident)
                if is_in_hook(frame):
                    self.blocked += 1
                    say(logging.ERROR, "hook_blocks_loop", exc_info=stack_at(frame))
                self._turned.wait()
            self._closed.wait(LOOK_S)


def is_in_hook(frame: FrameType | None) -> bool:
    """Whether a hook is what runs there, and not something else of the relay or the application."""
    while frame is not None:
        if frame.f_code.co_name == "call" and frame.f_globals.get("__name__") == "telerelay.hooks.ways":
            return True
        frame = frame.f_back
    return False
