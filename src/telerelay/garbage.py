"""
When `telerelay serve` searches its memory for garbage cycles: seldom while people come, and once many have gone. Once
most of them have gone, what nobody uses goes back to the system, too.

Event loop's thread. A search goes through all that the people present hold: 0.2 s of CPU at 500 of them on the machine
of docs/performance.md. What it finds was left by those who went: so one is due once as many have gone as are there.
"""

import asyncio
import gc
from collections.abc import Callable

from telerelay.dataplane import heap
from telerelay.departures import Departures

# New objects from one of Python's own searches to the next, some MB of them: at its own 700 a storm of joins spends a
# twelfth of its time on searches that find next to nothing.
GARBAGE_AFTER = 10_000
INTERVAL_S = 5.0


def spare_searches() -> None:
    """What was loaded to start with stays for ever: no search need go through it again. Searches are fewer."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, *gc.get_threshold()[1:])


async def search_after_departures(attendance: Callable[[], tuple[int, int]]) -> None:
    """Until cancelled. `attendance`: seats taken ever, and now."""
    searches, tides = Departures(), Departures(heap.WORTH_IT)
    while True:
        await asyncio.sleep(INTERVAL_S)
        now = attendance()
        if searches.is_look_due(*now):
            gc.collect()
        if tides.is_look_due(*now):
            heap.give_back()
