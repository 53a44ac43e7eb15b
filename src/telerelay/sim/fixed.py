"""
A controller that controls nothing: one rate, whatever happens. What an oracle, a test and a comparison start from.

Sans-I/O.
"""

from collections.abc import Sequence

from telerelay.sim.controller import Probe, Result


class FixedRate:
    """Sends at `target_bps`, paced at `pacing_bps` (by default half as much again)."""

    def __init__(self, target_bps: int, pacing_bps: int | None = None) -> None:
        self.target_bps = target_bps
        self.pacing_bps = target_bps * 3 // 2 if pacing_bps is None else pacing_bps
        self.padding_bps = 0

    def on_packet_sent(self, now_us: int, seq: int, size_bytes: int, probe_id: int) -> None:
        """Of no interest."""

    def on_feedback(self, now_us: int, results: Sequence[Result]) -> None:
        """Of no interest."""

    def on_time(self, now_us: int, queued_bytes: int) -> None:
        """Of no interest."""

    def on_demand(self, now_us: int, wanted_bps: int) -> None:
        """Of no interest."""

    def next_probe(self) -> Probe | None:
        """It never probes."""
        return None
