"""
Whether the queue grows: groups of packets, a line through their delays, and a threshold that adapts.

Pure. Times are milliseconds.
"""

from collections import deque
from enum import Enum

GROUP_MS = 5.0
"""Packets that left within this time are one group."""

BURST_GAP_MS, BURST_MOST_MS = 5.0, 100.0
"""What arrives bunched up behind a stall is one group too."""

CLOCK_JUMP_MS = 3_000.0
"""An arrival clock that jumped so far begins anew."""

REORDERED_MOST = 3
"""Groups in the wrong order, after which all begins anew."""

WINDOW, SMOOTHING, GAIN, MOST_DELTAS = 20, 0.9, 4.0, 60
"""Groups in the line; smoothing of accumulated delay; what the slope is multiplied with; and with how many deltas."""

THRESHOLD_MS, THRESHOLD_LEAST_MS, THRESHOLD_MOST_MS = 12.5, 6.0, 600.0
K_UP, K_DOWN, MAX_ADAPT_MS, MAX_STEP_MS = 0.0087, 0.039, 15.0, 100.0
"""How the threshold follows the trend; a trend so far above it is no reason to follow."""

OVERUSE_MS = 10.0
"""Over the threshold for longer than this, and in two groups, is overuse."""


class Usage(Enum):
    """What the queue does."""

    NORMAL = "normal"
    OVER = "over"
    UNDER = "under"


class _Group:
    __slots__ = ("arrived_ms", "first_arrived_ms", "first_sent_ms", "sent_ms")

    def __init__(self, sent_ms: float, arrived_ms: float) -> None:
        self.first_sent_ms = self.sent_ms = sent_ms
        self.first_arrived_ms = self.arrived_ms = arrived_ms


class Trendline:
    """`on_packet` for each received packet, in order of arrival; `usage` afterwards."""

    __slots__ = (
        "_accumulated_ms",
        "_before",
        "_deltas",
        "_first_arrival_ms",
        "_group",
        "_over_groups",
        "_over_ms",
        "_points",
        "_reordered",
        "_smoothed_ms",
        "_trend",
        "_updated_ms",
        "threshold_ms",
        "usage",
    )

    def __init__(self) -> None:
        self.usage = Usage.NORMAL
        self.threshold_ms = THRESHOLD_MS
        self._group: _Group | None = None
        self._before: _Group | None = None
        self._reordered = 0
        self._points: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._first_arrival_ms: float | None = None
        self._accumulated_ms = 0.0
        self._smoothed_ms = 0.0
        self._deltas = 0
        self._trend = 0.0
        self._over_ms = -1.0
        self._over_groups = 0
        self._updated_ms: float | None = None

    def on_packet(self, sent_ms: float, arrived_ms: float) -> None:
        """One packet that has arrived."""
        group = self._group
        if group is None:
            self._group = _Group(sent_ms, arrived_ms)
            return
        if sent_ms < group.first_sent_ms:
            return
        if sent_ms - group.first_sent_ms <= GROUP_MS or self._is_burst(group, sent_ms, arrived_ms):
            group.sent_ms = max(group.sent_ms, sent_ms)
            group.arrived_ms = arrived_ms
            return
        before = self._before
        if before is not None:
            sent_delta, arrived_delta = group.sent_ms - before.sent_ms, group.arrived_ms - before.arrived_ms
            if arrived_delta - sent_delta > CLOCK_JUMP_MS:
                self._group, self._before = _Group(sent_ms, arrived_ms), None
                return
            if arrived_delta < 0:
                self._reordered += 1
                if self._reordered >= REORDERED_MOST:
                    self._group, self._before = None, None
                return
            self._reordered = 0
            self._update(arrived_delta, sent_delta, group.arrived_ms)
        self._before, self._group = group, _Group(sent_ms, arrived_ms)

    @staticmethod
    def _is_burst(group: _Group, sent_ms: float, arrived_ms: float) -> bool:
        arrived_delta = arrived_ms - group.arrived_ms
        if sent_ms == group.sent_ms:
            return True
        return (
            arrived_delta - (sent_ms - group.sent_ms) < 0
            and arrived_delta <= BURST_GAP_MS
            and arrived_ms - group.first_arrived_ms < BURST_MOST_MS
        )

    def _update(self, arrived_delta: float, sent_delta: float, arrived_ms: float) -> None:
        self._deltas = min(self._deltas + 1, 1_000)
        if self._first_arrival_ms is None:
            self._first_arrival_ms = arrived_ms
        self._accumulated_ms += arrived_delta - sent_delta
        self._smoothed_ms = SMOOTHING * self._smoothed_ms + (1 - SMOOTHING) * self._accumulated_ms
        self._points.append((arrived_ms - self._first_arrival_ms, self._smoothed_ms))
        trend = self._trend
        if len(self._points) == WINDOW:
            trend = self._slope(trend)
        self._detect(trend, sent_delta, arrived_ms)

    def _slope(self, otherwise: float) -> float:
        points = self._points
        mean_x = sum(x for x, _ in points) / WINDOW
        mean_y = sum(y for _, y in points) / WINDOW
        above = below = 0.0
        for x, y in points:
            dx = x - mean_x
            above += dx * (y - mean_y)
            below += dx * dx
        return above / below if below else otherwise

    def _detect(self, trend: float, sent_delta: float, now_ms: float) -> None:
        if self._deltas < 2:
            self.usage = Usage.NORMAL
            return
        modified = min(self._deltas, MOST_DELTAS) * trend * GAIN
        if modified > self.threshold_ms:
            # The first group over it counts half: on average it went over in the middle of it.
            self._over_ms = sent_delta / 2 if self._over_ms < 0 else self._over_ms + sent_delta
            self._over_groups += 1
            if self._over_ms > OVERUSE_MS and self._over_groups > 1 and trend >= self._trend:
                self._over_ms, self._over_groups = 0.0, 0
                self.usage = Usage.OVER
        else:
            self._over_ms, self._over_groups = -1.0, 0
            self.usage = Usage.UNDER if modified < -self.threshold_ms else Usage.NORMAL
        self._trend = trend
        self._adapt(abs(modified), now_ms)

    def _adapt(self, modified: float, now_ms: float) -> None:
        if self._updated_ms is None:
            self._updated_ms = now_ms
        if modified <= self.threshold_ms + MAX_ADAPT_MS:
            k = K_DOWN if modified < self.threshold_ms else K_UP
            step_ms = min(now_ms - self._updated_ms, MAX_STEP_MS)
            threshold = self.threshold_ms + k * (modified - self.threshold_ms) * step_ms
            self.threshold_ms = min(THRESHOLD_MOST_MS, max(THRESHOLD_LEAST_MS, threshold))
        self._updated_ms = now_ms
