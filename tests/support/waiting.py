"""
Waiting for what has no event to wait for: another process's counters, statistics of somebody else's stack.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

TIMEOUT_S = 15.0


async def until(condition: Callable[[], Any], timeout_s: float = TIMEOUT_S, every_s: float = 0.05) -> Any:
    """Ask until the answer is true (a coroutine is awaited) and return it; TimeoutError after `timeout_s`."""
    async with asyncio.timeout(timeout_s):
        while True:
            answer = condition()
            if asyncio.iscoroutine(answer):
                answer = await answer
            if answer:
                return answer
            await asyncio.sleep(every_s)
