"""What the journal holds is told at least once, in the order of each consult, whatever happens meanwhile."""

import asyncio
import itertools
import os
import random
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from support.hook_hosts import AT, KEY, TURN_S, HandClock, Host, beginning, end, host, journal_in, settle
from telerelay.consult.facts import Fact, HookFailed, TimerFired, TimerSet
from telerelay.hooks import EndEvent, FactEvent, HookFailure, HookRunner, Hooks, PersonEvent, StateEvent, TimerEvent
from telerelay.hooks import letters as letter_tables
from telerelay.hooks.letters import Letter
from telerelay.hooks.outbox import LOOK_S, MAX_TELLING, RETRY_MOST_S, Outbox
from telerelay.hooks.source import JournalSource
from telerelay.hooks.told import EVENTS
from telerelay.hooks.webhooks import WebhookWay
from telerelay.journal import Journal


class Listener(Hooks):
    """Remembers what it was told; fails, hangs or both where it is told to."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.fails: set[str] = set()
        self.gates: dict[str, asyncio.Event] = {}

    async def _hear(self, event: Any) -> None:
        if event.room in self.gates:
            await self.gates[event.room].wait()
        if event.room in self.fails or event.key in self.fails:
            raise RuntimeError("down")
        self.told.append(event)

    on_person = on_state = on_timer = on_fact = on_end = _hear

    def keys(self, room: str | None = None) -> list[str]:
        """Of the facts told, each once for all its hooks."""
        found = [event.key for event in self.told if room is None or event.room == room]
        return [key for key, _ in itertools.groupby(found)]


class Setup:
    """A journal, hooks, and the outbox between them; `again` is what another process would do."""

    def __init__(self, journal: Journal, hooks: Any, clock: HandClock, **options: Any) -> None:
        self.journal = journal
        self.clock = clock
        self.runner = HookRunner(hooks, event_deadline_s=options.pop("event_deadline_s", 10))
        self.options = {"clock": clock, "jitter": lambda: 1.0, **options}
        self.outbox = self._make()
        journal.listen(lambda entries: [self.outbox.wake(entry.consult) for entry in entries])

    def _make(self) -> Outbox:
        return Outbox(self.journal.store, JournalSource(self.journal), self.runner, **self.options)

    async def append(self, consult: str, facts: Sequence[Fact]) -> None:
        await self.journal.append(consult, facts)
        await asyncio.sleep(0)

    async def settle(self) -> None:
        await settle(self.outbox)

    async def again(self) -> None:
        await self.outbox.close(0.0)
        self.outbox = self._make()
        await self.outbox.start()

    async def letters(self) -> list[Letter]:
        return await self.journal.store.read(letter_tables.letters)

    async def replay(self, **which: Any) -> int:
        count = await self.journal.store.write(lambda connection: letter_tables.queue(connection, **which))
        await self.clock.pass_time(LOOK_S, self.outbox)
        while await self.journal.store.read(lambda connection: letter_tables.queued(connection, "hooks")):
            await self.settle()
        await self.settle()
        return count


@pytest.fixture
async def journal() -> AsyncIterator[Journal]:
    async with journal_in() as opened:
        yield opened


@pytest.fixture
async def made(journal: Journal) -> AsyncIterator[Setup]:
    setup = Setup(journal, Listener(), HandClock())
    await setup.outbox.start()
    yield setup
    await setup.outbox.close(0.0)
    await setup.runner.close(0.0)


def listener(setup: Setup) -> Listener:
    return setup.runner._way._hooks  # type: ignore[attr-defined,no-any-return]


# -------------------------------------------------------------------- what is told


async def test_a_consult_is_told_as_it_went(made: Setup) -> None:
    """
    Each fact to the hook it concerns, a change of state besides, the end last; with roles and states the facts leave to
    whoever read those before.
    """
    await made.append("c1", [*beginning("c1"), TimerSet(AT + 3, "tea", AT + 60), TimerFired(AT + 60, "tea", AT + 60)])
    await made.append("c1", end_at(61))
    await made.settle()

    told = listener(made).told
    assert [
        ("FactEvent", "c1:1", "scheduled", "scheduled"),
        ("StateEvent", "c1:1", "scheduled", ""),
        ("PersonEvent", "c1:2", "arrived", "waiting"),
        ("StateEvent", "c1:2", "waiting", "scheduled"),
        ("PersonEvent", "c1:3", "admitted", "admitted"),
        ("StateEvent", "c1:3", "admitted", "waiting"),
        ("PersonEvent", "c1:4", "entered", "admitted"),
        ("TimerEvent", "c1:5", "set", "admitted"),
        ("TimerEvent", "c1:6", "fired", "admitted"),
        ("FactEvent", "c1:7", "closed", "admitted"),
        ("EndEvent", "c1:7", "", "admitted"),
    ] == [_outline(event) for event in told]
    admitted = told[4]
    assert PersonEvent("c1", 3, "c1:3", "", "p-9", "patient", "admitted", "", AT + 2, "dr-7", "admitted") == admitted
    assert (AT + 60, "tea") == (told[8].due_at, told[8].timer)


def end_at(seconds: float) -> list[Fact]:
    return [type(fact)(AT + seconds) for fact in end()]


def _outline(event: Any) -> tuple[str, str, str, str]:
    name = type(event).__name__
    match event:
        case StateEvent():
            return name, event.key, event.state, event.before
        case FactEvent():
            return name, event.key, event.kind, event.state
        case PersonEvent() | TimerEvent():
            return name, event.key, event.what, event.state
        case _:
            assert isinstance(event, EndEvent)
            return name, event.key, event.outcome, event.state


async def test_nothing_is_told_that_is_not_durable(made: Setup) -> None:
    """
    The order is: on the disk, then told.
    """
    appending = made.journal.append("c1", beginning("c1"))

    assert [] == listener(made).told
    await appending
    await asyncio.sleep(0)
    await made.settle()
    assert ["c1:1", "c1:2", "c1:3", "c1:4"] == listener(made).keys()


async def test_what_is_sealed_is_not_told(made: Setup) -> None:
    """
    A note that a doctor wrote is nobody's business but the journal's.
    """
    from telerelay.consult.facts import Noted

    await made.append("c1", [*beginning("c1"), Noted(AT + 5, "dr-7", "wheezes")])
    await made.settle()

    assert "noted" == listener(made).told[-1].kind
    assert {"by": "dr-7"} == listener(made).told[-1].clear


async def test_hooks_that_nobody_wrote_cost_no_write(journal: Journal) -> None:
    """
    An application that listens to nothing has no outbox; one that listens to the end alone is told that.
    """

    class Ends(Hooks):
        def __init__(self) -> None:
            self.told: list[EndEvent] = []

        async def on_end(self, event: EndEvent) -> None:
            self.told.append(event)

    idle = Setup(journal, Hooks_(), HandClock())
    await idle.outbox.start()
    idle.outbox.wake("c1")
    assert 0 == idle.outbox.pending_count
    ends = Ends()
    setup = Setup(journal, ends, HandClock())
    await setup.outbox.start()
    writes = journal.store.stats().writes
    await setup.append("c1", beginning("c1"))
    await setup.settle()
    assert writes + 2 == journal.store.stats().writes, "the facts, and how far they were read"
    await setup.append("c1", end_at(9))
    await setup.settle()
    await setup.outbox.close()

    assert ["c1:5"] == [event.key for event in ends.told]


class Hooks_(Hooks):
    """None of its own."""


# -------------------------------------------------------------------- what goes wrong


async def test_a_slow_consult_does_not_hold_another(made: Setup) -> None:
    """
    Its facts wait; everyone else's are told.
    """
    gate = listener(made).gates["slow"] = asyncio.Event()
    await made.append("slow", beginning("slow"))
    for number in range(20):
        await made.append(f"c{number}", beginning(f"c{number}"))
    while len(listener(made).keys()) < 80:  # noqa: ASYNC110
        await asyncio.sleep(TURN_S)

    assert [] == listener(made).keys("slow")
    gate.set()
    await made.settle()
    assert ["slow:1", "slow:2", "slow:3", "slow:4"] == listener(made).keys("slow")


async def test_however_many_consults_hang_the_others_are_told(made: Setup) -> None:
    """
    More of them than are told at once: those that failed before have turns of their own.
    """
    gate = asyncio.Event()
    made.runner._event_deadline_s = 0.05
    for number in range(MAX_TELLING + 6):
        listener(made).gates[f"slow-{number}"] = gate
        await made.append(f"slow-{number}", beginning(f"slow-{number}")[:1])
    await made.settle()
    made.runner._event_deadline_s = 60
    made.clock.wake_all()
    await made.append("c1", beginning("c1"))
    async with asyncio.timeout(10):
        while len(listener(made).keys("c1")) < 4:  # noqa: ASYNC110
            await asyncio.sleep(TURN_S)

    assert made.outbox.pending_count >= MAX_TELLING
    gate.set()
    await made.settle()
    assert MAX_TELLING + 6 + 4 == len(set(listener(made).keys()))


@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError, GeneratorExit, BaseException])
async def test_no_exception_of_a_listener_ends_the_telling(made: Setup, error: type[BaseException]) -> None:
    """
    Whatever it raises, it is told again later, and the facts after it.
    """
    tries: list[str] = []

    async def on_person(event: PersonEvent) -> None:
        tries.append(event.key)
        if 1 == len(tries):
            raise error
        await listener(made)._hear(event)

    listener(made).on_person = on_person  # type: ignore[assignment,method-assign]
    await made.append("c1", beginning("c1"))
    await made.settle()
    await made.clock.pass_time(1.0, made.outbox)

    assert ["c1:1", "c1:2", "c1:3", "c1:4"] == listener(made).keys()
    assert tries[0] == tries[1]
    assert {("on_person", "exception"): 1} == made.runner.failures


async def test_what_fails_is_told_again_less_and_less_often(made: Setup) -> None:
    """
    The same key each time, and nothing behind it before it was taken; the failure is reported once.
    """
    failures: list[HookFailure] = []
    made.runner.on_failure = failures.append
    listener(made).fails.add("c1")
    await made.append("c1", beginning("c1"))
    tries: list[float] = []
    for _ in range(600):
        await made.clock.pass_time(0.5, made.outbox)
        if (count := made.runner.failures["on_fact", "exception"]) > len(tries):
            tries += [made.clock.now] * (count - len(tries))
    listener(made).fails.clear()
    await made.clock.pass_time(RETRY_MOST_S, made.outbox)

    assert [0.5, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 63.5, 123.5, 183.5, 243.5] == tries
    assert ["c1:1", "c1:2", "c1:3", "c1:4"] == listener(made).keys()
    assert [HookFailure("c1", "on_fact", "exception")] == failures


async def test_tries_of_many_consults_are_spread(journal: Journal) -> None:
    """
    A host that comes back is not asked by all at the same moment.
    """
    outbox = Outbox(journal.store, JournalSource(journal), HookRunner(Hooks_()), jitter=random.Random(7).random)
    delays = [outbox._delay_s(20) for _ in range(1000)]

    assert RETRY_MOST_S / 2 <= min(delays) < RETRY_MOST_S * 0.52
    assert RETRY_MOST_S * 0.98 < max(delays) <= RETRY_MOST_S
    assert RETRY_MOST_S >= outbox._delay_s(100_000)


async def test_a_failure_that_is_journalled_does_not_breed(made: Setup) -> None:
    """
    A fact about a failing hook fails in turn, and is not reported again: there is an end.
    """
    reported: list[HookFailure] = []

    def journalled(failure: HookFailure) -> None:
        reported.append(failure)
        made.journal.append(failure.room, [HookFailed(AT + 9, failure.hook, failure.fault)])

    made.runner.on_failure = journalled
    listener(made).fails |= {"c1:4", "c1:5"}
    await made.append("c1", beginning("c1"))
    await made.clock.pass_time(30, made.outbox)
    listener(made).fails.remove("c1:4")
    await made.clock.pass_time(300, made.outbox)
    listener(made).fails.clear()
    await made.clock.pass_time(300, made.outbox)

    assert [HookFailure("c1", "on_person", "exception")] == reported
    assert ["c1:1", "c1:2", "c1:3", "c1:4", "c1:5"] == listener(made).keys()


RELAY = """
import asyncio, sys
from support.hook_hosts import KEY, beginning, journal_in, settle
from telerelay.hooks import HookRunner
from telerelay.hooks.outbox import Outbox
from telerelay.hooks.source import JournalSource
from telerelay.hooks.told import EVENTS
from telerelay.hooks.webhooks import WebhookWay

