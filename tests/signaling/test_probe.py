"""GET /probe over a real relay: what a site may ask, and what it may not."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from support.live_relay import Live, MakeLive, offer_sdp


class Probing:
    """One WebSocket of a prober."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self._number = 0

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        self._number += 1
        await self.ws.send_str(json.dumps({"id": self._number, "type": kind, **fields}))
        while (message := await self.ws.receive(timeout=5.0)).type is aiohttp.WSMsgType.BINARY:
            pass
        return dict(json.loads(message.data))


async def probing(live: Live, **begin: Any) -> tuple[Probing, dict[str, Any]]:
    one = Probing(await live.http.ws_connect(f"{live.url}/probe"))
    return one, await one.ask("begin", **begin)


async def test_a_rate_is_answered_by_the_clock(live: Live) -> None:
    """
    What the relay has counted of what was sent; and what it sends comes.
    """
    one, begun = await probing(live)
    await one.ws.send_str(json.dumps({"id": 9, "type": "up", "seconds": 0.1}))
    await one.ws.send_bytes(bytes(1000))
    came = json.loads((await one.ws.receive(timeout=5.0)).data)
    down = await one.ask("down", seconds=0.1)

    assert {"type": "reply", "id": 1} == begun
    assert 1000 == came["bytes"]
    assert came["bps"] > 0
    assert down["bytes"] > 0


async def test_a_test_call_is_in_no_room(live: Live) -> None:
    """
    An offer is answered, nobody is anywhere, and all of it is given back.
    """
    one, _ = await probing(live)
    sent = await one.ask("publish", sdp=offer_sdp())
    again = await one.ask("publish", sdp=offer_sdp())
    stats = await one.ask("stats")
    rooms = live.relay.attendance()
    await one.ws.close()
    after = await live.http.get(f"{live.url}/healthz")

    assert "m=audio" in sent["sdp"]
    assert "conflict" == again["code"]
    assert 0 == stats["rx_packets"]
    assert (0, 0) == rooms
    assert 200 == after.status


async def test_what_is_found_is_judged_in_a_language(live: Live) -> None:
    """
    The one judge, asked by the page.
    """
    one, _ = await probing(live)
    judged = await one.ask("judge", found={"udp": "no_answer", "camera": None}, language="fr")
    refused = await one.ask("judge", found={"udp": "perhaps"}, language="fr")

    assert not judged["passed"]
    udp = next(check for check in judged["checks"] if check["name"] == "udp")
    assert ("fail", "no_answer", True) == (udp["result"], udp["code"], udp["needed"])
    assert udp["text"].startswith("UDP est bloqué")
    assert "bad_message" == refused["code"]


@pytest.mark.parametrize(
    ("values", "begin", "expected"),
    [
        ({"needs_token": True}, {}, "unauthorized"),
        ({"needs_token": True}, {"token": "x"}, "unauthorized"),
        ({}, {"token": "x"}, "unauthorized"),
        ({"burst": 1, "every_s": 3600.0}, {}, "too_many_requests"),
    ],
)
async def test_who_may_not_is_told_and_closed(
    make_live: MakeLive, values: dict[str, object], begin: dict[str, str], expected: str
) -> None:
    """
    No token where one is needed, a bad one, or too often.
    """
    live = await make_live({"probe": values})
    if "burst" in values:
        await probing(live)
    one, answer = await probing(live, **begin)

    assert expected == answer["code"]
    assert (await one.ws.receive(timeout=5.0)).type is aiohttp.WSMsgType.CLOSE


async def test_only_so_many_run_at_once(make_live: MakeLive) -> None:
    """
    The second one is refused while the first one is on.
    """
    live = await make_live({"probe": {"at_once": 1}})
    first, _ = await probing(live)
    _, second = await probing(live)

    assert not first.ws.closed
    assert "too_many_requests" == second["code"]


async def test_there_may_be_none(make_live: MakeLive) -> None:
    """
    Switched off: not found.
    """
    live = await make_live({"probe": {"enabled": False}})
    answer = await live.http.get(f"{live.url}/probe")

    assert 404 == answer.status


async def test_who_does_not_begin_is_cut_and_may_only_ask_the_judge(make_live: MakeLive) -> None:
    """
    A judgement needs no beginning; nothing else is answered, and an idle connection is not kept.
    """
    live = await make_live({"limits": {"join_timeout_s": 0.2}})
    idle = Probing(await live.http.ws_connect(f"{live.url}/probe"))
    judged = await idle.ask("judge", found={}, language="en")
    over = await idle.ws.receive(timeout=5.0)
    eager = Probing(await live.http.ws_connect(f"{live.url}/probe"))
    refused = await eager.ask("down", seconds=1.0)

    assert not judged["passed"]
    assert over.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)
    assert "bad_message" == refused["code"]
    assert (await eager.ws.receive(timeout=5.0)).type is aiohttp.WSMsgType.CLOSE
