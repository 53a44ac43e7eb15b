"""Fixtures of the documents' tests: a consult with a doctor and a patient in it, and HTTP clients of theirs."""

from collections.abc import AsyncIterator

import pytest

from support.live_relay import MakeLive, making
from support.uploads import Call


@pytest.fixture
async def make_live() -> AsyncIterator[MakeLive]:
    """Makes a relay with these values over the defaults; all of them are ended after the test."""
    async with making() as make:
        yield make


@pytest.fixture
async def call(make_live: MakeLive) -> Call:
    """A consult "r1" with the doctor "doc" and the patient "pat" in it."""
    return await Call.begin(await make_live())
