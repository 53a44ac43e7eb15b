"""
What a process says when it ends by a fault of ours, or one of its threads does: the stack, never the words.

An exception's words may hold what a client sent, and stderr is kept like the log (A61). Any thread; set once at start.
"""

import logging
import sys
import threading
from types import TracebackType

from telerelay.logs import say


def say_no_words() -> None:
    """From here on whatever nobody catches is one log line with its type and its stack."""
    sys.excepthook = _on_end
    threading.excepthook = _on_thread
    sys.unraisablehook = _on_unraisable


def _on_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    say(logging.CRITICAL, "crashed", error=kind.__name__, exc_info=error.with_traceback(trace))


def _on_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is not None and not isinstance(found.exc_value, SystemExit):
        say(logging.ERROR, "thread_crashed", error=found.exc_type.__name__, exc_info=found.exc_value)


def _on_unraisable(found: "sys.UnraisableHookArgs") -> None:
    kind = found.exc_type.__name__ if found.exc_type is not None else ""
    say(logging.ERROR, "unraisable", error=kind, exc_info=found.exc_value)
