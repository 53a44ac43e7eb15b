"""
A relay inside the test's own event loop, mounted under a prefix, and bare clients of its signalling.

Real worker, real sockets, loopback only; no media: the SDP is text, and nobody answers the relay's checks.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from telerelay import Config, Hooks, Relay, TokenKeys
from telerelay.allocator import Allocator
from telerelay.config import with_values
from telerelay.consult.plan import ConsultPlan
from telerelay.journal.schema import Entry
from telerelay.signaling.consults import BACKGROUND

OFFERS = Path(__file__).resolve().parent.parent / "data" / "offers"
PREFIX = "/video"
TIMEOUT_S = 30.0


def offer_sdp(name: str = "chromium_audio_video") -> str:
    """An offer as a real client made it."""
    return (OFFERS / f"{name}.sdp").read_text().replace("\r\n", "\n").replace("\n", "\r\n")


def answer_to(offer: str, ufrag: str = "peer") -> str:
    """What a client that takes everything answers to an offer of the relay's."""
    answer = re.sub(r"a=(candidate|end-of-candidates|msid|ssrc|ssrc-group|ice-lite).*\r\n", "", offer)
    answer = answer.replace("a=sendonly", "a=recvonly").replace("a=setup:actpass", "a=setup:active")
    answer = re.sub(r"a=ice-ufrag:.*", f"a=ice-ufrag:{ufrag}\r", answer)
    return re.sub(r"a=ice-pwd:.*", f"a=ice-pwd:{'w' * 24}\r", answer)


class Peer:
    """One WebSocket of a client: requests by number, events in order."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.joined: dict[str, Any] = {}
        self.events: list[dict[str, Any]] = []
        self._number = 0

    @property
    def id(self) -> str:
        return str(self.joined["participant"])

    @property
    def seq(self) -> int:
        numbered = [int(event["seq"]) for event in self.events if "seq" in event]
        return numbered[-1] if numbered else int(self.joined["seq"])

    async def receive(self) -> dict[str, Any]:
        """The next message; raises ConnectionError with the close code once there is none."""
        async with asyncio.timeout(TIMEOUT_S):
            message = await self.ws.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionError(self.ws.close_code)
        return dict(json.loads(message.data))

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a request; its reply or error. Events that come before it are kept."""
        self._number += 1
        number = self._number
        await self.ws.send_str(json.dumps({"type": kind, "id": number, **fields}))
        while True:
            message = await self.receive()
            if message.get("id") == number:
                return message
            self.events.append(message)

    async def event(self, kind: str, after: int = 0) -> dict[str, Any]:
        """The first event of that kind numbered above `after`, waited for if need be."""
        seen = 0
        while True:
            for message in self.events[seen:]:
                if message["type"] == kind and message.get("seq", 0) > after:
                    return message
            seen = len(self.events)
            self.events.append(await self.receive())

    async def sign(self, kind: str, is_it: Callable[[dict[str, Any]], bool] = lambda sign: True) -> dict[str, Any]:
        """The latest sign of that kind (they have no numbers), once there is one that `is_it`."""
        while True:
            found = [message for message in self.events if message["type"] == kind]
            if found and is_it(found[-1]):
                return found[-1]
            self.events.append(await self.receive())

    async def close_code(self) -> int:
        """What the relay closes this connection with; messages before it are kept."""
        while True:
            try:
                self.events.append(await self.receive())
            except ConnectionError as error:
                return int(error.args[0])

    async def publish(self, sdp: str = "", **fields: Any) -> dict[str, Any]:
        tracks = fields.pop("tracks", [{"mid": "0", "source": "microphone"}, {"mid": "1", "source": "camera"}])
        return await self.ask("publish", sdp=sdp or offer_sdp(), tracks=tracks, **fields)


class Live:
    """The relay, its server and whoever came to it."""

    def __init__(self, relay: Relay, server: TestServer, http: aiohttp.ClientSession) -> None:
        self.relay = relay
        self.http = http
        self.url = str(server.make_url(PREFIX))
        self.root = str(server.make_url("")).rstrip("/")
        self._peers: list[Peer] = []

    def token(self, sub: str, room: str = "r1", role: str = "practitioner", ttl_s: int = 600) -> str:
        return self.relay.token(room=room, sub=sub, role=role, ttl_s=ttl_s)

    def bearer(self, sub: str, room: str = "r1", **fields: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(sub, room, **fields)}", "Content-Type": "application/sdp"}

    async def connect(self, **headers: str) -> Peer:
        ws = await self.http.ws_connect(f"{self.url}/ws", headers=headers or None)
        peer = Peer(ws)
        self._peers.append(peer)
        return peer

    async def join(self, sub: str, room: str = "r1", role: str = "practitioner", **fields: Any) -> Peer:
        """Join; the reply is in `joined`, or the test fails."""
        peer = await self.connect()
        reply = await peer.ask("join", room=room, token=self.token(sub, room, role), **fields)
        assert "reply" == reply["type"], reply
        peer.joined = reply
        return peer

    async def schedule(self, consult: str = "r1", **plan: Any) -> None:
        """A consult, whose room is the one of that name."""
        await self.relay.consults.schedule(ConsultPlan(consult, **plan))

    async def journal(self, consult: str = "r1") -> list[str]:
        """The kinds of a consult's facts, in order."""
        return [entry.kind for entry in await self.entries(consult)]

    async def entries(self, consult: str = "r1") -> tuple[Entry, ...]:
        """A consult's facts as they are written down, those that nobody waits for included."""
        consults = self.relay.consults
        await consults._tasks.join(TIMEOUT_S, besides=BACKGROUND)
        return await consults.keeping.entries(consult)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what only the worker or a timer brings about."""
        async with asyncio.timeout(TIMEOUT_S):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    def transports(self) -> int:
        return sum(sum(stats.transports.values()) for stats in self.relay.stats())


MakeLive = Callable[..., Awaitable[Live]]


@asynccontextmanager
async def making() -> AsyncIterator[MakeLive]:
    """Makes a relay with these values over the defaults; all of them are ended in the end."""
    async with AsyncExitStack() as stack:

        async def make(
            values: Mapping[str, Mapping[str, object]] | None = None,
            hooks: Hooks | None = None,
            allocator: Allocator | None = None,
        ) -> Live:
            config = with_values(Config(), {"udp": {"binds": ["127.0.0.1:0"]}, **(values or {})})
            relay = await stack.enter_async_context(
                Relay(config, hooks=hooks, keys=TokenKeys.of(b"k" * 32), allocator=allocator)
            )
            app = web.Application()
            app.add_subapp(f"{PREFIX}/", relay.app())
            server = TestServer(app)
            await server.start_server(access_log=None)  # as `telerelay serve` has none
            stack.push_async_callback(server.close)
            http = await stack.enter_async_context(aiohttp.ClientSession())
            return Live(relay, server, http)

        yield make
