"""Hooks that a configuration names run where what blocks stops nothing but itself."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest

from support import rules
from support.starved import Starved
from telerelay import ConfigError
from telerelay.hooks import HookRunner, Hooks, JoinRequest, PersonEvent, threads
from telerelay.hooks.entry import load_entry_point
from telerelay.hooks.hooks import overridden
from telerelay.hooks.threads import MAX_STUCK, ThreadWay


def way(name: str = "Sleepy") -> ThreadWay:
    kind = load_entry_point(f"support.rules:{name}")
    return ThreadWay(kind, overridden(kind), name)


def request(room: str) -> JoinRequest:
    return JoinRequest(room, "p-9", "patient")


def person(room: str, sequence: int) -> PersonEvent:
    return PersonEvent(room, sequence, f"{room}:{sequence}", "id", "p-9", "patient", "joined")


@pytest.fixture
async def runner() -> AsyncIterator[HookRunner]:
    """With its deadlines; the lists of what happened are empty."""
    for each in (rules.made, rules.told, rules.left):
        each.clear()
    running = HookRunner(way())
    await running.start()
    yield running
    await running.close(0.0)


async def test_rules_run_on_a_thread_of_their_own(runner: HookRunner) -> None:
    """
    Decisions and events are what they would be on the relay's loop; the thread is gone afterwards.
    """
    assert await runner.authorize_join(request("r1")) is True
    assert await runner.authorize_join(request("no")) is False
    runner.post(person("r1", 1))
    runner.post(person("r1", 2))
    await runner.close()

    assert [("r1", 1), ("r1", 2)] == rules.told
    assert threading.current_thread() not in rules.made
    assert [False] == [thread.is_alive() for thread in rules.made]
    assert not runner.failures


@pytest.mark.parametrize("room", ["sleep-1", "block-1"])
async def test_a_rule_that_sleeps_is_closed_in_time_and_holds_nobody(
    room: str, runner: HookRunner, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Ten seconds, awaited or not: refused after two, others are let in and told of meanwhile, and it is named.
    """
    with Starved() as starved:
        began = time.monotonic()
        slow = asyncio.ensure_future(runner.authorize_join(request(room)))
        await asyncio.sleep(0)
        others = []
        for number in range(20):
            asked = time.monotonic()
            assert await runner.authorize_join(request(f"r{number}"))
            runner.post(person(f"r{number}", 1))
            others.append(time.monotonic() - asked)
        assert await slow is False
        took_s = time.monotonic() - began
    await runner.close()  # what was cut is named by its own thread

    assert 2.0 <= took_s < 2.1 + starved.total_s
    assert max(others) < 1.0 + starved.total_s
    assert 20 == len(rules.told)
    assert {("authorize_join", "timeout"): 1} == runner.failures
    assert (2 if room == "block-1" else 1) == len(rules.made)
    assert (room == "block-1") == ("event=hook_thread_stuck" in caplog.text)
    assert "p-9" not in caplog.text
    assert "in _sleep" in caplog.text


async def test_with_too_many_stuck_threads_no_more_are_made(
    runner: HookRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What always blocks is closed at once from then on; when they let go it works again.
    """
    monkeypatch.setattr(threads, "STUCK_S", 0.05)
    monkeypatch.setattr(threads, "LOOK_S", 0.01)
    monkeypatch.setattr(rules, "SLEEP_S", 1.5)
    calls = [asyncio.ensure_future(runner.authorize_join(request(f"block-{number}"))) for number in range(MAX_STUCK)]
    while len(rules.made) <= MAX_STUCK:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    began = time.monotonic()
    assert await runner.authorize_join(request("r1")) is False
    assert time.monotonic() - began < 0.5
    assert runner.failures["authorize_join", "hung"]
    await asyncio.gather(*calls)
    while not await runner.authorize_join(request("r1")):  # noqa: ASYNC110
        await asyncio.sleep(0.01)

    assert MAX_STUCK + 1 == len(rules.made)


async def test_what_is_opened_is_closed_on_its_own_loop() -> None:
    """
    A database's connections belong to the loop they were made on.
    """
    rules.left.clear()
    runner = HookRunner(way("Opening"))
    await runner.start()
    assert await runner.authorize_join(request("r1"))
    await runner.close()

    assert ["left"] == rules.left


async def test_hooks_that_cannot_be_made_are_a_configuration_error() -> None:
    """
    Named by class, without the exception's words.
    """
    runner = HookRunner(way("Broken"))
    with pytest.raises(ConfigError, match="Broken cannot be made: RuntimeError") as caught:
        await runner.start()
    await runner.close()

    assert "hunter2" not in str(caught.value)


async def test_a_rule_that_swallows_its_cancellation_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Its memory has a bound: after so many no more are called.
    """
    monkeypatch.setattr(threads, "MAX_ABANDONED", 3)
    release = threading.Event()

    class Stubborn(Hooks):
        async def authorize_join(self, request: JoinRequest) -> bool:
            while not release.is_set():
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    continue
            return True

    runner = HookRunner(ThreadWay(Stubborn, frozenset({"authorize_join"}), "Stubborn"), decision_deadline_s=0.05)
    await runner.start()
    answers = [await runner.authorize_join(request("r1")) for _ in range(5)]
    release.set()
    await runner.close()

    assert [False] * 5 == answers
    assert 3 <= runner.failures["authorize_join", "timeout"] <= 4
    assert 1 <= runner.failures["authorize_join", "hung"] <= 2
