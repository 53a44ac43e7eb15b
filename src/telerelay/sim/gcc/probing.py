"""
Asking the line for more than is needed: when to send a cluster, and what one has measured.

Pure. Times are milliseconds, rates bit/s.
"""

from telerelay.sim.controller import LOST, Probe, Result

START_FACTORS = (3.0, 6.0)
FURTHER_FACTOR, FURTHER_THRESHOLD, RESULT_WAIT_MS = 2.0, 0.7, 1_000.0
CLUSTER_MS, CLUSTER_PACKETS = 15.0, 5
MAX_BPS = 5_000_000.0

ENOUGH_SHARE, INTERVAL_MOST_MS, RATIO_MOST, SATURATED, SATURATED_FACTOR = 0.8, 1_000.0, 2.0, 0.9, 0.95
CLUSTER_KEPT_MS = 1_000.0

ALR_FACTOR, ALR_GAP_MS = 2.0, 5_000.0
DROP_SHARE, DROP_FACTOR, DROP_WINDOW_MS, DROP_GAP_MS, ALR_LEFT_MS = 0.66, 0.85, 5_000.0, 5_000.0, 3_000.0
LOSS_LIMITED_FACTOR = 1.5


class _Cluster:
    __slots__ = (
        "first_received_bytes",
        "first_received_ms",
        "first_sent_ms",
        "last_received_ms",
        "last_sent_bytes",
        "last_sent_ms",
        "packets",
        "total_bytes",
        "wanted",
    )

    def __init__(self, wanted: Probe) -> None:
        self.wanted = wanted
        self.packets = 0
        self.total_bytes = 0
        self.first_sent_ms = self.first_received_ms = float("inf")
        self.last_sent_ms = self.last_received_ms = float("-inf")
        self.last_sent_bytes = self.first_received_bytes = 0

    def add(self, sent_ms: float, received_ms: float, size_bytes: int) -> None:
        self.packets += 1
        self.total_bytes += size_bytes
        if sent_ms < self.first_sent_ms:
            self.first_sent_ms = sent_ms
        if sent_ms > self.last_sent_ms:
            self.last_sent_ms, self.last_sent_bytes = sent_ms, size_bytes
        if received_ms < self.first_received_ms:
            self.first_received_ms, self.first_received_bytes = received_ms, size_bytes
        self.last_received_ms = max(self.last_received_ms, received_ms)

    def bps(self) -> float | None:
        wanted = self.wanted
        if self.packets < wanted.least_packets * ENOUGH_SHARE or self.total_bytes < wanted.least_bytes * ENOUGH_SHARE:
            return None
        sent_ms, received_ms = self.last_sent_ms - self.first_sent_ms, self.last_received_ms - self.first_received_ms
        if not (0 < sent_ms <= INTERVAL_MOST_MS and 0 < received_ms <= INTERVAL_MOST_MS):
            return None
        # N packets have N - 1 gaps: the last one sent and the first one received are not within them.
        sent_bps = (self.total_bytes - self.last_sent_bytes) * 8_000 / sent_ms
        received_bps = (self.total_bytes - self.first_received_bytes) * 8_000 / received_ms
        if received_bps / sent_bps > RATIO_MOST:
            return None
        return SATURATED_FACTOR * received_bps if received_bps < SATURATED * sent_bps else min(sent_bps, received_bps)


