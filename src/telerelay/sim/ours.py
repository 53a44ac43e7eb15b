"""
The relay's own estimator as a controller of the simulator: the compiled object that the relay runs, nothing simulated.

Sans-I/O. It is given what was sent by `on_packet_sent`; of feedback it takes numbers and times of arrival only.
"""

from collections.abc import Sequence

from telerelay.dataplane.estimator import Estimator
from telerelay.sim.controller import Bounds, Probe, Result


class Ours:
    """The `telerelay` controller."""

    def __init__(self, bounds: Bounds) -> None:
        self._estimator = Estimator(bounds.start_bps, bounds.min_bps, bounds.max_bps)
        self._read()

    def _read(self) -> None:
        self.target_bps, self.pacing_bps, self.padding_bps = self._estimator.rates()
        self.estimate_bps, self.queue_us = self._estimator.line()

    def on_packet_sent(self, now_us: int, seq: int, size_bytes: int, probe_id: int) -> None:
        """One packet has left the pacer."""
        self._estimator.on_packet_sent(now_us, seq, size_bytes, probe_id)
        self._read()

    def on_feedback(self, now_us: int, results: Sequence[Result]) -> None:
        """Numbers and times of arrival; LOST is the estimator's own word for it."""
        self._estimator.on_feedback(now_us, [(each.seq, each.received_us) for each in results])
        self._read()

    def on_time(self, now_us: int, queued_bytes: int) -> None:
        """Silence and probes are a matter of time."""
        self._estimator.on_time(now_us, queued_bytes)
        self._read()

    def on_demand(self, now_us: int, wanted_bps: int) -> None:
        """What could be used is another."""
        self._estimator.on_demand(now_us, wanted_bps)
        self._read()

    def next_probe(self) -> Probe | None:
        """The next cluster to send."""
        probe = self._estimator.next_probe()
        return None if probe is None else Probe(*probe)
