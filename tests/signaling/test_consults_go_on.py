"""A consult outlives the process that holds it: the next one reads the journal and goes on."""

import time
from pathlib import Path
from typing import Any

import pytest

from support.live_relay import Live, MakeLive
from telerelay import Hooks, JoinRequest, TokenKeys
from telerelay.consult.facts import BypassTried
from telerelay.errors import TelerelayError
from telerelay.hooks import EndEvent
from telerelay.signaling.notes import ROOM_KEY, RoomNote, RoomNotes


async def again(make_live: MakeLive, live: Live, path: Path) -> Live:
    """The relay ends, and another one begins on the same journal."""
    await live.relay.__aexit__(None, None, None)
    return await make_live({"journal": {"path": str(path)}})


async def test_who_was_let_in_is_still_in_and_who_waits_still_waits(make_live: MakeLive, tmp_path: Path) -> None:
    """
    Seats went with the process, admissions did not: the same people join and are where they were.
    """
    path = tmp_path / "journal"
    live = await make_live({"journal": {"path": str(path)}})
    await live.schedule()
    patient = await live.join("pat", role="patient")
    await live.join("com", role="companion")
    doctor = await live.join("doc")
    await doctor.ask("admit", participant=patient.id)
    live = await again(make_live, live, path)
    companion = await live.join("com", role="companion")
    patient = await live.join("pat", role="patient")
    doctor = await live.join("doc")

    assert [False, True, True] == [peer.joined["admitted"] for peer in (companion, patient, doctor)]
    assert "doc" == (await patient.event("participant_joined"))["participant"]["sub"]
    assert 1 == (await live.journal()).count("admitted")
    assert "restarted" in await live.journal()


class Once(Hooks):
    """Lets people join until it is told not to."""

    is_asked = True

    async def authorize_join(self, request: JoinRequest) -> bool:
        return self.is_asked


async def test_who_comes_back_after_a_kill_is_not_asked_about_again(make_live: MakeLive, tmp_path: Path) -> None:
    """
    The application said yes to the arrival; whoever had not arrived, or had left, it is asked about.
    """
    values, rules = {"journal": {"path": str(tmp_path / "journal")}}, Once()
    live = await make_live(values, hooks=rules)
    await live.schedule()
    await live.join("pat", role="patient")
    await live.join("com", role="companion")
    await live.join("doc")
    gone = await live.join("int", role="interpreter")
    await gone.ask("leave")
    consults = live.relay.consults
    await live.until(lambda: "int" not in [each.sub for each in consults.get("r1").people if each.status != "left"])
    await live.relay.__aexit__(None, None, None)
    rules.is_asked = False
    live = await make_live(values, hooks=rules)
    back = [await live.join(sub, role=role) for sub, role in (("doc", "practitioner"), ("pat", "patient"))]
    refused = []
    for sub, role in (("int", "interpreter"), ("new", "patient"), ("com", "patient")):
        peer = await live.connect()
        refused.append((await peer.ask("join", room="r1", token=live.token(sub, role=role)))["code"])

    assert [True, False] == [peer.joined["admitted"] for peer in back]
    assert ["forbidden"] * 3 == refused


async def test_an_expired_token_leads_back_to_a_seat_that_only_the_journal_has(
    make_live: MakeLive, tmp_path: Path
) -> None:
    """
    The relay went with its workers while tokens expired: with the seat's secret the same people are where they were.
    Without it, with somebody else's, with one of a seat that was given up, or once they are back, they are not.
    """
    path, hour_ago = tmp_path / "journal", time.time() - 3600
    live = await make_live({"journal": {"path": str(path)}})
    await live.schedule()
    doctor, patient = await live.join("doc"), await live.join("pat", role="patient")
    companion = await live.join("com", role="companion")
    await doctor.ask("admit", participant=patient.id)
    secrets = {"doc": doctor.joined["resume"], "pat": patient.joined["resume"], "com": companion.joined["resume"]}
    await companion.ask("leave")
    live = await again(make_live, live, path)
    keys = TokenKeys.of(b"k" * 32)

    async def join(sub: str, role: str, resume: str | None, room: str = "r1") -> dict[str, Any]:
        peer = await live.connect()
        token = keys.sign(room="r1", sub=sub, role=role, ttl_s=60, now=hour_ago)
        fields = {} if resume is None else {"resume": resume, "media": "keep", "last_seq": 1}
        return await peer.ask("join", room=room, token=token, **fields)

    refused = [
        await join("pat", "patient", None),
        await join("pat", "patient", "a" * 48),
        await join("pat", "patient", secrets["doc"]),
        await join("pat", "practitioner", secrets["pat"]),
        await join("pat", "patient", secrets["pat"], room="r2"),
        await join("com", "companion", secrets["com"]),
    ]
    back = [await join("doc", "practitioner", secrets["doc"]), await join("pat", "patient", secrets["pat"])]
    once_more = await join("pat", "patient", secrets["pat"])
    latest = await join("pat", "patient", back[1]["resume"])

    assert ["token_expired"] * 6 == [each["code"] for each in refused]
    assert [(True, False), (True, False)] == [(each["admitted"], each["resumed"]) for each in back]
    assert "token_expired" == once_more["code"]
    assert (back[1]["participant"], True) == (latest["participant"], latest["admitted"])