class Probing:
    """Which cluster is wanted (`next`), and what came of those that were sent (`on_result`)."""

    __slots__ = (
        "_bps_before_drop",
        "_clusters",
        "_dropped_ms",
        "_last_alr_probe_ms",
        "_last_bps",
        "_last_drop_probe_ms",
        "_left_alr_ms",
        "_next_id",
        "_wait_until_ms",
        "_waiting",
        "_was_in_alr",
        "_went_on_from_bps",
        "allocated_bps",
        "max_bps",
    )

    def __init__(self, max_bps: float) -> None:
        self.max_bps = max_bps
        self.allocated_bps = 0.0
        self._waiting: list[Probe] = []
        self._clusters: dict[int, _Cluster] = {}
        self._next_id = 1
        self._wait_until_ms = -1.0
        self._went_on_from_bps = 0.0
        self._last_bps = 0.0
        self._last_alr_probe_ms = 0.0
        self._last_drop_probe_ms = -DROP_GAP_MS
        self._dropped_ms = float("-inf")
        self._bps_before_drop = 0.0
        self._left_alr_ms = float("-inf")
        self._was_in_alr = False

    def start(self, now_ms: float, start_bps: float) -> None:
        """The first clusters of a call."""
        self._last_bps = start_bps
        self._want(now_ms, [start_bps * factor for factor in START_FACTORS], start_bps, goes_on=True)

    def on_allocated(self, now_ms: float, wanted_bps: float, bps: float, *, is_in_alr: bool) -> None:
        """More could be used than before: ask for it where the line is half empty."""
        raised = wanted_bps > self.allocated_bps > 0
        self.allocated_bps = wanted_bps
        if raised and is_in_alr and bps < wanted_bps:
            self._want(now_ms, [min(2 * bps, wanted_bps), min(2 * bps, 2 * wanted_bps)], bps, goes_on=True)

    def on_estimate(self, now_ms: float, bps: float) -> None:
        """The estimate is another; a large drop is remembered."""
        if bps < DROP_SHARE * self._last_bps:
            self._dropped_ms = now_ms
            self._bps_before_drop = self._last_bps
        self._last_bps = bps

    def on_time(self, now_ms: float, bps: float, *, is_in_alr: bool, is_loss_limited: bool, is_delayed: bool) -> None:
        """Regular probes of a sender that has little to send, and the one after a drop."""
        if self._was_in_alr and not is_in_alr:
            self._left_alr_ms = now_ms
        if is_in_alr and not self._was_in_alr:
            self._last_alr_probe_ms = now_ms
        self._was_in_alr = is_in_alr
        if self._wait_until_ms >= 0 and now_ms >= self._wait_until_ms:
            self._wait_until_ms = -1.0
        if is_loss_limited or is_delayed or self._wait_until_ms >= 0:
            return
        if is_in_alr and now_ms - self._last_alr_probe_ms >= ALR_GAP_MS:
            self._last_alr_probe_ms = now_ms
            self._want(now_ms, [bps * ALR_FACTOR], bps, goes_on=True)
        elif (
            (is_in_alr or now_ms - self._left_alr_ms < ALR_LEFT_MS)
            and now_ms - self._dropped_ms < DROP_WINDOW_MS
            and now_ms - self._last_drop_probe_ms >= DROP_GAP_MS
            and DROP_FACTOR * self._bps_before_drop > bps
        ):
            self._last_drop_probe_ms = now_ms
            self._want(now_ms, [DROP_FACTOR * self._bps_before_drop], bps, goes_on=False)

    def next(self) -> Probe | None:
        """The next cluster to send."""
        return self._waiting.pop(0) if self._waiting else None

    def on_result(self, now_ms: float, result: Result) -> float | None:
        """One packet of a cluster was reported; what the cluster has measured so far."""
        cluster = self._clusters.get(result.probe_id)
        if cluster is None or result.received_us == LOST:
            return None
        cluster.add(result.sent_us / 1_000, result.received_us / 1_000, result.size_bytes)
        return cluster.bps()

    def on_probed(self, now_ms: float, bps: float) -> None:
        """A cluster was measured: go on where it came close to what was asked."""
        if self._wait_until_ms >= 0 and bps > FURTHER_THRESHOLD * self._went_on_from_bps:
            self._want(now_ms, [bps * FURTHER_FACTOR], bps, goes_on=True)

    def forget(self, now_ms: float) -> None:
        """Drop clusters that are too old to be measured."""
        for old in [
            each for each, cluster in self._clusters.items() if cluster.last_sent_ms + CLUSTER_KEPT_MS * 5 < now_ms
        ]:
            if self._clusters[old].packets:
                del self._clusters[old]

    def _want(self, now_ms: float, rates_bps: list[float], bps: float, *, goes_on: bool) -> None:
        most = min(self.max_bps, MAX_BPS)
        if self.allocated_bps:
            most = min(most, 2 * self.allocated_bps)
        last = 0.0
        for rate in rates_bps:
            asked = min(rate, most)
            goes_on = goes_on and rate < most
            if asked <= bps or asked == last:
                continue
            last = asked
            probe = Probe(self._next_id, round(asked), round(asked * CLUSTER_MS / 8_000), CLUSTER_PACKETS)
            self._next_id += 1
            self._clusters[probe.probe_id] = _Cluster(probe)
            self._waiting.append(probe)
        if last and goes_on:
            self._wait_until_ms = now_ms + RESULT_WAIT_MS
            self._went_on_from_bps = last
        elif last:
            self._wait_until_ms = -1.0
