"""
Once a second: what the workers have sent of the two sides of each consult to each other.

Event loop's thread. Only rooms that were added are asked about, and of these only what people receive; who adds them
takes the totals to the journal.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from telerelay.connection import SubscribeConnection, WhepConnection
from telerelay.consult.seconds import SIDES, Seconds, Totals, Track
from telerelay.dataplane import Worker
from telerelay.dataplane.counts import KEYFRAMES_BY_LOOKS, KEYFRAMES_UNTOLD, Seen
from telerelay.errors import NativeError
from telerelay.logs import say
from telerelay.rooms import Publication
from telerelay.signaling.host import RoomHost
from telerelay.signaling.seat import Seat

EVERY_S = 1.0
SOURCES = {"video": frozenset({"camera", "face"}), "audio": frozenset({"microphone"})}
"""What shows or lets hear a person: no screen, no instrument, no document."""


@dataclass(slots=True)
class _Measured:
    host: RoomHost
    seconds: Seconds


class SecondsWatch:
    """
    Measures the rooms that it was given. `clock`: Unix seconds, those of the consults' facts; `monotonic` measures how
    long it is between two looks.
    """

    def __init__(self, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._rooms: dict[str, _Measured] = {}

    def add(self, host: RoomHost, before: Totals | None = None, missed_s: float = 0.0) -> None:
        """
        Measure this room from now on, beside those before. `before`, `missed_s`: as of Seconds. A room that is added
        again goes on, on the host that it has now.
        """
        known = self._rooms.get(host.room.name)
        if known is None:
            self._rooms[host.room.name] = _Measured(host, Seconds(before, missed_s))
        else:
            known.host = host

    def totals(self, room: str) -> Totals | None:
        """So far; None: it is not measured."""
        known = self._rooms.get(room)
        return None if known is None else known.seconds.totals

    def remove(self, room: str) -> Totals | None:
        """Measure it no longer: its totals. For those of the last second `look` first."""
        known = self._rooms.pop(room, None)
        return None if known is None else known.seconds.close()

    async def run(self) -> None:
        """Look every second until cancelled."""
        due = self._monotonic()
        while True:
            due = max(due + EVERY_S, self._monotonic())
            await asyncio.sleep(due - self._monotonic())
            await self.look()

    async def look(self) -> None:
        """Ask each worker that has rooms to be measured, all at once. What cannot be asked is asked the next time."""
        by_worker: dict[Worker, list[_Measured]] = {}
        for each in self._rooms.values():
            if each.host.site.worker.is_running:
                by_worker.setdefault(each.host.site.worker, []).append(each)
        await asyncio.gather(*(self._look(worker, rooms) for worker, rooms in by_worker.items()))

    async def _look(self, worker: Worker, rooms: list[_Measured]) -> None:
        ways = [(each, list(_ways(each.host))) for each in rooms]
        transports = [way.connection.transport.id for _, found in ways for way in found]
        try:
            rows = {row.sender: row for row in await worker.seen(transports)} if transports else {}
        except NativeError as error:  # it is going, or its ring is full
            say(logging.INFO, "seconds_not_read", worker=worker.index, code=error.code)
            return
        now, at = self._monotonic(), self._clock()
        for each, found in ways:
            each.seconds.look(now, at, [track for way in found for track in way.tracks(rows, worker)])


@dataclass(frozen=True, slots=True)
class _Way:
    """One connection on which a person receives others, and what it carried when its worker was asked."""

    host: RoomHost
    seat: Seat
    connection: SubscribeConnection | WhepConnection
    carried: dict[int, str]

    def tracks(self, rows: dict[int, Seen], worker: Worker) -> Iterator[Track]:
        target = self.seat.participant
        for sender, publication_id in self.carried.items():
            row, publication = rows.get(sender), self.host.room.publications.get(publication_id)
            if row is None or publication is None or not _shows_a_person(publication):
                continue
            origin = self.host.source(publication_id)
            publisher = self.host.seats.get(publication.participant)
            if origin is None or publisher is None or origin.receiver != row.receiver or publisher is self.seat:
                continue  # it carries another by now
            has_keyframes = _has_keyframes(row, publication)
            yield Track(
                counter=(worker.pid, worker.index, sender, row.receiver),
                kind="video" if publication.kind == "video" else "audio",
                source=publisher.id,
                source_role=publisher.participant.role,
                target=self.seat.id,
                target_role=target.role,
                packets=row.packets,
                frames=row.keyed_frames if has_keyframes else row.frames,
                has_keyframes=has_keyframes,
                height=row.height,
                reports=row.reports,
                fraction_lost=row.fraction_lost,
            )


def _ways(host: RoomHost) -> Iterator[_Way]:
    """Those on which somebody of one of the two sides receives."""
    for seat in host.seats.values():
        if seat.participant.role not in SIDES:
            continue
        if seat.subscribing is not None:
            yield _Way(host, seat, seat.subscribing, seat.subscribing.carried())
        for resource in seat.resources.values():
            if isinstance(resource.connection, WhepConnection):
                yield _Way(host, seat, resource.connection, resource.connection.carried())


def _shows_a_person(publication: Publication) -> bool:
    """What is muted is black or silent, whatever is sent meanwhile."""
    return not publication.is_muted and publication.source in SOURCES.get(publication.kind, ())


def _has_keyframes(row: Seen, publication: Publication) -> bool:
    """Whether one can tell what is a keyframe: of what is encrypted end to end, looks say nothing."""
    if row.keyframes_told == KEYFRAMES_BY_LOOKS:
        return not publication.is_encrypted
    return row.keyframes_told != KEYFRAMES_UNTOLD
