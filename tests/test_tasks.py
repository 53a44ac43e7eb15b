"""Tasks with an owner, and the bell that one of them waits for."""

import asyncio
from contextlib import suppress

from telerelay.tasks import Bell


async def test_a_bell_wakes_whoever_waits_once_however_often_it_rings() -> None:
    """
    Also where it rang before anybody waited; what rings while the one before is worked off is heard next.
    """
    bell, heard = Bell(), []

    async def listen() -> None:
        while True:
            await bell.wait()
            heard.append(len(heard))
            if len(heard) == 2:
                bell.ring()

    bell.ring()
    bell.ring()
    listening = asyncio.ensure_future(listen())
    for _ in range(3):
        await asyncio.sleep(0)
    assert [0] == heard

    bell.ring()
    bell.ring()
    for _ in range(5):
        await asyncio.sleep(0)
    assert [0, 1, 2] == heard
    listening.cancel()


async def test_a_bell_outlives_a_waiter_that_was_cancelled() -> None:
    """
    What rings after that is for the next one.
    """
    bell = Bell()
    first = asyncio.ensure_future(bell.wait())
    await asyncio.sleep(0)
    first.cancel()
    bell.ring()
    with suppress(asyncio.CancelledError):
        await first
    async with asyncio.timeout(1):
        await bell.wait()
