"""Who waits tries to come in by another way (A56): each is refused, written down once, and counted each time."""

import re
from typing import Any

import pytest

from support.live_relay import Live, Peer, answer_to, offer_sdp
from telerelay.consult.plan import Invited


async def waiting(live: Live) -> tuple[Peer, Peer]:
    """A doctor with camera and microphone, and a patient who waits."""
    await live.schedule()
    doctor = await live.join("doc")
    await doctor.publish()
    return await live.join("pat", role="patient"), doctor


async def attempts(live: Live) -> list[str]:
    """What was written down, in order."""
    return [entry.clear["what"] for entry in await live.entries() if entry.kind == "bypass_tried"]


async def counted(live: Live) -> dict[str, int]:
    """What was counted, as an operator sees it: by what was tried."""
    async with live.http.get(f"{live.url}/metrics") as response:
        lines = (await response.text()).splitlines()
    found = [re.fullmatch(r'telerelay_consult_attempts_total\{what="(\w+)"\} ([\d.]+)', line) for line in lines]
    return {each[1]: int(float(each[2])) for each in found if each is not None}


async def test_guessed_ids_lead_to_nothing(live: Live) -> None:
    """
    A publication that there is and one that there is not are answered alike.
    """
    patient, _ = await waiting(live)
    (host,) = live.relay._rooms.hosts
    there = next(iter(host.room.publications))
    answers = [await patient.ask("pause", publication=name, paused=False) for name in (there, "x" * 16)]

    assert ["not_found"] * 2 == [answer["code"] for answer in answers]
    assert 1 == len({answer["message"] for answer in answers})
    assert (["subscribe"], {"subscribe": 2}) == (await attempts(live), await counted(live))


@pytest.mark.parametrize("request_", [{"type": "admit"}, {"type": "deny"}, {"type": "end"}, {"type": "priority"}])
async def test_who_waits_decides_nothing_and_learns_nothing_by_it(live: Live, request_: dict[str, Any]) -> None:
    """
    Of himself, of who is there and of who is not: the same answer.
    """
    patient, doctor = await waiting(live)
    members: list[dict[str, Any]] = [{}]
    if request_["type"] in ("admit", "deny"):
        members = [{"participant": name} for name in (patient.id, doctor.id, "x" * 16)]
    elif request_["type"] == "priority":
        members = [{"emergency": True}]
    answers = [await patient.ask(request_["type"], **each) for each in members]

    assert {"forbidden"} == {answer["code"] for answer in answers}
    assert 1 == len({answer["message"] for answer in answers})
    assert (["role"], {"role": len(members)}) == (await attempts(live), await counted(live))
    assert "waiting" == live.relay.consults.get("r1").state


async def test_a_role_in_a_message_is_no_role(live: Live) -> None:
    """
    Roles come from the token: a member that says another is a message that is not understood.
    """
    patient, _ = await waiting(live)
    refusal = await patient.ask("mute", publication="x", muted=True, role="practitioner")
    peer = await live.connect()
    token = live.token("pat", role="patient")
    joining = await peer.ask("join", room="r1", token=token, role="practitioner")

    assert ("bad_message", "bad_message") == (refusal["code"], joining["code"])
    assert (["message"], {"message": 1}) == (await attempts(live), await counted(live))
    assert [("pat", "patient", "waiting")] == [
        (each.sub, each.role, each.status) for each in live.relay.consults.get("r1").people if each.sub == "pat"
    ]


async def test_an_old_token_opens_nothing_and_is_written_down(live: Live) -> None:
    """
    One of a person's own, past its time: refused, and known to have been tried.
    """
    await live.schedule()
    keys = live.relay._keys
    old = keys.sign(room="r1", sub="pat", role="patient", ttl_s=60, now=1_000_000)
    peer = await live.connect()
    refusal = await peer.ask("join", room="r1", token=old)

    assert "token_expired" == refusal["code"]
    assert (["token"], {"token": 1}) == (await attempts(live), await counted(live))
    assert [] == list(live.relay.consults.get("r1").people)


