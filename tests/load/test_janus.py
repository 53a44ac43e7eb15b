"""
The adapter to Janus against a server that speaks as much of its API as a VideoRoom needs, over both of its transports.

What the real one does with it is seen by make bench-peers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from telerelay.errors import RemoteProtocolError, TelerelayError
from telerelay.load.targets.base import Seat
from telerelay.load.targets.janus import JanusTarget, room_number

Message = dict[str, Any]


class FakeJanus:
    """Sessions and handles by number; every request's body is kept. Events go out on the session's own way."""

    def __init__(self) -> None:
        self.bodies: list[Message] = []
        self.ended: list[int] = []
        self.events: dict[int, asyncio.Queue[Message]] = {}
        self.refuses_join = False
        self._number = 100

    def new(self) -> int:
        self._number += 1
        return self._number

    def take(self, message: Message) -> Message:
        """What answers at once; what comes later is put on the queue."""
        kind, tag = message["janus"], message["transaction"]
        if kind == "create":
            session = self.new()
            self.events[session] = asyncio.Queue()
            return {"janus": "success", "transaction": tag, "data": {"id": session}}
        if kind == "attach":
            return {"janus": "success", "transaction": tag, "data": {"id": self.new()}}
        if kind == "destroy":
            self.ended.append(message["session_id"])
            return {"janus": "success", "transaction": tag}
        if kind != "message":
            return {"janus": "ack", "transaction": tag}
        body = message["body"]
        self.bodies.append({**body, "jsep": message.get("jsep")})
        if body["request"] in ("create", "destroy"):
            return {"janus": "success", "transaction": tag, "plugindata": {"data": {"videoroom": "created"}}}
        self.events[message["session_id"]].put_nowait(self._event(message, body) | {"transaction": tag})
        return {"janus": "ack", "transaction": tag}

    def _event(self, message: Message, body: Message) -> Message:
        data: Message = {"videoroom": "event"}
        jsep = None
        match body["request"], body.get("ptype"):
            case "join", "publisher":
                data = {"videoroom": "joined", "publishers": [{"id": 7}]}
                if self.refuses_join:
                    data = {"videoroom": "event", "error_code": 432, "error": "full"}
            case "publish", _:
                jsep = {"type": "answer", "sdp": "janus answers"}
            case ("join", "subscriber") | ("subscribe", _):
                jsep = {"type": "offer", "sdp": f"janus offers {body['streams'][0]['feed']}"}
        event: Message = {"janus": "event", "sender": message["handle_id"], "plugindata": {"data": data}}
        return event | ({"jsep": jsep} if jsep else {})

    # ---------------------------------------------------------------- its two ways

    async def post(self, request: web.Request) -> web.Response:
        return web.json_response(self.take(await request.json()))

    async def poll(self, request: web.Request) -> web.Response:
        return web.json_response([await self.events[int(request.match_info["session"])].get()])

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(protocols=("janus-protocol",))
        await ws.prepare(request)
        pumps = []
        async for raw in ws:
            reply = self.take(json.loads(raw.data))
            await ws.send_json(reply)
            if "data" in reply and reply["data"]["id"] in self.events:
                pumps.append(asyncio.create_task(self._pump(ws, self.events[reply["data"]["id"]])))
        for pump in pumps:
            pump.cancel()
        return ws

    async def _pump(self, ws: web.WebSocketResponse, queue: asyncio.Queue[Message]) -> None:
        while True:
            await ws.send_json(await queue.get())


class Connection:
    """A transport that only keeps what it was told."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.offers: asyncio.Queue[str] = asyncio.Queue()

    async def offer(self) -> str:
        return "we offer"

    async def take_answer(self, sdp: str) -> None:
        self.answers.append(sdp)

    async def answer(self, sdp: str) -> str:
        self.offers.put_nowait(sdp)
        return f"we answer {sdp.split()[-1]}"


@pytest.fixture
async def janus() -> AsyncIterator[tuple[FakeJanus, TestServer]]:
    fake = FakeJanus()
    app = web.Application()
    app.router.add_get("/", fake.socket)
    app.router.add_post("/janus", fake.post)
    app.router.add_post("/janus/{session}", fake.post)
    app.router.add_post("/janus/{session}/{handle}", fake.post)
    app.router.add_get("/janus/{session}", fake.poll)
    server = TestServer(app)
    await server.start_server()
    yield fake, server
    await server.close()


def url(server: TestServer, kind: str) -> str:
    return f"ws://127.0.0.1:{server.port}" if kind == "ws" else f"http://127.0.0.1:{server.port}/janus"


def seat(publish: Connection | None, receive: Connection | None) -> Seat:
    return Seat("load-0", "p0", "secret", publish, receive, 1)


@pytest.mark.parametrize("kind", ["ws", "http"])
async def test_a_participant_publishes_and_subscribes_to_who_is_there_and_who_comes(
    janus: tuple[FakeJanus, TestServer], kind: str
) -> None:
    """
    The room is made once; a publisher that comes later is subscribed to on the same handle.
    """
    fake, server = janus
    target = JanusTarget(url(server, kind))
    await target.open()
    publish, receive = Connection(), Connection()
    session = await target.join(seat(publish, receive))

    assert ["janus answers"] == publish.answers
    assert "janus offers 7" == await receive.offers.get()
    sessions = [number for number in fake.events if number not in fake.ended]
    fake.events[sessions[-1]].put_nowait(
        {"janus": "event", "sender": 1, "plugindata": {"data": {"videoroom": "event", "publishers": [{"id": 9}]}}}
    )
    assert "janus offers 9" == await receive.offers.get()
    await session.leave()
    await target.close()

    requests = [(body["request"], body.get("ptype")) for body in fake.bodies]
    assert ("create", None) == requests[0]
    assert 1 == requests.count(("join", "subscriber")) == requests.count(("subscribe", None))
    assert ("destroy", None) == requests[-1]
    assert {room_number("load-0")} == {body["room"] for body in fake.bodies if "room" in body}
    started = [body["jsep"]["sdp"] for body in fake.bodies if body["request"] == "start"]
    assert "we answer 7" in started
    assert 2 == len(fake.ended)


async def test_what_janus_refuses_has_its_number(janus: tuple[FakeJanus, TestServer]) -> None:
    """
    So the report counts by it; the session is given up.
    """
    fake, server = janus
    target = JanusTarget(url(server, "ws"))
    await target.open()
    fake.refuses_join = True
    with pytest.raises(RemoteProtocolError) as caught:
        await target.join(seat(Connection(), None))
    await target.close()

    assert "janus_432" == caught.value.code


async def test_a_janus_that_is_not_there_is_one_clear_error() -> None:
    """
    Before anybody tries to join.
    """
    with pytest.raises(TelerelayError, match=r"no Janus answers at ws://127\.0\.0\.1:9"):
        await JanusTarget("ws://127.0.0.1:9").open()


def test_a_rooms_name_gives_its_number() -> None:
    """
    The same for the same name, never zero.
    """
    assert room_number("a") == room_number("a") != room_number("b")
    assert room_number("") > 0
