"""
The host: it commands consults over the admin listener, and says each thing again until it is answered.

Event loop of the driver. What is said again may have been done the first time: `conflict`, `not_found` and
`consult_over` are then an answer like any other.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp

from kills.ledger import Ledger
from kills.patience import Patience
from telerelay.protocol.grants import TokenKeys

TRY_AGAIN_S = 0.1
PATIENCE_S = 90.0
DONE_BEFORE = {"conflict", "not_found", "consult_over"}


class RefusedError(Exception):
    """The relay said no to what it had to say yes to."""


class Desk:
    """`said_again` counts what was not answered the first time."""

    def __init__(self, url: str, keys: TokenKeys, http: aiohttp.ClientSession, ledger: Ledger) -> None:
        self._url, self._keys, self._http, self._ledger = url, keys, http, ledger
        self.said_again = 0

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any, bool]:
        """Status, answer, and whether it had been said before without an answer."""
        patience, is_again = Patience(PATIENCE_S), False
        while True:
            token = self._keys.sign_admin(sub="desk-3", ttl_s=600, now=time.time())
            headers = {"Authorization": f"Bearer {token}"}
            try:
                async with self._http.request(method, self._url + path, json=body, headers=headers) as response:
                    answer = await response.json()
                    if response.status < 500:
                        return response.status, answer, is_again
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            if not patience:
                raise TimeoutError(f"the relay did not answer {method} {path}")
            is_again = True
            self.said_again += 1
            await asyncio.sleep(TRY_AGAIN_S)

    async def command(self, consult: str, name: str, body: Any, kind: str, **members: Any) -> bool:
        """
        A command that makes a fact of that kind; noted once it is answered. False: it had been decided otherwise.
        """
        status, answer, is_again = await self.ask("POST", f"/consults/{consult}/{name}", body)
        if status < 300:
            self._ledger.note(consult, kind, **members)
            return True
        code = answer["error"]["code"]
        if code not in DONE_BEFORE:
            raise RefusedError(f"{name} of {consult}: {code} {answer['error']['message']}")
        return is_again

    async def schedule(self, consult: str, **plan: Any) -> None:
        """Noted once it is answered, by `conflict` too, where it was said before."""
        status, answer, is_again = await self.ask("POST", "/consults", {"consult": consult, **plan})
        if status >= 300 and not (is_again and answer["error"]["code"] == "conflict"):
            raise RefusedError(f"schedule {consult}: {answer}")
        self._ledger.note(consult, "scheduled")

    async def set_timer(self, consult: str, timer: str, after_s: float) -> None:
        due_at = round(time.time() + after_s, 3)
        status, answer, _ = await self.ask("POST", f"/consults/{consult}/timers", {"timer": timer, "due_at": due_at})
        if status < 300:
            self._ledger.note(consult, "timer_set", timer=timer, due_at=due_at)
            self._ledger.timers.append((consult, timer, due_at))
        elif answer["error"]["code"] not in DONE_BEFORE:
            raise RefusedError(f"timer of {consult}: {answer}")

    async def attestation(self, consult: str) -> Any:
        """Waited for: it is made behind the end."""
        patience = Patience(PATIENCE_S)
        while True:
            status, document, _ = await self.ask("GET", f"/consults/{consult}/attestation")
            if status == 200:
                self._ledger.note(consult, "attested")
                return document
            if not patience:
                raise TimeoutError(f"{consult} has ended and is not attested")
            await asyncio.sleep(TRY_AGAIN_S)
