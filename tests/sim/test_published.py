"""
The rivals are no straw men: each does what was published of it, within a tenth.

The published runs had no audio beside the video, and packets spaced evenly; GCC is checked so here, and runs with a
browser's pace in the cases. They had packets of 1028 bytes, so a queue may differ by the time of one packet of ours.
Means over two seeds. What differs by more is listed in docs/simulator.md.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from telerelay.sim import controllers
from telerelay.sim.case import Case, FlowPlan, LinePlan
from telerelay.sim.cases import rfc8867
from telerelay.sim.controller import NO_PROBE, Bounds, Controller, Result
from telerelay.sim.figures import figures
from telerelay.sim.gcc.aimd import Aimd
from telerelay.sim.gcc.alr import Alr
from telerelay.sim.gcc.controller import Gcc
from telerelay.sim.gcc.loss import LossBased
from telerelay.sim.gcc.probing import Probing
from telerelay.sim.gcc.trendline import Trendline, Usage
from telerelay.sim.nada import Nada
from telerelay.sim.packet import OVERHEAD_BYTES
from telerelay.sim.track import PAYLOAD_BYTES
from telerelay.sim.world import build

MBPS = 1_000_000
TOLERANCE = 0.10

DEEP = Case(
    "published", "1s", "1 Mbit/s, queue 1 s", 100, (LinePlan(((0, 1.0),), 1.0, 1_000),), flows=(FlowPlan(stop_s=99),)
)


def lossy(percent: int) -> Case:
    line = LinePlan(((0, 2.0),), 2.0, 300, loss=percent / 100)
    return Case("published", f"loss-{percent}", "2 Mbit/s", 100, (line,), flows=(FlowPlan(stop_s=99),), max_kbps=2_000)


CASES = {case.name: replace(case, steadies=()) for case in rfc8867.CASES} | {
    case.name: case for case in (DEEP, *(lossy(percent) for percent in (2, 5, 10, 20)))
}

EVENLY: dict[str, Callable[[Bounds], Controller]] = {"gcc": lambda bounds: Gcc(bounds, pacing_factor=1.0), "nada": Nada}


@cache
def means(name: str, controller: str) -> dict[str, float]:
    """Over two seeds; of the cases of many flows over one."""
    makers = dict(controllers.MAKERS)
    controllers.MAKERS.update(EVENLY)
    try:
        found = []
        for seed in (1,) if name in ("5.4", "5.5") else (1, 2):
            world = build(CASES[name], controller, seed)
            world.run()
            found.append(figures(world))
    finally:
        controllers.MAKERS.update(makers)
    return {key: sum(each[key] or 0.0 for each in found) / len(found) for key in found[0] if found[0][key] is not None}


PUBLISHED = [
    # case, controller, utilisation, p95 queue in ms, Jain
    ("5.1", "gcc", 0.85, 31, None),
    ("5.1", "nada", 0.86, 47, None),
    pytest.param("5.1-100ms", "gcc", 0.88, 45, None, marks=pytest.mark.slow),
    pytest.param("5.2", "gcc", 0.92, 31, 0.95, marks=pytest.mark.slow),
    pytest.param("5.2", "nada", 0.85, 53, 1.00, marks=pytest.mark.slow),
    pytest.param("5.4", "gcc", 0.94, 26, 0.988, marks=pytest.mark.slow),
    pytest.param("5.4", "nada", 0.89, 43, 0.999, marks=pytest.mark.slow),
    pytest.param("5.5", "gcc", 0.93, 31, 0.85, marks=pytest.mark.slow),
    pytest.param("5.5", "nada", 0.99, 52, 0.98, marks=pytest.mark.slow),
    pytest.param("1s", "gcc", 0.85, 30, None, marks=pytest.mark.slow),
    pytest.param("1s", "nada", 0.92, 60, None, marks=pytest.mark.slow),
    pytest.param("loss-2", "gcc", 1.00, None, None, marks=pytest.mark.slow),
    ("loss-5", "gcc", 0.92, None, None),
    pytest.param("loss-10", "gcc", 0.34, None, None, marks=pytest.mark.slow),
    pytest.param("loss-20", "gcc", 0.09, None, None, marks=pytest.mark.slow),
    ("loss-5", "nada", 0.12, None, None),
]


@pytest.mark.parametrize(("case", "controller", "utilisation", "queue_ms", "jain"), PUBLISHED)
def test_rival_is_no_weaker_than_published(
    case: str, controller: str, utilisation: float, queue_ms: float | None, jain: float | None
) -> None:
    """It uses as much of the line, keeps the queue as short, and shares as fairly, within a tenth; better is fine."""
    found = means(case, controller)

    # 5 % loss of NADA is 0.12 of a line where its least rate alone is 0.075: a hundredth is the tenth of that.
    assert found["utilisation"] >= utilisation * (1 - TOLERANCE) - (0.01 if utilisation < 0.2 else 0.0)
    if jain is not None:
        assert found["jain"] >= jain * (1 - TOLERANCE)
    if queue_ms is not None:
        packet_ms = (PAYLOAD_BYTES + OVERHEAD_BYTES) * 8 / (CASES[case].forward[0].reference_mbps * 1_000)
        assert found["queue_p95_ms"] <= queue_ms * (1 + TOLERANCE) + packet_ms


def test_gcc_with_the_second_loss_estimator_outdoes_the_first() -> None:
    """At 10 % of random loss the published rule of thumb keeps a third of the line; the likelihood keeps most of it."""
    assert means("loss-10", "gcc")["utilisation"] > 2 * 0.34


@pytest.mark.parametrize(("flows", "line_mbps"), [(1, 1.0), (3, 3.5)])
def test_nada_rests_at_the_queue_of_its_equation(flows: int, line_mbps: float) -> None:
    """RFC 8698: in equilibrium the delay is PRIO x XREF x RMAX / rate, over the least of 15 packets."""
    plan = LinePlan(((0, line_mbps),), line_mbps, 300)
    case = Case("x", "rest", "x", 100, (plan,), flows=tuple(FlowPlan(stop_s=99) for _ in range(flows)))
    world = build(case, "nada", 1)
    world.run()
    expected_ms = 10 * 1.5 / (line_mbps / flows)
    flow = world.flows[0]
    queues = [
        queue for when, queue in zip(flow.receiver.received_us, flow.receiver.queue_us, strict=True) if when > 4e7
    ]
    packet_ms = (PAYLOAD_BYTES + OVERHEAD_BYTES) * 8 / (line_mbps * 1_000)
    least_of_15 = [min(queues[at : at + 15]) / 1_000 - packet_ms * 0.5 for at in range(0, len(queues) - 15, 15)]
    rest_ms = sum(least_of_15) / len(least_of_15)

    assert expected_ms == pytest.approx(rest_ms, rel=0.35)


def test_nada_ramps_up_by_its_equation() -> None:
    """Without a queue the rate grows by min(0.5, 50 / (rtt + 220)) over what is received, each 100 ms."""
    nada = Nada(Bounds(150_000, 150_000, 1_500_000))
    rate_bps, seq, now_us = 150_000, 0, 0
    for _ in range(3):
        results = []
        for at in range(10):
            seq += 1
            results.append(Result(seq, rate_bps // 800, now_us + at * 10_000, now_us + at * 10_000 + 50_000, NO_PROBE))
        now_us += 200_000
        nada.on_feedback(now_us, results)
        now_us -= 100_000
        nada.on_time(now_us, 0)
    gamma = 50 / (110 + 220)

    assert 1 + gamma == pytest.approx(nada.target_bps / 150_000, rel=0.12)


# ---------------------------------------------------------------------- the blocks of GCC


def test_rate_grows_eight_percent_a_second_far_from_the_line() -> None:
    """Multiplicative increase, as long as no capacity is known."""
    aimd = Aimd(1e6, 1e5, 1e8)
    for at in range(0, 10_001, 25):
        aimd.update(float(at), Usage.NORMAL, 5e6)

    assert 1e6 * 1.08**10 == pytest.approx(aimd.bps, rel=0.01)


def test_rate_falls_below_what_arrived_on_overuse() -> None:
    """0.85 of what was acknowledged, less 5 kbit/s, and not twice in a round trip."""
    aimd = Aimd(2e6, 1e5, 1e8)
    aimd.update(1_000.0, Usage.OVER, 1e6)

    assert 0.85e6 - 5_000 == aimd.bps
    assert not aimd.may_reduce(1_100.0, 1e6)
    assert aimd.may_reduce(1_200.0, 1e6)
    assert aimd.may_reduce(1_001.0, 0.4 * aimd.bps)


def test_rate_grows_by_half_a_packet_a_response_near_the_line() -> None:
    """Additive increase once a capacity is known, which one overuse makes it."""
    aimd = Aimd(1e6, 1e5, 1e8)
    aimd.rtt_ms = 100.0
    aimd.update(1_000.0, Usage.OVER, 1e6)
    before = aimd.bps
    for at in range(1_025, 2_026, 25):
        aimd.update(float(at), Usage.NORMAL, 1e6)
    frame_bits = 0.845e6 / 30

    assert frame_bits / 3 / 0.4 == pytest.approx(aimd.bps - before, rel=0.05)


def test_rate_is_bounded_by_what_arrives() -> None:
    """Not above 1.5 times the acknowledged rate and 10 kbit/s."""
    aimd = Aimd(1e6, 1e5, 1e8)
    for at in range(0, 60_001, 25):
        aimd.update(float(at), Usage.NORMAL, 1e6)

    assert 1.51e6 == pytest.approx(aimd.bps)


@pytest.mark.parametrize(("slope", "expected"), [(0.0, Usage.NORMAL), (0.3, Usage.OVER), (-0.3, Usage.UNDER)])
def test_trendline_sees_a_queue_grow_and_shrink(slope: float, expected: Usage) -> None:
    """A queue that grows by 30 ms each 100 ms is overuse within some groups; one that shrinks so is underuse."""
    trend, seen = Trendline(), set()
    for at in range(60):
        sent_ms = at * 10.0
        trend.on_packet(sent_ms, 500.0 + sent_ms * (1 + slope))
        seen.add(trend.usage)

    assert expected in seen
    assert not ({Usage.OVER, Usage.UNDER} - {expected}) & seen


def test_trendline_threshold_follows_slowly_up_and_quickly_down() -> None:
    """It starts at 12.5 and falls to its least of 6 where nothing happens."""
    trend = Trendline()
    for at in range(400):
        trend.on_packet(at * 10.0, 500.0 + at * 10.0)

    assert 6.0 == pytest.approx(trend.threshold_ms, abs=0.5)


@pytest.mark.parametrize(
    ("received_share", "expected_share"), [(1.0, 1.0), (0.95, 0.95), (0.5, 0.5 * 0.95), (2.5, None)]
)
def test_probe_measures_the_line(received_share: float, expected_share: float | None) -> None:
    """The smaller of both rates; 0.95 of what arrived where the line was full; nothing where it cannot be."""
    probing = Probing(5e6)
    probing.start(0.0, 300_000.0)
    probe = probing.next()
    assert probe is not None
    measured = None
    for at in range(10):
        sent_us = at * 10_000
        result = Result(at, 1_125, sent_us, 50_000 + round(sent_us / received_share), probe.probe_id)
        measured = probing.on_result(0.0, result)

    assert 900_000 == probe.rate_bps
    if expected_share is None:
        assert measured is None
    else:
        assert 900_000 * expected_share == pytest.approx(measured, rel=0.01)


def test_first_probes_are_three_and_six_times_the_start_and_go_on() -> None:
    """Then twice what was measured, as long as it came close to what was asked."""
    probing = Probing(5e6)
    probing.start(0.0, 300_000.0)
    first = [probing.next(), probing.next(), probing.next()]
    probing.on_probed(100.0, 1_700_000.0)
    further = probing.next()
    probing.on_probed(200.0, 1_700_000.0)

    assert [900_000, 1_800_000, None] == [each and each.rate_bps for each in first]
    assert further is not None
    assert 3_400_000 == further.rate_bps
    assert probing.next() is None


def test_sender_with_little_to_send_is_found_out() -> None:
    """A fifth of the estimate for a second begins it, all of it ends it."""
    alr = Alr(1e6)
    for at in range(100):
        alr.on_sent(at * 10.0, 250)
    was_in = alr.is_in
    for at in range(100, 200):
        alr.on_sent(at * 10.0, 1_250)

    assert was_in
    assert not alr.is_in


def test_probe_every_five_seconds_where_little_is_sent() -> None:
    """At twice the estimate, and never where loss or delay limits."""
    probing = Probing(5e6)
    times = []
    for at in range(0, 20_000, 25):
        probing.on_time(float(at), 1e6, is_in_alr=True, is_loss_limited=False, is_delayed=10_000 < at < 14_000)
        probe = probing.next()
        if probe is not None:
            times.append((at, probe.rate_bps))

    assert [(5_000, 2_000_000), (10_000, 2_000_000), (15_000, 2_000_000)] == times


@pytest.mark.parametrize(("loss", "expected"), [(0.0, 1.0), (0.04, 1.0), (0.3, 0.0)])
def test_loss_that_does_not_grow_with_the_rate_is_the_lines_own(loss: float, expected: float) -> None:
    """4 % of random loss leaves the rate to the delay; 30 % do not."""
    source = LossBased(30_000)
    lost = 0.0
    for step in range(400):
        packets = []
        for at in range(25):
            lost += loss
            packets.append((step * 100.0 + at * 4.0, 1_250, lost >= 1))
            lost -= lost >= 1
        source.update(packets, delay_bps=2_500_000, acked_bps=2_500_000 * (1 - loss), is_in_alr=False)

    assert source.bps is not None
    assert (source.bps > 2_400_000) == bool(expected)
    assert source.is_limiting == (not expected)
