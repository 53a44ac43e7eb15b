"""
One example's site at a host that has others too, for rows that are played at the same time, round after round.

`Rounds` begins them together and ends them together: each round of a row is measured while all others go on. Event loop
of the row.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from statistics import median
from typing import Any

from rows.figures import Figure
from rows.host import Host
from rows.person import Person
from rows.process import Message

STARTED_AT_ONCE = 2
"""Processes: one a core."""


class Rounds:
    """So many rows, each for at least `least` rounds."""

    def __init__(self, rows: int, least: int) -> None:
        self.turn = asyncio.Semaphore(STARTED_AT_ONCE)
        self._begin = asyncio.Barrier(rows)
        self._missing = dict.fromkeys(range(rows), least)
        self._numbers = iter(range(rows))

    async def play(self, once: Callable[[], Awaitable[list[Figure]]]) -> list[Figure]:
        """Wait until everybody of all rows is there, then play until all rows had their rounds."""
        number = next(self._numbers)
        found: list[list[Figure]] = []
        await self._begin.wait()
        while any(left > 0 for left in self._missing.values()):
            found.append(await once())
            self._missing[number] -= 1
            await asyncio.sleep(0)  # the others have their turn, whatever a round is
        return merged(found)


class Place(Host):
    """One site of a running host, as a Host that has neither a process nor a clock of its own: they are everybody's."""

    def __init__(self, host: Host, name: str, rounds: Rounds) -> None:
        self.url = f"{host.url}/{name}"
        self.udp = host.udp
        self._host = host
        self._rounds = rounds

    @property
    def now(self) -> float:
        return self._host.now

    async def do(self, what: str, **fields: Any) -> Message:
        """Nothing but what concerns nobody else."""
        assert what == "token", f"{what} concerns the others too"
        return await self._host.do(what, **fields)

    @asynccontextmanager
    async def people(self, count: int) -> AsyncIterator[tuple[Person, ...]]:
        """So many, who have at hand what they need: forty processes that import at once keep each other's sockets."""
        async with AsyncExitStack() as stack:
            found = []
            for _ in range(count):
                async with self._rounds.turn:
                    person = await stack.enter_async_context(Person())
                    await person.prepare()
                found.append(person)
            yield tuple(found)

    async def rounds(self, once: Callable[[], Awaitable[list[Figure]]]) -> list[Figure]:
        """Round after round, beside all others."""
        return await self._rounds.play(once)


def merged(rounds: Sequence[Sequence[Figure]]) -> list[Figure]:
    """One figure of each kind: of what is counted the worst round's, of times the median of all rounds."""
    kinds: dict[str, list[Figure]] = {}
    for each in itertools.chain.from_iterable(rounds):
        kinds.setdefault(each.what, []).append(each)
    found = []
    for kind in kinds.values():
        values, first = [each.value for each in kind], kind[0]
        worst = min if first.is_least else max
        found.append(replace(first, value=median(values) if first.unit else worst(values)))
    return found
