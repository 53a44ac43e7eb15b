"""
The event loop of the control plane stalls for five seconds in the middle of a call: the media does not notice.

The relay is one process with its worker in a thread; SIGUSR1 makes its main thread sleep, as a bug in an application
that embeds the relay would. How media arrives is seen on the wire, in front of the subscriber.
"""

from __future__ import annotations

import asyncio
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
from support.arrivals import Arrivals
from support.impairment import UdpImpairment
from support.relay_process import RelayProcess
from support.waiting import until
from support.wrtc_peer import Peers

STALL_S = 5.0
ROUNDS = 5
LARGEST_GAP_MS = 50.0


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


@pytest.mark.slow
@pytest.mark.timed
async def test_media_gap_while_the_loop_is_blocked(stalling_relay: RelayProcess) -> None:
    """
    Five stalls of 5 s in one call: the median of the largest gap between two packets is at most 50 ms, the
    publisher's own silences (a busy machine) taken off; and during each stall the control plane really does not
    answer.
    """
    arrivals = Arrivals()
    rounds: list[tuple[float, float]] = []
    with UdpImpairment(stalling_relay.udp_address, watch=arrivals) as line:
        async with Peers(stalling_relay) as peers:
            ada, bob = [await peers.join("story", sub, port=line.port) for sub in ("ada", "bob")]
            await ada.publish(video=(320, 240, 30))
            await until(lambda: len(arrivals.times["down"]) > 100, timeout_s=20)
            for _ in range(ROUNDS):
                begin = time.monotonic()
                os.kill(stalling_relay.pid, signal.SIGUSR1)
                await asyncio.sleep(0.2)
                assert not await asyncio.to_thread(answers, stalling_relay, 0.5)
                await asyncio.sleep(begin + STALL_S - time.monotonic())
                rounds.append(arrivals.gaps_ms(begin, time.monotonic()))
                await until(lambda: asyncio.to_thread(answers, stalling_relay, 5.0))
            picture = await bob.inbound("video")

    print(f"largest gap and what of it the relay made, ms: {[(round(a, 1), round(b, 1)) for a, b in rounds]}")
    assert statistics.median(made_by_relay for _, made_by_relay in rounds) <= LARGEST_GAP_MS
    assert picture.frames_decoded > 10 * ROUNDS * STALL_S
