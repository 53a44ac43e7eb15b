"""
The way to hooks where the host is not Python: an HTTP POST for each, to one address that the configuration names.

Event loop's thread. The address is fixed, a redirect is a failure, and nothing a client sent ends up in it (A63). What
comes back is bounded in size and read against a schema; the deadlines are runner.py's.
"""

import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager

import aiohttp

from telerelay.errors import LocalProtocolError
from telerelay.hooks import jsons
from telerelay.hooks.signature import HEADER, sign
from telerelay.hooks.told import HOOK_OF, Told
from telerelay.hooks.ways import HookError

# Most answers are a word. The longest are a list of videos with their titles and a policy with its claims, with every
# character as an escape of JSON.
MAX_REPLY_BYTES = 262_144
# Connections kept to the host, apart for each so that events that hang take nothing from decisions. A thousand joins a
# minute at 2 s each are 33 decisions at once.
MAX_ASKING, MAX_TELLING = 64, 128
# Above the runner's deadlines, should one be configured longer than this: a connection does not live for ever.
TOTAL_S = 120.0


class WebhookWay:
    """
    `url` is checked by the configuration. Of the hooks it is asked and told those of `hooks`. `now` is Unix seconds.
    """

    def __init__(
        self, url: str, keys: Sequence[bytes], hooks: Collection[str], *, now: Callable[[], float] = time.time
    ) -> None:
        self._url = url
        self._keys = tuple(keys)
        self._hooks = frozenset(hooks)
        self._now = now
        self._asking: aiohttp.ClientSession | None = None
        self._telling: aiohttp.ClientSession | None = None

    def hears(self, hook: str, room: str | None = None) -> bool:
        return hook in self._hooks

    async def start(self) -> None:
        self._asking = _session(MAX_ASKING)
        self._telling = _session(MAX_TELLING)

    async def close(self) -> None:
        for session in (self._asking, self._telling):
            if session is not None:
                await session.close()

    async def ask(self, hook: str, request: object) -> object:
        body = jsons.asked(hook, request, secrets.token_urlsafe(12))
        try:
            reply = await self._ask(body)
        except _Stale:
            # A connection that was kept open was closed by the host just then: nobody is refused for that.
            reply = await self._ask(body)
        return jsons.answer(hook, reply)

    async def tell(self, told: Told) -> None:
        events = tuple(event for event in told.events if HOOK_OF[type(event)] in self._hooks)
        if events:
            await self._tell(jsons.told(told, events))

    # ---------------------------------------------------------------- within

    async def _ask(self, body: bytes) -> bytes:
        async with self._posted(self._asking, body) as response:
            if response.status != 200:
                raise HookError("status", response.status)
            return await _bounded(response)

    async def _tell(self, body: bytes) -> None:
        async with self._posted(self._telling, body) as response:
            if not 200 <= response.status < 300:
                raise HookError("status", response.status)
            # It was taken, whatever else is said. What is short is read, so that the connection can be used again.
            try:
                await _bounded(response)
            except (HookError, aiohttp.ClientError):
                response.close()

    @asynccontextmanager
    async def _posted(
        self, session: aiohttp.ClientSession | None, body: bytes
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Post it and read the reply's head. Raises HookError."""
        if session is None:
            raise LocalProtocolError("state", "the webhooks are not started")
        headers = {HEADER: sign(self._keys, body, self._now())}
        try:
            async with session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                yield response
        except (aiohttp.ClientConnectorError, aiohttp.ClientPayloadError):
            raise HookError("unreachable") from None
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            raise _Stale from None
        except aiohttp.ClientError:  # what came is no HTTP
            raise HookError("nonsense") from None


class _Stale(HookError):
    """The connection ended before there was a reply."""

    def __init__(self) -> None:
        super().__init__("unreachable")


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The reply's body. Raises HookError too_large over the limit."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_REPLY_BYTES:
            raise HookError("too_large")
    return bytes(body)


def _session(connections: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        timeout=aiohttp.ClientTimeout(total=TOTAL_S),
        # The host's cookies are not kept, what it compresses is not unpacked (and so is no answer), and no proxy is
        # taken from the environment: the request goes where the configuration says.
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        headers={
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "telerelay",
        },
    )
