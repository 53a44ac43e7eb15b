"""
The lines of the simulator: capacity over time, queues, propagation, jitter, loss, radio.
"""

import itertools

import pytest

from sim.sinks import Sink, send_all
from telerelay.sim.capacity import NEVER_US, Capacity
from telerelay.sim.clock import MS_US, SECOND_US, Clock, laplace, randomness
from telerelay.sim.jitter import Jitter
from telerelay.sim.link import Link, queue_bytes_of
from telerelay.sim.loss import BurstLoss, RandomLoss
from telerelay.sim.packet import Packet
from telerelay.sim.wifi import Radio, WifiLink

MBPS = 1_000_000


def test_events_of_one_moment_happen_in_the_order_asked_for() -> None:
    """The heap never compares two callables, and time never goes back."""
    clock, seen = Clock(), []
    clock.at(5, lambda now, what: seen.append((now, what)), "b")
    clock.at(5, lambda now, what: seen.append((now, what)), "c")
    clock.at(1, lambda now, what: seen.append((now, what)), "a")
    clock.at(9, lambda now, what: seen.append((now, what)), "never")
    clock.run(8)

    assert [(1, "a"), (5, "b"), (5, "c")] == seen
    assert 8 == clock.now_us


def test_randomness_is_the_seeds_and_the_names() -> None:
    """The same words give the same numbers, in every process; other words give others."""
    assert randomness(1, "a").random() == randomness(1, "a").random()
    assert randomness(1, "a").random() != randomness(1, "b").random()
    assert 0.4249412932409822 == randomness(7, "flow", 3).random()


def test_laplace_has_the_asked_spread() -> None:
    """The mean distance from 0 of a Laplace distribution is its scale."""
    source = randomness(1, "laplace")
    draws = [laplace(source, 0.15) for _ in range(20_000)]

    assert 0.15 == pytest.approx(sum(map(abs, draws)) / len(draws), rel=0.03)
    assert 0.0 == pytest.approx(sum(draws) / len(draws), abs=0.01)


@pytest.mark.parametrize(
    ("start_us", "bits", "expected_us"),
    [
        (0, 1_000, 1_000),
        (0, 1_000_000, 1_000_000),
        (999_000, 2_000, 1_000_500),
        (1_000_000, 3, 1_000_002),
        (1_500_000, 2_000_000, 3_750_000),
        (2_100_000, 1, 3_000_002),
    ],
)
def test_capacity_carries_bits_across_steps(start_us: int, bits: int, expected_us: int) -> None:
    """1 Mbit/s for a second, 2 for a second, nothing for a second, then half of one."""
    capacity = Capacity.in_seconds((0, 1), (1, 2), (2, 0), (3, 0.5))

    # 1.5 s: 1,000,000 bits until 2 s, then a second of nothing, then 1,000,000 at half a Mbit/s.
    expected_us = 5_000_000 if start_us == 1_500_000 else expected_us
    assert expected_us == capacity.finish_us(start_us, bits)


def test_capacity_that_stays_down_never_finishes() -> None:
    """A line that ends in an outage carries nothing any more, and says so."""
    assert NEVER_US == Capacity.in_seconds((0, 1), (1, 0)).finish_us(2 * SECOND_US, 1)


def test_capacity_may_be_asked_backwards() -> None:
    """The place of the last answer is a shortcut only."""
    capacity = Capacity.in_seconds((0, 1), (1, 2))
    capacity.finish_us(5 * SECOND_US, 8)

    assert 1_000 == capacity.finish_us(0, 1_000)
    assert 3 * MBPS == capacity.bits(0, 2 * SECOND_US)
    assert 3 * MBPS // 2 == capacity.mean_bps(2 * SECOND_US)


def test_link_puts_packets_on_the_line_one_after_the_other() -> None:
    """Two packets of 10 ms each that come together leave 10 and 20 ms later, and arrive 50 ms after that."""
    clock, sink = Clock(), Sink()
    link = Link(clock, Capacity.constant(MBPS), delay_us=50 * MS_US, queue_bytes=10_000)
    send_all((link, sink), [0, 0, 40 * MS_US])
    clock.run(SECOND_US)

    assert [(60_000, 0, 10_000), (70_000, 1, 20_000), (100_000, 2, 10_000)] == sink.arrivals
    assert 0 == link.waiting_us(50 * MS_US)


def test_full_queue_drops_what_comes_last() -> None:
    """A queue of 300 ms holds 300 ms: thirty packets of 10 ms."""
    clock, sink = Clock(), Sink()
    link = Link(clock, Capacity.constant(MBPS), delay_us=0, queue_bytes=queue_bytes_of(MBPS, 300 * MS_US))
    send_all((link, sink), [0] * 35)
    clock.run(SECOND_US)

    assert 5 == link.dropped_packets
    assert list(range(30)) == [seq for _, seq, _ in sink.arrivals]
    assert 300_000 == sink.arrivals[-1][2]


