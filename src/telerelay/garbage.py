"""
When `telerelay serve` searches its memory for garbage cycles: seldom while people come, and once many have gone.

Event loop's thread. A search goes through all that the people present hold: 0.2 s of CPU at 500 of them on the machine
of docs/performance.md. What it finds was left by those who went: so one is due once as many have gone as are there.
"""

import asyncio
import gc
from collections.abc import Callable

# New objects from one of Python's own searches to the next, some MB of them: at its own 700 a storm of joins spends a
# twelfth of its time on searches that find next to nothing.
GARBAGE_AFTER = 10_000
# What fewer leave behind is less than a search is worth.
LEAST_GONE = 100
INTERVAL_S = 5.0


def spare_searches() -> None:
    """What was loaded to start with stays for ever: no search need go through it again. Searches are fewer."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, *gc.get_threshold()[1:])


class Departures:
    """Counts who has gone since the last search."""

    def __init__(self) -> None:
        self._gone_at_search = 0

    def is_search_due(self, taken: int, present: int) -> bool:
        """`taken`: seats ever; `present`: those of now. True at most once for the same departures."""
        gone = taken - present
        if gone - self._gone_at_search < max(LEAST_GONE, present):
            return False
        self._gone_at_search = gone
        return True


async def search_after_departures(attendance: Callable[[], tuple[int, int]]) -> None:
    """Until cancelled. `attendance`: seats taken ever, and now."""
    departures = Departures()
    while True:
        await asyncio.sleep(INTERVAL_S)
        if departures.is_search_due(*attendance()):
            gc.collect()