@pytest.mark.parametrize("is_in", [False, True])
async def test_the_secret_of_a_seat_is_no_way_to_another_role(live: Live, *, is_in: bool) -> None:
    """
    With a good token of that role it is a conflict as without the secret; an expired one is as good as none.
    """
    patient, doctor = await waiting(live)
    if is_in:
        await doctor.ask("admit", participant=patient.id)
    await patient.ws.close()
    old = live.relay._keys.sign(room="r1", sub="pat", role="practitioner", ttl_s=60, now=1_000_000)
    codes = []
    for token in (live.token("pat", role="practitioner"), old):
        peer = await live.connect()
        codes.append((await peer.ask("join", room="r1", token=token, resume=patient.joined["resume"])).get("code"))
    back = await live.join("pat", role="patient", resume=patient.joined["resume"], media="keep", last_seq=0)

    assert ["conflict", "token_expired"] == codes
    assert (patient.id, is_in) == (back.id, back.joined["admitted"])


async def test_who_is_not_invited_is_refused_whatever_the_token_says(live: Live) -> None:
    """
    Under another's role, too.
    """
    await live.schedule(invited=_invited(("pat", "patient"), ("doc", "practitioner")))
    codes = []
    for sub, role in (("eve", "patient"), ("pat", "practitioner")):
        peer = await live.connect()
        codes.append((await peer.ask("join", room="r1", token=live.token(sub, role=role)))["code"])

    assert ["forbidden", "forbidden"] == codes
    assert (["token", "token"], {"token": 2}) == (await attempts(live), await counted(live))
    assert not (await live.join("pat", role="patient")).joined["admitted"]


async def test_whip_and_whep_wait_at_the_same_door(live: Live) -> None:
    """
    They are taken, and carry nothing: no source, no route, no name of who is in.
    """
    await live.schedule()
    doctor = await live.join("doc")
    await doctor.publish()
    headers = live.bearer("pat", role="patient")
    async with live.http.post(f"{live.url}/whip/r1", data=offer_sdp(), headers=headers) as whip:
        assert 201 == whip.status
    async with live.http.post(f"{live.url}/whep/r1", data=offer_sdp("chromium_recvonly_data"), headers=headers) as whep:
        assert 201 == whep.status
    statuses = []
    for name in (doctor.id, "doc", "nobody"):
        url = f"{live.url}/whep/r1/{name}"
        async with live.http.post(url, data=offer_sdp("chromium_recvonly_data"), headers=headers) as answer:
            statuses.append((answer.status, (await answer.json())["error"]["code"]))
    (host,) = live.relay._rooms.hosts

    assert {(404, "not_found")} == set(statuses)
    assert frozenset() == host.room.routes
    assert [False, False] == [each.transport._is_admitted for each in _sessions(live)]
    assert (["subscribe"], {"subscribe": 3}) == (await attempts(live), await counted(live))


def _sessions(live: Live) -> list[Any]:
    (host,) = live.relay._rooms.hosts
    return [resource.connection for seat in host.seats.values() for resource in seat.resources.values()]


def _invited(*people: tuple[str, str]) -> tuple[Invited, ...]:
    return tuple(Invited(*each) for each in people)


async def test_nothing_of_the_room_is_told_to_who_waits(live: Live) -> None:
    """
    Others come, publish, mute, speak and go: a waiting socket gets its own place, and nothing else.
    """
    patient, doctor = await waiting(live)
    other = await live.join("doc-2")
    published = await other.publish()
    for answerer in (doctor, other):
        offer = await answerer.event("offer")
        await answerer.ask("answer", offer_id=offer["offer_id"], sdp=answer_to(offer["sdp"]))
    await other.ask("mute", publication=published["publications"][0]["id"], muted=True)
    await other.ask("leave")
    await doctor.event("participant_left")
    await patient.ask("stats")

    assert {"waiting"} == {event["type"] for event in patient.events}
    assert ([], {}) == (await attempts(live), await counted(live))  # he tried nothing


async def test_the_worker_refuses_what_python_would_let_through(live: Live) -> None:
    """
    The line is held in C as well: routes that a mistake here made carry nothing to or from who waits.
    """
    patient, doctor = await waiting(live)
    await patient.publish()
    (host,) = live.relay._rooms.hosts
    for publication in host.room.publications.values():
        other = doctor if publication.participant == patient.id else patient
        host._router.route(publication.id, other.id)  # what no room would decide
    offers = [await peer.event("offer") for peer in (patient, doctor)]
    for peer, offer in zip((patient, doctor), offers, strict=True):
        refusal = await peer.ask("answer", offer_id=offer["offer_id"], sdp=answer_to(offer["sdp"]))
        assert "internal" == refusal["code"]
    inventory = await host.site.worker.inventory()

    assert 4 == len(inventory.senders)
    assert {0} == {sender.receiver for sender in inventory.senders.values()}


