"""
Measurements of a hosted room: what comes on its measurement channels goes through the room's exchange, and to the host.

Event loop's thread; never waits but for the host's hook, in a task of its own. measurements/exchange.py decides; here
are channels, the notes for a successor of this process, and the counts for an attestation. Nothing measured reaches a
log, a metric or a disk.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from aiortc import rtcsctptransport as sctp

from telerelay.connection.data import Channel, DataTransport, Message
from telerelay.errors import RemoteProtocolError
from telerelay.hooks import HookRunner, MeasuredBatch, MeasurementEvent
from telerelay.hooks.ways import HookError
from telerelay.measurements import Batch, Exchange, Limits, Position, Series, SeriesKey, schema
from telerelay.rooms.policy import check_role
from telerelay.signaling.notes import MEASUREMENTS_KEY, MeasurementsNote, RoomNotes
from telerelay.tasks import Tasks

if TYPE_CHECKING:
    from telerelay.config import MeasurementsConfig
    from telerelay.signaling.seat import Seat

# So much waits in one person's connection before the next text is made: what is made cannot be taken back.
SEND_BELOW_BYTES = 65536
# A sender that was too fast is asked for more after this.
PACE_S = 0.05
# Of one call of the host's hook: of a wave in batches of a fifth of a second, a dozen seconds.
MAX_TOLD_BATCHES = 64
# From one try to tell the host to the next: doubled up to the last.
RETRY_S = (0.5, 60.0)
# How often a consult's journal is told how many samples there were.
COUNT_EVERY_S = 30.0


class MeasurementTally:
    """
    Of one relay, since it began: samples, receivers that were given up, refusals by code; what else people share.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.repeated = 0
        self.cut = 0
        self.refused: Counter[str] = Counter()
        self.chat_messages = 0
        self.camera_commands: Counter[str] = Counter()

    def said(self) -> None:
        """One chat message more."""
        self.chat_messages += 1


def limits_of(config: MeasurementsConfig) -> Limits:
    return Limits(
        series=config.max_series,
        samples_per_s=config.samples_per_s,
        buffer_bytes=config.buffer_bytes,
        types=frozenset(config.types),
    )


