"""
One send-side bandwidth estimator of native/src/estimator.c by itself, outside any worker: what the simulator drives.

Sans-I/O; any one thread at a time. Times are microseconds, rates bit/s on the wire.
"""

from collections.abc import Sequence

from telerelay._native import ffi, lib
from telerelay.errors import ConfigError


class Estimator:
    """Raises ConfigError unless 0 < least_bps <= start_bps <= most_bps."""

    def __init__(self, start_bps: int, least_bps: int, most_bps: int) -> None:
        raw = lib.tr_estimator_new(start_bps, least_bps, most_bps)
        if raw == ffi.NULL:
            raise ConfigError("bad_value", f"no estimator of {least_bps} <= {start_bps} <= {most_bps} bit/s")
        self._raw = ffi.gc(raw, lib.tr_estimator_free)
        self._rates = ffi.new("tr_rates *")
        self._probe = ffi.new("tr_probe *")

    def on_packet_sent(self, now_us: int, seq: int, size_bytes: int, probe_id: int) -> None:
        """One packet has left; `probe_id` is -1 where it belongs to none."""
        lib.tr_estimator_on_packet_sent(self._raw, now_us, seq, size_bytes, probe_id)

    def on_feedback(self, now_us: int, arrivals: Sequence[tuple[int, int]]) -> None:
        """(transport-wide number, not wrapped; time of arrival, or -1) of each packet that a feedback speaks of."""
        lib.tr_estimator_on_feedback(self._raw, now_us, ffi.new("tr_arrival[]", arrivals), len(arrivals))

    def on_time(self, now_us: int, queued_bytes: int) -> None:
        """Some 40 times a second; `queued_bytes` wait in the pacer."""
        lib.tr_estimator_on_time(self._raw, now_us, queued_bytes)

    def on_demand(self, now_us: int, wanted_bps: int) -> None:
        """How much could be used, where that has changed."""
        lib.tr_estimator_on_demand(self._raw, now_us, wanted_bps)

    def next_probe(self) -> tuple[int, int, int, int] | None:
        """(id, bit/s, least bytes, least packets) of a cluster to send, each told once."""
        probe = self._probe
        if not lib.tr_estimator_next_probe(self._raw, probe):
            return None
        return probe.probe_id, probe.rate_bps, probe.least_bytes, probe.least_packets

    def rates(self) -> tuple[int, int, int]:
        """(target, pacing, padding), bit/s."""
        lib.tr_estimator_rates(self._raw, self._rates)
        return self._rates.target_bps, self._rates.pacing_bps, self._rates.padding_bps

    def line(self) -> tuple[int, int]:
        """(what the line carries in bit/s, its standing queue in us), as of the last `rates`: a ladder climbs by it."""
        return self._rates.estimate_bps, self._rates.queue_us
