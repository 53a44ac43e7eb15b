"""Signalling over the WebSocket: what an application decides and is told, and how a relay ends."""

import asyncio

import pytest

from support.live_relay import Live, MakeLive
from telerelay import EndEvent, Hooks, JoinRequest, PersonEvent


class Rules(Hooks):
    """Lets in whom it is told to, and writes down what it hears."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.answer: object = True
        self.told: list[PersonEvent | EndEvent] = []

    async def authorize_join(self, request: JoinRequest) -> bool:
        if isinstance(self.answer, Exception):
            raise self.answer
        await asyncio.sleep(self.delay_s)
        return self.answer  # type: ignore[return-value]

    async def on_person(self, event: PersonEvent) -> None:
        self.told.append(event)

    async def on_end(self, event: EndEvent) -> None:
        self.told.append(event)


@pytest.mark.parametrize("answer", [False, None, 1, RuntimeError("a bug of the application")])
async def test_anything_but_yes_refuses_a_join(make_live: MakeLive, answer: object) -> None:
    """
    No, nothing, a lazy truth and an exception are all answered as a forbidden room.
    """
    rules = Rules()
    live = await make_live(hooks=rules)
    rules.answer = answer
    peer = await live.connect()

    assert "forbidden" == (await peer.ask("join", room="r1", token=live.token("alice")))["code"]


async def test_a_hook_that_does_not_answer_in_time_refuses(make_live: MakeLive) -> None:
    """
    The deadline is the application's patience, not the patient's.
    """
    rules = Rules()
    live = await make_live({"hooks": {"decision_timeout_s": 0.05}}, hooks=rules)
    rules.delay_s = 60
    peer = await live.connect()

    assert "forbidden" == (await peer.ask("join", room="r1", token=live.token("alice")))["code"]


async def test_coming_back_to_a_seat_asks_for_nothing_again(make_live: MakeLive) -> None:
    """
    Whoever was let in stays in: a rejoin needs no new admission, a stranger to the seat does.
    """
    rules = Rules()
    live = await make_live(hooks=rules)
    alice = await live.join("alice")
    rules.answer = False
    again = await live.join("alice", resume=alice.joined["resume"])
    newcomer = await live.connect()
    reply = await newcomer.ask("join", room="r1", token=live.token("alice"), resume=alice.joined["resume"])

    assert again.joined["resumed"]
    assert "forbidden" == reply["code"]


async def test_events_reach_the_application_in_order_and_without_gaps(make_live: MakeLive) -> None:
    """
    One story: join, join, interrupted, back, left, left, end; numbered from 1, each with a key of its own.
    """
    rules = Rules()
    live = await make_live(hooks=rules)
    alice, bob = await live.join("alice"), await live.join("bob")
    await alice.ws.close()
    await bob.event("participant_interrupted")
    again = await live.join("alice", resume=alice.joined["resume"])
    await again.ask("leave")
    await bob.ask("leave")
    await live.until(lambda: len(rules.told) == 7)

    people = [(event.sub, event.what) for event in rules.told if isinstance(event, PersonEvent)]
    assert [
        ("alice", "joined"),
        ("bob", "joined"),
        ("alice", "interrupted"),
        ("alice", "back"),
        ("alice", "left"),
        ("bob", "left"),
    ] == people
    assert isinstance(rules.told[-1], EndEvent)
    assert list(range(1, 8)) == [event.sequence for event in rules.told]
    assert 7 == len({event.key for event in rules.told})


async def test_a_draining_relay_takes_no_new_room(live: Live) -> None:
    """
    Running calls are told and go on, those who belong to them may come back; it is drained when they are over.
    """
    alice = await live.join("alice")
    live.relay.drain()
    await alice.event("draining")
    refused = await live.connect()
    reply = await refused.ask("join", room="r9", token=live.token("zoe", "r9"))
    bob = await live.join("bob")
    for peer in (alice, bob):
        await peer.ask("leave")
    async with asyncio.timeout(5):
        await live.relay.drained()

    assert "draining" == reply["code"]
    assert 4011 == await refused.close_code()


async def test_the_end_of_the_relay_is_told(make_live: MakeLive) -> None:
    """
    Everyone hears `ended` and is closed, so that nobody waits for what will not come.
    """
    live = await make_live()
    alice = await live.join("alice")
    ending = asyncio.ensure_future(live.relay.__aexit__(None, None, None))

    assert 4010 == await alice.close_code()
    await ending
    assert ("ended", "shutdown") == (alice.events[-1]["type"], alice.events[-1]["reason"])