class RoomMeasurements:
    """
    One room's. `seats` are the room's; `wall_offset_s` is what makes monotonic seconds the Unix time of the relay's
    sender reports. `on_counts` is told now and then how many samples were handed over.
    """

    def __init__(
        self,
        room: str,
        seats: Mapping[str, Seat],
        limits: Limits,
        hooks: HookRunner,
        tasks: Tasks,
        notes: RoomNotes,
        tally: MeasurementTally,
        wall_offset_s: Callable[[], float],
        on_counts: Callable[[Sequence[Position]], None] = lambda positions: None,
    ) -> None:
        self._room = room
        self._seats = seats
        self._hooks = hooks
        self._tasks = tasks
        self._notes = notes
        self._tally = tally
        self._wall_offset_s = wall_offset_s
        self._on_counts = on_counts
        self._exchange = Exchange(limits, has_host=hooks.hears("on_measurement", room))
        self._channels: dict[str, Channel] = {}  # by sub
        self._subs: dict[Channel, str] = {}
        self._roles: dict[str, str] = {}
        self._telling: asyncio.Future[None] | None = None
        self._counted_at = time.monotonic()
        self._is_planned = False
        self._is_closed = False

    def restore(self, note: MeasurementsNote) -> None:
        """As a process before this one left it."""
        self._exchange.restore(note.receivers, note.positions, note.clocks)

    def close(self) -> None:
        """The room is gone."""
        self._is_closed = True
        self.tell_counts()

    # ---------------------------------------------------------------- channels

    @staticmethod
    def is_of(channel: Channel) -> bool:
        """Whether a channel is one of measurements, by its protocol; what it is called does not count."""
        return channel.parameters.protocol == schema.PROTOCOL

    def opened(self, seat: Seat, channel: Channel) -> None:
        """Somebody's channel is open, and allowed: the latest counts."""
        sub = seat.participant.sub
        before = self._channels.get(sub)
        self._channels[sub], self._subs[channel] = channel, sub
        self._roles[sub] = seat.participant.role
        if before is not None:
            self._subs.pop(before, None)
            self._exchange.lost(sub)
            before.close(is_dropping=True)

    def resumed(self, seat: Seat, channel: Channel) -> None:
        """One from before this process: its client is asked to begin again."""
        self.opened(seat, channel)
        self._send(channel, schema.HELLO_AGAIN)

    def closed(self, channel: Channel) -> None:
        sub = self._subs.pop(channel, None)
        if sub is not None and self._channels.get(sub) is channel:
            del self._channels[sub]
            self._exchange.lost(sub)

    def left(self, sub: str) -> None:
        """Somebody is out of the room for good."""
        channel = self._channels.pop(sub, None)
        if channel is not None:
            self._subs.pop(channel, None)
        self._exchange.left(sub)
        self._follow()

    def take(self, seat: Seat, channel: Channel, message: Message) -> bool:
        """One message; False: it comes too fast, and is offered again."""
        sub, now = seat.participant.sub, time.monotonic()
        if self._channels.get(sub) is not channel:
            return True  # another one has taken its place
        named: Batch | Series | None = None
        is_taken = True
        try:
            if not message.is_text:
                raise RemoteProtocolError("bad_message", "measurements are text")
            said = schema.read(message.payload.decode())
            if isinstance(said, schema.Declare | schema.Samples):
                named = said.series if isinstance(said, schema.Declare) else said.batch
                if not check_role(seat.participant.role).may_publish:
                    raise RemoteProtocolError("forbidden", "this role sends no measurements")
            is_taken = self._exchange.take(now, now + self._wall_offset_s(), sub, said)
        except RemoteProtocolError as error:
            self._tally.refused[error.code] += 1
            self._exchange.refuse(now, sub, error, named)
        if not is_taken:
            asyncio.get_running_loop().call_later(PACE_S, channel.data.resume)
        self._follow()
        return is_taken

    def drained(self, data: DataTransport) -> None:
        """A connection has room again."""
        for sub, channel in self._channels.items():
            if channel.data is data:
                self._exchange.dirty.add(sub)
        self._follow()

    # ---------------------------------------------------------------- what follows

    def _follow(self) -> None:
        """Once for all that comes in one turn of the loop."""
        if not self._is_planned:
            self._is_planned = True
            asyncio.get_running_loop().call_soon(self._carry_out)

    def _carry_out(self) -> None:
        self._is_planned = False
        exchange = self._exchange
        self._count()
        if exchange.over:
            over, exchange.over = exchange.over, []
            self._on_counts(over)
        if exchange.has_moved:
            exchange.has_moved = False
            self._notes.later(self._save)
            now = time.monotonic()
            if now - self._counted_at >= COUNT_EVERY_S:
                self.tell_counts()
        dirty, exchange.dirty = exchange.dirty, set()
        for sub in dirty:
            self._pump(sub)
        is_telling = self._telling is not None and not self._telling.done()
        if not is_telling and next(exchange.for_host(), None) is not None:
            self._telling = self._tasks.spawn(self._tell(), "measurements")

    def save(self) -> None:
        """Leave what a successor must know, where it is not there any more: the worker is another one."""
        if self._exchange.positions() or self._exchange.receivers:
            self._notes.later(self._save)

    def _save(self) -> None:
        if not self._is_closed:
            exchange = self._exchange
            note = MeasurementsNote(exchange.receivers, exchange.positions(), exchange.clocks())
            self._notes.put(MEASUREMENTS_KEY, note)

    def _count(self) -> None:
        exchange, tally = self._exchange, self._tally
        tally.samples += exchange.taken
        tally.repeated += exchange.repeated
        tally.cut += exchange.cut
        exchange.taken = exchange.repeated = exchange.cut = 0

    def tell_counts(self) -> None:
        """How many samples were handed over so far."""
        self._counted_at = time.monotonic()
        self._on_counts(self._exchange.positions())

    def _pump(self, sub: str) -> None:
        channel = self._channels.get(sub)
        while channel is not None and not channel.is_closed and channel.data.queued_bytes < SEND_BELOW_BYTES:
            text = self._exchange.next_for(sub)
            if text is None:
                return
            self._send(channel, text)

    @staticmethod
    def _send(channel: Channel, text: str) -> None:
        channel.send(Message(sctp.WEBRTC_STRING, text.encode()))

    # ---------------------------------------------------------------- the host

    async def _tell(self) -> None:
        """Hand the host what it has not taken, until there is nothing."""
        delay_s = RETRY_S[0]
        while True:
            waiting = list(self._exchange.for_host())
            if not waiting:
                return
            results = await asyncio.gather(*(self._tell_one(*each, is_new=delay_s == RETRY_S[0]) for each in waiting))
            if all(results):
                delay_s = RETRY_S[0]
                continue
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, RETRY_S[1])

    async def _tell_one(self, key: SeriesKey, series: Series, texts: Sequence[str], *, is_new: bool) -> bool:
        batches = tuple(map(_batch_of, texts[:MAX_TOLD_BATCHES]))
        event = measurement_event(self._room, key.sub, self._roles.get(key.sub, ""), series, batches)
        try:
            await self._hooks.tell_measurement(event, is_new=is_new)
        except HookError:
            return False
        self._exchange.host_has(key, batches[-1].end)
        self._follow()
        return True


def measurement_event(room: str, sub: str, role: str, series: Series, batches: Sequence[Batch]) -> MeasurementEvent:
    """What the host is told of batches of one series that follow each other."""
    return MeasurementEvent(
        room=room,
        sub=sub,
        role=role,
        device=series.device,
        series=series.series,
        kind=series.kind,
        of=series.type,
        unit=series.unit,
        rate_hz=series.rate_hz,
        codes=dict(series.codes),
        key=f"{room}:{sub}:{series.device}:{series.series}:{batches[0].seq}",
        batches=tuple(
            MeasuredBatch(each.seq, each.times, each.values, each.device_at, each.media_offset_s) for each in batches
        ),
    )


def _batch_of(text: str) -> Batch:
    members = json.loads(text)
    del members["type"], members["sub"]
    return schema.read_batch(members)
