"""
The cases of RFC 8869: a radio behind a narrow line, a radio that is the bottleneck, and a mobile network.

Pure: a table. The radio is a model of overhead, aggregation, retries and loss, not of medium access; docs/simulator.md
says what that leaves out.
"""

from telerelay.sim import traces
from telerelay.sim.case import Case, FlowPlan, LinePlan, RadioPlan, SteadyPlan, TcpPlan
from telerelay.sim.cases.lines import trace_case

SUITE = "rfc8869"

_WIRED = LinePlan(steps=((0.0, 1.0),), reference_mbps=1.0)
_QUIET = RadioPlan(loss=0.0)


def _flows(down: int, up: int) -> tuple[FlowPlan, ...]:
    return tuple(FlowPlan(stop_s=119) for _ in range(down)) + tuple(
        FlowPlan(stop_s=119, is_backward=True) for _ in range(up)
    )


def _narrow(
    name: str, title: str, down: int, up: int, tcps: tuple[TcpPlan, ...] = (), steadies: tuple[SteadyPlan, ...] = ()
) -> Case:
    return Case(
        SUITE,
        name,
        title,
        120,
        (_WIRED,),
        _WIRED,
        flows=_flows(down, up),
        tcps=tcps,
        steadies=steadies,
        radio=_QUIET,
        judged=tuple(range(down + up)),
        tags=frozenset({"wifi-narrow"}),
    )


def _radio(
    name: str, title: str, down: int, up: int, tcps: tuple[TcpPlan, ...] = (), steadies: tuple[SteadyPlan, ...] = ()
) -> Case:
    return Case(
        SUITE,
        name,
        title,
        120,
        (LinePlan(),),
        LinePlan(),
        flows=_flows(down, up),
        tcps=tcps,
        steadies=steadies,
        radio=RadioPlan(),
        judged=tuple(range(down + up)),
        fair_s=(5, 119),
        tags=frozenset({"wifi-radio"}),
    )


def _steady(count: int, kbps: float, *, is_backward: bool) -> tuple[SteadyPlan, ...]:
    return tuple(SteadyPlan(40, 80, kbps, is_backward) for _ in range(count))


def _tcps(count: int, *, is_backward: bool) -> tuple[TcpPlan, ...]:
    return tuple(TcpPlan(40, 80, is_backward=is_backward) for _ in range(count))


CASES = (
    _narrow("4.1a", "Wi-Fi behind 1 Mbit/s, one down", 1, 0),
    _narrow("4.1b", "Wi-Fi behind 1 Mbit/s, one up", 0, 1),
    _narrow("4.1c", "Wi-Fi behind 1 Mbit/s, both ways", 1, 1),
    _narrow("4.1d", "… and 300 kbit/s UDP down", 1, 1, steadies=_steady(1, 300, is_backward=False)),
    _narrow("4.1e", "… and 300 kbit/s UDP up", 1, 1, steadies=_steady(1, 300, is_backward=True)),
    _narrow("4.1f", "… and a TCP down", 1, 1, _tcps(1, is_backward=False)),
    _narrow("4.1g", "… and a TCP up", 1, 1, _tcps(1, is_backward=True)),
    _radio("4.2a-8", "Wi-Fi full, 16 down", 16, 0),
    _radio("4.2a-12", "Wi-Fi full, 24 down", 24, 0),
    _radio("4.2a-16", "Wi-Fi full, 32 down", 32, 0),
    _radio("4.2b-8", "Wi-Fi full, 16 up", 0, 16),
    _radio("4.2b-12", "Wi-Fi full, 24 up", 0, 24),
    _radio("4.2b-16", "Wi-Fi full, 32 up", 0, 32),
    _radio("4.2c-8", "Wi-Fi full, 8 each way", 8, 8),
    _radio("4.2c-12", "Wi-Fi full, 12 each way", 12, 12),
    _radio("4.2c-16", "Wi-Fi full, 16 each way", 16, 16),
    _radio("4.2d", "… 12 each way and 4 UDP up", 12, 12, steadies=_steady(4, 600, is_backward=True)),
    _radio("4.2e", "… 12 each way and 4 TCP up", 12, 12, _tcps(4, is_backward=True)),
    trace_case(traces.made_up("lte_drive"), SUITE, "3.1", "Mobile network, load that varies"),
    trace_case(traces.made_up("3g_drive"), SUITE, "3.2", "Mobile network, bad coverage"),
)
