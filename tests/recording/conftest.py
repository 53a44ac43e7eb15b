"""Fixtures of the recordings' tests: relays."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from support.live_relay import PREFIX, Live, MakeLive
from telerelay import Config, Hooks, Relay, TokenKeys
from telerelay.config import with_values


@pytest.fixture
async def make_live() -> AsyncIterator[MakeLive]:
    """Makes a relay with these values over the defaults; all of them are ended after the test."""
    async with AsyncExitStack() as stack:

        async def make(values: Mapping[str, Mapping[str, object]] | None = None, hooks: Hooks | None = None) -> Live:
            config = with_values(Config(), {"udp": {"binds": ["127.0.0.1:0"]}, **(values or {})})
            relay = await stack.enter_async_context(Relay(config, hooks=hooks, keys=TokenKeys.of(b"k" * 32)))
            app = web.Application()
            app.add_subapp(f"{PREFIX}/", relay.app())
            server = TestServer(app)
            await server.start_server()
            stack.push_async_callback(server.close)
            http = await stack.enter_async_context(aiohttp.ClientSession())
            return Live(relay, server, http)

        yield make
