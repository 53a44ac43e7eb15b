"""Desks: who is there is told, what rings is answered once, and what was decided is in the journal."""

import asyncio
import time
from typing import Any

import pytest

from support.live_relay import Live, MakeLive, Peer
from telerelay import Hooks, RemoteProtocolError
from telerelay.hooks import PresenceEvent, Route, RouteRequest
from telerelay.protocol.grants import TokenKeys


class Rules(Hooks):
    """Names whom to ring, attempt by attempt, and writes down who is there."""

    def __init__(self, *people: tuple[str, ...]) -> None:
        self.people = people
        self.asked: list[RouteRequest] = []
        self.told: list[tuple[str, str, bool]] = []

    async def route(self, request: RouteRequest) -> Route:
        self.asked.append(request)
        return Route(f"desk-{request.attempt}", dict(enumerate(self.people, 1)).get(request.attempt, ()))

    async def on_presence(self, event: PresenceEvent) -> None:
        self.told.append((event.sub, event.status, event.is_available))


async def open_desk(live: Live, sub: str, *queues: str, **fields: Any) -> Peer:
    peer = Peer(await live.http.ws_connect(f"{live.url}/desk"))
    token = live.relay.desk_token(sub=sub, queues=queues or ("desk-1",))
    reply = await peer.ask("open", token=token, **fields)
    assert "reply" == reply["type"], reply
    peer.joined = reply
    return peer


def rings(sign: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(each["consult"], each["missed"]) for each in sign["calls"]]


async def test_who_opens_steps_away_and_closes_is_told(make_live: MakeLive) -> None:
    """
    To the application, to colleagues and to the host, each once.
    """
    rules = Rules()
    live = await make_live(hooks=rules)
    doctor = await open_desk(live, "doc")
    colleague = await open_desk(live, "dora", away=True)
    await doctor.ask("away", away=True)
    await doctor.ask("away", away=True)
    await doctor.ask("away", away=False)
    sign = await colleague.sign("presence", lambda sign: sign["people"][-1]["status"] == "available")
    await doctor.ws.close()
    await colleague.sign("presence", lambda sign: len(sign["people"]) == 1)
    await live.until(lambda: len(rules.told) >= 5)

    assert [("dora", "away"), ("doc", "available")] == [(each["sub"], each["status"]) for each in sign["people"]]
    assert [
        ("doc", "available", True),
        ("dora", "away", False),
        ("doc", "away", False),
        ("doc", "available", True),
        ("doc", "gone", False),
    ] == rules.told
    assert ["dora"] == [each.sub for each in live.relay.consults.at_desk("desk-1")]


async def test_who_is_in_a_consult_is_busy(make_live: MakeLive) -> None:
    """
    Until it is over.
    """
    live = await make_live(hooks=Rules())
    await live.schedule()
    desk = await open_desk(live, "doc")
    await live.join("doc")
    await desk.sign("presence", lambda sign: sign["people"][0]["status"] == "busy")
    await live.relay.consults.end("r1", "host")
    await desk.sign("presence", lambda sign: sign["people"][0]["status"] == "available")


async def test_a_patient_rings_at_the_desk_and_who_accepts_is_led_in(make_live: MakeLive) -> None:
    """
    The token that comes with the answer opens the room; the journal has who was rung and who answered.
    """
    live = await make_live(hooks=Rules(("doc",)))
    desk = await open_desk(live, "doc")
    await live.schedule()
    await live.join("pat", role="patient")
    sign = await desk.sign("ringing", lambda sign: bool(sign["calls"]))
    line = await desk.sign("line", lambda sign: bool(sign["consults"]))
    reply = await desk.ask("accept", consult="r1")
    joined = await (await live.connect()).ask("join", room=reply["room"], token=reply["token"])
    await desk.sign("ringing", lambda sign: not sign["calls"])

    (call,) = sign["calls"]
    assert ("r1", "desk-1", 30.0, False) == (
        call["consult"],
        call["queue"],
        round(call["until"] - call["since"], 3),
        call["missed"],
    )
    assert [("r1", 1, True)] == [(each["consult"], each["people"], each["free"]) for each in line["consults"]]
    assert (True, "practitioner") == (joined["admitted"], joined["role"])
    ringing = [
        (each.kind, each.clear) for each in await live.entries() if each.kind in ("routed", "rung", "ring_ended")
    ]
    assert [
        ("routed", {"queue": "desk-1", "people": ["doc"]}),
        ("rung", {"sub": "doc"}),
        ("ring_ended", {"sub": "doc", "why": "accepted"}),
    ] == ringing


