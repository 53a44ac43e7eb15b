"""
Loss that is the line's own, and loss that is ours: the second generation of loss-based estimation.

Pure. The likelihood of what was lost, over (bandwidth, inherent loss): a few candidates of bandwidth, for each one
Newton step towards the best inherent loss, and the likeliest of them wins, a little in favour of more. Loss is counted
in bytes. Times are milliseconds, rates bit/s.
"""

import math
from collections import deque
from dataclasses import dataclass

OBSERVATIONS, LEAST_OBSERVATIONS, OBSERVATION_MS = 15, 3, 250.0
CANDIDATES = (1.02, 1.0, 0.95)
WEIGHT = 0.9
"""How much an observation counts less than the one after it."""

INHERENT_START, INHERENT_LEAST, INHERENT_OFFSET, BALANCE_KBPS = 0.01, 0.001, 0.05, 100.0
"""Inherent loss may be so high, and 100 kbit/s divided by the bandwidth more."""

BIAS, LOG_BIAS, BIAS_LOSS, BIAS_SMOOTHING = 0.0002, 0.02, 0.20, 0.002
"""The preference of more bandwidth, off above 20 % of loss."""

NEWTON_STEP = 0.75
MAX_INCREASE, INCREASE_WINDOW_MS = 1.3, 300.0
RAMP, RAMP_IN_HOLD, HOLD_THRESHOLD = 1.5, 1.2, 1.3
HOLD_MS, HOLD_FACTOR, HOLD_MOST_MS = 300.0, 2.0, 60_000.0
TINY = 1e-6


@dataclass(slots=True)
class _Observation:
    sent_kb: float
    lost_kb: float
    sending_kbps: float


