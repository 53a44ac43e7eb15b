"""
A process that appends some five hundred facts a second whatever its disk does, until its standard input ends.

Prints lines: `ack N` for a fact that is durable, `alarm 0|1` when the store says that it is durable no more, or again,
and at the end `end APPENDED LATEST_MS`: how many were appended, and how late the event loop ever ran while other
threads of the process did get to run.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support.journal import Said
from support.starved import Starved
from telerelay.journal import Journal


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


async def main() -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(0, lambda: os.read(0, 64) or ended.set())
    journal = await Journal.of_file(sys.argv[1], time.time)
    journal.store.on_alarm = lambda is_durable: say(f"alarm {int(is_durable)}")
    journal.listen(lambda entries: [say(f"ack {each.clear['n']}") for each in entries])
    number, latest_s = 0, 0.0
    with Starved() as starved:
        while not ended.is_set():
            begun_s, starved_s = loop.time(), starved.total_s
            for _ in range(10):
                number += 1
                journal.append("c", [Said(time.time(), "noted", {"n": number}, {"note": "x" * 100})])
            await asyncio.sleep(0.02)
            late_s = loop.time() - begun_s - 0.02
            if late_s > latest_s:
                await asyncio.sleep(0.05)  # the other thread counts when it has its turn
                latest_s = max(latest_s, late_s - (starved.total_s - starved_s))
    await journal.store.close(20.0)
    say(f"end {number} {latest_s * 1e3:.0f}")


if __name__ == "__main__":
    asyncio.run(main())
