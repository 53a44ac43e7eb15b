"""Fixtures of the signalling tests: a relay inside the test's own event loop."""

from collections.abc import AsyncIterator

import pytest

from support.live_relay import Live, MakeLive, making


@pytest.fixture
async def make_live() -> AsyncIterator[MakeLive]:
    """Makes a relay with these values over the defaults; all of them are ended after the test."""
    async with making() as make:
        yield make


@pytest.fixture
async def live(make_live: MakeLive) -> Live:
    return await make_live()
