"""A room with a consult: who waits, who lets in, and what is written down of it."""

import asyncio
from collections.abc import Awaitable, Sequence

import pytest

from support.live_relay import Live, MakeLive, offer_sdp
from telerelay.consult.facts import Fact
from telerelay.errors import RemoteProtocolError
from telerelay.journal.schema import Entry
from telerelay.signaling import consult_live
from telerelay.signaling.consult_keeping import Keeping


async def test_who_comes_first_waits_and_learns_nothing_but_his_place(live: Live) -> None:
    """
    Being first makes nobody a host: a patient has a seat, an empty roster and a place in line.
    """
    await live.schedule()
    patient = await live.join("pat", role="patient")
    sign = await patient.sign("waiting")

    assert (False, []) == (patient.joined["admitted"], patient.joined["participants"])
    assert (1, False) == (sign["position"], sign["held"])
    assert ["scheduled", "arrived"] == await live.journal()


async def test_a_decider_enters_and_sees_who_waits_and_nobody_else_does(live: Live) -> None:
    """
    The desk has whoever waits, with role and time; the roster has not, and an expert who was let in sees no desk.
    """
    await live.schedule(deciders=("practitioner",))
    patient = await live.join("pat", role="patient")
    doctor = await live.join("doc")
    desk = await doctor.sign("waiting_room", lambda sign: bool(sign["people"]))
    expert = await live.join("exp", role="expert")
    await doctor.sign("waiting_room", lambda sign: len(sign["people"]) == 2)
    await doctor.ask("admit", participant=expert.id)
    await expert.event("admitted")
    await expert.ask("stats")

    assert (True, []) == (doctor.joined["admitted"], doctor.joined["participants"])
    assert [(patient.id, "pat", "patient", False)] == [
        (each["participant"], each["sub"], each["role"], each["emergency"]) for each in desk["people"]
    ]
    told = [event["participant"]["sub"] for event in doctor.events if event["type"] == "participant_joined"]
    assert ["exp"] == told
    assert [] == [event for event in expert.events if event["type"] == "waiting_room"]


async def test_one_is_admitted_and_the_other_goes_on_waiting(live: Live) -> None:
    """
    Admission is of one person, by a named decider; it is durable before it takes effect.
    """
    await live.schedule()
    patient = await live.join("pat", role="patient")
    companion = await live.join("com", role="companion")
    doctor = await live.join("doc")
    reply = await doctor.ask("admit", participant=patient.id)
    await patient.event("admitted")
    joined = await patient.event("participant_joined")
    told = await doctor.event("participant_joined")
    desk = await doctor.sign("waiting_room", lambda sign: len(sign["people"]) == 1)

    assert "reply" == reply["type"]
    assert ("doc", "pat") == (joined["participant"]["sub"], told["participant"]["sub"])
    assert ["com"] == [each["sub"] for each in desk["people"]]
    assert [] == [event for event in companion.events if event["type"] != "waiting"]
    assert ["scheduled", "arrived", "arrived", "arrived", "admitted"] == await live.journal()


async def test_a_host_admits_in_a_deciders_name(live: Live) -> None:
    """
    By Python, before any decider has come.
    """
    await live.schedule()
    patient = await live.join("pat", role="patient")
    await live.relay.consults.admit("r1", "pat", "desk-3")
    await patient.event("admitted")

    assert "admitted" == live.relay.consults.get("r1").state


async def test_who_is_denied_is_told_and_does_not_come_again(live: Live) -> None:
    """
    The socket closes with 4010; another join is refused by name.
    """
    await live.schedule()
    patient = await live.join("pat", role="patient")
    await live.join("pat-2", role="patient")
    doctor = await live.join("doc")
    reply = await doctor.ask("deny", participant=patient.id)
    ended = await patient.event("ended")
    code = await patient.close_code()
    again = await live.connect()
    refusal = await again.ask("join", room="r1", token=live.token("pat", role="patient"))

    assert ("reply", "denied", 4010) == (reply["type"], ended["reason"], code)
    assert "denied" == refusal["code"]


async def test_two_deciders_admit_a_person_once(live: Live) -> None:
    """
    The second is told that it was decided already.
    """
    await live.schedule()
    patient = await live.join("pat", role="patient")
    first, second = await live.join("doc-1"), await live.join("doc-2")
    replies = await asyncio.gather(
        first.ask("admit", participant=patient.id), second.ask("admit", participant=patient.id)
    )

    assert ["conflict", "reply"] == sorted(reply.get("code", reply["type"]) for reply in replies)
    assert 1 == (await live.journal()).count("admitted")