async def test_a_secret_from_before_two_kills_still_leads_back(make_live: MakeLive, tmp_path: Path) -> None:
    """
    Whoever got no answer between the two has the one from before them.
    """
    path = tmp_path / "journal"
    live = await make_live({"journal": {"path": str(path)}})
    await live.schedule()
    resume = (await live.join("pat", role="patient")).joined["resume"]
    live = await again(make_live, await again(make_live, live, path), path)
    peer = await live.connect()
    keys = TokenKeys.of(b"k" * 32)
    expired = keys.sign(room="r1", sub="pat", role="patient", ttl_s=60, now=time.time() - 3600)
    back = await peer.ask("join", room="r1", token=expired, resume=resume)

    assert ("reply", False) == (back["type"], back["admitted"])


async def test_a_consult_that_is_over_is_over_for_good(make_live: MakeLive, tmp_path: Path) -> None:
    """
    Its room is not opened to anybody who still has a token, in another process neither; nor is its name given again.
    """
    path = tmp_path / "journal"
    live = await make_live({"journal": {"path": str(path)}})
    await live.schedule()
    await live.relay.consults.cancel("r1", "desk-3")
    live = await again(make_live, live, path)
    peer = await live.connect()
    refusal = await peer.ask("join", room="r1", token=live.token("doc"))

    assert "consult_over" == refusal["code"]
    with pytest.raises(TelerelayError) as conflict:
        await live.schedule()
    assert "conflict" == conflict.value.code
    assert (await live.join("doc", "r2")).joined["admitted"]


class Ends(Hooks):
    """Hears which rooms end."""

    def __init__(self) -> None:
        self.rooms: list[str] = []

    async def on_end(self, event: EndEvent) -> None:
        self.rooms.append(event.room)


async def test_a_room_whose_consult_ended_with_its_process_does_not_go_on(make_live: MakeLive, tmp_path: Path) -> None:
    """
    Killed between the end and the room's, a process leaves a room that nobody holds any more: it is not an open one,
    the application is not told of it as of one, and the worker has no note of it.
    """
    rules, serve = Ends(), {"run_dir": str(tmp_path / "run")}
    live = await make_live(
        {"journal": {"path": str(tmp_path / "journal")}, "workers": {"host": "process"}, "serve": serve}, hooks=rules
    )
    await live.schedule()
    await live.relay.consults.cancel("r1", "desk-3")
    await live.until(lambda: rules.rooms == ["r1"])
    rooms = live.relay._rooms
    site = rooms._sites[0]
    for number, name in ((7, "r1"), (8, "open")):
        RoomNotes(number, lambda: site.worker.notes).put(ROOM_KEY, RoomNote(name, number, "key", 3))
    await rooms.restore(site)
    await live.until(lambda: "open" in rules.rooms)

    assert ["r1", "open"] == rules.rooms
    assert [] == [key for key in await site.worker.read_notes() if key.startswith(("7/", "8/"))]


async def test_what_fell_due_while_nothing_ran_fires_once(make_live: MakeLive, tmp_path: Path) -> None:
    """
    With the time it was due.
    """
    path = tmp_path / "journal"
    live = await make_live({"journal": {"path": str(path)}})
    await live.schedule()
    now = live.relay.consults.now()
    await live.relay.consults.set_timer("r1", "deadline", now + 0.05, "desk-3")
    await live.relay.__aexit__(None, None, None)
    for _ in range(2):
        live = await make_live({"journal": {"path": str(path)}})
        consults = live.relay.consults
        await live.until(lambda: consults.now() > now + 0.1)  # noqa: B023
        fired = [entry for entry in await live.entries() if entry.kind == "timer_fired"]
        await live.relay.__aexit__(None, None, None)

        assert [("deadline", now + 0.05)] == [(each.clear["timer"], each.clear["due_at"]) for each in fired]


async def test_a_consult_that_cannot_be_read_is_closed_and_others_go_on(make_live: MakeLive, tmp_path: Path) -> None:
    """
    A fact that cannot follow on the ones before, whoever wrote it: nobody is let into its room.
    """
    path = tmp_path / "journal"
    live = await make_live({"journal": {"path": str(path)}})
    await live.relay.consults.keeping.append("r1", [BypassTried(1.0, "pat", "link")])
    await live.schedule("r2")
    live = await again(make_live, live, path)
    peer = await live.connect()
    refusal = await peer.ask("join", room="r1", token=live.token("doc"))

    assert "consult_over" == refusal["code"]
    assert ["r2"] == [each.consult for each in live.relay.consults.statuses()]