async def test_nobody_answers_and_the_next_one_rings(make_live: MakeLive) -> None:
    """
    After the time that the plan gives; who was first may still answer, until somebody has.
    """
    live = await make_live(hooks=Rules(("doc", "dora")))
    first, second = await open_desk(live, "doc"), await open_desk(live, "dora")
    await live.schedule(ring_s=0.2)
    await live.join("pat", role="patient")
    await first.sign("ringing", lambda sign: rings(sign) == [("r1", False)])
    await second.sign("ringing", lambda sign: rings(sign) == [("r1", False)])
    await first.sign("ringing", lambda sign: rings(sign) == [("r1", True)])
    late = await first.ask("accept", consult="r1")
    await second.sign("ringing", lambda sign: sign["calls"] == [])
    refused = await second.ask("accept", consult="r1")

    assert ("reply", "error", "conflict") == (late["type"], refused["type"], refused["code"])


async def test_when_all_were_rung_others_are_asked_for(make_live: MakeLive) -> None:
    """
    With the desks that were tried; an answer without people ends it.
    """
    rules = Rules(("doc",), ("dora",))
    live = await make_live(hooks=rules)
    second = await open_desk(live, "dora", "desk-2")
    await live.schedule()
    await live.join("pat", role="patient")
    await second.sign("ringing", lambda sign: rings(sign) == [("r1", False)])
    await second.ask("decline", consult="r1")
    await live.until(lambda: len(rules.asked) == 3)
    await live.entries()

    assert [(1, ()), (2, ("desk-1",)), (3, ("desk-1", "desk-2"))] == [
        (each.attempt, each.tried) for each in rules.asked
    ]
    ended = [(each.clear["sub"], each.clear["why"]) for each in await live.entries() if each.kind == "ring_ended"]
    assert [("doc", "absent"), ("dora", "declined")] == ended
    assert "desk-3" == live.relay.consults.get("r1").queue


async def test_who_opens_the_desk_late_is_rung_then(make_live: MakeLive) -> None:
    """
    And who is in another consult is when that is over.
    """
    live = await make_live(hooks=Rules(("doc",)))
    await live.schedule("other")
    await live.join("doc", "other")
    await live.schedule()
    await live.join("pat", role="patient")
    desk = await open_desk(live, "doc")
    await desk.sign("presence", lambda sign: sign["people"][0]["status"] == "busy")
    assert [] == (await desk.sign("ringing"))["calls"]
    await live.relay.consults.end("other", "host")
    await desk.sign("ringing", lambda sign: rings(sign) == [("r1", False)])


async def test_of_many_desks_that_answer_at_once_one_gets_it(make_live: MakeLive) -> None:
    """
    Two desks of one person are one answer; nobody else has one.
    """
    live = await make_live(hooks=Rules(("doc", "dora")))
    desks = [await open_desk(live, sub) for sub in ("doc", "doc", "dora")]
    await live.schedule(ring_s=0.1)
    await live.join("pat", role="patient")
    await desks[2].sign("ringing", lambda sign: rings(sign) == [("r1", False)])
    replies = await asyncio.gather(*(desk.ask("accept", consult="r1") for desk in desks))

    assert 1 == [each.kind for each in await live.entries()].count("taken")
    assert {"reply"} == {each["type"] for each in replies[:2]} or {"reply"} == {replies[2]["type"]}
    assert {each["type"] for each in replies[:2]} != {replies[2]["type"]}


async def test_the_next_one_in_line_is_taken_at_the_desk(make_live: MakeLive) -> None:
    """
    At its own queues alone, and given back.
    """
    live = await make_live()
    await live.schedule(queue="desk-1")
    await live.join("pat", role="patient")
    desk = await open_desk(live, "doc")
    other = await desk.ask("take", queue="desk-2")
    taken = await desk.ask("take", queue="desk-1")
    again = await desk.ask("take", queue="desk-1")
    await desk.sign("line", lambda sign: [each["free"] for each in sign["consults"]] == [False])
    await desk.ask("give_back", consult="r1")
    await desk.sign("line", lambda sign: [each["free"] for each in sign["consults"]] == [True])

    assert ("forbidden", "r1", "busy") == (other["code"], taken["room"], again["code"])