async def main(path, url):
    async with journal_in(path) as journal:
        runner = HookRunner(WebhookWay(url, [KEY], EVENTS))
        await runner.start()
        outbox = Outbox(journal.store, JournalSource(journal), runner)
        await outbox.start()
        if not await journal.read("c1"):
            await journal.append("c1", beginning("c1"))
            outbox.wake("c1")
        await settle(outbox)
        await outbox.close()
        await runner.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def _relay(path: Path, url: str) -> asyncio.subprocess.Process:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return await asyncio.create_subprocess_exec(sys.executable, "-c", RELAY, str(path), url, env=env)


async def test_a_process_killed_between_telling_and_noting_it_tells_twice_and_loses_nothing(tmp_path: Path) -> None:
    """
    The host has the fact, and the process dies before it knows: the next one tells it again, under the same key.
    """
    relays: list[asyncio.subprocess.Process] = []

    async def kill_at_third(_request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if body["key"] == "c1:3" and len(relays) == 1:
            relays[0].kill()
            await relays[0].wait()
        return web.Response()

    async with host() as receiver:
        receiver.answer = kill_at_third
        relays.append(await _relay(tmp_path / "journal", receiver.url))
        assert -signal.SIGKILL == await relays[0].wait()
        relays.append(await _relay(tmp_path / "journal", receiver.url))
        assert 0 == await relays[1].wait()

    assert ["c1:1", "c1:2", "c1:3", "c1:3", "c1:4"] == receiver.keys


async def test_at_a_start_what_was_not_told_is_told(journal: Journal, tmp_path: Path) -> None:
    """
    Also of consults that ended meanwhile; and a consumer that is new is told what comes, not what was.
    """
    path = str(tmp_path / "journal")
    async with journal_in(path) as first:
        await first.append("old", beginning("old"))
        setup = Setup(first, Listener(), HandClock())
        await setup.outbox.start()
        await setup.append("c1", beginning("c1"))
        await setup.settle()
        await setup.outbox.close()
        await first.append("c1", end_at(9))
        await first.append("old", end_at(9))
        await first.append("c2", beginning("c2"))
    async with journal_in(path) as second:
        setup = Setup(second, Listener(), HandClock())
        await setup.outbox.start()
        await setup.settle()
        told = listener(setup)
        await setup.outbox.close()

    assert ["c1:5", "c2:1", "c2:2", "c2:3", "c2:4", "old:5"] == sorted(told.keys())
    assert "admitted" == next(event.state for event in told.told if event.key == "c1:5")


# -------------------------------------------------------------------- a host that is away


@pytest.fixture
async def away() -> AsyncIterator[tuple[Host, Setup]]:
    async with host() as receiver, journal_in() as opened:
        way = WebhookWay(receiver.url, [KEY], EVENTS)
        setup = Setup(opened, way, HandClock(), give_up_s=7200.0)
        await setup.runner.start()
        await setup.outbox.start()
        yield receiver, setup
        await setup.outbox.close(0.0)
        await setup.runner.close(0.0)


async def test_a_host_that_is_down_for_an_hour_is_told_everything(away: tuple[Host, Setup]) -> None:
    """
    Within a minute of its return: each consult's facts in order, without a gap, once.
    """
    receiver, setup = away
    await setup.append("c0", beginning("c0")[:1])
    await setup.settle()
    await receiver.down()
    for minute in range(60):
        if minute < 5:
            await setup.append(f"c{minute}", beginning(f"c{minute}")[1 if minute == 0 else 0 :])
        await setup.clock.pass_time(60, setup.outbox)
    for minute in range(5):
        await setup.append(f"c{minute}", end_at(3600))
    await receiver.up()
    await setup.clock.pass_time(RETRY_MOST_S, setup.outbox)

    assert 0 == setup.outbox.pending_count
    for minute in range(5):
        assert [f"c{minute}:{number}" for number in range(1, 6)] == [
            key for key in receiver.keys if key.startswith(f"c{minute}:")
        ]
    assert 25 == len(receiver.keys)
    assert 0 == setup.outbox.letter_count
    assert setup.runner.failures.keys() == {("on_person", "unreachable"), ("on_fact", "unreachable")}


async def test_what_nobody_takes_for_too_long_is_a_dead_letter_that_can_be_told_again(away: tuple[Host, Setup]) -> None:
    """
    Given up in order, read, and told in order when someone says so; what comes meanwhile is told as ever.
    """
    receiver, setup = away
    await receiver.down()
    await setup.append("c1", beginning("c1"))
    await setup.append("c2", beginning("c2")[:1])
    await setup.clock.pass_time(3 * 3600, setup.outbox)
    dead = await setup.letters()
    await receiver.up()
    await setup.append("c1", end_at(9))
    await setup.settle()

    assert ["c1:1", "c1:2", "c1:3", "c1:4", "c2:1"] == [letter.key for letter in dead]
    assert ("scheduled", "unreachable", AT, False) == (dead[0].kind, dead[0].why, dead[0].first_at, dead[0].is_queued)
    assert dead[0].attempts > 100
    assert [1, 1, 1] == [letter.attempts for letter in dead[1:4]]
    assert 5 == setup.outbox.letter_count == setup.runner.failures["on_fact", "dead"] + 3
    assert ["c1:5"] == receiver.keys
    assert 4 == await setup.replay(consult="c1")
    assert ["c1:5", "c1:1", "c1:2", "c1:3", "c1:4"] == receiver.keys
    assert ["c2:1"] == [letter.key for letter in await setup.letters()]
    assert "admitted" == receiver.bodies[3]["events"][1]["event"]["state"]


async def test_a_letter_that_fails_again_stays_dead_with_those_behind_it(away: tuple[Host, Setup]) -> None:
    """
    So that order holds; another consult's are told.
    """
    receiver, setup = away
    await receiver.down()
    await setup.append("c1", beginning("c1"))
    await setup.append("c2", beginning("c2")[:1])
    await setup.clock.pass_time(3 * 3600, setup.outbox)

    async def refuse_third(_request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=500 if body["key"] == "c1:3" else 200)

    receiver.answer = refuse_third
    await receiver.up()
    assert 5 == await setup.replay()
    left = await setup.letters()

    assert [("c1:3", "status", 500, False), ("c1:4", "unreachable", 0, False)] == [
        (letter.key, letter.why, letter.status, letter.is_queued) for letter in left
    ]
    assert 2 == left[0].attempts
    assert 2 == setup.outbox.letter_count


async def test_a_poisonous_fact_holds_its_consult_only_until_it_is_given_up(away: tuple[Host, Setup]) -> None:
    """
    The next ones are told, their numbers show what is missing, and the letter says why.
    """
    receiver, setup = away

    async def refuse_second(_request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=422 if body["key"] == "c1:2" else 200)

    receiver.answer = refuse_second
    await setup.append("c1", beginning("c1"))
    await setup.clock.pass_time(7200 + 2 * RETRY_MOST_S, setup.outbox)

    assert [("c1:2", "status", 422)] == [(letter.key, letter.why, letter.status) for letter in await setup.letters()]
    assert ["c1:1", "c1:2", "c1:3", "c1:4"] == list(dict.fromkeys(receiver.keys))


async def test_how_long_it_failed_outlives_the_process(away: tuple[Host, Setup]) -> None:
    """
    A relay that is restarted each hour gives up all the same; a wall clock that is set gives up nothing.
    """
    receiver, setup = away
    await receiver.down()
    await setup.append("c1", beginning("c1")[:1])
    await setup.clock.pass_time(5400, setup.outbox)
    setup.clock.wall = lambda: AT + setup.clock.now + 400 * 86400  # type: ignore[method-assign]
    await setup.clock.pass_time(600, setup.outbox)
    assert [] == await setup.letters()
    del setup.clock.wall
    await setup.again()
    await setup.clock.pass_time(900, setup.outbox)
    assert [] == await setup.letters()
    await setup.clock.pass_time(600, setup.outbox)

    assert ["c1:1"] == [letter.key for letter in await setup.letters()]


async def test_an_outbox_that_ends_does_not_wait_for_a_host_that_is_away(away: tuple[Host, Setup]) -> None:
    """
    What waits for another try is the next process's.
    """
    receiver, setup = away
    await receiver.down()
    await setup.append("c1", beginning("c1"))
    await setup.settle()
    async with asyncio.timeout(1):
        await setup.outbox.close(30)
    await receiver.up()
    await setup.again()
    await setup.settle()

    assert ["c1:1", "c1:2", "c1:3", "c1:4"] == receiver.keys


async def test_random_hosts_are_told_everything_in_order(journal: Journal) -> None:
    """
    Ten consults, a host that fails one time in three, outboxes that are closed in between.
    """
    draw = random.Random(20_260)

    class Moody(Listener):
        async def _hear(self, event: Any) -> None:
            self.told.append(event)
            if draw.random() < 0.33:
                raise RuntimeError("moody")

        on_person = on_state = on_timer = on_fact = on_end = _hear

    moody = Moody()
    setup = Setup(journal, moody, HandClock())
    await setup.outbox.start()
    for _ in range(6):
        for consult in draw.sample(range(10), 4):
            name = f"c{consult}"
            facts = await journal.read(name)
            await setup.append(name, beginning(name) if not facts else [TimerSet(AT + 9 + len(facts), "tea", AT + 99)])
        await setup.clock.pass_time(draw.random() * 5, setup.outbox)
        if draw.random() < 0.5:
            await setup.again()
    await setup.clock.pass_time(3600, setup.outbox)

    for consult in range(10):
        wanted = [f"c{consult}:{entry.seq}" for entry in await journal.read(f"c{consult}")]
        assert wanted == list(dict.fromkeys(moody.keys(f"c{consult}")))
        sequences = [event.sequence for event in moody.told if event.room == f"c{consult}"]
        assert sequences == sorted(sequences)
    await setup.outbox.close()


async def test_a_file_that_cannot_be_read_is_waited_for(made: Setup, caplog: pytest.LogCaptureFixture) -> None:
    """
    Nothing is lost by it, and the log says so.
    """
    store, real = made.journal.store, made.journal.store.read

    def failing(work: Any) -> Any:
        future = asyncio.get_running_loop().create_future()
        future.set_exception(sqlite3.OperationalError("disk I/O error"))
        return future

    store.read = failing  # type: ignore[method-assign]
    await made.append("c1", beginning("c1"))
    await made.settle()
    store.read = real  # type: ignore[method-assign]
    await made.clock.pass_time(RETRY_MOST_S, made.outbox)

    assert ["c1:1", "c1:2", "c1:3", "c1:4"] == listener(made).keys()
    assert "event=hook_outbox_failed error=OperationalError" in caplog.text
