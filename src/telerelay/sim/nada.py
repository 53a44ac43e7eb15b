"""
NADA, the other published controller, to be held against: written from RFC 8698.

Sans-I/O. The receiver's part (sections 4.2 and 5.1) is computed by the sender from transport-wide feedback, as the
published runs do. Times are milliseconds as floats within, as in the RFC.
"""

import math
from collections import deque
from collections.abc import Sequence

from telerelay.sim.controller import LOST, Bounds, Probe, Result

PRIO, XREF_MS, KAPPA, ETA, TAU_MS, DELTA_MS = 1.0, 10.0, 0.5, 2.0, 500.0, 100.0
LOGWIN_MS, QEPS_MS, DFILT_MS, GAMMA_MAX, QBOUND_MS = 500.0, 10.0, 120.0, 0.5, 50.0
MULTILOSS, QTH_MS, LAMBDA, PLRREF, DLOSS_MS, ALPHA = 7.0, 50.0, 0.5, 0.01, 10.0, 0.1
FPS, BETA_S, BETA_V = 30.0, 0.1, 0.1
"""All of RFC 8698, figure 3."""

FILTER_TAPS = 15
"""The minimum filter over delays (section 5.1.1)."""

XMAX_MS = 500.0
"""The congestion signal goes no higher: of the authors' own implementation, not of the RFC."""

BASE_MS = 600_000.0
"""How long the least delay is believed."""

LOSS_INTERVALS = 8
LOSS_WEIGHTS = (1.0, 1.0, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2)
"""The average loss interval is that of TFRC (RFC 5348, 5.4)."""


class LossIntervals:
    """How many packets lie between losses."""

    __slots__ = ("_intervals", "current", "is_seen")

    def __init__(self) -> None:
        self.is_seen = False
        self.current = 0
        self._intervals: deque[int] = deque(maxlen=LOSS_INTERVALS)

    def on_packet(self, is_lost: bool) -> None:
        """One packet, in order."""
        if not is_lost:
            self.current += 1
            return
        if self.current or not self.is_seen:
            if self.is_seen:
                self._intervals.appendleft(self.current)
            self.is_seen = True
            self.current = 0

    @property
    def average(self) -> float:
        """Packets in an average interval; the one that is still open counts if it makes it longer."""
        if not self._intervals:
            return float(self.current)

        def mean(values: list[int]) -> float:
            weights = LOSS_WEIGHTS[: len(values)]
            return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)

        closed = list(self._intervals)
        return max(mean(closed), mean([self.current, *closed][:LOSS_INTERVALS]))


