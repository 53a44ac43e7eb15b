"""
`telerelay serve` whose event loop can be made to stall: SIGUSR1 makes it sleep for STALL_S seconds, as a bug in an
application that embeds the relay would. Run as a program, with the arguments of telerelay.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from telerelay.cli import main

STALL_S = float(os.environ.get("STALL_S", "5"))


def stall(_number: int, _frame: object) -> None:
    """
    Block the loop. A Python signal handler runs in the main thread, between two steps of the loop: nothing else of
    the control plane moves until it returns.
    """
    print(f"stalling for {STALL_S:g} s", file=sys.stderr, flush=True)
    time.sleep(STALL_S)  # the point of it
    print("stalled", file=sys.stderr, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, stall)
    sys.exit(main())
