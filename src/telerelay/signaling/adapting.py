"""
Adaptation at work: what workers count and tell goes into each room's RoomAdaptation, what it decides goes to workers
and people.

Event loop's thread. Twice a second rates come in pages for all rooms of a worker; in between rooms decide when somebody
came or went, or a line got worse. Voices are looked at every two seconds, when their packets were counted for quality.
Nothing here waits for a worker but the reading of those pages.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from telerelay import events
from telerelay.adaptation import AdaptationTally, Decisions, Feed, How, Lacking, Line, RoomAdaptation, Voices
from telerelay.allocator import Allocator, Profile
from telerelay.connection import SubscribeConnection, WhepConnection
from telerelay.dataplane import LineEstimate, SenderHeld, Worker
from telerelay.errors import NativeError
from telerelay.logs import say
from telerelay.quality import Meter, Stream
from telerelay.signaling.seat import REPORT_GOOD_FOR_S

if TYPE_CHECKING:
    from telerelay.signaling.host import RoomHost
    from telerelay.signaling.seat import Seat

# A publisher's rates and who speaks are looked at so often: a layout that follows a voice half a second later is
# followed by eyes as it comes.
EVERY_S = 0.5

# Where nothing is remembered of a line: it carries a call, and is soon known better.
START_BPS = 1_000_000
# Voices alone; and more than a call of a dozen people takes.
LEAST_BPS, MOST_BPS = 30_000, 20_000_000
# What is remembered may be old: a start from less only takes longer, one from more fills the line's queue.
MOST_START_BPS = 5_000_000


class RoomAdapter:
    """One room's adaptation with its people; does nothing where lines are not estimated."""

    def __init__(self, host: RoomHost, allocator: Allocator, tally: AdaptationTally) -> None:
        self._host = host
        self._tally = tally
        self._allocator = allocator
        self.room = RoomAdaptation(allocator)
        self._voices = Voices()
        self._worker: Worker | None = None
        self._downlinks: set[int] = set()
        self._held: set[tuple[str, str]] = set()
        """(publication, subscriber) that both ends were told of."""
        self._is_due = False
        self._uplinks: dict[str, str] = {}

    @property
    def is_on(self) -> bool:
        return self._host.site.is_estimated

    @property
    def worker(self) -> Worker:
        return self._host.site.worker

    @property
    def held_count(self) -> int:
        return len(self._held)

    # ---------------------------------------------------------------- what is so

    def changed(self) -> None:
        """Somebody or something came or went: looked at before the loop's next turn."""
        if self.is_on and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self.carried)

    def carried(self) -> None:
        """As `changed`, and at once: what a connection sends is another, and is not bound yet."""
        self._is_due = False
        if not self.is_on or not self.worker.is_running:
            return
        if self._worker is not self.worker:  # another took the place of one that died; ids are used anew
            self._worker, self._downlinks = self.worker, set()
            self.room, self._voices = RoomAdaptation(self._allocator), Voices()
        self.room.asks = self._host.degrading.has_rule
        people = [each.id for each in self._host.room.participants.values() if each.is_admitted]
        lines = list(self._lines())
        self.room.arrange(people, self._feeds(), lines)
        self._begin_downlinks()
        self._note_held()
        self.decide()

    def on_line(self, seat: Seat | None, event: LineEstimate | SenderHeld) -> None:
        """What a worker tells of a line of this room."""
        if isinstance(event, SenderHeld):
            self._note_held()
            return
        if seat is not None and event.mode != "silent":
            seat.line_bps = event.estimate_bps
        if self.room.on_estimate(event.transport, event.estimate_bps, event.rung):
            self.decide()

    def show_all(self, seat: Seat) -> None:
        """What is so now, for who has just come, or come back."""
        for publication, subscriber in self._held:
            if subscriber == seat.id:
                seat.show(events.TrackStateChanged(publication, "paused", "line"))
            elif publication in seat.participant.publications:
                seat.show(events.SeenByChanged(publication, "paused", subscriber))
        if self.room.speaker.participant is not None:
            seat.show(events.SpeakerChanged(self.room.speaker.participant))

    def _connections(self) -> Iterator[tuple[Seat, SubscribeConnection | WhepConnection]]:
        for seat in self._host.seats.values():
            if seat.subscribing is not None and seat.subscribing.transport.is_open:
                yield seat, seat.subscribing
            for resource in seat.resources.values():
                if isinstance(resource.connection, WhepConnection) and resource.connection.transport.is_open:
                    yield seat, resource.connection

    def _lines(self) -> Iterator[Line]:
        for seat, connection in self._connections():
            is_own = connection is seat.subscribing  # a client pauses what it gets over its socket's connection
            yield Line(
                connection.transport.id,
                seat.id,
                connection.carried(),
                frozenset(seat.participant.paused) if is_own else frozenset(),
                connection.is_estimated,
                connection.transport.is_found,
            )

    def _feeds(self) -> Iterator[Feed]:
        for each in self._host.room.publications.values():
            source = self._host.source(each.id)
            if source is None:
                continue
            rids = tuple(encoding.rid for encoding in source.receive.encodings)
            yield Feed(
                each.id,
                each.participant,
                each.kind,
                each.source,
                source.receiver,
                rids if len(rids) > 1 else (),
                each.is_muted,
                self._uplink(each.participant),
                Profile(each.profile) if each.profile else None,
            )

    def _uplink(self, participant: str) -> str:
        """Where that participant's media comes from: pictures from one address are taken to share a line."""
        seat = self._host.seats.get(participant)
        if seat is None or seat.publishing is None:
            return ""
        return seat.publishing.transport.uplink

    # ---------------------------------------------------------------- what is done

    def look(self, now: float) -> None:
        """Twice a second."""
        if self.room.wants_reports:
            self._read_reports(now)
        if self.room.has_examined:
            uplinks = {each: self._uplink(each) for each in self._host.seats}
            if uplinks != self._uplinks:  # a path was found, or is another
                self._uplinks = uplinks
                self.carried()
        self.room.on_rates_read()
        self._apply(self.room.decide(_us(now)))

    def look_at_voices(self, meter: Meter) -> None:
        """Every two seconds, when all streams of the worker have been counted."""
        if not self.is_on or self._worker is not self.worker:
            return
        lines: dict[int, dict[int, Stream]] = {}
        found = set()
        for _, connection in self._connections():
            transport = connection.transport
            if not connection.is_estimated or transport.state != "connected":
                continue
            lines[transport.id] = {
                sender: stream
                for sender, publication in connection.carried().items()
                if self._is_voice(publication) and (stream := meter.sender(sender)) is not None
            }
            if transport.is_found:
                found.add(transport.id)
        for sender, plan in self._voices.look(lines, self.room.estimates(), frozenset(found)).items():
            self._tally.voices += 1
            _begun(self.worker.set_redundancy(sender, plan.distances), "set_redundancy")
            _begun(self.worker.set_packet_time(sender, plan.packet_ms), "set_packet_time")
        self.room.on_copies(self._voices.copies_bps)

    def _is_voice(self, publication: str) -> bool:
        found = self._host.room.publications.get(publication)
        return found is not None and found.kind == "audio"

    def _read_reports(self, now: float) -> None:
        """What clients say of the pictures that they send."""
        for seat in self._host.seats.values():
            is_fresh = now - seat.reported_at <= REPORT_GOOD_FOR_S
            for publication in seat.participant.publications:
                said = seat.reported.get(publication) if is_fresh else None
                self.room.on_reported(publication, None if said is None else said.is_limited)

    def degrade(self, room: RoomAdaptation, lacking: Lacking, how: How) -> None:
        """What the application wants given up on a line. Nothing, where its worker was replaced meanwhile."""
        if room is self.room and room.on_degrade(lacking, how, _us(time.monotonic())):
            self.decide()
            self._note_held()

    def decide(self) -> None:
        self._apply(self.room.decide(_us(time.monotonic())))

    def _apply(self, decisions: Decisions) -> None:
        self._tally.failures += self.room.take_failures()
        if decisions.ladders:
            transports = {connection.transport.id: connection.transport for _, connection in self._connections()}
            for transport, rungs in decisions.ladders.items():
                if transport in transports:
                    self._tally.ladders += 1
                    _begun(transports[transport].begin_ladder(rungs), "set_ladder")
        for participant, limits in decisions.limits.items():
            self._tally.limits += 1
            self._host.set_limits(participant, limits)
        for lacking in decisions.lacking:
            self._host.degrading.ask(self, self.room, lacking)
        for participant, direction in decisions.restored:
            self._host.degrading.tell(participant, direction, "usual")
        if decisions.restored:
            self._note_held()
        if decisions.has_speaker_changed:
            self._tally.speakers += 1
            for seat in self._host.seats.values():
                if seat.participant.is_admitted:
                    seat.show(events.SpeakerChanged(self.room.speaker.participant))

    def _begin_downlinks(self) -> None:
        """Lines that are new are estimated from what is remembered of their people."""
        known: set[int] = set()
        for seat, connection in self._connections():
            if not connection.is_estimated:
                continue
            transport = connection.transport
            known.add(transport.id)
            if transport.id not in self._downlinks:
                start_bps = min(max(seat.line_bps or START_BPS, LEAST_BPS), MOST_START_BPS)
                _begun(
                    transport.begin_downlink(start_bps=start_bps, least_bps=LEAST_BPS, most_bps=MOST_BPS),
                    "set_downlink",
                )
        self._downlinks = known

    def _note_held(self) -> None:
        """Both ends hear what the line of one of them has no room for, and that it has again."""
        held: set[tuple[str, str]] = set()
        given_up = self.room.given_up
        for seat, connection in self._connections():
            if given_up:
                held.update((each, seat.id) for each in given_up.intersection(connection.carried().values()))
            if not connection.transport.held:
                continue
            paused = seat.participant.paused if connection is seat.subscribing else ()
            for sender, publication in connection.carried().items():
                if sender in connection.transport.held and publication not in paused:
                    held.add((publication, seat.id))
        if held == self._held:
            return
        before, self._held = self._held, held
        self._tally.holds += len(held - before)
        for pair in sorted(held ^ before):
            self._tell_held(*pair, "paused" if pair in held else "live")

    def _tell_held(self, publication: str, subscriber: str, state: str) -> None:
        seats, found = self._host.seats, self._host.room.publications.get(publication)
        if found is None:
            return  # everybody hears that it is gone
        if subscriber in seats:
            seats[subscriber].show(events.TrackStateChanged(publication, state, "line"))
            if found.participant in seats:
                seats[found.participant].show(events.SeenByChanged(publication, state, subscriber))


