"""
No step of coming in waits for another person, of the same room or of another.
"""

import asyncio
from typing import Any

import pytest

from support.live_relay import Live, MakeLive, offer_sdp
from telerelay import Hooks
from telerelay.hooks import JoinRequest

# What waits for the one who is slow here waits for ever: nothing is said of how fast the others are.
LONG_S = 120.0

RECVONLY = offer_sdp("chromium_recvonly_data")


class SlowForOne(Hooks):
    """An application that makes up its mind about everybody at once, but about one only when it is told to."""

    def __init__(self) -> None:
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def authorize_join(self, request: JoinRequest) -> bool:
        if request.sub == "slow":
            self.is_asked.set()
            await self.may_answer.wait()
        return True


async def come_in(live: Live, way: str, sub: str, room: str) -> None:
    """By that way, as far as the relay's answer."""
    if way == "ws":
        peer = await live.join(sub, room)
        assert "reply" == (await peer.publish())["type"]
        return
    sdp = offer_sdp() if way == "whip" else RECVONLY
    async with live.http.post(f"{live.url}/{way}/{room}", data=sdp, headers=live.bearer(sub, room)) as response:
        assert 201 == response.status


@pytest.mark.parametrize("room", ["r1", "r2"])
@pytest.mark.parametrize("slow_way", ["ws", "whip", "whep"])
async def test_one_the_application_thinks_about_keeps_nobody_waiting(
    make_live: MakeLive, slow_way: str, room: str
) -> None:
    """
    While one person's admission is not decided, ten others come in by each way; then that one does.
    """
    hooks = SlowForOne()
    live = await make_live(hooks=hooks, values={"rooms": {"max_participants": 100}})
    live.relay._hooks._decision_deadline_s = LONG_S  # it ends when this test says so, on a busy machine too
    slow = asyncio.create_task(come_in(live, slow_way, "slow", "r1"))
    await hooks.is_asked.wait()
    others = [come_in(live, way, f"{way}-{n}", room) for way in ("ws", "whip", "whep") for n in range(10)]
    await asyncio.wait_for(asyncio.gather(*others), LONG_S / 2)

    assert not slow.done()
    hooks.may_answer.set()
    await slow


async def test_bodies_that_drip_keep_nobody_waiting(live: Live) -> None:
    """
    Ten offers that come byte by byte; ten that come whole are answered meanwhile, in the same room.
    """

    async def drip() -> Any:
        while True:
            yield b"v"
            await asyncio.sleep(0.05)

    async def post_slowly(sub: str) -> None:
        async with live.http.post(f"{live.url}/whip/r1", data=drip(), headers=live.bearer(sub)):
            pass

    dripping = [asyncio.create_task(post_slowly(f"drip-{n}")) for n in range(10)]
    await asyncio.gather(*(come_in(live, "whip", f"p-{n}", "r1") for n in range(10)))

    assert not any(each.done() for each in dripping)
    for each in dripping:
        each.cancel()
    await asyncio.gather(*dripping, return_exceptions=True)


async def test_one_who_does_not_answer_offers_keeps_nobody_waiting(live: Live) -> None:
    """
    Somebody with an offer in flight that he never answers; those who come after him publish and are offered to others.
    """
    silent = await live.join("silent")
    first = await live.join("first")
    await first.publish()
    await silent.event("offer")
    late = await live.join("late")
    offered = await late.event("offer")
    assert {first.id} == {track["participant"] for track in offered["tracks"]}

    await late.publish()
    await asyncio.wait_for(first.event("offer"), LONG_S)
