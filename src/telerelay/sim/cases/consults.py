"""
Consults: fixed lines, one with loss, and every trace.

Pure: a table, and how a trace becomes a consult.
"""

from telerelay.sim.case import LinePlan
from telerelay.sim.cases.lines import TRACE_MOST_S, trace_case
from telerelay.sim.consult import ConsultCase
from telerelay.sim.simulcast import TrackPlan
from telerelay.sim.traces import Trace

SUITE = "consult"


def _fixed(name: str, mbps: float, loss: float = 0.0, tags: frozenset[str] = frozenset()) -> ConsultCase:
    return ConsultCase(
        SUITE,
        name,
        f"{mbps:g} Mbit/s{f', {loss:.0%} loss' if loss else ''}",
        120,
        LinePlan(((0, mbps),), mbps, 300, delay_ms=30, loss=loss),
        tags=frozenset({"fixed"}) | tags,
    )


FIXED = (
    _fixed("R5-1M", 1.0),
    _fixed("R5-2M", 2.0),
    _fixed("R5-4M", 4.0),
    # Nearly twice what all of it needs: nothing but the start is in the way.
    _fixed("R5-8M", 8.0),
    _fixed("R5-4M-loss", 4.0, 0.05),
)


JOIN = ConsultCase(
    SUITE,
    "R5-join",
    "6.5 Mbit/s, half as much again as all of it needs; joined while the others talk",
    13,
    LinePlan(((0, 6.5),), 6.5, 300, delay_ms=30),
    joins_s=(2.0, 4.0),
    tags=frozenset({"join"}),
)

JOINS = 50
"""So often it is joined, by a seed each: percentiles need more than three."""


def _squeeze(name: str, jitter_ms: float) -> ConsultCase:
    def line(mbps: float) -> LinePlan:
        steps = ((0.0, mbps), (20.0, 0.1), (50.0, mbps))
        return LinePlan(steps, mbps, 400, delay_ms=100, loss=0.05, jitter_ms=jitter_ms)

    return ConsultCase(
        SUITE,
        name,
        f"two people, 512/256 kbit/s, 5 % loss{f', jitter 0-{jitter_ms:g} ms' if jitter_ms else ''};"
        " 100 kbit/s from 20 to 50 s",
        80,
        line(0.512),
        line(0.256),
        (TrackPlan("camera", (2_500,), is_following=True),),
        voices=1,
        tags=frozenset({"squeeze"}),
    )


SQUEEZES = (_squeeze("R19", 0), _squeeze("R19-jitter", 8))
"""A rural line down to what carries a voice only, and back: the picture goes, and comes back once."""

SQUEEZE_SEEDS = 20
"""So often each: what is asked of the worst is asked of one in twenty."""


def consult_on(trace: Trace) -> ConsultCase:
    """A consult on a line that follows a trace."""
    line = trace_case(trace).forward[0]
    kind = "consult-3g" if trace.name.lower().startswith("3g") else "consult-fast"
    return ConsultCase(
        SUITE,
        f"R5-{trace.name}",
        f"trace {trace.name}",
        min(TRACE_MOST_S, trace.length_us / 1e6),
        line,
        tags=frozenset({"consult-trace", kind}),
    )
