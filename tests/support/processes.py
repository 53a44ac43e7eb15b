"""
Whether processes have ended, by their pidfds: nothing is asked again and again.

Blocks: from an event loop, in a thread.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterable
from pathlib import Path


def ended(pids: Iterable[int], within_s: float = 20.0) -> list[int]:
    """Those that have ended by then, sorted; returns as soon as all have. A zombie has ended (pidfd_open(2))."""
    pids, deadline, gone = set(pids), time.monotonic() + within_s, set[int]()
    with contextlib.ExitStack() as stack:
        poll = select.poll()
        open_fds: dict[int, int] = {}
        for pid in pids:
            try:
                pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                gone.add(pid)
                continue
            stack.callback(os.close, pidfd)
            open_fds[pidfd] = pid
            poll.register(pidfd, select.POLLIN)
        while open_fds:
            left_s = max(0.0, deadline - time.monotonic())
            for pidfd, _ in (found := poll.poll(left_s * 1000)):
                poll.unregister(pidfd)
                gone.add(open_fds.pop(pidfd))
            if not found:
                break
    return sorted(gone)


def is_alive(pid: int) -> bool:
    """Runs, and is no zombie."""
    return [] == ended([pid], within_s=0)


def waited_s(pid: int) -> float:
    """What its first thread has stood ready to run so far and had no processor for (proc(5), schedstat)."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
