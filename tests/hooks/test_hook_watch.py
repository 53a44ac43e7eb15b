"""A hook that keeps the relay's loop from turning is noticed while it does, and named with its stack (F28)."""

import asyncio
import threading
import time

import pytest

from telerelay.hooks import HookRunner, Hooks, JoinRequest, watch

REQUEST = JoinRequest("r1", "p-9", "patient")


class Blocking(Hooks):
    """Keeps its thread until somebody notices."""

    def __init__(self) -> None:
        self.noticed = threading.Event()

    async def authorize_join(self, request: JoinRequest) -> bool:
        keeps_the_loop(self.noticed)
        return True


def keeps_the_loop(until: threading.Event) -> None:
    until.wait(10)


async def test_a_hook_that_blocks_the_loop_is_named_while_it_blocks(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The log has the function that blocks; the hook goes on only after that, so it was not written afterwards.
    """
    monkeypatch.setattr(watch, "BLOCKED_S", 0.05)
    hooks = Blocking()
    real = watch.say

    def say(*arguments: object, **fields: object) -> None:
        real(*arguments, **fields)  # type: ignore[arg-type]
        hooks.noticed.set()

    monkeypatch.setattr(watch, "say", say)
    runner = HookRunner(hooks)
    await runner.start()
    await runner.authorize_join(REQUEST)
    await runner.close()

    assert hooks.noticed.is_set()
    assert "event=hook_blocks_loop" in caplog.text
    assert "in keeps_the_loop" in caplog.text
    assert "p-9" not in caplog.text


async def test_what_blocks_beside_a_hook_is_not_blamed_on_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A hook waits as it should while something else keeps the loop.
    """
    monkeypatch.setattr(watch, "BLOCKED_S", 0.02)
    release = asyncio.Event()

    class Waiting(Hooks):
        async def authorize_join(self, request: JoinRequest) -> bool:
            await release.wait()
            return True

    runner = HookRunner(Waiting())
    await runner.start()
    asking = asyncio.ensure_future(runner.authorize_join(REQUEST))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    time.sleep(0.3)  # noqa: ASYNC251
    release.set()
    assert await asking
    await runner.close()

    assert "hook_blocks_loop" not in caplog.text


async def test_the_watch_sleeps_while_no_hook_runs() -> None:
    """
    And where there are no rules there is none.
    """

    def watching() -> int:
        return sum(thread.name == "telerelay-hook-watch" for thread in threading.enumerate())

    async def watched_by(count: int) -> None:
        async with asyncio.timeout(5):
            while watching() != count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    await watched_by(0)
    idle = HookRunner(Hooks_())
    await idle.start()
    assert 0 == watching()
    runner = HookRunner(Blocking())
    await runner.start()
    assert 1 == watching()
    for each in (idle, runner):
        await each.close()
    await watched_by(0)


class Hooks_(Hooks):
    """None of its own."""
