"""
The TCP competitor fills a line, leaves room for another, and ends what has an end.
"""

import pytest

from telerelay.sim.capacity import Capacity
from telerelay.sim.clock import MS_US, SECOND_US, Clock, randomness
from telerelay.sim.link import Link, queue_bytes_of
from telerelay.sim.loss import RandomLoss
from telerelay.sim.steady import SteadyFlow
from telerelay.sim.tcp import SEGMENT_BYTES, Tcp

MBPS = 1_000_000


def line(clock: Clock, mbps: float = 2.0, queue_ms: int = 300, loss: float = 0.0) -> tuple[Link, Link]:
    """A bottleneck, and a way back that never is one."""
    bps = round(mbps * MBPS)
    return (
        Link(
            clock,
            Capacity.constant(bps),
            delay_us=50 * MS_US,
            queue_bytes=queue_bytes_of(bps, queue_ms * MS_US),
            loss=RandomLoss(loss, randomness(1, "loss")) if loss else None,
        ),
        Link(clock, Capacity.constant(100 * MBPS), delay_us=50 * MS_US, queue_bytes=1 << 20),
    )


def connected(clock: Clock, forward: Link, backward: Link, **how: object) -> Tcp:
    tcp = Tcp(clock, **how)  # type: ignore[arg-type]
    tcp.connect((forward,), (backward,))
    return tcp


@pytest.mark.parametrize("is_cubic", [False, True])
def test_one_tcp_fills_the_line(is_cubic: bool) -> None:
    """With a queue of three round trips, either kind uses nearly all of it, and holds the queue."""
    clock = Clock()
    forward, backward = line(clock)
    tcp = connected(clock, forward, backward, is_cubic=is_cubic)
    tcp.start(0)
    clock.run(60 * SECOND_US)

    assert 0.96 < tcp.received_bytes * 8 / (60 * 2 * MBPS) <= 1.0
    assert 0 < forward.dropped_packets < 0.02 * tcp.sent_segments


@pytest.mark.parametrize("is_cubic", [False, True])
def test_two_tcps_share_fairly(is_cubic: bool) -> None:
    """The one that came 10 s later has between a third and two thirds of the next two minutes."""
    clock = Clock()
    forward, backward = line(clock, 4.0)
    first, second = (connected(clock, forward, backward, is_cubic=is_cubic) for _ in range(2))
    first.start(0)
    clock.at(10 * SECOND_US, second.start)
    clock.run(10 * SECOND_US)
    before = first.received_bytes
    clock.run(130 * SECOND_US)
    share = second.received_bytes / (second.received_bytes + first.received_bytes - before)

    assert 1 / 3 < share < 2 / 3


def test_short_transfer_ends_with_every_byte() -> None:
    """A transfer of a thousand segments arrives whole through 2 % of loss, and says when it was done."""
    clock = Clock()
    forward, backward = line(clock, 8.0, loss=0.02)
    tcp = connected(clock, forward, backward, segments=1_000)
    tcp.start(0)
    clock.run(120 * SECOND_US)

    assert tcp.finished_us is not None
    assert 1_000 * SEGMENT_BYTES == tcp.received_bytes
    assert 0 < tcp.resent_segments < 100


def test_tcp_survives_an_outage() -> None:
    """Everything in flight is lost for three seconds; the timer brings the transfer back."""
    clock = Clock()
    forward = Link(
        clock,
        Capacity.in_seconds((0, 2), (5, 0), (8, 2)),
        delay_us=50 * MS_US,
        queue_bytes=75_000,
        drops_when_down=True,
    )
    backward = line(clock)[1]
    tcp = connected(clock, forward, backward)
    tcp.start(0)
    clock.run(8 * SECOND_US)
    before = tcp.received_bytes
    clock.run(20 * SECOND_US)

    assert (tcp.received_bytes - before) * 8 > 0.75 * 12 * 2 * MBPS


def test_same_run_gives_the_same_bytes() -> None:
    """Nothing in a run depends on anything but its arguments."""
    totals = []
    for _ in range(2):
        clock = Clock()
        forward, backward = line(clock, loss=0.01)
        tcp = connected(clock, forward, backward, is_cubic=True)
        tcp.start(0)
        clock.run(30 * SECOND_US)
        totals.append((tcp.received_bytes, tcp.sent_segments, tcp.cwnd))

    assert totals[0] == totals[1]


def test_steady_flow_keeps_its_rate() -> None:
    """A microphone sends fifty packets a second, whatever becomes of them."""
    clock = Clock()
    forward, _ = line(clock)
    audio = SteadyFlow(clock)
    audio.connect((forward,))
    audio.run(SECOND_US, 3 * SECOND_US)
    clock.run(5 * SECOND_US)

    assert (100, 100) == (audio.sent_packets, audio.received_packets)
    assert 51_200 == audio.rate_bps
