"""
All of it: delay, loss, probes and the application-limited region in one controller.

Sans-I/O.
"""

from collections.abc import Sequence

from telerelay.sim.controller import LOST, NO_PROBE, Bounds, Probe, Result
from telerelay.sim.gcc.acked import AckedRate
from telerelay.sim.gcc.aimd import Aimd
from telerelay.sim.gcc.alr import Alr
from telerelay.sim.gcc.loss import LossBased
from telerelay.sim.gcc.probing import Probing
from telerelay.sim.gcc.trendline import Trendline, Usage

PACING_FACTOR = 2.5
STREAM_TIMEOUT_MS = 2_000.0
"""After so long without a packet the delay's history says nothing any more."""

RTT_LIMIT_MS, RTT_DROP, RTT_GAP_MS, RTT_FLOOR_BPS = 3_000.0, 0.8, 1_000.0, 5_000.0
"""A round trip so long is answered by a fifth less every second."""


class Gcc:
    """The `gcc` controller."""

    def __init__(self, bounds: Bounds, pacing_factor: float = PACING_FACTOR) -> None:
        self.target_bps = bounds.start_bps
        self.pacing_bps = round(pacing_factor * bounds.start_bps)
        self._pacing_factor = pacing_factor
        self.padding_bps = 0
        self._bounds = bounds
        self._trend = Trendline()
        self._acked = AckedRate()
        self._aimd = Aimd(bounds.start_bps, bounds.min_bps, bounds.max_bps)
        self._loss = LossBased(bounds.min_bps)
        self._probing = Probing(bounds.max_bps)
        self._alr = Alr(bounds.start_bps)
        self._is_started = False
        self._usage = Usage.NORMAL
        self._last_arrival_ms: float | None = None
        self._rtt_ms = 0.0
        self._oldest_unacked_ms: float | None = None
        self._rtt_bound_bps = float("inf")
        self._rtt_cut_ms = 0.0

    def on_packet_sent(self, now_us: int, seq: int, size_bytes: int, probe_id: int) -> None:
        """One packet has left the pacer."""
        now_ms = now_us / 1_000
        if self._oldest_unacked_ms is None:
            self._oldest_unacked_ms = now_ms
        self._alr.on_sent(now_ms, size_bytes)
        if not self._is_started:
            self._is_started = True
            self._probing.start(now_ms, self._bounds.start_bps)

    def on_demand(self, now_us: int, wanted_bps: int) -> None:
        """What could be used is another."""
        self._probing.on_allocated(now_us / 1_000, wanted_bps, self.target_bps, is_in_alr=self._alr.is_in)

    def next_probe(self) -> Probe | None:
        """The next cluster to send."""
        return self._probing.next()

    def on_time(self, now_us: int, queued_bytes: int) -> None:
        """Probes, and what becomes of the rate when no feedback comes."""
        now_ms = now_us / 1_000
        waiting_ms = 0.0 if self._oldest_unacked_ms is None else now_ms - self._oldest_unacked_ms
        if max(waiting_ms, self._rtt_ms) > RTT_LIMIT_MS:
            if now_ms - self._rtt_cut_ms >= RTT_GAP_MS:
                self._rtt_cut_ms = now_ms
                self._rtt_bound_bps = max(RTT_FLOOR_BPS, RTT_DROP * self.target_bps)
                self._set_target(now_ms)
        else:
            self._rtt_bound_bps = float("inf")
        self._probing.forget(now_ms)
        self._probing.on_time(
            now_ms,
            self.target_bps,
            is_in_alr=self._alr.is_in,
            is_loss_limited=self._loss.is_limiting and not self._loss.is_increasing,
            is_delayed=self._usage is Usage.OVER or self._rtt_bound_bps < float("inf"),
        )

    def on_feedback(self, now_us: int, results: Sequence[Result]) -> None:
        """Delay first, then loss, then the smaller of both."""
        now_ms = now_us / 1_000
        probed_bps: float | None = None
        arrived = sorted((each for each in results if each.received_us != LOST), key=lambda each: each.received_us)
        self._acked.is_in_alr = self._alr.is_in
        if arrived:
            last = arrived[-1]
            # Without what the receiver kept it for: the last packet of a feedback waits least.
            self._rtt_ms = self._aimd.rtt_ms = max(1.0, now_ms - last.sent_us / 1_000)
            self._oldest_unacked_ms = None
        was_over = self._usage is Usage.OVER
        trend, on_acked = self._trend, self._acked.on_packet
        for each in arrived:
            arrived_ms = each.received_us / 1_000
            if self._last_arrival_ms is not None and arrived_ms - self._last_arrival_ms > STREAM_TIMEOUT_MS:
                self._trend = trend = Trendline()
            self._last_arrival_ms = arrived_ms
            on_acked(arrived_ms, each.size_bytes)
            trend.on_packet(each.sent_us / 1_000, arrived_ms)
            if each.probe_id != NO_PROBE:
                measured = self._probing.on_result(now_ms, each)
                if measured is not None:
                    probed_bps = measured
        self._usage = trend.usage
        if arrived:
            self._update_delay(now_ms, probed_bps, was_over)
        self._loss.update(
            [(each.sent_us / 1_000, each.size_bytes, each.received_us == LOST) for each in results],
            delay_bps=self._aimd.bps,
            acked_bps=self._acked.bps,
            is_in_alr=self._alr.is_in,
        )
        self._set_target(now_ms)
        if probed_bps is not None:
            self._probing.on_probed(now_ms, probed_bps)

    def _update_delay(self, now_ms: float, probed_bps: float | None, was_over: bool) -> None:
        aimd, acked_bps = self._aimd, self._acked.bps
        if self._usage is Usage.OVER:
            if aimd.may_reduce(now_ms, aimd.bps if acked_bps is None else acked_bps):
                aimd.update(now_ms, Usage.OVER, acked_bps if acked_bps is not None else aimd.bps / 2)
        elif probed_bps is not None:
            aimd.set_probed(now_ms, probed_bps)
        else:
            aimd.update(now_ms, self._usage, acked_bps)

    def _set_target(self, now_ms: float) -> None:
        bps = self._aimd.bps
        if self._loss.bps is not None:
            bps = min(bps, self._loss.bps)
        bps = min(bps, self._rtt_bound_bps)
        self.target_bps = round(max(RTT_FLOOR_BPS if self._rtt_bound_bps < bps else self._bounds.min_bps, bps))
        self.pacing_bps = round(self._pacing_factor * self.target_bps)
        self._alr.bps = self.target_bps
        self._probing.on_estimate(now_ms, self.target_bps)
