"""
A14 and A15 with the catalogue's own numbers: five thousand half-open handshakes, and checks for nobody as fast as one
core sends them. Minutes and thousands of descriptors, so they are among the slow tests.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import time
from statistics import median

import pytest
from harness import LiveCall, Peer, World, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow, pytest.mark.timed, pytest.mark.timeout(600)]

HALF_OPEN = 5000
WINDOW_S, WINDOWS = 3.0, 3
FLOOD_S = WINDOW_S * WINDOWS


class TimedCall(LiveCall):
    """Notes how long each packet was on its way, seconds: from before it is sent to when the kernel has it for bob."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.delays_s: list[float] = []
        self._left: dict[int, float] = {}

    def say(self, number: int) -> None:
        data, send, to = self.sealed(number), self.ada.sock.sendto, self.world.address
        self._left[number] = time.time()
        send(data, to)  # nothing between the two that could collect garbage

    def hear(self, packet: bytes) -> None:
        super().hear(packet)
        self.delays_s.append(self.bob.arrived_s - self._left[self.heard[-1]])

    def p99_s(self) -> float:
        return sorted(self.delays_s)[int(len(self.delays_s) * 0.99)]


async def listen(call: TimedCall, seconds: float) -> tuple[float, float]:
    """Share of packets lost and 99th percentile of delay, from now on for so long."""
    call.delays_s.clear()
    said, heard = call.said, len(call.heard)
    await asyncio.sleep(seconds)
    said_now = call.said
    await until(lambda: len(call.heard) - heard >= said_now - said, 1.0)
    lost = 1 - min(1.0, (len(call.heard) - heard) / (said_now - said))
    return lost, call.p99_s()


async def test_a14_five_thousand_half_open_handshakes_cost_a_call_nothing(descriptors: None) -> None:
    """
    Each said hello, has had the relay's flight and leaves it at that; a good join in their midst takes no second, and
    the call beside them loses nothing.
    """
    # They send no more checks: with the usual 30 s of consent the first would be over before the last has come.
    world = World(max_transports=8192, consent_timeout_us=600_000_000)
    async with world, LiveCall(world) as call:
        template = Peer(world)
        await template.begin()
        hello = template.first_flight()
        crowd = [Peer(world) for _ in range(HALF_OPEN)]
        for peer in crowd:
            peer.is_deaf = True
            await peer.begin()
            for each in (peer.check(), *hello):
                peer.send(each)
            await world.drained()
        assert await until(lambda: all(peer.dtls_in for peer in crowd), 10)
        assert world.worker.stats().transports["checked"] >= HALF_OPEN
        said, begun = call.said, time.monotonic()
        await world.peer()
        took_s = time.monotonic() - begun
        await until(lambda: call.said >= said + 500, 30)
        print(f"\n{HALF_OPEN} half-open: a join took {took_s:.3f} s")

        assert took_s < 1.0
        await call.check()


def flood(address: tuple[str, int], datagram: bytes, seconds: float, sent: object) -> None:
    """
    As fast as it goes, in a process of its own. A flood comes from another machine: here it takes no core from the
    relay and from those who speak.
    """
    os.nice(19)
    count, end = 0, time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.connect(address)
        while time.monotonic() < end:
            for _ in range(256):
                stranger.send(datagram)
            count += 256
    sent.value = count  # type: ignore[attr-defined]


async def test_a15_a_flood_of_checks_for_nobody_leaves_a_call_whole() -> None:
    """
    Of the call's packets at most 1 % are lost, their 99th percentile of delay is at most 5 ms over what it was, median
    of three windows; the rate reached and what a check costs are printed.
    """
    async with World() as world, TimedCall(world) as call:
        calm_lost, calm_p99_s = await listen(call, WINDOW_S)
        before = world.worker.stats()
        datagram = call.bob.check(username="00ffffffffffffff:peer")
        context = multiprocessing.get_context("spawn")
        sent = context.Value("Q", 0)
        flooding = context.Process(target=flood, args=(world.address, datagram, FLOOD_S + 3, sent))
        flooding.start()
        assert await until(lambda: world.worker.stats().drops.get("stun_unknown_user", 0) > 0, 10)
        windows = [await listen(call, WINDOW_S) for _ in range(WINDOWS)]
        lost, p99_s = max(each[0] for each in windows), median(each[1] for each in windows)
        await asyncio.to_thread(flooding.join)
        await asyncio.sleep(0.1)
        after = world.worker.stats()
        taken = after.drops["stun_unknown_user"] - before.drops.get("stun_unknown_user", 0)
        check_us = (after.thread_cpu_ns - before.thread_cpu_ns) / 1000 / taken
        rate_kpps = sent.value / (FLOOD_S + 3) / 1000
        print(
            f"\n{rate_kpps:.0f} kpps sent, {taken / sent.value:.0%} of them reached it, {check_us:.2f} us each; "
            f"lost {lost:.3%} (calm {calm_lost:.3%}), p99 {p99_s * 1000:.2f} ms (calm {calm_p99_s * 1000:.2f})"
        )

        assert lost <= 0.01
        assert p99_s <= calm_p99_s + 0.005
