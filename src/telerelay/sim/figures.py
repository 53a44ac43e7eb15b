"""
What one run came to: utilisation, queue, loss, times, shares, and the series that plots are made of.

Pure: reads a world that has run. Rates are on the wire, headers included. docs/simulator.md defines each figure.
"""

import itertools
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from telerelay.sim.capacity import Capacity
from telerelay.sim.clock import SECOND_US
from telerelay.sim.feedback import BIN_US, binned
from telerelay.sim.flow import VideoFlow
from telerelay.sim.track import freezes
from telerelay.sim.world import World, seconds

BIN_S = BIN_US / SECOND_US

CALM_QUEUE_US, CALM_US = 50_000, SECOND_US
"""A drop is over when the queue stays under 50 ms for a second."""

CONVERGED = 0.9
SMOOTHED_BINS = 3
"""A rate is looked at over 600 ms: a single bin of 200 ms is mostly the encoder's noise."""

STEADY_FROM = 0.4
"""Steady state is the last 60 % of a run (RFC 8868)."""

Figures = dict[str, float | None]

Numbers = np.ndarray[Any, Any]


def figures(world: World) -> Figures:
    """Every figure of one run; None where a case has no such thing."""
    case = world.case
    flows = [world.flows[at] for at in case.judged_flows]
    bins = _Bins(world)
    start_us, stop_us = seconds(case.from_s), max(flow.stop_us for flow in flows)
    queues = [_between(flow, start_us, stop_us) for flow in flows]
    queue_ms = np.concatenate(queues) / 1_000 if queues else np.array([])
    sent = sum(flow.sender.sent_bytes for flow in world.flows)
    received = sum(flow.receiver.total_bytes for flow in world.flows)
    rates = [float(bins.rate_of(at)[_bin(start_us) : _bin(stop_us)].mean()) for at in case.judged_flows]
    return {
        "utilisation": bins.utilisation(start_us, stop_us),
        "rate_kbps": sum(rates) / len(rates) / 1_000,
        "queue_p50_ms": _percentile(queue_ms, 50),
        "queue_p95_ms": _percentile(queue_ms, 95),
        "queue_p99_ms": _percentile(queue_ms, 99),
        "own_loss": _own_loss(world),
        "start_s": bins.start_s(),
        "up_s": bins.up_s(),
        "drop_s": _drop_s(world, flows),
        "jain": bins.jain(),
        "tcp_share": bins.tcp_share(),
        "oscillation": bins.oscillation(),
        "feedback_share": sum(flow.receiver.feedback_bytes for flow in world.flows) / max(1, received),
        "padding_share": sum(flow.sender.pacer.padding_bytes for flow in world.flows) / max(1, sent),
        "pacer_p95_ms": _percentile(np.concatenate([np.array(flow.sender.pacer_us) for flow in flows]) / 1_000, 95),
        "freeze_s_per_10_min": _freezes(flows) if case.repairs else None,
    }


def series(world: World, bin_s: float = 1.0) -> dict[str, Any]:
    """For plots: seconds, and per bin capacity, rate and target of each flow, TCP, and the queue's peak; kbit/s, ms."""
    case = world.case
    step = round(bin_s / BIN_S)
    bins = _Bins(world)
    count = bins.count // step
    times = [round((at + 1) * bin_s, 3) for at in range(count)]

    def thinned(values: Sequence[float] | Numbers, *, peak: bool = False) -> list[int]:
        grid = np.array(values[: count * step], dtype=float).reshape(count, step)
        return [round(float(each)) for each in (grid.max(axis=1) if peak else grid.mean(axis=1))]

    waiting = np.zeros(bins.count)
    waiting[: len(world.waiting_us)] = np.minimum(world.waiting_us, 60 * SECOND_US)[: bins.count]
    return {
        "seconds": times,
        "capacity_kbps": None if case.radio else thinned(bins.capacity() / 1_000),
        "rates_kbps": [thinned(bins.rate_of(at) / 1_000) for at in range(len(world.flows))],
        "targets_kbps": [thinned(bins.target_of(at) / 1_000) for at in range(len(world.flows))],
        "tcp_kbps": thinned(bins.tcp() / 1_000) if world.tcps else None,
        "queue_ms": thinned(waiting / 1_000, peak=True),
    }