class AdaptationWatch:
    """Looks after all rooms of a relay. `adapters`: of those there are, asked each time."""

    def __init__(self, adapters: Callable[[], Iterable[RoomAdapter]]) -> None:
        self._adapters = adapters

    async def run(self) -> None:
        """Look twice a second until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Ask each worker that has rooms, and have these decide."""
        by_worker: dict[Worker, list[RoomAdapter]] = {}
        for adapter in self._adapters():
            if adapter.is_on and adapter.worker.is_running:
                by_worker.setdefault(adapter.worker, []).append(adapter)
        for worker, adapters in by_worker.items():
            try:
                rows = await worker.rates()
            except NativeError as error:  # it is going, or its ring is full: the next look will do
                say(logging.INFO, "rates_not_read", worker=worker.index, code=error.code)
                continue
            now = time.monotonic()
            now_us = _us(now)
            rooms = {receiver: each.room for each in adapters for receiver in each.room.receivers}
            for row in rows:
                if (room := rooms.get(row.receiver)) is not None:
                    room.on_rate(row, now_us)
            for adapter in adapters:
                if adapter.worker is worker and worker.is_running:
                    adapter.look(now)


def _begun(begun: Awaitable[object], what: str) -> None:
    """What a worker says against it is for the log: a transport that has just gone is no news."""

    def done(future: asyncio.Future[object]) -> None:
        error = None if future.cancelled() else future.exception()
        if isinstance(error, NativeError) and not error.is_not_found and error.code != "state":
            say(logging.WARNING, "adaptation_refused", reason=what, code=error.code)

    asyncio.ensure_future(begun).add_done_callback(done)


def _us(seconds: float) -> int:
    return int(seconds * 1e6)
