"""
The event loop of the control plane stalls for five seconds in the middle of a call: the media does not notice.

The relay is one process with its worker in a thread; SIGUSR1 makes its main thread sleep, as a bug in an application
that embeds the relay would. How media arrives is seen on the wire, in front of the subscriber.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import statistics
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import support
from support.impairment import UdpImpairment
from support.relay_process import RelayProcess
from support.waiting import until
from support.wrtc_peer import Peers

STALL_S = 5.0
ROUNDS = 5
LARGEST_GAP_MS = 50.0


class Arrivals:
    """When media came down the line."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, way: str, datagram: bytes) -> None:
        if way == "down" and 128 <= datagram[0] <= 191 and not 192 <= datagram[1] <= 223:
            self.times.append(time.monotonic())

    def largest_gap_ms(self, begin: float, end: float) -> float:
        """The longest time without a packet between two moments, both counted as packets."""
        inside = [begin, *(at for at in self.times if begin <= at <= end), end]
        return 1e3 * max(after - before for before, after in itertools.pairwise(inside))


@pytest.fixture
def stalling_relay() -> Iterator[RelayProcess]:
    """A relay that SIGUSR1 stalls."""
    program = Path(support.__file__).with_name("stalling_relay.py")
    with RelayProcess("--worker-host", "thread", program=[sys.executable, str(program)]) as relay:
        yield relay


def answers(relay: RelayProcess, timeout_s: float) -> bool:
    """True if the control plane answers within that time."""
    try:
        with urllib.request.urlopen(f"{relay.url}/healthz", timeout=timeout_s) as response:
            return bool(response.status == 200)
    except OSError:
        return False


async def test_media_gap_while_the_loop_is_blocked(stalling_relay: RelayProcess) -> None:
    """
    Five stalls of 5 s in one call: the median of the largest gap between two packets is at most 50 ms, and during
    each stall the control plane really does not answer.
    """
    arrivals = Arrivals()
    gaps_ms = []
    with UdpImpairment(stalling_relay.udp_address, watch=arrivals) as line:
        async with Peers(stalling_relay) as peers:
            ada, bob = await peers.join("story", "ada"), await peers.join("story", "bob", port=line.port)
            await ada.publish(video=(320, 240, 30))
            await until(lambda: len(arrivals.times) > 100, timeout_s=20)
            for _ in range(ROUNDS):
                begin = time.monotonic()
                os.kill(stalling_relay.pid, signal.SIGUSR1)
                await asyncio.sleep(0.2)
                assert not await asyncio.to_thread(answers, stalling_relay, 0.5)
                await asyncio.sleep(begin + STALL_S - time.monotonic())
                gaps_ms.append(arrivals.largest_gap_ms(begin, time.monotonic()))
                await until(lambda: asyncio.to_thread(answers, stalling_relay, 5.0))
            picture = await bob.inbound("video")

    print(f"largest gaps, ms: {[round(gap, 1) for gap in gaps_ms]}")
    assert statistics.median(gaps_ms) <= LARGEST_GAP_MS
    assert picture.frames_decoded > 25 * ROUNDS * STALL_S
