"""
A process that appends to a journal until it is killed, and prints what was acknowledged: `CONSULT SEQ`, line by line.

Run by tests, with the path of the journal.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support.journal import Said
from telerelay.journal import Journal


async def append(journal: Journal, consult: str) -> None:
    number = 0
    while True:
        number += 1
        facts = [Said(time.time(), "noted", {"n": number}, {"note": "x" * (number % 500)})] * (1 + number % 3)
        for entry in await journal.append(consult, facts):
            # One write each: what is printed is with the reader, whatever becomes of this process.
            os.write(1, f"{consult} {entry.seq}\n".encode())


async def main() -> None:
    journal = await Journal.of_file(sys.argv[1], time.time)
    async with asyncio.TaskGroup() as tasks:
        for each in range(4):
            tasks.create_task(append(journal, f"c{each}"))


if __name__ == "__main__":
    asyncio.run(main())
