"""
The other end of process.py: reads orders from stdin, has them done beside each other, answers on stdout.

Event loop of the process that was started.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from telerelay import TelerelayError

Do = Callable[..., Awaitable[Mapping[str, Any]]]


def tell(message: Mapping[str, Any]) -> None:
    """One line to whoever started us, with the time: monotonic seconds, which all processes of a machine share."""
    print(json.dumps({"at": time.monotonic(), **message}), flush=True)


async def take_orders(doing: Mapping[str, Do]) -> None:
    """Until stdin ends. What is done beside each other is answered as it is done."""
    reader = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks: set[asyncio.Task[None]] = set()
    async for line in reader:
        order = json.loads(line)
        task = asyncio.create_task(_do(doing[order.pop("do")], order.pop("id"), order))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    transport.close()
    for task in tuple(tasks):
        task.cancel()


async def _do(doing: Do, number: int, fields: Mapping[str, Any]) -> None:
    began = time.monotonic()
    try:
        answer = await doing(**fields)
    except TelerelayError as error:
        tell({"id": number, "error": error.code, "message": str(error)})
    except Exception as error:  # whoever asked must not wait for ever
        tell({"id": number, "error": type(error).__name__, "message": str(error)})
    else:
        tell({"id": number, "began": began, **answer})
