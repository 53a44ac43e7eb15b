"""
How much arrives: a Bayesian average of what was acknowledged in short windows.

Pure. Times are milliseconds, rates bit/s.
"""

FIRST_WINDOW_MS, WINDOW_MS = 500.0, 150.0
UNCERTAINTY, UNCERTAINTY_IN_ALR = 10.0, 20.0
"""How far a window may be trusted: a sender that has little to send proves less."""

VARIANCE_GROWTH = 5.0


class AckedRate:
    """`on_packet` for each received packet, in order of arrival; `bps` is None before the first window is full."""

    __slots__ = ("_bytes", "_estimate_kbps", "_last_ms", "_variance", "_window_ms", "is_in_alr")

    def __init__(self) -> None:
        self.is_in_alr = False
        self._bytes = 0
        self._window_ms = 0.0
        self._last_ms: float | None = None
        self._estimate_kbps: float | None = None
        self._variance = 50.0

    @property
    def bps(self) -> float | None:
        """The estimate."""
        return None if self._estimate_kbps is None else self._estimate_kbps * 1_000

    def on_packet(self, arrived_ms: float, size_bytes: int) -> None:
        """One packet that has arrived."""
        window_ms = FIRST_WINDOW_MS if self._estimate_kbps is None else WINDOW_MS
        sample = self._sample(arrived_ms, size_bytes, window_ms)
        if sample is None:
            return
        if self._estimate_kbps is None:
            self._estimate_kbps = sample
            return
        estimate = self._estimate_kbps
        scale = UNCERTAINTY_IN_ALR if self.is_in_alr else UNCERTAINTY
        # Symmetric around the estimate in its own unit, so that a high window weighs no more than a low one.
        uncertainty = scale * abs(estimate - sample) / max(1.0, estimate)
        sample_variance = max(1e-6, uncertainty * uncertainty)
        predicted = self._variance + VARIANCE_GROWTH
        self._estimate_kbps = max(
            0.0, (sample_variance * estimate + predicted * sample) / (sample_variance + predicted)
        )
        self._variance = sample_variance * predicted / (sample_variance + predicted)

    def _sample(self, now_ms: float, size_bytes: int, window_ms: float) -> float | None:
        sample = None
        if self._last_ms is not None:
            passed_ms = now_ms - self._last_ms
            if passed_ms < 0:
                self._bytes, self._window_ms = 0, 0.0
                passed_ms = 0.0
            self._window_ms += passed_ms
            if passed_ms > window_ms:
                # A silence is no window of its own.
                self._bytes = 0
                self._window_ms %= window_ms
        if self._window_ms >= window_ms:
            sample = self._bytes * 8 / window_ms
            self._window_ms -= window_ms
            self._bytes = 0
        self._last_ms = now_ms
        self._bytes += size_bytes
        return sample
