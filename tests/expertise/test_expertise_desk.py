"""Requests for expertise of a relay that runs, stops, and runs again; hours pass by a clock that is put forward."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from telerelay import ConsultPlan, Hooks, RemoteProtocolError, TelerelayError
from telerelay.expertise import Expertise, JournalStore
from telerelay.expertise.facts import Facts
from telerelay.hooks import ExpertiseEvent, HookRunner
from telerelay.hooks.outbox import Outbox
from telerelay.hooks.source import JournalSource
from telerelay.journal import Journal

HOUR_S = 3600.0
IMAGE = "cd" * 32


class Told(Hooks):
    """What the host was told, each the first time."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.events: dict[str, ExpertiseEvent] = {}
        self.changed = asyncio.Event()

    async def on_expertise(self, event: ExpertiseEvent) -> None:
        self.keys.append(event.key)
        self.events[event.key] = event
        self.changed.set()

    async def until(self, what: str) -> ExpertiseEvent:
        async with asyncio.timeout(30.0):
            while not (found := [each for each in self.events.values() if each.what == what]):
                self.changed.clear()
                await self.changed.wait()
        return found[0]

    @property
    def whats(self) -> list[str]:
        return [each.what for each in self.events.values()]


@dataclass
class Site:
    """A host's process; `plans` are consults that it made."""

    expertise: Expertise
    journal: Journal
    told: Told
    plans: dict[str, ConsultPlan] = field(default_factory=dict)


