"""
The rate that follows from overuse: increase until the queue grows, then below what arrived.

Pure. Times are milliseconds, rates bit/s.
"""

from telerelay.sim.gcc.trendline import Usage

BETA = 0.85
DECREASE_EXTRA_BPS = 5_000.0
INCREASE_PER_S = 1.08
INCREASE_LEAST_BPS = 1_000.0
NEAR_LEAST_BPS_PER_S = 4_000.0
NEAR_RESPONSE_MS = 100.0
NEAR_FPS, NEAR_PACKET_BITS = 30.0, 1_200 * 8.0
CAP_FACTOR, CAP_EXTRA_BPS = 1.5, 10_000.0
REDUCE_GAP_LEAST_MS, REDUCE_GAP_MOST_MS = 10.0, 200.0
DEFAULT_RTT_MS = 200.0
ALPHA_OVERUSE, ALPHA_PROBE = 0.05, 0.5
DEVIATION_LEAST, DEVIATION_MOST, SIGMAS = 0.4, 2.5, 3.0


class LinkCapacity:
    """What the line carried when it was last seen full; its bounds say when that is no longer so."""

    __slots__ = ("_deviation", "estimate_kbps")

    def __init__(self) -> None:
        self.estimate_kbps: float | None = None
        self._deviation = DEVIATION_LEAST

    def update(self, bps: float, alpha: float) -> None:
        """Another sight of it."""
        kbps = bps / 1_000
        if self.estimate_kbps is None:
            self.estimate_kbps = kbps
        else:
            self.estimate_kbps += alpha * (kbps - self.estimate_kbps)
        error = self.estimate_kbps - kbps
        deviation = (1 - alpha) * self._deviation + alpha * error * error / max(1.0, self.estimate_kbps)
        self._deviation = min(DEVIATION_MOST, max(DEVIATION_LEAST, deviation))

    def reset(self) -> None:
        """The line is another."""
        self.estimate_kbps = None

    def bounds_bps(self) -> tuple[float, float]:
        """Three sigma below and above; everything where nothing is known."""
        if self.estimate_kbps is None:
            return 0.0, float("inf")
        spread = SIGMAS * (self._deviation * self.estimate_kbps) ** 0.5
        return max(0.0, self.estimate_kbps - spread) * 1_000, (self.estimate_kbps + spread) * 1_000


class Aimd:
    """`update` after each feedback; `bps` is the rate."""

    __slots__ = (
        "_capacity",
        "_changed_ms",
        "_is_holding",
        "bps",
        "max_bps",
        "min_bps",
        "rtt_ms",
    )

    def __init__(self, start_bps: float, min_bps: float, max_bps: float) -> None:
        self.bps = start_bps
        self.min_bps = min_bps
        self.max_bps = max_bps
        self.rtt_ms = DEFAULT_RTT_MS
        self._capacity = LinkCapacity()
        self._changed_ms = 0.0
        self._is_holding = True

    def set_probed(self, now_ms: float, bps: float) -> None:
        """A probe has measured the line."""
        self.bps = self._clamped(bps)
        self._changed_ms = now_ms
        self._capacity.update(bps, ALPHA_PROBE)

    def may_reduce(self, now_ms: float, acked_bps: float) -> bool:
        """Whether another reduction may follow the last change: not twice in a round trip, unless by half."""
        gap_ms = min(REDUCE_GAP_MOST_MS, max(REDUCE_GAP_LEAST_MS, self.rtt_ms))
        return now_ms - self._changed_ms >= gap_ms or acked_bps < 0.5 * self.bps

    def update(self, now_ms: float, usage: Usage, acked_bps: float | None) -> None:
        """One round."""
        if usage is Usage.OVER:
            self._decrease(now_ms, self.bps if acked_bps is None else acked_bps)
        elif usage is Usage.UNDER:
            self._is_holding = True
        else:
            if self._is_holding:
                self._is_holding = False
                self._changed_ms = now_ms
            self._increase(now_ms, self.bps if acked_bps is None else acked_bps)

    def _increase(self, now_ms: float, acked_bps: float) -> None:
        if acked_bps > self._capacity.bounds_bps()[1]:
            self._capacity.reset()
        cap_bps = CAP_FACTOR * acked_bps + CAP_EXTRA_BPS
        if self.bps < cap_bps:
            passed_s = (now_ms - self._changed_ms) / 1_000
            if self._capacity.estimate_kbps is not None:
                step = self.near_bps_per_s() * passed_s
            else:
                step = max(INCREASE_LEAST_BPS, self.bps * (INCREASE_PER_S ** min(passed_s, 1.0) - 1))
            self.bps = self._clamped(min(self.bps + step, cap_bps))
        self._changed_ms = now_ms

    def near_bps_per_s(self) -> float:
        """Additive increase: half a packet in a response time."""
        frame_bits = self.bps / NEAR_FPS
        packets = -(-frame_bits // NEAR_PACKET_BITS)
        packet_bits = frame_bits / max(1.0, packets)
        response_s = (self.rtt_ms + NEAR_RESPONSE_MS) * 2 / 1_000
        return max(NEAR_LEAST_BPS_PER_S, packet_bits / response_s)

    def _decrease(self, now_ms: float, acked_bps: float) -> None:
        reduced = acked_bps * BETA
        if reduced > DECREASE_EXTRA_BPS:
            reduced -= DECREASE_EXTRA_BPS
        if reduced > self.bps and self._capacity.estimate_kbps is not None:
            reduced = BETA * self._capacity.estimate_kbps * 1_000
        if reduced < self.bps:
            self.bps = self._clamped(reduced)
        if acked_bps < self._capacity.bounds_bps()[0]:
            self._capacity.reset()
        self._capacity.update(acked_bps, ALPHA_OVERUSE)
        self._is_holding = True
        self._changed_ms = now_ms

    def _clamped(self, bps: float) -> float:
        return min(self.max_bps, max(self.min_bps, bps))
