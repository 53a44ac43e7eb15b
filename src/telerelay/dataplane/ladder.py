"""
One ladder of native/src/ladder.c by itself, outside any worker: what the simulator climbs.

Sans-I/O; any one thread at a time. Times are microseconds, rates bit/s on the wire.
"""

from collections.abc import Sequence

from telerelay._native import ffi, lib
from telerelay.allocator.ladder import Rung
from telerelay.dataplane.status import check

MAX_RUNGS = int(lib.TR_MAX_RUNGS)


class Climber:
    """Stands on the rung that an estimate allows, and says whose layer changed."""

    def __init__(self) -> None:
        self._raw = ffi.gc(lib.tr_ladder_new(), lib.tr_ladder_free)
        self._rung = ffi.new("tr_rung *")

    def set(self, rungs: Sequence[Rung], now_us: int) -> list[Rung]:
        """
        Another ladder; whose layer is another by that. What is sent already stays where it fits.

        Raises NativeError for more than MAX_RUNGS, or costs that fall.
        """
        raw = ffi.new(
            "tr_rung[]",
            [
                (each.sender, each.cost_bps, each.encoding, each.spatial, each.temporal, each.is_paused)
                for each in rungs
            ],
        )
        check(lib.tr_ladder_set(self._raw, raw, len(rungs), now_us), "set a ladder")
        return self._changes()

    def on_estimate(self, estimate_bps: int, queue_us: int, now_us: int) -> list[Rung]:
        """Each 25 to 100 ms; whose layer is another by that. `queue_us` is the standing queue on the line."""
        lib.tr_ladder_on_estimate(self._raw, estimate_bps, queue_us, now_us)
        return self._changes()

    @property
    def rung(self) -> int:
        """How many rungs are taken."""
        return int(lib.tr_ladder_rung(self._raw))

    @property
    def wanted_bps(self) -> int:
        """How much could be used: what the estimator is to look for."""
        return int(lib.tr_ladder_wanted_bps(self._raw))

    def _changes(self) -> list[Rung]:
        found, rung = [], self._rung
        while lib.tr_ladder_next_change(self._raw, rung):
            found.append(
                Rung(rung.sender, rung.cost_bps, rung.encoding, rung.spatial, rung.temporal, bool(rung.is_paused))
            )
        return found