def test_outage_queues_or_drops() -> None:
    """What comes while the line is down waits for it, or is refused, as the link was made."""
    for drops, arrived in ((False, [0, 1, 2]), (True, [0, 2])):
        clock, sink = Clock(), Sink()
        line = Capacity.in_seconds((0, 1), (1, 0), (3, 1))
        link = Link(clock, line, delay_us=0, queue_bytes=10_000, drops_when_down=drops)
        send_all((link, sink), [0, 2 * SECOND_US, 4 * SECOND_US])
        clock.run(5 * SECOND_US)

        assert arrived == [seq for _, seq, _ in sink.arrivals]


def test_loss_comes_after_the_queue() -> None:
    """A lost packet has taken its share of the line: what follows waits as long as without loss."""
    clock, sink = Clock(), Sink()
    loss = RandomLoss(0.5, randomness(1, "loss"))
    link = Link(clock, Capacity.constant(MBPS), delay_us=0, queue_bytes=1 << 20, loss=loss)
    send_all((link, sink), [0] * 100)
    clock.run(2 * SECOND_US)

    assert 100 == link.lost_packets + len(sink.arrivals)
    assert 30 < link.lost_packets < 70
    assert all((seq + 1) * 10_000 == when for when, seq, _ in sink.arrivals)


@pytest.mark.parametrize(("share", "burst"), [(0.05, 3.0), (0.2, 3.0), (0.1, 2.0)])
def test_bursts_have_the_asked_share_and_length(share: float, burst: float) -> None:
    """Gilbert's two probabilities follow from the share of lost packets and the mean length of a burst."""
    loss = BurstLoss(share, burst, randomness(3, "burst", share))
    fates = [loss.is_lost() for _ in range(200_000)]
    bursts = sum(1 for before, now in itertools.pairwise(fates) if now and not before)

    assert share == pytest.approx(sum(fates) / len(fates), rel=0.06)
    assert burst == pytest.approx(sum(fates) / bursts, rel=0.06)


@pytest.mark.parametrize("keeps_order", [True, False])
def test_jitter_is_bounded_and_keeps_order_if_asked(keeps_order: bool) -> None:
    """Sigma 5 ms around 15 ms, cut at three sigma, is 0 to 30 ms; only the keeping kind never overtakes."""
    clock, sink = Clock(), Sink()
    jitter = Jitter(randomness(1, "jitter"), keeps_order=keeps_order)
    link = Link(clock, Capacity.constant(100 * MBPS), delay_us=0, queue_bytes=1 << 20, jitter=jitter)
    send_all((link, sink), [at * MS_US for at in range(1_000)])
    clock.run(2 * SECOND_US)
    seqs = [seq for _, seq, _ in sink.arrivals]

    assert all(0 <= when - seq * MS_US - queue <= 30_000 for when, seq, queue in sink.arrivals if not keeps_order)
    assert keeps_order == (sorted(seqs) == seqs)


def test_last_link_adds_the_flows_own_propagation() -> None:
    """Flows of different distances share one bottleneck."""
    clock, sink = Clock(), Sink()
    link = Link(clock, Capacity.constant(MBPS), delay_us=10_000, queue_bytes=10_000)
    Packet((link, sink), 1_250, 0, 1, extra_us=90_000).start(0)
    clock.run(SECOND_US)

    assert [(110_000, 1, 10_000)] == sink.arrivals


def test_radio_sends_in_aggregates_and_takes_turns() -> None:
    """Stations with full queues get equal turns; a transmission carries up to 4 ms, all of it arriving at once."""
    clock, sinks = Clock(), (Sink(), Sink())
    radio = Radio(clock, Capacity.constant(20 * MBPS), randomness(1, "radio"), retry_share=0.0)
    links = [WifiLink(clock, radio), WifiLink(clock, radio)]
    for link, sink in zip(links, sinks, strict=True):
        send_all((link, sink), [0] * 400)
    clock.run(100 * MS_US)
    counts = [len(sink.arrivals) for sink in sinks]
    moments = {when for when, _, _ in sinks[0].arrivals}

    assert abs(counts[0] - counts[1]) <= 8
    assert counts[0] / len(moments) == pytest.approx(8, abs=1)
    # 4 ms of each transmission carry data, 0.3 to 1 ms do not.
    assert 0.8 < sum(counts) * 1_250 * 8 / (100 * MS_US * 20) < 0.95


def test_radio_queue_is_bounded_and_keeps_order_through_retries() -> None:
    """A retry holds the station's own queue: nothing overtakes it."""
    clock, sink = Clock(), Sink()
    radio = Radio(clock, Capacity.constant(20 * MBPS), randomness(2, "radio"), retry_share=0.3)
    link = WifiLink(clock, radio, queue_packets=100)
    send_all((link, sink), [0] * 130)
    clock.run(SECOND_US)
    seqs = [seq for _, seq, _ in sink.arrivals]

    # The first transmission takes what is there at once: the first packet.
    assert 29 == link.dropped_packets
    assert sorted(seqs) == seqs
    assert 101 == len(seqs)
