"""
The application: rules and events over webhooks. It takes its time over each request, so that a kill finds some of them
under way, and remembers what it answered.

Event loop of the driver.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from support.hook_hosts import Host, host

LONGEST_S = 0.3
RULED = "rule"
"""Whoever waits at the desk of this queue is let in by the application."""


class Receiver:
    """`taken` are the facts it has answered for, each with its body, in the order of the answers."""

    def __init__(self, host: Host, dice: random.Random) -> None:
        self.host = host
        self._dice = dice
        self.taken: list[dict[str, Any]] = []
        self.asked = 0
        host.answer = self._answer

    async def _answer(self, _request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(self._dice.uniform(0.0, LONGEST_S))
        if "key" in body:
            self.taken.append(json.loads(json.dumps(body)))
            return web.Response()
        self.asked += 1
        match body["hook"]:
            case "admit" if body["request"]["queue"] == RULED:
                return web.json_response({"answer": {"answer": "admit", "by": "rule-1"}})
            case "admit":
                return web.json_response({"answer": {"answer": "wait"}})
            case "attest":
                policy = {"policy": "p-1", "date": "2026-01", "outcome": "met", "claims": {}, "reason": ""}
                return web.json_response({"answer": policy})
        return web.json_response({"answer": True})


@asynccontextmanager
async def receiver(dice: random.Random) -> AsyncIterator[Receiver]:
    async with host() as running:
        yield Receiver(running, dice)
