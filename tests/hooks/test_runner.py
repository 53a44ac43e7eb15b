"""Hooks run where they can do no harm."""

import asyncio

import pytest

from telerelay.hooks import EndEvent, HookRunner, Hooks, JoinRequest, NoHooks, PersonEvent, QualityEvent
from telerelay.hooks import runner as runners

REQUEST = JoinRequest("r1", "alice", "patient")


def person(sequence: int, room: str = "r1") -> PersonEvent:
    return PersonEvent(room, sequence, f"{room}-{sequence}", "id", "alice", "patient", "joined")


class Recorder(Hooks):
    """Remembers what it was told; waits where it is told to."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.fails = False

    async def on_person(self, event: PersonEvent) -> None:
        if event.room in self.gates:
            await self.gates[event.room].wait()
        if self.fails:
            raise RuntimeError(f"about {event.sub}")
        self.told.append((event.room, event.sequence))

    async def on_end(self, event: EndEvent) -> None:
        self.told.append((event.room, event.sequence))


async def test_without_hooks_everyone_may_join() -> None:
    """
    A relay without an application's rules is open to every valid token.
    """
    assert await HookRunner(NoHooks()).authorize_join(REQUEST)


async def test_a_decision_in_time_counts() -> None:
    """
    Yes is yes.
    """

    class Slow(Hooks):
        async def authorize_join(self, request: JoinRequest) -> bool:
            await asyncio.sleep(0)
            return request == REQUEST

    assert await HookRunner(Slow()).authorize_join(REQUEST)
    assert 2.0 == runners.DECISION_DEADLINE_S


async def test_events_of_a_room_come_in_order_and_rooms_do_not_wait_for_each_other() -> None:
    """
    A hook that hangs on one room delays that room's events alone; `post` itself returns at once.
    """
    recorder = Recorder()
    recorder.gates["slow"] = asyncio.Event()
    runner = HookRunner(recorder)
    for sequence in (1, 2):
        runner.post(person(sequence, "slow"))
    for sequence in (1, 2):
        runner.post(person(sequence, "quick"))
    runner.post(EndEvent("quick", 3, "quick-3"))
    while len(recorder.told) < 3:  # noqa: ASYNC110
        await asyncio.sleep(0)
    before = list(recorder.told)
    recorder.gates["slow"].set()
    await runner.close()

    assert [("quick", 1), ("quick", 2), ("quick", 3)] == before
    assert [("slow", 1), ("slow", 2)] == recorder.told[3:]


async def test_a_hook_that_raises_does_not_end_the_queue(caplog: pytest.LogCaptureFixture) -> None:
    """
    The failure is logged, without the exception's words; the next event is told.
    """
    recorder = Recorder()
    recorder.fails = True
    runner = HookRunner(recorder)
    runner.post(person(1))
    runner.post(EndEvent("r1", 2, "r1-2"))
    await runner.close()

    assert [("r1", 2)] == recorder.told
    assert "event=hook_failed hook=on_person error=RuntimeError" in caplog.text
    assert "alice" not in caplog.text


async def test_an_event_that_hangs_is_given_up() -> None:
    """
    One stuck call must not become a queue for ever.
    """
    recorder = Recorder()
    recorder.gates["r1"] = asyncio.Event()
    runner = HookRunner(recorder, event_deadline_s=0.02)
    runner.post(person(1))
    runner.post(EndEvent("r1", 2, "r1-2"))
    await runner.close()

    assert [("r1", 2)] == recorder.told


async def test_a_full_queue_loses_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Memory has a bound, and the loss is logged.
    """
    monkeypatch.setattr(runners, "MAX_QUEUED", 2)
    recorder = Recorder()
    recorder.gates["r1"] = asyncio.Event()
    runner = HookRunner(recorder)
    for sequence in range(1, 6):
        runner.post(person(sequence))
    recorder.gates["r1"].set()
    await runner.close()

    assert [("r1", 4), ("r1", 5)] == recorder.told


async def test_closing_waits_only_so_long() -> None:
    """
    A relay's end is not the application's hostage.
    """
    recorder = Recorder()
    recorder.gates["r1"] = asyncio.Event()
    runner = HookRunner(recorder)
    runner.post(person(1))
    async with asyncio.timeout(1):
        await runner.close(patience_s=0.02)

    assert [] == recorder.told


async def test_of_scores_that_wait_only_the_latest_is_told() -> None:
    """
    A slow hook hears each person's last score of each direction, in the place of the first that waited; what happened
    is not pushed out by them.
    """

    class Listener(Recorder):
        async def on_quality(self, event: QualityEvent) -> None:
            self.told.append((f"{event.participant} {event.direction}", event.score))

    def score(participant: str, direction: str, number: int) -> QualityEvent:
        return QualityEvent("r1", participant, participant, "patient", direction, number, "loss")  # type: ignore[arg-type]

    listener = Listener()
    gate = listener.gates["r1"] = asyncio.Event()
    runner = HookRunner(listener)
    runner.post(person(1))
    await asyncio.sleep(0)  # it is being told now
    for number in range(5):
        runner.post(score("a", "up", number))
        runner.post(score("a", "down", number))
        runner.post(score("b", "up", number))
    runner.post(person(2))
    gate.set()
    await runner.close()

    assert [("r1", 1), ("a up", 4), ("a down", 4), ("b up", 4), ("r1", 2)] == listener.told
