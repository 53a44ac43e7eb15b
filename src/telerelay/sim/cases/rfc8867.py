"""
The cases of RFC 8867: one bottleneck, or three, that somebody else is on or not.

Pure: a table. Capacities and times are those of the RFC; docs/simulator.md says what we added.
"""

from dataclasses import replace

from telerelay.sim.case import Case, FlowPlan, LinePlan, SteadyPlan, TcpPlan

SUITE = "rfc8867"


def _line(*steps: tuple[float, float], reference: float, queue_ms: float = 300.0, delay_ms: float = 50.0) -> LinePlan:
    return LinePlan(steps=steps, reference_mbps=reference, queue_ms=queue_ms, delay_ms=delay_ms)


def _flows(*starts_s: float, stop_s: float) -> tuple[FlowPlan, ...]:
    return tuple(FlowPlan(start_s=start, stop_s=stop_s) for start in starts_s)


VARIABLE = ((0.0, 1.0), (40.0, 2.5), (60.0, 0.6), (80.0, 1.0))

_ONE = Case(
    SUITE,
    "5.1",
    "Variable capacity, one flow",
    100,
    (_line(*VARIABLE, reference=1.0),),
    flows=_flows(0, stop_s=99),
    steadies=(SteadyPlan(),),
    tags=frozenset({"wired", "drop", "up"}),
)

_TCP = Case(
    SUITE,
    "5.6",
    "With one long TCP (NewReno), queue 300 ms",
    120,
    (_line((0, 2.0), reference=2.0),),
    flows=_flows(5, stop_s=119),
    tcps=(TcpPlan(stop_s=119),),
    from_s=10,
    fair_s=(30, 119),
    tags=frozenset({"tcp"}),
)

CASES = (
    _ONE,
    replace(
        _ONE,
        name="5.1-100ms",
        title="Variable capacity, one flow, 100 ms each way",
        forward=(_line(*VARIABLE, reference=1.0, delay_ms=100),),
        backward=LinePlan(delay_ms=100),
        tags=frozenset({"drop", "up"}),
    ),
    replace(
        _ONE,
        name="5.1-loss",
        title="Variable capacity, one flow, 2 % random loss",
        forward=(replace(_line(*VARIABLE, reference=1.0), loss=0.02),),
        tags=frozenset({"lossy"}),
    ),
    Case(
        SUITE,
        "5.2",
        "Variable capacity, two flows",
        125,
        (_line((0, 4.0), (25, 2.0), (50, 3.5), (75, 1.0), (100, 2.0), reference=2.0),),
        flows=_flows(0, 0, stop_s=124),
        fair_s=(5, 124),
        tags=frozenset({"wired", "up"}),
    ),
    Case(
        SUITE,
        "5.3",
        "Congested feedback path, both directions",
        100,
        (_line((0, 2.0), (20, 1.0), (40, 0.5), (60, 2.0), reference=2.0),),
        _line((0, 2.0), (35, 0.8), (70, 2.0), reference=2.0),
        flows=(FlowPlan(), FlowPlan(is_backward=True)),
        tags=frozenset({"both"}),
    ),
    Case(
        SUITE,
        "5.4",
        "Three flows of the same kind",
        120,
        (_line((0, 3.5), reference=3.5),),
        flows=_flows(0, 20, 40, stop_s=119),
        fair_s=(99, 119),
        tags=frozenset({"wired", "fair"}),
    ),
    Case(
        SUITE,
        "5.5",
        "Five round trips, 20 to 300 ms",
        300,
        (_line((0, 4.0), reference=4.0, delay_ms=0),),
        LinePlan(delay_ms=0),
        flows=tuple(
            FlowPlan(start_s=10.0 * at, stop_s=299, extra_ms=delay) for at, delay in enumerate((10, 25, 50, 100, 150))
        ),
        fair_s=(99, 299),
        tags=frozenset({"wired", "rtt"}),
    ),
    _TCP,
    replace(
        _TCP,
        name="5.6-deep",
        title="With one long TCP (NewReno), queue 1000 ms",
        forward=(_line((0, 2.0), reference=2.0, queue_ms=1_000),),
        tags=frozenset({"tcp-deep"}),
    ),
    replace(
        _TCP,
        name="5.6-cubic",
        title="With one long TCP (CUBIC), queue 300 ms",
        tcps=(TcpPlan(stop_s=119, is_cubic=True),),
        tags=frozenset({"tcp-cubic"}),
    ),
    Case(
        SUITE,
        "5.7",
        "With short TCP transfers",
        300,
        (_line((0, 2.0), reference=2.0),),
        flows=_flows(5, 5, stop_s=299),
        short_tcps=10,
        from_s=10,
        fair_s=(150, 299),
        tags=frozenset({"short-tcp"}),
    ),
    Case(
        SUITE,
        "5.8",
        "Pause and resume",
        120,
        (_line((0, 3.5), reference=3.5),),
        flows=(FlowPlan(stop_s=119, silent_s=(40, 60)), FlowPlan(stop_s=119), FlowPlan(stop_s=119)),
        fair_s=(80, 119),
        tags=frozenset({"pause"}),
    ),
    Case(
        SUITE,
        "6.3",
        "Three bottlenecks, one flow over all",
        300,
        tuple(_line((0, mbps), reference=mbps, delay_ms=20) for mbps in (4.0, 2.0, 4.0)),
        LinePlan(delay_ms=60),
        flows=tuple(
            FlowPlan(start_s=start, stop_s=299, hops=hops)
            for start, hops in ((0, (0, 2)), (20, (0, 0)), (40, (1, 1)), (60, (2, 2)))
        ),
        fair_s=(99, 299),
        tags=frozenset({"parking"}),
    ),
)