def jain(shares: Sequence[float]) -> float:
    """Jain's index: 1 where all are equal, 1 / n where one has all."""
    squares = sum(each * each for each in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 0.0


class _Bins:
    """Rates in bins of 200 ms."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.end_us = seconds(world.case.duration_s)
        self.count = self.end_us // BIN_US
        self._rates = [np.array(self._goodput(flow)) for flow in world.flows]

    def _goodput(self, flow: VideoFlow) -> list[float]:
        return binned(flow.receiver.received_us, flow.receiver.received_bytes, self.end_us)

    def rate_of(self, flow: int) -> Numbers:
        """What arrives of one flow, bit/s."""
        return self._rates[flow]

    def target_of(self, flow: int) -> Numbers:
        """What its controller allowed, bit/s; 0 before it began."""
        made = np.zeros(self.count)
        first = self._world.flows[flow].start_us // BIN_US
        values = self._world.flows[flow].sender.target_bps[: self.count - first]
        made[first : first + len(values)] = values
        return made

    def tcp(self) -> Numbers:
        """What all TCPs got, bit/s."""
        total = np.zeros(self.count)
        for totals in self._world.tcp_bytes:
            grown = np.diff(np.array(totals, dtype=float)) * 8 / BIN_S
            total[1 : 1 + len(grown)] += grown[: self.count - 1]
        return total

    def capacity(self) -> Numbers:
        """What the narrowest forward line carries, bit/s."""
        narrowest: Numbers = np.array([_averaged(line.capacity, self.count) for line in self._world.forward]).min(
            axis=0
        )
        return narrowest

    def _judged_capacity(self) -> Numbers:
        case = self._world.case
        total = np.zeros(self.count)
        ways = {case.flows[at].is_backward for at in case.judged_flows}
        if False in ways:
            total += self.capacity()
        if True in ways:
            total += _averaged(self._world.backward.capacity, self.count)
        return total

    def _wanted(self) -> Numbers:
        """What judged flows want, with the steady ones that share their line."""
        world, case = self._world, self._world.case
        wanted = np.zeros(self.count)
        for at in case.judged_flows:
            flow = world.flows[at]
            wanted[flow.start_us // BIN_US : flow.stop_us // BIN_US] += flow.bounds.max_bps
            if case.flows[at].silent_s:
                silent = case.flows[at].silent_s or (0.0, 0.0)
                wanted[_bin(seconds(silent[0])) : _bin(seconds(silent[1]))] -= flow.bounds.max_bps
        return wanted

    def _steady(self) -> Numbers:
        total = np.zeros(self.count)
        for flow, plan in zip(self._world.steadies, self._world.case.steadies, strict=True):
            if plan.kbps is None and not plan.is_backward:
                total[_bin(seconds(plan.start_s)) : _bin(seconds(plan.stop_s))] += flow.rate_bps
        return total

    def utilisation(self, start_us: int, stop_us: int) -> float | None:
        """Goodput over demand; not where the lines of the flows differ, nor over a radio or beside TCP."""
        case = self._world.case
        if case.radio or case.tcps or case.short_tcps or len(case.forward) > 1:
            return None
        low, high = _bin(start_us), _bin(stop_us)
        capacity = self._judged_capacity()
        # Loss comes after the queue: what is lost there cannot be had.
        capacity = capacity * (1 - case.forward[0].loss)
        demand = np.minimum(capacity, self._wanted() + self._steady())[low:high].sum()
        padding = sum(self._world.flows[at].receiver.padding_bytes for at in case.judged_flows)
        got = sum(self._rates[at][low:high].sum() for at in case.judged_flows) * BIN_S - padding * 8
        for flow, steady in zip(self._world.steadies, case.steadies, strict=True):
            if steady.kbps is None and not steady.is_backward:
                got += flow.received_bytes * 8 * (stop_us - start_us) / seconds(steady.stop_s - steady.start_s)
        return float(got / (demand * BIN_S)) if demand else None

    def _fair(self) -> Numbers:
        """What all judged flows together could have."""
        fair: Numbers = np.minimum(self._judged_capacity() - self._steady(), self._wanted())
        return fair

    def _reached_s(self, from_bin: int, to_bin: int) -> float:
        """From the beginning of a phase until 90 % of the fair rate; the whole phase where it never was."""
        fair = float(self._fair()[from_bin])
        total = np.sum([self._rates[at] for at in self._world.case.judged_flows], axis=0)
        for at in range(from_bin, to_bin):
            low = max(from_bin, at - SMOOTHED_BINS + 1)
            if at - low + 1 == SMOOTHED_BINS and np.mean(total[low : at + 1]) >= CONVERGED * fair:
                return (at + 1 - from_bin) * BIN_S
        return (to_bin - from_bin) * BIN_S

    def _phases(self) -> list[tuple[int, int, float, float]]:
        """(first bin, end, fair rate before, fair rate) of each step of the first forward line."""
        case = self._world.case
        starts = [_bin(seconds(start)) for start, _ in case.forward[0].steps if seconds(start) < self.end_us]
        stop = _bin(max(self._world.flows[at].stop_us for at in case.judged_flows))
        fair = self._fair()
        found = []
        for at, first in enumerate(starts):
            end = starts[at + 1] if at + 1 < len(starts) else stop
            if first < end:
                found.append((first, end, float(fair[first - 1]) if first else 0.0, float(fair[first])))
        return found

    def _is_stepped(self) -> bool:
        case = self._world.case
        return not (case.radio or case.tcps or case.short_tcps or len(case.forward) > 1 or "trace" in case.tags)

    def start_s(self) -> float | None:
        """Until 90 % of the fair rate from the beginning of the first flow; one flow alone, or all from 0."""
        case = self._world.case
        if not self._is_stepped() or any(case.flows[at].start_s for at in case.judged_flows):
            return None
        first = self._phases()[0]
        return self._reached_s(first[0], first[1])

    def up_s(self) -> float | None:
        """The mean over steps up."""
        if not self._is_stepped():
            return None
        ups = [self._reached_s(first, end) for first, end, before, now in self._phases()[1:] if now > 1.1 * before]
        return sum(ups) / len(ups) if ups else None

    def jain(self) -> float | None:
        """Over the window for shares."""
        case = self._world.case
        if case.fair_s is None or len(case.judged_flows) < 2:
            return None
        low, high = (_bin(seconds(each)) for each in case.fair_s)
        return jain([float(self._rates[at][low:high].mean()) for at in case.judged_flows])

    def tcp_share(self) -> float | None:
        """The media's share against a long TCP."""
        case = self._world.case
        if case.fair_s is None or not case.tcps:
            return None
        low, high = (_bin(seconds(each)) for each in case.fair_s)
        media = sum(float(self._rates[at][low:high].sum()) for at in case.judged_flows)
        return media / max(1.0, media + float(self.tcp()[low:high].sum()))

    def oscillation(self) -> float | None:
        """Standard deviation over mean of a flow's rate in the last 60 %, in bins of a second; the mean of flows."""
        found = []
        for at in self._world.case.judged_flows:
            flow = self._world.flows[at]
            low = _bin(round(flow.start_us + STEADY_FROM * (flow.stop_us - flow.start_us)))
            rates = self._rates[at][low : _bin(flow.stop_us)]
            grid = rates[: len(rates) // 5 * 5].reshape(-1, 5).mean(axis=1)
            if len(grid) and grid.mean() > 0:
                found.append(float(grid.std() / grid.mean()))
        return sum(found) / len(found) if found else None


def _averaged(capacity: Capacity, count: int) -> Numbers:
    steps = [*capacity.steps, (count * BIN_US, 0)]
    total = np.zeros(count)
    for (start, rate), (end, _) in itertools.pairwise(steps):
        first, last = start // BIN_US, min(count, -(-end // BIN_US))
        for at in range(first, last):
            total[at] += rate * (min(end, (at + 1) * BIN_US) - max(start, at * BIN_US)) / BIN_US
    return total


def _bin(when_us: int) -> int:
    return when_us // BIN_US


def _between(flow: VideoFlow, start_us: int, stop_us: int) -> Numbers:
    times, queues = _numbers(flow.receiver.received_us), _numbers(flow.receiver.queue_us)
    return queues[(times >= start_us) & (times < stop_us)]


def _numbers(values: "array[int]") -> Numbers:
    return np.frombuffer(values, dtype=np.int64) if len(values) else np.zeros(0, dtype=np.int64)


def _percentile(values: Numbers, share: float) -> float | None:
    return float(np.percentile(values, share)) if len(values) else None


def _own_loss(world: World) -> float:
    """Dropped by full queues, of all that was sent into them."""
    dropped = sum(link.dropped_packets for link in world.forward) + world.backward.dropped_packets
    dropped += sum(link.dropped_packets for link in world.air)
    return dropped / max(1, world.forward[0].taken_packets + world.backward.taken_packets)


def _drop_s(world: World, flows: list[VideoFlow]) -> float | None:
    """The mean over steps down to less than the flows sent: until the queue stays under 50 ms for a second."""
    if "drop" not in world.case.tags:
        return None
    steps = world.forward[0].capacity.steps
    found = []
    for (_, before), (start_us, rate) in itertools.pairwise(steps):
        if rate >= before or not rate:
            continue
        times, queues = (_numbers(each) for each in (flows[0].receiver.received_us, flows[0].receiver.queue_us))
        high = times[(times >= start_us) & (queues >= CALM_QUEUE_US)]
        calm_us = start_us
        for when in high:
            if when - calm_us >= CALM_US and calm_us > start_us:
                break
            calm_us = int(when)
        found.append((calm_us - start_us) / SECOND_US)
    return sum(found) / len(found) if found else None


def _freezes(flows: list[VideoFlow]) -> float:
    frozen = sum(length for flow in flows for _, length in freezes(flow.track.shown_us))
    watched = sum(flow.stop_us - flow.start_us for flow in flows)
    return frozen / watched * 600
