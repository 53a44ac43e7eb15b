"""
Lines of our own: country ADSL with somebody else on it, lossy Wi-Fi, outages, steps, and traces.

Pure: tables, and how a trace becomes a case.
"""

from telerelay.sim.case import Case, FlowPlan, LinePlan, SteadyPlan, TcpPlan
from telerelay.sim.traces import LEAST_QUEUE_BYTES, Trace

SUITE = "lines"

TRACE_MAX_KBPS = 2_500.0
"""What is wanted on a trace: a camera of 720 lines."""

TRACE_MOST_S = 300.0
"""No trace is run for longer."""


def _adsl(name: str, down_mbps: float, up_mbps: float) -> Case:
    return Case(
        SUITE,
        f"R1-{name}",
        f"ADSL {down_mbps:g} / {up_mbps:g} Mbit/s; six downloads 30-60 s, an upload 90-110 s",
        130,
        (LinePlan(((0, down_mbps),), down_mbps, 500, delay_ms=20),),
        LinePlan(((0, up_mbps),), up_mbps, 1_000, delay_ms=20),
        flows=(FlowPlan(stop_s=129), FlowPlan(stop_s=129, is_backward=True)),
        tcps=(*(TcpPlan(30, 60, is_cubic=True) for _ in range(6)), TcpPlan(90, 110, is_cubic=True, is_backward=True)),
        steadies=(SteadyPlan(stop_s=129), SteadyPlan(stop_s=129, is_backward=True)),
        min_kbps=30,
        max_kbps=TRACE_MAX_KBPS,
        repairs=True,
        judged=(0, 1),
        tags=frozenset({"adsl"}),
    )


def _lossy(percent: int, burst: float) -> Case:
    kind = f"bursts of {burst:g}" if burst > 1 else "random"
    return Case(
        SUITE,
        f"R2-{percent}{'b' if burst > 1 else ''}",
        f"Wi-Fi of 4 Mbit/s with {percent} % loss, {kind}, jitter 0-30 ms",
        100,
        (LinePlan(((0, 4.0),), 4.0, 300, delay_ms=30, loss=percent / 100, burst=burst, jitter_ms=30),),
        LinePlan(delay_ms=30),
        min_kbps=30,
        # More than the line carries, so that the line is what limits.
        max_kbps=5_000,
        repairs=True,
        tags=frozenset({"loss", f"loss-{percent}{'b' if burst > 1 else ''}"}),
    )


def _outage(seconds: float, *, drops: bool) -> Case:
    return Case(
        SUITE,
        f"R3-{seconds:g}s-{'drop' if drops else 'queue'}",
        f"3 Mbit/s, down for {seconds:g} s at 30 s, {'dropping' if drops else 'queueing'}",
        90,
        (LinePlan(((0, 3.0), (30, 0.0), (30 + seconds, 3.0)), 3.0, 1_000, delay_ms=30, drops_when_down=drops),),
        LinePlan(delay_ms=30),
        flows=(FlowPlan(stop_s=89),),
        min_kbps=30,
        max_kbps=TRACE_MAX_KBPS,
        repairs=True,
        tags=frozenset({"outage", f"outage-{seconds:g}"}),
    )


_STEPS = LinePlan(tuple((15.0 * at, (4.0, 0.4)[at % 2]) for at in range(8)), 4.0, 300, delay_ms=30)

CASES = (
    _adsl("1M", 1.0, 0.256),
    _adsl("2M", 2.0, 0.512),
    _adsl("4M", 4.0, 0.8),
    _adsl("8M", 8.0, 0.8),
    *(_lossy(percent, 1.0) for percent in (5, 10, 15, 20)),
    *(_lossy(percent, 3.0) for percent in (5, 10, 15, 20)),
    *(_outage(seconds, drops=drops) for seconds in (1, 3, 10, 30) for drops in (True, False)),
    Case(
        SUITE,
        "R4",
        "4 and 0.4 Mbit/s by turns, every 15 s",
        120,
        (_STEPS,),
        LinePlan(delay_ms=30),
        flows=(FlowPlan(stop_s=119),),
        min_kbps=30,
        max_kbps=TRACE_MAX_KBPS,
        tags=frozenset({"drop"}),
    ),
    Case(
        SUITE,
        "R4-both",
        "the same each way, a browser sends up: what arrived is told late",
        120,
        (_STEPS,),
        _STEPS,
        flows=(FlowPlan(stop_s=119), FlowPlan(stop_s=119, is_backward=True, controller="gcc")),
        min_kbps=30,
        max_kbps=TRACE_MAX_KBPS,
        judged=(0,),
        tags=frozenset({"drop-both"}),
    ),
)


def trace_case(trace: Trace, suite: str = "traces", name: str = "", title: str = "") -> Case:
    """One video over a line that follows a trace, with the queue and the delay of its class of line."""
    length_s = min(TRACE_MOST_S, trace.length_us / 1e6)
    mean_bps = trace.capacity().mean_bps(round(length_s * 1e6))
    line = LinePlan(
        tuple((start / 1e6, rate / 1e6) for start, rate in trace.capacity().steps if start < length_s * 1e6),
        mean_bps / 1e6,
        trace.line.queue_us / 1_000,
        LEAST_QUEUE_BYTES,
        trace.line.delay_us / 1_000,
    )
    return Case(
        suite,
        name or trace.name,
        title or f"trace {trace.name}",
        length_s,
        (line,),
        LinePlan(delay_ms=trace.line.delay_us / 1_000),
        flows=(FlowPlan(stop_s=length_s - 1),),
        min_kbps=30,
        max_kbps=TRACE_MAX_KBPS,
        tags=frozenset({"trace"}),
    )
