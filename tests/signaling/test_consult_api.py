"""Consults over HTTP: the host's commands on the admin listener, and links that are changed for tokens."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from support.live_relay import Live


class Admin:
    """Asks the admin listener of a relay."""

    def __init__(self, live: Live, root: str) -> None:
        self._live = live
        self.root = root

    async def ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
        token = self._live.relay.admin_token(sub="desk-3") if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._live.http.request(method, f"{self.root}{path}", json=body, headers=headers) as response:
            return response.status, await response.json()


@pytest.fixture
async def admin(live: Live) -> AsyncIterator[Admin]:
    server = TestServer(live.relay.admin_app())
    await server.start_server()
    yield Admin(live, str(server.make_url("")).rstrip("/"))
    await server.close()


async def change(live: Live, link: str, nonce: str | None = None) -> tuple[int, Any]:
    """What the relay gives for a link."""
    body = {"link": link} if nonce is None else {"link": link, "nonce": nonce}
    async with live.http.post(f"{live.url}/link", json=body) as response:
        return response.status, await response.json()


async def test_a_question_is_asked_answered_and_goes_live_over_http(live: Live, admin: Admin) -> None:
    """
    As in Python; a stranger, a member too many and another's answer are refused.
    """
    asked = {"request": "e1", "by": "gp-1", "question": "grown?", "queue": "skin", "images": ["ab" * 32]}
    made = await admin.ask("POST", "/expertise", asked)
    refused = [
        await admin.ask("POST", "/expertise", asked),
        await admin.ask("POST", "/expertise", asked | {"request": "e2", "images": ["x"]}),
        await admin.ask("POST", "/expertise/e1/accept", {"by": "expert-3", "more": 1}),
        await admin.ask("POST", "/expertise/e9/accept", {"by": "expert-3"}),
        await admin.ask("GET", "/expertise/e9"),
        await admin.ask("GET", "/expertise", token="x"),
    ]
    await admin.ask("POST", "/expertise/e1/accept", {"by": "expert-3"})
    went = await admin.ask("POST", "/expertise/e1/live", {"by": "gp-1", "plan": {"consult": "c1"}})
    _, consults = await admin.ask("GET", "/consults")
    foreign = await admin.ask("POST", "/expertise/e1/answer", {"by": "expert-4", "answer": "x"})
    _, listed = await admin.ask("GET", "/expertise?queue=skin")
    await admin.ask("POST", "/expertise/e1/answer", {"by": "expert-3", "answer": "benign"})
    _, shown = await admin.ask("GET", "/expertise/e1")

    assert (201, "requested") == (made[0], made[1]["state"])
    assert ["conflict", "bad_message", "bad_message", "not_found", "not_found", "unauthorized"] == [
        answer["error"]["code"] for _, answer in refused
    ]
    assert (200, ["c1"]) == (went[0], went[1]["live"])
    assert ["c1"] == [each["consult"] for each in consults["consults"]]
    assert (403, "forbidden") == (foreign[0], foreign[1]["error"]["code"])
    assert ["e1"] == [each["request"] for each in listed["expertise"]]
    assert ("answered", "grown?", "benign") == (shown["state"], shown["question"], shown["answer"])


async def test_a_consult_is_planned_held_and_ended_over_http(live: Live, admin: Admin) -> None:
    """
    All that a host in Python may, a host in anything may.
    """
    status, made = await admin.ask("POST", "/consults", {"consult": "r1", "queue": "dr-7"})
    patient = await live.join("pat", role="patient")
    _, listed = await admin.ask("GET", "/consults?queue=dr-7")
    _, others = await admin.ask("GET", "/consults?queue=dr-8")
    urgent = await admin.ask("POST", "/consults/r1/priority", {"emergency": True})
    admitted = await admin.ask("POST", "/consults/r1/admit", {"sub": "pat"})
    await patient.event("admitted")
    _, shown = await admin.ask("GET", "/consults/r1")
    ended = await admin.ask("POST", "/consults/r1/end", {"outcome": "completed"})

    assert (201, "scheduled") == (status, made["state"])
    assert ["waiting"] == [each["state"] for each in listed["consults"]]
    assert [] == others["consults"]
    assert [(200, {})] * 3 == [urgent, admitted, ended]
    assert ("admitted", True, [("pat", "admitted")]) == (
        shown["state"],
        shown["emergency"],
        [(each["sub"], each["status"]) for each in shown["people"]],
    )
    assert 4010 == await patient.close_code()
    await live.entries()
    status, document = await admin.ask("GET", "/consults/r1/attestation")
    assert (200, "r1", "completed") == (status, document["attestation"]["consult"], document["attestation"]["outcome"])
    assert 404 == (await admin.ask("GET", "/consults/r2/attestation"))[0]


async def test_a_consent_lets_a_third_party_in_and_out(live: Live, admin: Admin) -> None:
    """
    As the host says for the patient; the doctor's own word is refused before.
    """
    await live.schedule(third_parties=("interpreter",))
    doctor, patient = await live.join("doc"), await live.join("pat", role="patient")
    await doctor.ask("admit", participant=patient.id)
    await patient.event("admitted")
    interpreter = await live.join("ali", role="interpreter")
    refused = await doctor.ask("admit", participant=interpreter.id)
    said = {"sub": "pat", "what": "third_party"}
    given = await admin.ask("POST", "/consults/r1/consents", said | {"given": True})
    await doctor.ask("admit", participant=interpreter.id)
    await interpreter.event("admitted")
    taken_back = await admin.ask("POST", "/consults/r1/consents", said | {"given": False})

    assert "no_consent" == refused["code"]
    assert [(200, {})] * 2 == [given, taken_back]
    assert 4010 == await interpreter.close_code()


@pytest.mark.parametrize("kind", ["none", "participant", "garbage"])
async def test_only_an_admin_token_commands(live: Live, admin: Admin, kind: str) -> None:
    """
    A participant's token is none, whatever its role; and an admin's opens no room.
    """
    token = {"none": "", "participant": live.token("doc"), "garbage": "a.b.c"}[kind]
    status, answer = await admin.ask("POST", "/consults", {"consult": "r1"}, token)
    peer = await live.connect()
    refusal = await peer.ask("join", room="r1", token=live.relay.admin_token(sub="desk-3"))

    assert (401, "unauthorized") == (status, answer["error"]["code"])
    assert "unauthorized" == refusal["code"]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/consults", {"consult": "../x"}, 400, "bad_consult"),
        ("/consults", {"consult": "r2", "deciderz": []}, 400, "unknown_field"),
        ("/consults", {"consult": "r1"}, 409, "conflict"),
        ("/consults", [], 400, "bad_message"),
        ("/consults/r9/admit", {"sub": "pat"}, 404, "not_found"),
        ("/consults/r1/admit", {"sub": "pat"}, 404, "not_found"),
        ("/consults/r1/admit", {"sub": "pat", "more": 1}, 400, "bad_message"),
        ("/consults/r1/deny", {"sub": "pat", "reason": "he smells"}, 400, "bad_message"),
        ("/consults/r1/reschedule", {"starts_at": "noon"}, 400, "bad_message"),
        ("/consults/r1/priority", {"emergency": 1}, 400, "bad_message"),
        ("/consults/r1/end", {}, 409, "conflict"),
        ("/consults/r1/links", {"sub": "pat", "role": "king"}, 400, "bad_message"),
        ("/consults/r1/consents", {"sub": "pat", "what": "third_party", "given": 1}, 400, "bad_message"),
        ("/consults/r1/consents", {"sub": "pat", "what": "everything", "given": True}, 400, "bad_message"),
        ("/consults/r1/consents", {"sub": "pat", "what": "third_party", "given": True}, 403, "forbidden"),
        ("/consults/r1/timers", {"timer": "no_show", "due_at": 1.0}, 400, "bad_message"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    live: Live, admin: Admin, path: str, body: Any, status: int, code: str
) -> None:
    """
    And nothing is done.
    """
    await live.schedule("r1")
    answer = await admin.ask("POST", path, body)

    assert (status, code) == (answer[0], answer[1]["error"]["code"])
    assert ["scheduled"] == await live.journal("r1")


async def test_a_link_is_good_once(live: Live, admin: Admin) -> None:
    """
    For a token of that person and role; a second time it is nothing, which is written down.
    """
    await live.schedule("r1")
    status, made = await admin.ask("POST", "/consults/r1/links", {"sub": "pat", "role": "patient"})
    first = await change(live, made["link"])
    second = await change(live, made["link"])
    peer = await live.connect()
    joined = await peer.ask("join", room=first[1]["room"], token=first[1]["token"])

    assert 200 == status
    assert ("pat", "patient", False) == (joined["sub"], joined["role"], joined["admitted"])
    assert (403, "forbidden") == (second[0], second[1]["error"]["code"])
    assert ["scheduled", "link_made", "link_used", "bypass_tried", "arrived"] == await live.journal("r1")
    assert 1 == live.relay.consults.attempts["link"]


async def test_who_lost_the_answer_to_a_link_gets_it_again_and_nobody_else(live: Live, admin: Admin) -> None:
    """
    By what the browser made up before it asked; who has the link alone has nothing, which is written down.
    """
    await live.schedule("r1")
    _, made = await admin.ask("POST", "/consults/r1/links", {"sub": "pat", "role": "patient"})
    answers = [await change(live, made["link"], nonce=nonce) for nonce in ("n" * 22, "n" * 22, "m" * 22, "short", None)]

    assert [200, 200, 403, 400, 403] == [status for status, _ in answers]
    assert ["r1", "r1"] == [answer["room"] for status, answer in answers if status == 200]
    assert ["scheduled", "link_made", "link_used", "bypass_tried"] == await live.journal("r1")
    assert 2 == live.relay.consults.attempts["link"]
    assert "nnnn" not in str([entry.clear for entry in await live.entries("r1")])


async def test_a_link_is_good_in_its_time_and_dead_when_the_time_is_another(live: Live) -> None:
    """
    Too early it is not used up; rescheduling kills it at once.
    """
    now = time.time()
    await live.schedule("r1", starts_at=now + 3600)
    link = await live.relay.consults.link("r1", "pat", "patient")
    early = await change(live, link)
    await live.relay.consults.reschedule("r1", now + 60, "desk-3")
    dead = await change(live, link)
    fresh = await live.relay.consults.link("r1", "pat", "patient")

    assert "too_early" == early[1]["error"]["code"]
    assert "forbidden" == dead[1]["error"]["code"]
    assert 200 == (await change(live, fresh))[0]


@pytest.mark.parametrize("link", ["", "r1", "r1~x", "r9~x", "~", "r1~" + "x" * 200])
async def test_a_link_that_there_is_not_says_nothing(live: Live, link: str) -> None:
    """
    Whether there is such a consult is not told.
    """
    await live.schedule("r1")
    answer = await change(live, link)

    assert (403, "forbidden", "the link is not valid") == (answer[0], *answer[1]["error"].values())


async def test_doctors_who_ask_at_once_get_one_patient_each(live: Live, admin: Admin) -> None:
    """
    In the order of the line, an emergency first; nobody gets two, nobody is given twice, and what is given back is the
    next one's.
    """
    names = [f"r{number}" for number in range(4)]
    for name in names:
        await live.schedule(name, queue="desk", is_emergency=name == "r3")
        await live.join(f"pat-{name}", name, role="patient")
    doctors = [f"doc-{number}" for number in range(6)]
    asked = [admin.ask("POST", "/queues/desk/next", {"sub": doctor}) for doctor in [*doctors, *doctors]]
    answers = await asyncio.gather(*asked)
    taken = [answer["consult"] for status, answer in answers if status == 200]
    refused = {answer["error"]["code"] for status, answer in answers if status != 200}
    by = {name: [each.clear["by"] for each in await live.entries(name) if each.kind == "taken"] for name in names}
    await admin.ask("POST", "/consults/r3/give_back", {"sub": by["r3"][0]})
    again = await admin.ask("POST", "/queues/desk/next", {"sub": "doc-9"})

    assert ["r0", "r1", "r2", "r3"] == sorted(taken)
    assert {"busy", "not_found"} >= refused
    assert 4 == len({doctor for takers in by.values() for doctor in takers}) == sum(map(len, by.values()))
    assert "r3" == again[1]["consult"]


async def test_a_timer_and_a_removal_are_the_hosts_too(live: Live, admin: Admin) -> None:
    """
    The timer is written down and fires; who is put out may come again, and waits.
    """
    await live.schedule()
    patient = await live.join("pat", role="patient")
    await live.join("com", role="companion")
    await admin.ask("POST", "/consults/r1/timers", {"timer": "soon", "due_at": live.relay.consults.now()})
    await admin.ask("POST", "/consults/r1/admit", {"sub": "pat"})
    await admin.ask("POST", "/consults/r1/remove", {"sub": "pat"})

    assert ("removed", 4010) == ((await patient.event("ended"))["reason"], await patient.close_code())
    assert not (await live.join("pat", role="patient")).joined["admitted"]
    assert {"timer_set", "timer_fired"} <= set(await live.journal())


async def test_a_time_is_held_booked_and_moved_over_http(live: Live, admin: Admin) -> None:
    """
    By one alone; the time from before is free when it has another, and links from before are dead.
    """
    starts_at = float(int(time.time()) + 600)
    slot = {"starts_at": starts_at, "sub": "ann"}
    status, held = await admin.ask("POST", "/queues/dr-7/hold", slot)
    taken, _ = await admin.ask("POST", "/queues/dr-7/hold", slot | {"sub": "ben"})
    refused, error = await admin.ask("POST", "/queues/dr-7/book", {"consult": "r1", **slot, "sub": "ben"})
    booked, shown = await admin.ask("POST", "/queues/dr-7/book", {"consult": "r1", **slot})
    _, link = await admin.ask("POST", "/consults/r1/links", {"sub": "pat", "role": "patient"})
    again, _ = await admin.ask("POST", "/queues/dr-7/hold", slot)
    moved, _ = await admin.ask("POST", "/consults/r1/reschedule", {"starts_at": starts_at + 900, "sub": "ann"})
    free, _ = await admin.ask("POST", "/queues/dr-7/hold", slot | {"sub": "ben"})
    full, _ = await admin.ask("POST", "/queues/dr-7/hold", {"starts_at": starts_at + 900, "sub": "ben"})

    assert (200, 409, 409, 201) == (status, taken, refused, booked)
    assert held["until"] > time.time() + 290
    assert ("conflict", "dr-7", starts_at) == (error["error"]["code"], shown["queue"], shown["starts_at"])
    assert (409, 200, 200, 409) == (again, moved, free, full)
    assert 403 == (await change(live, link["link"]))[0]


async def test_a_move_onto_a_time_that_another_holds_changes_nothing(live: Live, admin: Admin) -> None:
    """
    The appointment keeps its own.
    """
    starts_at = float(int(time.time()) + 600)
    await admin.ask("POST", "/queues/dr-7/hold", {"starts_at": starts_at, "sub": "ann"})
    await admin.ask("POST", "/queues/dr-7/book", {"consult": "r1", "starts_at": starts_at, "sub": "ann"})
    await admin.ask("POST", "/queues/dr-7/hold", {"starts_at": starts_at + 900, "sub": "ben"})
    moved, _ = await admin.ask("POST", "/consults/r1/reschedule", {"starts_at": starts_at + 900, "sub": "ann"})
    booked, _ = await admin.ask(
        "POST", "/queues/dr-7/book", {"consult": "r2", "starts_at": starts_at + 900, "sub": "ben"}
    )

    assert (409, 201, starts_at) == (moved, booked, live.relay.consults.get("r1").starts_at)


async def test_a_host_has_somebody_rung_and_sees_who_is_at_a_desk(live: Live, admin: Admin) -> None:
    """
    By opaque ids; what is no list of them is refused.
    """
    await admin.ask("POST", "/consults", {"consult": "r1", "queue": "dr-7"})
    desk = await live.http.ws_connect(f"{live.url}/desk")
    await desk.send_json({"type": "open", "id": 1, "token": live.relay.desk_token(sub="doc", queues=["dr-7"])})
    assert "reply" == (await desk.receive_json(timeout=5))["type"]
    rung, _ = await admin.ask("POST", "/consults/r1/ring", {"people": ["doc"]})
    _, shown = await admin.ask("GET", "/consults/r1")
    _, at_desk = await admin.ask("GET", "/queues/dr-7/people")
    wrong = [(await admin.ask("POST", "/consults/r1/ring", {"people": each}))[0] for each in ("doc", [], [7], ["\n"])]

    assert (200, "doc") == (rung, shown["ringing"])
    assert [("doc", "practitioner", "available")] == [
        (each["sub"], each["role"], each["status"]) for each in at_desk["people"]
    ]
    assert [400] * 4 == wrong
    await desk.close()


async def test_who_was_in_is_told_what_is_attested_and_who_was_sent_away_is_not(live: Live, admin: Admin) -> None:
    """
    The receipt comes before the end, with the attestation's own digest.
    """
    await live.schedule()
    doctor = await live.join("doc")
    patient = await live.join("pat", role="patient")
    await doctor.ask("admit", participant=patient.id)
    waiting = await live.join("com", role="companion")
    await doctor.ask("end")
    receipt = await patient.sign("receipt")
    await patient.event("ended")
    await waiting.event("ended")
    (attested,) = [each for each in await live.entries() if each.kind == "attested"]

    assert (attested.clear["digest"], 0.0) == (receipt["attestation"], receipt["two_way_video_s"])
    assert [] == [event for event in waiting.events if event["type"] == "receipt"]
