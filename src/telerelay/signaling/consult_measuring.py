"""
What is measured of calls, brought into their facts: now and then, so that a process that is killed loses little of it,
and once more at the end, before it is attested.

Event loop's thread. seconds.py asks the workers; docs/seconds.md says what is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from telerelay.consult.draft import Facts
from telerelay.consult.facts import Measured
from telerelay.consult.record import Record
from telerelay.consult.seconds import Totals
from telerelay.signaling.consult_live import LiveConsult
from telerelay.signaling.seconds import SecondsWatch

# A consult of twenty minutes has forty of these facts; what a killed process had not told is said to be missed.
TOLD_EVERY_S = 30.0


class Measuring:
    """The calls of one relay. `now`: the consults' clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._watch = SecondsWatch(clock=now)
        self._told_at: dict[str, float] = {}

    def see(self, live: LiveConsult) -> None:
        """A consult that has come to a call is measured, as long as its room is there, and goes on after a restart."""
        record = live.durable
        if live.host is None or record.in_progress_at is None or record.is_over:
            return
        if live.id not in self._told_at:
            self._told_at[live.id] = self._now()
            measured = record.measured
            began_at = record.in_progress_at if measured is None else measured.at
            missed_s = self._now() - began_at if live.is_settling else 0.0
            self._watch.add(live.host, _totals(record), missed_s)
        else:
            self._watch.add(live.host)

    async def run(self, lives: Callable[[], Iterable[LiveConsult]]) -> None:
        """Measure each second, until cancelled; `lives`: those there are."""
        watching = asyncio.ensure_future(self._watch.run())
        try:
            while True:
                await asyncio.sleep(1.0)
                now = self._now()
                for live in tuple(lives()):
                    if now - self._told_at.get(live.id, now) >= TOLD_EVERY_S:
                        self._told_at[live.id] = now
                        live.note(self._facts(live, self._watch.totals(live.id)))
        finally:
            watching.cancel()

    async def finish(self, live: LiveConsult) -> None:
        """The call is over: the last of what was measured is a fact, and durable."""
        if live.host is not None:
            live.host.measurements.tell_counts()
            await live.take(())  # which has no end before those are durable
        if self._told_at.pop(live.id, None) is None:
            return
        await self._watch.look()
        await live.take(self._facts(live, self._watch.remove(live.id)))

    def _facts(self, live: LiveConsult, totals: Totals | None) -> Facts:
        if totals is None:
            return ()
        return live.consult.measure(
            Measured(
                self._now(),
                two_way_video_s=totals.two_way_video_s,
                two_way_audio_s=totals.two_way_audio_s,
                audio_only_s=totals.audio_only_s,
                by_height=totals.by_height,
                has_unknown_keyframes=totals.has_unknown_keyframes,
                missed_s=totals.missed_s,
            )
        )


def _totals(record: Record) -> Totals | None:
    """Of a process before this one."""
    measured = record.measured
    if measured is None:
        return None
    return Totals(
        two_way_video_s=measured.two_way_video_s,
        two_way_audio_s=measured.two_way_audio_s,
        audio_only_s=measured.audio_only_s,
        by_height=measured.by_height,
        has_unknown_keyframes=measured.has_unknown_keyframes,
        missed_s=measured.missed_s,
    )
