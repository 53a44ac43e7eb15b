"""Who waits tries to come in by another way (A56): each is refused, written down once, and counted each time."""

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
    assert (["subscribe"], 2) == (await attempts(live), live.relay.consults.attempts["subscribe"])


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
    assert ["role"] == await attempts(live)
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
    assert ["message"] == await attempts(live)


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
    assert ["token"] == await attempts(live)


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
    assert ["token", "token"] == await attempts(live)
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
    assert ["subscribe"] == await attempts(live)


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
