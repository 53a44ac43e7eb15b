"""
The pacer that comes with the relay's own allocator: what goes out, voices too, is one budget, and nothing that is too
late is pushed out over it.

Sans-I/O. As the simulator's other pacer, but for what is said at each method. What native/src/pacer.c does in a worker.
"""

from typing import Any

from telerelay.sim.clock import SECOND_US
from telerelay.sim.controller import NO_PROBE
from telerelay.sim.pacer import AUDIO, VIDEO, Pacer


class OwnPacer(Pacer):
    """Voices go at once and are paid for by what comes after them; the pace is the controller's, however much waits."""

    __slots__ = ()

    def put(self, now_us: int, size_bytes: int, content: Any, rank: int = VIDEO, stream: int = 0) -> None:
        """Queue one packet; audio leaves at once."""
        if rank != AUDIO:
            super().put(now_us, size_bytes, content, rank, stream)
            return
        self._send(now_us, size_bytes, content, NO_PROBE)
        pace_bps = self._pace_bps()
        self._next_us = max(self._next_us, now_us) + size_bytes * 8 * SECOND_US // pace_bps

    def drop(self, stream: int) -> list[Any]:
        """Forget what waits of one stream: somebody has paused it, or something smaller takes its place."""
        queue = self._queues.get(stream)
        if not queue:
            return []
        dropped = [content for _, content in queue]
        self.queued_bytes -= sum(size_bytes for size_bytes, _ in queue)
        queue.clear()
        return dropped

    def _on_time(self, now_us: int, _: None) -> None:
        if now_us < self._next_us and self._probe is None:
            # A voice has gone in between.
            self._clock.at(self._next_us, self._on_time)
            return
        super()._on_time(now_us, None)

    def _pace_bps(self) -> int:
        return max(1, self._controller.pacing_bps)
