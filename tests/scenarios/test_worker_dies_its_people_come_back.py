"""
A worker process is killed in the middle of calls: another takes its place, its people come back by themselves, and the
calls on the other worker do not notice.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from support.calls import consult, going_on, lost
from support.relay_process import RelayProcess
from support.waiting import until
from telerelay.client import Client


@pytest.fixture
def relay() -> Iterator[RelayProcess]:
    with RelayProcess("--workers", "2") as process:
        yield process


def streams(client: Client) -> set[int]:
    return set(client.tap.streams)


def rooms_by_worker(relay: RelayProcess) -> list[int]:
    """Which worker each room was opened on, in order."""
    return [int(line.rpartition("worker=")[2]) for line in relay.log if "event=room_opened" in line]


async def heard_again(people: tuple[Client, Client], before: tuple[set[int], set[int]]) -> float:
    """Seconds until each of them receives a stream it had not before."""
    began = time.monotonic()
    await until(lambda: all(streams(each) - had for each, had in zip(people, before, strict=True)), timeout_s=60)
    return time.monotonic() - began


async def test_everyone_of_a_dead_worker_is_back_and_the_other_call_loses_nothing(relay: RelayProcess) -> None:
    """
    Three times in a row. The seats stay the seats; the room that lives elsewhere loses no packet.
    """
    async with consult(relay, "here") as here, consult(relay, "there") as there:
        await going_on((*here, *there))
        assert [0, 1] == sorted(rooms_by_worker(relay))
        index = rooms_by_worker(relay)[0]
        victim = relay.worker_pids[index]
        seats = [each.participant for each in here]
        for _ in range(3):
            before = (streams(here[0]), streams(here[1]))
            os.kill(victim, signal.SIGKILL)
            await heard_again(here, before)
            await going_on((*here, *there))
            replaced = [line for line in relay.log if "event=worker_replaced" in line][-1]
            victim = int(replaced.partition("pid=")[2].split()[0])
            relay.watch(victim)

        assert seats == [each.participant for each in here]
        assert [0, 0] == lost(there)
        assert [0, 0] == [each.comebacks for each in there]
        assert [4, 4] == [len(each.remote_tracks) + len(each.publications) for each in here]


async def test_a_worker_that_died_while_control_was_away_is_replaced(relay: RelayProcess) -> None:
    """
    Control comes back to notes without transports, or to no worker at all: whoever was there joins anew.
    """
    async with consult(relay, "here") as here:
        await going_on(here)
        before = (streams(here[0]), streams(here[1]))
        relay.kill()
        for pid in relay.worker_pids_before:
            os.kill(pid, signal.SIGKILL)
        relay.start()
        await heard_again(here, before)
        await going_on(here)
