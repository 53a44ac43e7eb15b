"""
How late the event loop runs: the one number that says whether a hook or a handler blocks.

Event loop's thread. Media does not suffer from a late loop; joins and negotiation do.
"""

import asyncio

INTERVAL_S = 0.1
# Seconds: an idle loop is under the first; 2 s is a hook gone wrong.
BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0)


class LoopLag:
    """A histogram of how much later than asked a short sleep ended."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total_s = 0.0
        self.max_s = 0.0
        """The worst since the process began."""

    def note(self, lag_s: float) -> None:
        self.counts[sum(lag_s > bound for bound in BUCKETS)] += 1
        self.total_s += lag_s
        self.max_s = max(self.max_s, lag_s)

    async def run(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + INTERVAL_S
            await asyncio.sleep(INTERVAL_S)
            self.note(max(0.0, loop.time() - due))