class Nada:
    """The `nada` controller."""

    def __init__(self, bounds: Bounds) -> None:
        self.target_bps = bounds.start_bps
        self.pacing_bps = bounds.start_bps
        self.padding_bps = 0
        self._bounds = bounds
        self._reference_bps = float(bounds.start_bps)
        self._log: deque[tuple[float, float, int]] = deque()
        self._lost: deque[tuple[float, bool]] = deque()
        self._delays: deque[float] = deque(maxlen=FILTER_TAPS)
        self._base_ms = float("inf")
        self._base_at_ms = 0.0
        self._intervals = LossIntervals()
        self._loss_share = 0.0
        self._signal_ms = 0.0
        self._rtt_ms = 0.0
        self._updated_ms: float | None = None
        self._queued_bytes = 0

    def on_packet_sent(self, now_us: int, seq: int, size_bytes: int, probe_id: int) -> None:
        """Of no interest: NADA counts what arrives."""

    def on_demand(self, now_us: int, wanted_bps: int) -> None:
        """Of no interest."""

    def next_probe(self) -> Probe | None:
        """NADA never probes."""
        return None

    def on_time(self, now_us: int, queued_bytes: int) -> None:
        """The rate shaping buffer moves both rates (section 5.2.2)."""
        self._queued_bytes = queued_bytes
        self._shape()

    def on_feedback(self, now_us: int, results: Sequence[Result]) -> None:
        """Update the congestion signal and, every DELTA, the rate."""
        now_ms = now_us / 1_000
        for each in results:
            is_lost = each.received_us == LOST
            self._intervals.on_packet(is_lost)
            self._lost.append((now_ms, is_lost))
            if is_lost:
                continue
            sent_ms, received_ms = each.sent_us / 1_000, each.received_us / 1_000
            delay_ms = received_ms - sent_ms
            if delay_ms <= self._base_ms or received_ms - self._base_at_ms > BASE_MS:
                self._base_ms, self._base_at_ms = delay_ms, received_ms
            self._log.append((received_ms, delay_ms, each.size_bytes))
            self._delays.append(delay_ms)
            self._rtt_ms = now_ms - sent_ms
        if not self._log:
            return
        newest_ms = self._log[-1][0]
        while self._log[0][0] < newest_ms - LOGWIN_MS:
            self._log.popleft()
        while self._lost and self._lost[0][0] < now_ms - LOGWIN_MS:
            self._lost.popleft()
        if self._updated_ms is None:
            self._updated_ms = now_ms
            return
        delta_ms = now_ms - self._updated_ms
        if delta_ms < DELTA_MS:
            return
        self._updated_ms = now_ms
        self._update(delta_ms)

    def _update(self, delta_ms: float) -> None:
        before_ms, self._signal_ms = self._signal_ms, self._congestion_ms()
        losses = sum(is_lost for _, is_lost in self._lost)
        ramps_up = losses == 0 and all(delay - self._base_ms < QEPS_MS for _, delay, _ in self._log)
        rate = self._reference_bps
        if ramps_up:
            gamma = min(GAMMA_MAX, QBOUND_MS / (self._rtt_ms + DELTA_MS + DFILT_MS))
            rate = max(rate, (1 + gamma) * self._received_bps())
        else:
            offset_ms = self._signal_ms - PRIO * XREF_MS * self._bounds.max_bps / rate
            change_ms = self._signal_ms - before_ms
            rate -= KAPPA * (delta_ms / TAU_MS) * (offset_ms / TAU_MS) * self._reference_bps
            rate -= KAPPA * ETA * (change_ms / TAU_MS) * self._reference_bps
        self._reference_bps = min(float(self._bounds.max_bps), max(float(self._bounds.min_bps), rate))
        self._shape()

    def _congestion_ms(self) -> float:
        """Delay, warped where losses say that somebody fills the queue, and a price for loss (section 4.2)."""
        queue_ms = min(self._delays) - self._base_ms
        signal = queue_ms
        intervals = self._intervals
        if intervals.is_seen:
            warped = queue_ms
            if queue_ms >= QTH_MS:
                warped = QTH_MS * math.exp(-LAMBDA * (queue_ms - QTH_MS) / QTH_MS)
            expired = intervals.current - MULTILOSS * intervals.average
            if expired < 0:
                signal = warped
            elif intervals.average and expired < intervals.average:
                # Back to the plain delay over one more interval.
                share = expired / intervals.average
                signal = share * queue_ms + (1 - share) * warped
        share_now = sum(is_lost for _, is_lost in self._lost) / len(self._lost) if self._lost else 0.0
        self._loss_share += ALPHA * (share_now - self._loss_share)
        return min(XMAX_MS, signal + DLOSS_MS * (self._loss_share / PLRREF) ** 2)

    def _received_bps(self) -> float:
        span_ms = self._log[-1][0] - self._log[0][0]
        if span_ms <= 0:
            return 0.0
        return sum(size for _, _, size in self._log) * 8_000 / max(span_ms, LOGWIN_MS / 2)

    def _shape(self) -> None:
        low, high = self._bounds.min_bps, self._bounds.max_bps
        extra = 8 * self._queued_bytes * FPS
        self.target_bps = round(max(low, self._reference_bps - BETA_V * extra))
        self.pacing_bps = round(min(high, self._reference_bps + BETA_S * extra))
