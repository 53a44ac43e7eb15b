"""
One worker and one live call for all attacks of a module; after each test the call must have lost nothing.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).resolve().parent))

pytest.register_assert_rewrite("harness")

from harness import FULL, LiveCall, World  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The catalogue's own numbers take their time."""
    for item in items:
        if FULL and item.path.parent == Path(__file__).resolve().parent:
            item.add_marker(pytest.mark.timeout(1800))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    """A worker on a free port."""
    async with World() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_call(world: World) -> AsyncIterator[LiveCall]:
    """Two people who talk while the module's attacks run."""
    async with LiveCall(world) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def call(running_call: LiveCall) -> AsyncIterator[LiveCall]:
    """The same, judged when the test has ended."""
    yield running_call
    await running_call.check()
