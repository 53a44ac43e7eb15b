"""How late the event loop runs."""

import asyncio
import time

from telerelay.observe.lag import BUCKETS, LoopLag


def test_each_lag_falls_into_one_bucket() -> None:
    """
    A bound belongs to the bucket it ends.
    """
    lag = LoopLag()
    for value in (0.0, BUCKETS[0], BUCKETS[0] + 0.0001, 60.0):
        lag.note(value)

    assert [2, 1, 0, 0, 0, 0, 1] == lag.counts
    assert 60.0 == lag.max_s


async def test_a_blocked_loop_is_seen() -> None:
    """
    A handler that holds the loop shows in the maximum.
    """
    lag = LoopLag()
    running = asyncio.ensure_future(lag.run())
    await asyncio.sleep(0)
    time.sleep(0.2)  # noqa: ASYNC251
    async with asyncio.timeout(2):
        while not sum(lag.counts):  # noqa: ASYNC110
            await asyncio.sleep(0)
    running.cancel()

    assert lag.max_s >= 0.05