@pytest.mark.parametrize("opens", ["with the same token", "with another"])
async def test_a_second_tab_opens_nothing_and_takes_the_first_ones_place(live: Live, opens: str) -> None:
    """
    The first is told `duplicate_join` and closed; the second waits where the first did; nobody has arrived anew.
    """
    patient, doctor = await waiting(live)
    token = live.token("pat", role="patient", ttl_s=600 if opens == "with the same token" else 300)
    second = await live.connect()
    second.joined = await second.ask("join", room="r1", token=token)
    code = await patient.close_code()
    told = [event for event in patient.events if event["type"] in ("error", "duplicate_join")]
    answers = [await second.ask("admit", participant=name) for name in (second.id, doctor.id)]

    assert (4009, 1) == (code, len(told))
    assert "duplicate_join" in (told[0].get("code"), told[0]["type"])
    assert (False, []) == (second.joined["admitted"], second.joined["participants"])
    assert ["forbidden"] * 2 == [answer["code"] for answer in answers]
    assert 1 == [entry.clear.get("sub") for entry in await live.entries() if entry.kind == "arrived"].count("pat")
    assert (["second_tab", "role"], {"second_tab": 1, "role": 2}) == (await attempts(live), await counted(live))


async def test_a_second_tab_of_who_is_in_needs_no_admission_and_is_no_attempt(live: Live) -> None:
    """
    One admission, one person; of the two tabs only the second is in.
    """
    patient, doctor = await waiting(live)
    await doctor.ask("admit", participant=patient.id)
    await patient.event("admitted")
    second = await live.join("pat", role="patient")

    assert 4009 == await patient.close_code()
    assert second.joined["admitted"]
    assert ["pat"] == [entry.clear["sub"] for entry in await live.entries() if entry.kind == "admitted"]
    assert ["doc", "pat"] == sorted(each.participant.sub for each in _seats(live))
    assert ([], {}) == (await attempts(live), await counted(live))


async def test_a_doctor_who_leaves_and_comes_back_finds_the_line_as_it_was(live: Live) -> None:
    """
    Meanwhile nobody is let in, whoever is there first; the doctor needs no admission, and is the same decider again.
    """
    patient, doctor = await waiting(live)
    await doctor.ask("leave")
    assert 1000 == await doctor.close_code()
    companion = await live.join("com", role="companion")
    meanwhile = [await each.ask("admit", participant=patient.id) for each in (patient, companion)]
    again = await live.join("doc")
    desk = await again.sign("waiting_room", lambda sign: len(sign["people"]) == 2)
    await again.ask("admit", participant=patient.id)
    await patient.event("admitted")

    assert ["forbidden"] * 2 == [answer["code"] for answer in meanwhile]
    assert (True, False) == (again.joined["admitted"], companion.joined["admitted"])
    assert [patient.id, companion.id] == [each["participant"] for each in desk["people"]]
    facts = [(entry.kind, entry.clear.get("sub"), entry.clear.get("by")) for entry in await live.entries()]
    assert [("admitted", "pat", "doc")] == [each for each in facts if each[0] == "admitted"]
    assert 2 == [each[:2] for each in facts].count(("arrived", "doc"))
    assert (["role", "role"], {"role": 2}) == (await attempts(live), await counted(live))


async def test_nobody_is_made_a_host_by_arriving_first_or_alone(live: Live) -> None:
    """
    Not with companions, who come before any doctor, and not by staying when the doctor has gone.
    """
    await live.schedule()
    first = await live.join("com", role="companion")
    second = await live.join("pat", role="patient")
    refusals = [await first.ask("admit", participant=name) for name in (first.id, second.id)]

    assert ["forbidden"] * 2 == [each["code"] for each in refusals]
    assert [False, False] == [each.participant.is_admitted for each in _seats(live)]
    assert ["arrived", "arrived", "bypass_tried"] == sorted(await live.journal())[:3]
    assert ("waiting", {"role": 2}) == (live.relay.consults.get("r1").state, await counted(live))


def _seats(live: Live) -> list[Any]:
    (host,) = live.relay._rooms.hosts
    return list(host.seats.values())
