"""
Rules that sleep for ten seconds at every call, decision or event, as long as the file SLEEPY_WHILE is there, and write
each such call's name into SLEEPY_CALLS.

`Blocking` for `hooks.entry_point`: it keeps its thread. As a program it is `telerelay` with `Awaiting` given as an
object, on the relay's own loop, as an application that embeds the relay gives one.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from telerelay import Hooks, serve
from telerelay.cli import main
from telerelay.hooks.asked import DECISIONS
from telerelay.hooks.told import EVENTS

SLEEP_S = 10.0


async def _awaits() -> None:
    await asyncio.sleep(SLEEP_S)


async def _blocks() -> None:
    time.sleep(SLEEP_S)  # noqa: ASYNC251 - the point of it


def _is_to_sleep(name: str) -> bool:
    """If so, the call is written down."""
    is_on = Path(os.environ["SLEEPY_WHILE"]).exists()
    if is_on:
        with Path(os.environ["SLEEPY_CALLS"]).open("a") as calls:
            calls.write(f"{name}\n")
    return is_on


def _sleepy(name: str, sleep: Callable[[], Awaitable[None]]) -> Callable[..., Awaitable[Any]]:
    usual = getattr(Hooks, name)

    async def hook(self: Hooks, given: Any) -> Any:
        if _is_to_sleep(name):
            await sleep()
        return await usual(self, given)

    return hook


def _rules(sleep: Callable[[], Awaitable[None]]) -> type[Hooks]:
    return type("Sleepy", (Hooks,), {name: _sleepy(name, sleep) for name in (*DECISIONS, *EVENTS)})


Awaiting = _rules(_awaits)
Blocking = _rules(_blocks)

if __name__ == "__main__":
    serve.Relay = partial(serve.Relay, hooks=Awaiting())  # type: ignore[misc, assignment]
    sys.exit(main())
