"""
One Chromium and one relay for each module of browser tests; every person has a context of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from consulting import OpenPage, Person
from playwright.async_api import Browser

from support.chromium import chromium
from support.relay_process import RelayProcess

HERE = Path(__file__).parent
_rooms = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """How fast a browser is, is the machine's affair: each of these waits, and is timed (support/timed.py)."""
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.timed)


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    """A relay in a process of its own, as an operator runs it."""
    with RelayProcess() as process:
        yield process


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, headless."""
    async with chromium() as started:
        yield started


@pytest.fixture
def room() -> str:
    """A room that no other test uses."""
    return f"room-{next(_rooms)}"


@pytest_asyncio.fixture(loop_scope="module")
async def open_page(browser: Browser, relay: RelayProcess, room: str) -> AsyncIterator[OpenPage]:
    """
    A maker of people: `await open_page("alice", role="patient", …)` has the page open with a token for the test's room.
    Their browsers are closed after the test.
    """
    people: list[Person] = []

    async def open_one(
        sub: str, *, role: str = "patient", url: str = "", token: str | None = "", **rest: object
    ) -> Person:
        ticket = relay.token(room, sub, role) if token == "" else token
        person = await Person.open(browser, url or relay.url, room=room, token=ticket, **rest)  # type: ignore[arg-type]
        people.append(person)
        return person

    yield open_one
    for person in people:
        await person.context.close()