class LossBased:
    """
    `update` after each feedback; `bps` is the bound, None as long as nothing is known.

    `is_limiting` says that the loss, not the delay, bounds the rate; `is_increasing` that it is on its way up again.
    """

    __slots__ = (
        "_average_loss",
        "_hold_bps",
        "_hold_for_ms",
        "_hold_until_ms",
        "_inherent",
        "_kbps",
        "_last_sent_ms",
        "_limit_kbps",
        "_limit_ms",
        "_lost_bytes",
        "_observations",
        "_sent_bytes",
        "bps",
        "is_increasing",
        "is_limiting",
        "min_bps",
    )

    def __init__(self, min_bps: float) -> None:
        self.bps: float | None = None
        self.min_bps = min_bps
        self.is_limiting = False
        self.is_increasing = False
        self._observations: deque[_Observation] = deque(maxlen=OBSERVATIONS)
        self._sent_bytes = 0
        self._lost_bytes = 0
        self._last_sent_ms: float | None = None
        self._kbps: float | None = None
        self._inherent = INHERENT_START
        self._average_loss = 0.0
        self._limit_kbps: float | None = None
        self._limit_ms: float | None = None
        self._hold_until_ms = 0.0
        self._hold_for_ms = HOLD_MS
        self._hold_bps = float("inf")

    @property
    def inherent_loss(self) -> float:
        """The share that is lost whatever is sent."""
        return self._inherent

    def update(
        self,
        packets: list[tuple[float, int, bool]],
        *,
        delay_bps: float,
        acked_bps: float | None,
        is_in_alr: bool,
    ) -> None:
        """`packets`: (sent in ms, bytes, whether lost), in order."""
        if not self._observe(packets) or len(self._observations) < LEAST_OBSERVATIONS:
            return
        now_ms = self._last_sent_ms or 0.0
        self._average_loss = self._weighted_loss()
        if self._kbps is None:
            self._kbps = delay_bps / 1_000
        acked_kbps = None if acked_bps is None else acked_bps / 1_000
        best_kbps, inherent = self._best(delay_bps / 1_000, acked_kbps, is_in_alr)
        current = self._kbps
        if self._average_loss > inherent and best_kbps > current:
            best_kbps = current
        if self.is_limiting:
            best_kbps = self._bounded_growth(best_kbps, acked_kbps, now_ms)
        self._inherent = inherent
        self._settle(best_kbps, delay_bps / 1_000, now_ms)
        if self.is_limiting and (self._limit_ms is None or now_ms - self._limit_ms > INCREASE_WINDOW_MS):
            self._limit_kbps = max(self.min_bps / 1_000, self._kbps * MAX_INCREASE)
            self._limit_ms = now_ms

    def _observe(self, packets: list[tuple[float, int, bool]]) -> bool:
        if not packets:
            return False
        for _, size_bytes, is_lost in packets:
            self._sent_bytes += size_bytes
            if is_lost:
                self._lost_bytes += size_bytes
        last_ms = max(sent_ms for sent_ms, _, _ in packets)
        if self._last_sent_ms is None:
            self._last_sent_ms = packets[0][0]
        length_ms = last_ms - self._last_sent_ms
        if length_ms < OBSERVATION_MS:
            return False
        self._last_sent_ms = last_ms
        self._observations.append(
            _Observation(self._sent_bytes / 1_000, self._lost_bytes / 1_000, self._sent_bytes * 8 / length_ms)
        )
        self._sent_bytes = self._lost_bytes = 0
        return True

    def _weighted_loss(self) -> float:
        sent = lost = 0.0
        weight = 1.0
        for each in reversed(self._observations):
            sent += weight * each.sent_kb
            lost += weight * each.lost_kb
            weight *= WEIGHT
        return lost / sent if sent else 0.0

    def _best(self, delay_kbps: float, acked_kbps: float | None, is_in_alr: bool) -> tuple[float, float]:
        current = self._kbps or delay_kbps
        wanted = [current * factor for factor in CANDIDATES]
        if acked_kbps is not None and not is_in_alr:
            wanted.append(acked_kbps)
        if delay_kbps > current:
            wanted.append(delay_kbps)
        bound = float("inf")
        if self.is_limiting and self._limit_kbps is not None:
            bound = max(current, self._limit_kbps)
        best, best_value = (current, self._inherent), -math.inf
        for kbps in wanted:
            candidate = min(kbps, bound)
            inherent = self._newton(candidate)
            value = self._likelihood(candidate, inherent)
            if value > best_value:
                best, best_value = (candidate, inherent), value
        return best

    @staticmethod
    def _feasible(inherent: float, kbps: float) -> float:
        most = min(1.0, INHERENT_OFFSET + BALANCE_KBPS / max(kbps, TINY))
        return min(most, max(INHERENT_LEAST, inherent))

    @staticmethod
    def _probability(inherent: float, kbps: float, sending_kbps: float) -> float:
        loss = inherent
        if sending_kbps > kbps:
            loss += (1 - inherent) * (sending_kbps - kbps) / sending_kbps
        return min(1 - TINY, max(TINY, loss))

    def _newton(self, kbps: float) -> float:
        inherent = self._feasible(self._inherent, kbps)
        first = second = 0.0
        weight = 1.0
        for each in reversed(self._observations):
            loss = self._probability(inherent, kbps, each.sending_kbps)
            received = each.sent_kb - each.lost_kb
            first += weight * (each.lost_kb / loss - received / (1 - loss))
            second -= weight * (each.lost_kb / loss**2 + received / (1 - loss) ** 2)
            weight *= WEIGHT
        if second < 0:
            inherent -= NEWTON_STEP * first / second
        return self._feasible(inherent, kbps)

    def _likelihood(self, kbps: float, inherent: float) -> float:
        away = BIAS_LOSS - self._average_loss
        trust = away / (BIAS_SMOOTHING + abs(away))
        bias = trust * (BIAS * kbps + LOG_BIAS * math.log(1 + kbps))
        value = 0.0
        weight = 1.0
        for each in reversed(self._observations):
            loss = self._probability(inherent, kbps, each.sending_kbps)
            received = each.sent_kb - each.lost_kb
            value += weight * (each.lost_kb * math.log(loss) + received * math.log(1 - loss) + bias * each.sent_kb)
            weight *= WEIGHT
        return value

    def _bounded_growth(self, best_kbps: float, acked_kbps: float | None, now_ms: float) -> float:
        current = self._kbps or best_kbps
        if (
            self._limit_ms is not None
            and self._limit_kbps is not None
            and self._limit_ms + INCREASE_WINDOW_MS > now_ms
            and best_kbps > self._limit_kbps
        ):
            best_kbps = self._limit_kbps
        if best_kbps > current and acked_kbps is not None:
            ramp = RAMP_IN_HOLD if self._hold_bps / 1_000 < HOLD_THRESHOLD * acked_kbps else RAMP
            best_kbps = max(current, min(best_kbps, ramp * acked_kbps))
            if not self.is_increasing and best_kbps == current:
                # So that the state becomes increasing.
                best_kbps = current + 0.001
        return best_kbps

    def _settle(self, best_kbps: float, delay_kbps: float, now_ms: float) -> None:
        before = self._kbps or best_kbps
        bound_kbps = self._instant_bound_kbps()
        bounded = max(self.min_bps / 1_000, min(best_kbps, bound_kbps, delay_kbps))
        # The best candidate itself is kept within the bounds, so that it does not run away from what is used.
        self._kbps = min(best_kbps, max(bounded, self.min_bps / 1_000))
        was_limiting, was_increasing = self.is_limiting, self.is_increasing
        is_decreasing = was_limiting and not was_increasing
        if is_decreasing and self._hold_until_ms > now_ms and bounded < delay_kbps:
            # On hold: no more than when it began, however well it looks.
            self._kbps = min(self._kbps, self._hold_bps / 1_000)
            self.bps = min(self._hold_bps, bounded * 1_000)
            return
        grows = was_limiting and (bounded > before or (bounded == before and was_increasing))
        if grows and bounded < delay_kbps:
            self.is_increasing = True
        elif bounded < delay_kbps:
            if not is_decreasing:
                self._hold_until_ms = now_ms + self._hold_for_ms
                self._hold_for_ms = min(HOLD_MOST_MS, self._hold_for_ms * HOLD_FACTOR)
                self._hold_bps = bounded * 1_000
            self.is_limiting, self.is_increasing = True, False
        else:
            self.is_limiting = self.is_increasing = False
            self._hold_for_ms, self._hold_bps = HOLD_MS, float("inf")
        self.bps = bounded * 1_000

    def _instant_bound_kbps(self) -> float:
        over = self._average_loss - INHERENT_OFFSET
        return BALANCE_KBPS / over if over > 0 else float("inf")