async def test_a_doctor_who_leaves_comes_back_in(live: Live) -> None:
    """
    By role, without being admitted; and whoever was let in is still in.
    """
    await live.schedule()
    patient = await live.join("pat", role="patient")
    doctor = await live.join("doc")
    await doctor.ask("admit", participant=patient.id)
    await doctor.ask("leave")
    await patient.event("participant_left")
    again = await live.join("doc")

    assert (True, ["pat"]) == (again.joined["admitted"], [each["sub"] for each in again.joined["participants"]])


async def test_a_patient_who_leaves_has_to_be_admitted_again(live: Live) -> None:
    """
    Leaving gives the place up; losing the socket does not.
    """
    await live.schedule()
    patient = await live.join("pat", role="patient")
    doctor = await live.join("doc")
    await doctor.ask("admit", participant=patient.id)
    await patient.event("admitted")
    await patient.ask("leave")
    await doctor.event("participant_left")

    assert not (await live.join("pat", role="patient")).joined["admitted"]


async def test_a_lost_socket_keeps_the_place_and_needs_no_admission(live: Live) -> None:
    """
    The consult knows of the loss, and of the return, with the seat's secret and without it.
    """
    await live.schedule()
    patient = await live.join("pat", role="patient")
    doctor = await live.join("doc")
    await doctor.ask("admit", participant=patient.id)
    await patient.event("admitted")
    await patient.ws.close()
    await doctor.event("participant_interrupted")
    await live.until(lambda: [each.lost for each in live.relay.consults.get("r1").people if each.lost] == [("socket",)])
    again = await live.join("pat", role="patient", resume=patient.joined["resume"])
    await again.ws.close()
    await live.until(lambda: any(each.lost for each in live.relay.consults.get("r1").people))
    elsewhere = await live.join("pat", role="patient")

    assert (True, True) == (again.joined["resumed"], again.joined["admitted"])
    assert (False, True) == (elsewhere.joined["resumed"], elsewhere.joined["admitted"])
    assert ["lost", "back", "lost", "back"] == (await live.journal())[-4:]


@pytest.mark.parametrize("is_admitted", [False, True])
async def test_a_second_tab_is_the_same_person(live: Live, is_admitted: bool) -> None:
    """
    The first is told and closed; the second is where the first was, waiting or in.
    """
    await live.schedule()
    first = await live.join("pat", role="patient")
    await live.join("doc")
    if is_admitted:
        await live.relay.consults.admit("r1", "pat", "desk-3")
        await first.event("admitted")
    second = await live.join("pat", role="patient")

    assert 4009 == await first.close_code()
    assert is_admitted is second.joined["admitted"]


async def test_the_end_is_answered_and_closes_everyone(live: Live) -> None:
    """
    Who asked for it has the reply before the socket closes; nobody comes in after it, and the room is none.
    """
    await live.schedule()
    patient = await live.join("pat", role="patient")
    doctor = await live.join("doc")
    await doctor.ask("admit", participant=patient.id)
    reply = await doctor.ask("end")
    codes = [await peer.close_code() for peer in (patient, doctor)]
    again = await live.connect()
    refusal = await again.ask("join", room="r1", token=live.token("doc"))

    assert ("reply", [4010, 4010]) == (reply["type"], codes)
    assert "consult_over" == refusal["code"]


async def test_where_consults_are_required_a_room_without_one_is_closed(make_live: MakeLive) -> None:
    """
    As a foreign room is.
    """
    live = await make_live({"consults": {"required": True}})
    await live.schedule("r1")
    assert (await live.join("doc")).joined["admitted"]
    stranger = await live.connect()

    assert "forbidden" == (await stranger.ask("join", room="r2", token=live.token("doc", "r2")))["code"]


async def test_an_emergency_is_told_to_all_who_are_in(live: Live) -> None:
    """
    And to nobody who waits.
    """
    await live.schedule()
    patient = await live.join("pat", role="patient")
    doctor = await live.join("doc")
    await doctor.ask("priority", emergency=True)
    sign = await doctor.sign("consult", lambda sign: sign["emergency"])
    desk = await doctor.sign("waiting_room", lambda sign: bool(sign["people"]) and sign["people"][0]["emergency"])
    await patient.ask("stats")

    assert "waiting" == sign["state"]
    assert [patient.id] == [each["participant"] for each in desk["people"]]
    assert [] == [event for event in patient.events if event["type"] == "consult"]