def files_in(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def site(path: Path, clock: Clock, told: Told) -> AsyncIterator[Site]:
    """What a relay has of it, without its workers."""
    journal = await Journal.of_file(str(path), clock)
    outbox = Outbox(journal.store, JournalSource(journal), HookRunner(told))
    await outbox.start()
    journal.listen(lambda entries: [outbox.wake(each.consult) for each in entries] and None)
    plans: dict[str, ConsultPlan] = {}

    async def schedule(plan: ConsultPlan, by: str) -> None:
        plans[plan.consult] = plan

    expertise = Expertise(clock, schedule, plans.get)
    await expertise.open(JournalStore(journal))
    expertise.start()
    try:
        yield Site(expertise, journal, told, plans)
    finally:
        await expertise.close()
        await outbox.close()
        await journal.store.close()


async def test_a_day_that_passes_while_the_relay_is_stopped_is_told_once(tmp_path: Path) -> None:
    """
    Requested, accepted; reminded of at 20 h; stopped; started at 30 h, and again: overdue, once, due at 24 h.
    """
    clock, told = Clock(), Told()
    began = clock.now
    async with site(tmp_path / "j.db", clock, told) as one:
        await one.expertise.request("e-1", "gp-1", "a mole?", queue="skin", images=(IMAGE,))
        await one.expertise.accept("e-1", "expert-1")
        clock.now = began + 20 * HOUR_S
        one.expertise.tick()
        await told.until("reminded")
    clock.now = began + 30 * HOUR_S
    async with site(tmp_path / "j.db", clock, told) as two:
        overdue = await told.until("overdue")
        assert ("accepted", "expert-1") == (two.expertise.get("e-1").state, two.expertise.get("e-1").expert)
    async with site(tmp_path / "j.db", clock, told) as three:
        await three.expertise.answer("e-1", "expert-1", "benign")
        await told.until("answered")
        status, question, answer = await three.expertise.texts("e-1")

    assert began + 24 * HOUR_S == overdue.due_at
    assert ["requested", "accepted", "reminded", "overdue", "answered"] == told.whats
    assert [f"expertise/e-1:{number}" for number in range(1, 6)] == told.keys
    assert ("answered", "a mole?", "benign") == (status.state, question, answer)


async def test_what_is_answered_is_not_open_after_a_restart(tmp_path: Path) -> None:
    """
    Nor may another of its id be made.
    """
    clock, told = Clock(), Told()
    async with site(tmp_path / "j.db", clock, told) as one:
        await one.expertise.request("e-1", "gp-1", "x")
        await one.expertise.withdraw("e-1")
    async with site(tmp_path / "j.db", clock, told) as two:
        with pytest.raises(RemoteProtocolError, match="or was one") as caught:
            await two.expertise.request("e-1", "gp-1", "x")

        assert ((), "conflict") == (two.expertise.statuses(), caught.value.code)


async def test_of_two_who_accept_one_wins(tmp_path: Path) -> None:
    """
    At the same moment; the other is refused by a code.
    """
    async with site(tmp_path / "j.db", Clock(), Told()) as one:
        await one.expertise.request("e-1", "gp-1", "x")
        found = await asyncio.gather(
            *(one.expertise.accept("e-1", f"expert-{number}") for number in range(8)), return_exceptions=True
        )

    assert 1 == sum(not isinstance(each, BaseException) for each in found)
    assert {"conflict"} == {each.code for each in found if isinstance(each, RemoteProtocolError)}


async def test_live_opens_one_consult_that_names_request_and_images(tmp_path: Path) -> None:
    """
    Said again by a client whose answer was lost, it is the same one.
    """
    async with site(tmp_path / "j.db", Clock(), Told()) as one:
        await one.expertise.request("e-1", "gp-1", "x", images=(IMAGE,))
        await one.expertise.accept("e-1", "expert-1")
        plan = ConsultPlan("c-1", deciders=("expert",))
        for _ in range(2):
            status = await one.expertise.go_live("e-1", "gp-1", plan)
        linked = one.plans["c-1"]

    assert (("c-1",), 3) == (status.live, status.sequence)
    assert ("e-1", (IMAGE,), ("expert",)) == (linked.expertise, linked.images, linked.deciders)
    assert linked == ConsultPlan.from_json(linked.to_json())


async def test_question_and_answer_are_sealed_and_can_be_destroyed(tmp_path: Path) -> None:
    """
    Neither is in the file's bytes, in an event, or left after erasure.
    """
    told = Told()
    async with site(tmp_path / "j.db", Clock(), told) as one:
        await one.expertise.request("e-1", "gp-1", "CANARY-QUESTION")
        await one.expertise.accept("e-1", "expert-1")
        await one.expertise.answer("e-1", "expert-1", "CANARY-ANSWER")
        await told.until("answered")
        await one.journal.erase("expertise/e-1")
        texts = (await one.expertise.texts("e-1"))[1:]

    assert ("", "") == texts
    assert not any(b"CANARY" in data for data in files_in(tmp_path))
    assert "CANARY" not in str(told.events)


async def test_a_disk_that_hangs_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Whoever asked is told that it is not written down yet; it is, once the disk works again.
    """

    class Store:
        works = asyncio.Event()

        async def open(self) -> dict[str, Facts]:
            return {}

        async def read(self, request: str) -> Facts:
            return ()

        async def append(self, request: str, facts: Facts, sequence: int) -> None:
            await self.works.wait()

    async def schedule(plan: ConsultPlan, by: str) -> None:
        raise AssertionError

    monkeypatch.setattr("telerelay.expertise.desk.PATIENCE_S", 0.01)
    store = Store()
    expertise = Expertise(Clock(), schedule, lambda consult: None)
    await expertise.open(store)
    with pytest.raises(RemoteProtocolError) as caught:
        await expertise.request("e-1", "gp-1", "x")
    store.works.set()
    monkeypatch.setattr("telerelay.expertise.desk.PATIENCE_S", 60.0)
    status = await expertise.accept("e-1", "expert-1")

    assert ("not_durable", "accepted") == (caught.value.code, status.state)


async def test_a_store_that_fails_has_nothing_happen() -> None:
    """
    A host's own: what it refused did not come true, and is tried again by whoever asked.
    """

    class Store:
        is_broken = False
        kept: dict[str, Facts] = {}  # noqa: RUF012

        async def open(self) -> dict[str, Facts]:
            return dict(self.kept)

        async def read(self, request: str) -> Facts:
            return self.kept.get(request, ())

        async def append(self, request: str, facts: Facts, sequence: int) -> None:
            if self.is_broken:
                raise TelerelayError("database_away", "the database is away")
            assert sequence == len(self.kept.get(request, ())) + 1
            self.kept[request] = (*self.kept.get(request, ()), *facts)

    async def schedule(plan: ConsultPlan, by: str) -> None:
        raise AssertionError

    store = Store()
    expertise = Expertise(Clock(), schedule, lambda consult: None)
    await expertise.open(store)
    await expertise.request("e-1", "gp-1", "x")
    store.is_broken = True
    for attempt in (expertise.accept("e-1", "expert-1"), expertise.request("e-2", "gp-1", "x")):
        with pytest.raises(TelerelayError, match="the database is away"):
            await attempt
    before = [each.state for each in expertise.statuses()]
    store.is_broken = False
    await expertise.accept("e-1", "expert-2")
    await expertise.request("e-2", "gp-1", "x")

    assert ["requested"] == before
    assert {"e-1": "expert-2", "e-2": ""} == {each.request: each.expert for each in expertise.statuses()}
