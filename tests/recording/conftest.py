"""Fixtures of the recordings' tests: relays."""

from collections.abc import AsyncIterator

import pytest

from support.live_relay import MakeLive, making


@pytest.fixture
async def make_live() -> AsyncIterator[MakeLive]:
    """Makes a relay with these values over the defaults; all of them are ended after the test."""
    async with making() as make:
        yield make
