"""The bad networks the tests use: seeded, and true to their numbers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from support.impairment import Fate, Impairment, UdpImpairment
from support.netsim import Line, NamespacePair, Shape


def test_same_seed_loses_the_same_datagrams() -> None:
    """
    Which datagrams are lost depends on seed and order alone, and the share is what was asked for.
    """
    how = Impairment(loss=0.02)
    runs = [[bool(fate.of(b"\x80x")) for _ in range(20_000)] for fate in (Fate(how, 3), Fate(how, 3), Fate(how, 4))]

    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert 0.02 == pytest.approx(runs[0].count(False) / 20_000, abs=0.003)


def test_proxy_passes_both_ways_and_counts_what_it_loses() -> None:
    """
    Datagrams go to the relay and back through one port; with a loss of 1 in one direction nothing comes through there.
    """
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as relay,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
    ):
        relay.bind(("127.0.0.1", 0))
        relay.settimeout(5)
        peer.settimeout(5)
        with UdpImpairment(relay.getsockname(), down=Impairment(duplicate=1.0)) as line:
            peer.sendto(b"ping", ("127.0.0.1", line.port))
            data, source = relay.recvfrom(100)
            relay.sendto(b"pong", source)
            answers = [peer.recv(100), peer.recv(100)]
        with UdpImpairment(relay.getsockname(), up=Impairment(loss=1.0)) as dead:
            peer.sendto(b"ping", ("127.0.0.1", dead.port))
            relay.settimeout(0.3)
            with pytest.raises(TimeoutError):
                relay.recv(100)

    assert (b"ping", [b"pong", b"pong"]) == (data, answers)
    assert {"in": 1, "lost": 1} == {key: value for key, value in dead.up.count.items() if value}


def test_line_serves_at_its_rate_and_drops_what_the_queue_does_not_hold() -> None:
    """
    At 1 Mbit/s a packet of 1,250 bytes takes 10 ms; the queue holds four beside none, the rest is dropped at the door.
    """
    line = Line(Shape(rate_bps=1e6, queue_bytes=5000, delay_ms=5), seed=1)
    for n in range(10):
        line.push(bytes([n]) * 1250, now=1.0)
    arrived = line.pop(now=2.0)

    assert [1.015, 1.025, 1.035, 1.045] == [round(due, 6) for due, _ in arrived]
    assert [0, 1, 2, 3] == [packet[0] for _, packet in arrived]
    assert 6 == line.count["queue_drop"]


def test_line_that_is_reshaped_keeps_what_waits_and_serves_it_at_the_new_rate() -> None:
    """
    A packet that is half served at 1 Mbit/s has its other half served at 100 kbit/s, the next one all of it; an outage
    (a rate of next to nothing) holds what waits until it is over.
    """
    line = Line(Shape(rate_bps=1e6), seed=1)
    for n in range(3):
        line.push(bytes([n]) * 1250, now=1.0)
    line.reshape(Shape(rate_bps=1e5), now=1.005)
    arrived = line.pop(now=1.2)
    line.reshape(Shape(rate_bps=1), now=1.2)
    during = line.pop(now=11.2)
    line.reshape(Shape(rate_bps=1e6), now=11.2)
    after = line.pop(now=12.0)

    assert [1.055, 1.155] == [round(due, 6) for due, _ in arrived]
    assert [] == during
    # 45 of its 100 ms were served before the outage: 5500 bits are left, less the ten of the outage.
    assert [(2, 11.20549)] == [(packet[0], round(due, 6)) for due, packet in after]
    assert 3750 == line.count["out_bytes"]
    assert 0 == line.queued_bytes


@pytest.mark.parametrize("burst", [1.0, 4.0])
def test_line_loses_its_share_in_bursts_of_their_length(burst: float) -> None:
    """
    Loss and mean burst length come out as asked for.
    """
    line = Line(Shape(loss=0.05, burst=burst), seed=9)
    fate = []
    for n in range(100_000):
        line.push(b"x", now=n * 1e-3)
        fate.append(not line.pop(now=n * 1e-3))
    bursts = sum(1 for before, now in zip([False, *fate], fate, strict=False) if now and not before)

    assert 0.05 == pytest.approx(sum(fate) / len(fate), abs=0.005)
    assert burst == pytest.approx(sum(fate) / bursts, rel=0.1)


def test_shape_survives_the_command_line() -> None:
    """
    A shape printed and read again is the same.
    """
    shape = Shape(rate_bps=5e5, queue_bytes=40_000, delay_ms=50, loss=0.02, burst=3)

    assert shape == Shape.parse(shape.spec())


@pytest.mark.netns
@pytest.mark.may_skip
@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_namespaces_are_joined_by_the_line_and_removed() -> None:
    """
    A datagram crosses from one namespace to the other after the line's delay, and afterwards both are gone.
    """
    bind = "import socket; s = socket.socket(2, 2); s.bind(('10.201.0.2', 5000)); print('bound', flush=True)"
    receive = f"{bind}; print(s.recv(99))"
    send = "import socket; socket.socket(2, 2).sendto(b'hello', ('10.201.0.2', 5000))"
    with NamespacePair(Shape(delay_ms=20), Shape()) as net:
        command = net.command("b", sys.executable, "-c", receive)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as there:
            assert there.stdout is not None
            there.stdout.readline()
            subprocess.run(net.command("a", sys.executable, "-c", send), check=True)
            out, _ = there.communicate(timeout=10)
    left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout

    assert "b'hello'" == out.strip()
    assert net.a not in left
    assert net.b not in left
