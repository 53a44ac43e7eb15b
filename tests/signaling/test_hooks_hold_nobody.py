"""Joins over real WebSockets where the application's rules sleep for ten seconds at each call."""

import asyncio
import time
from typing import Any

import pytest

from support import rules
from support.live_relay import Live, MakeLive
from support.starved import Starved
from telerelay import Hooks, JoinRequest, PersonEvent


class Sleepy(Hooks):
    """As support.rules, on the relay's own loop: it awaits, and blocks nothing."""

    async def authorize_join(self, request: JoinRequest) -> bool:
        await asyncio.sleep(10 if request.room.startswith("sleep") else 0)
        return True

    async def on_person(self, event: PersonEvent) -> None:
        await asyncio.sleep(10 if event.room.startswith("sleep") else 0)
        rules.told.append((event.room, event.sequence))


async def _join(live: Live, room: str) -> tuple[str, float]:
    """What the answer is, and how long it took, seconds."""
    peer = await live.connect()
    began = time.monotonic()
    reply = await peer.ask("join", room=room, token=live.token("alice", room))
    return str(reply.get("code", reply["type"])), time.monotonic() - began


@pytest.mark.timed
@pytest.mark.parametrize("room", ["sleep", "block"])
async def test_a_rule_that_sleeps_refuses_in_time_and_others_join_and_are_told_of(
    room: str, make_live: MakeLive
) -> None:
    """
    Refused within 2.1 s in which this process could run, whether the rule waits on the relay's loop or blocks a thread.
    """
    rules.told.clear()
    live = await _made(make_live, room)
    with Starved() as starved:
        slow = [asyncio.ensure_future(_join(live, f"{room}-{number}")) for number in range(3)]
        others = [await _join(live, f"r{number}") for number in range(10)]
        answers = await asyncio.gather(*slow)
    await live.until(lambda: len(rules.told) >= 10)

    assert ["forbidden"] * 3 == [answer for answer, _ in answers]
    assert max(took_s for _, took_s in answers) <= 2.1 + starved.total_s
    assert ["reply"] * 10 == [answer for answer, _ in others]
    assert max(took_s for _, took_s in others) < 1.9 + starved.total_s
    assert {(f"r{number}", 1) for number in range(10)} == set(rules.told)


async def _made(make_live: MakeLive, room: str) -> Live:
    values: dict[str, Any] = {"hooks": {"entry_point": "support.rules:Sleepy"}} if room == "block" else {}
    return await make_live(values, hooks=None if values else Sleepy())


async def test_failures_of_hooks_are_counted_by_name_and_reason(make_live: MakeLive) -> None:
    """
    An operator sees which rule fails, and how.
    """

    class Failing(Hooks):
        async def authorize_join(self, request: JoinRequest) -> bool:
            raise RuntimeError

    live = await make_live(hooks=Failing())
    await _join(live, "r1")
    async with live.http.get(f"{live.url}/metrics") as response:
        text = await response.text()

    assert 'telerelay_hook_failures_total{hook="authorize_join",why="exception"} 1.0' in text
    assert "telerelay_hook_letters 0.0" in text