async def test_people_at_one_desk_stand_in_one_line(live: Live) -> None:
    """
    Across consults: by when they came, an emergency first; a place changes as those before it are let in.
    """
    for name in ("r1", "r2", "r3"):
        await live.schedule(name, queue="dr-7")
    first = await live.join("p1", "r1", role="patient")
    second = await live.join("p2", "r2", role="patient")
    third = await live.join("p3", "r3", role="patient")
    assert [1, 2, 3] == [(await peer.sign("waiting"))["position"] for peer in (first, second, third)]
    await live.relay.consults.set_priority("r3", True, "desk-3")
    await third.sign("waiting", lambda sign: sign["position"] == 1)
    await second.sign("waiting", lambda sign: sign["position"] == 3)
    await live.relay.consults.admit("r1", "p1", "desk-3")

    assert 2 == (await second.sign("waiting", lambda sign: sign["position"] == 2))["position"]


async def test_beyond_its_capacity_people_are_held_and_let_in_in_order(make_live: MakeLive) -> None:
    """
    Nobody is refused: a routine patient waits with a position, an emergency uses what is kept for it, and running calls
    do not change.
    """
    live = await make_live({"consults": {"capacity_packets_per_s": 800, "emergency_share": 0.5}})
    for name in ("r1", "r2", "r3"):
        await live.schedule(name)
    await live.schedule("r4", is_emergency=True)
    first = await live.join("p1", "r1", role="patient")
    second, third = [await live.join(f"p{n}", f"r{n}", role="patient") for n in (2, 3)]
    urgent = await live.join("p4", "r4", role="patient")
    held = [(await peer.sign("waiting", lambda sign: sign["held"]))["position"] for peer in (second, third)]
    with pytest.raises(RemoteProtocolError) as refusal:
        await live.relay.consults.admit("r2", "p2", "desk-3")
    await live.relay.consults.admit("r1", "p1", "desk-3")
    await live.relay.consults.end("r1", "desk-3")
    await second.sign("waiting", lambda sign: not sign["held"])

    assert [1, 2] == held
    assert "no_capacity" == refusal.value.code
    assert not (await first.sign("waiting"))["held"]
    assert not (await urgent.sign("waiting"))["held"]
    assert 1 == (await third.sign("waiting", lambda sign: sign["position"] == 1))["position"]


async def test_people_in_a_room_do_not_find_themselves_in_a_consult(live: Live) -> None:
    """
    A consult is planned before anybody is there.
    """
    await live.join("doc")
    with pytest.raises(RemoteProtocolError) as refusal:
        await live.schedule()

    assert "conflict" == refusal.value.code


async def test_who_is_denied_while_a_session_is_negotiated_gets_none(live: Live) -> None:
    """
    WHIP asks for a seat after its offer was read; by then the consult may have decided.
    """
    await live.schedule(invited=())
    await live.join("pat-2", role="patient")
    headers = live.bearer("pat", role="patient")
    posting = asyncio.ensure_future(live.http.post(f"{live.url}/whip/r1", data=offer_sdp(), headers=headers))
    consults = live.relay.consults
    await live.until(lambda: any(each.sub == "pat" for each in consults.get("r1").people))
    await consults.deny("r1", "pat", "desk-3")
    (await posting).close()
    (host,) = live.relay._rooms.hosts
    await live.until(lambda: host.room.by_sub("pat") is None)

    assert ["pat-2"] == [each.sub for each in host.room.participants.values()]


async def test_while_the_disk_fails_nobody_comes_in_and_calls_go_on(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Whoever asks is told in time; what was asked is so once the disk works, and asking again does no harm.
    """
    monkeypatch.setattr(consult_live, "PATIENCE_S", 0.1)
    await live.schedule()
    doctor = await live.join("doc")
    keeping = live.relay.consults.keeping
    works = asyncio.Event()

    def stalled(consult: str, made: Sequence[Fact]) -> Awaitable[tuple[Entry, ...]]:
        durable = Keeping.append(keeping, consult, made)

        async def later() -> tuple[Entry, ...]:
            await works.wait()
            return await durable

        return later()

    monkeypatch.setattr(keeping, "append", stalled)
    patient = await live.connect()
    refusal = await patient.ask("join", room="r1", token=live.token("pat", role="patient"))
    stats = await doctor.ask("stats")
    await doctor.sign("waiting_room", lambda sign: sign["people"] == [])
    works.set()
    again = await live.join("pat", role="patient")
    people = await doctor.sign("waiting_room", lambda sign: bool(sign["people"]))

    assert ("not_durable", "reply") == (refusal["code"], stats["type"])
    assert [again.id] == [each["participant"] for each in people["people"]]
    assert ["scheduled", "arrived", "arrived"] == await live.journal()


async def test_a_wall_clock_that_is_set_moves_no_deadline(live: Live) -> None:
    """
    It is written down; the consult's own time goes on.
    """
    await live.schedule()
    consults = live.relay.consults
    before = consults.now()
    wall, consults._wall = consults._wall, lambda: wall() + 3600.0
    consults._watch_clock()

    assert consults.now() - before < 60
    assert ["scheduled", "clock_jumped"] == await live.journal()