async def test_who_may_not_come_in_is_handed_nobody(make_live: MakeLive) -> None:
    """
    The consult stays in line for others.
    """
    live = await make_live()
    await live.relay.consults.schedule(_invited("dora"))
    await live.join("pat", role="patient")
    desk = await open_desk(live, "doc")

    assert "forbidden" == (await desk.ask("take", queue="desk-1"))["code"]
    colleague = await open_desk(live, "dora")
    assert "r1" == (await colleague.ask("take", queue="desk-1"))["room"]


def _invited(decider: str) -> Any:
    from telerelay import ConsultPlan

    people = [{"sub": decider, "role": "practitioner"}, {"sub": "pat", "role": "patient"}]
    return ConsultPlan.from_json({"consult": "r1", "queue": "desk-1", "invited": people})


async def test_the_host_has_somebody_rung_at_any_time(make_live: MakeLive) -> None:
    """
    A colleague, though nobody waits.
    """
    live = await make_live()
    await live.schedule()
    await live.join("doc")
    desk = await open_desk(live, "dora")
    await live.relay.consults.ring("r1", ["dora"], "nurse-1")
    await desk.sign("ringing", lambda sign: rings(sign) == [("r1", False)])
    assert "dora" == live.relay.consults.get("r1").ringing
    reply = await desk.ask("accept", consult="r1")
    joined = await (await live.connect()).ask("join", room=reply["room"], token=reply["token"])

    assert joined["admitted"]
    with pytest.raises(RemoteProtocolError) as refused:
        await live.relay.consults.ring("r1", ["dora", "dora"], "nurse-1")
    assert "bad_message" == refused.value.code


@pytest.mark.parametrize("kind", ["room", "admin", "expired", "other_key", "nonsense"])
async def test_no_other_token_opens_a_desk(live: Live, kind: str) -> None:
    """
    Nor does a desk's token open a room.
    """
    desk_token = live.relay.desk_token(sub="doc", queues=["desk-1"])
    token = {
        "room": live.token("doc"),
        "admin": live.relay.admin_token(sub="doc"),
        "expired": live.relay._keys.sign_desk(
            sub="doc", queues=["desk-1"], role="practitioner", ttl_s=1, now=time.time() - 60
        ),
        "other_key": TokenKeys.of(b"x" * 32).sign_desk(
            sub="doc", queues=["desk-1"], role="practitioner", ttl_s=60, now=time.time()
        ),
        "nonsense": "nonsense",
    }[kind]
    peer = Peer(await live.http.ws_connect(f"{live.url}/desk"))
    refused = await peer.ask("open", token=token)
    stranger = await (await live.connect()).ask("join", room="r1", token=desk_token)

    assert "token_expired" if kind == "expired" else "unauthorized" == refused["code"]
    assert 4001 == await peer.close_code()
    assert "unauthorized" == stranger["code"]


async def test_what_is_no_message_of_a_desk_is_refused(live: Live) -> None:
    """
    And the desk stays open.
    """
    first = Peer(await live.http.ws_connect(f"{live.url}/desk"))
    assert "bad_message" == (await first.ask("away", away=True))["code"]
    desk = await open_desk(live, "doc")
    codes = [
        (await desk.ask(kind, **fields))["code"]
        for kind, fields in (
            ("accept", {"consult": "no room"}),
            ("accept", {"consult": "r1"}),
            ("away", {"away": "yes"}),
            ("join", {}),
            ("open", {"token": "x"}),
        )
    ]

    assert ["bad_message", "not_found", "bad_message", "bad_message", "conflict"] == codes
    assert "reply" == (await desk.ask("away", away=False))["type"]


async def test_one_person_has_eight_desks_and_no_more(live: Live) -> None:
    """
    The ninth is refused, and may come when one was closed.
    """
    desks = [await open_desk(live, "doc") for _ in range(8)]
    ninth = Peer(await live.http.ws_connect(f"{live.url}/desk"))
    refused = await ninth.ask("open", token=live.relay.desk_token(sub="doc", queues=["desk-1"]))
    await desks[0].ws.close()
    await live.until(lambda: len(live.relay.consults.desks.sockets) <= 8)
    await open_desk(live, "doc")

    assert "too_many_requests" == refused["code"]
