"""
Every two seconds: how good the call is for everyone, in both directions, from what the workers count.

Event loop's thread. Counters of all streams of a worker come in pages, so that hundreds of people cost some
milliseconds; people are told when their score is another, so that in quiet times nothing is sent.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator

from telerelay.connection import PublishConnection, SubscribeConnection, WhepConnection
from telerelay.dataplane import Worker
from telerelay.errors import NativeError
from telerelay.hooks import HookRunner, QualityEvent
from telerelay.logs import say
from telerelay.protocol.messages import ReportedTrack
from telerelay.quality import DIRECTIONS, AudioLeg, Direction, Meter, Quality, Stream, Tally, VideoLeg, judge
from telerelay.quality.model import FINE_BPS, FINE_MS
from telerelay.rooms import Publication
from telerelay.rooms.participant import SOCKET
from telerelay.signaling.host import RoomHost
from telerelay.signaling.seat import REPORT_GOOD_FOR_S, Seat

EVERY_S = 2.0
# How many rooms are judged in one go: about a millisecond, after which signalling has its turn.
ROOMS_A_TURN = 10
# A frame rate this much below what is sent is the line's doing; less is how it is counted.
FEWER_FRAMES = 0.8
# A player waits about twice the mean deviation of what it gets (RFC 3550, 6.4.1); where it tells, that is taken.
BUFFER_BY_JITTER = 2.0


_NOTHING = ReportedTrack("")


class QualityWatch:
    """Judges all rooms of a relay. `hosts`: those there are, asked each time."""

    def __init__(self, hosts: Callable[[], Iterable[RoomHost]], hooks: HookRunner, tally: Tally) -> None:
        self._hosts = hosts
        self._hooks = hooks
        self._tally = tally
        self._meters: dict[Worker, Meter] = {}

    async def run(self) -> None:
        """Look every two seconds until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Ask each worker that has rooms, and judge these."""
        by_worker: dict[Worker, list[RoomHost]] = {}
        for host in self._hosts():
            if host.site.worker.is_running:
                by_worker.setdefault(host.site.worker, []).append(host)
        self._meters = {worker: self._meters.get(worker) or Meter() for worker in by_worker}
        for worker, hosts in by_worker.items():
            meter = self._meters[worker]
            if not meter.is_due(time.monotonic()):
                continue  # the loop was held up, and two looks come together
            try:
                meter.take(time.monotonic(), await worker.counts())
            except NativeError as error:  # it is going, or its ring is full: the next look will do
                say(logging.INFO, "quality_not_read", worker=worker.index, code=error.code)
                continue
            for host in hosts:
                host.adapter.look_at_voices(meter)
            for index, host in enumerate(hosts):
                if index % ROOMS_A_TURN == ROOMS_A_TURN - 1:
                    await asyncio.sleep(0)
                self._judge(host, meter)

    def _judge(self, host: RoomHost, meter: Meter) -> None:
        legs = Legs(host, meter, time.monotonic())
        for seat in tuple(host.seats.values()):
            changed: list[tuple[Direction, Quality | None]] = []
            for direction in DIRECTIONS:
                told = seat.quality[direction]
                if told.is_best and legs.are_fine(seat, direction):
                    self._tally.count_best(direction)  # as before, so there is nothing to tell
                    continue
                quality = legs.judge(seat, direction)
                if quality is not None:
                    self._tally.count(direction, quality)
                if told.forget() if quality is None else told.take(quality):
                    changed.append((direction, quality))
            if changed:
                self._tell(host, seat, changed)

    def _tell(self, host: RoomHost, seat: Seat, changed: list[tuple[Direction, Quality | None]]) -> None:
        seat.show(seat.quality_sign())
        for direction, quality in changed:
            told = seat.quality[direction]
            self._hooks.post(
                QualityEvent(
                    room=host.room.name,
                    participant=seat.id,
                    sub=seat.participant.sub,
                    role=seat.participant.role,
                    direction=direction,
                    score=told.score,
                    cause=told.cause,
                    audio_mos=quality.audio_mos if quality else None,
                    video_mos=quality.video_mos if quality else None,
                )
            )


class Legs:
    """What one room's people send and are sent, over the last two seconds."""

    def __init__(self, host: RoomHost, meter: Meter, now: float) -> None:
        self._host = host
        self._meter = meter
        self._now = now

    def judge(self, seat: Seat, direction: Direction) -> Quality | None:
        audio: list[AudioLeg] = []
        video: list[VideoLeg] = []
        for leg in self._up(seat) if direction == "up" else self._down(seat):
            if isinstance(leg, AudioLeg):
                audio.append(leg)
            else:
                video.append(leg)
        worst = max(audio, key=lambda leg: (leg.is_silent, leg.loss), default=None)
        return judge(worst, video)

    def are_fine(self, seat: Seat, direction: Direction) -> bool:
        """
        Whether it is plain, without reckoning, that `judge` would give a score that shows as 5. So it is for nearly
        everyone nearly always, at a tenth of what judging costs. False says nothing.
        """
        return self._is_up_fine(seat) if direction == "up" else self._is_down_fine(seat)

    def _is_up_fine(self, seat: Seat) -> bool:
        is_any = False
        for publication in seat.participant.publications.values():
            if publication.is_muted or _is_unwanted(seat, publication):
                continue
            source = self._host.source(publication.id)
            row = None if source is None else self._meter.fine_receiver(source.receiver)
            if source is None or row is None:
                return False
            connection = seat.publishing if publication.attachment == SOCKET else _session(seat, publication)
            if connection is not None and connection.transport.state == "disconnected":
                return False
            if publication.kind == "audio":
                rtt_ms = row.rtt_us / 1000 or self._rtt_ms(seat)
                if rtt_ms / 2 + BUFFER_BY_JITTER * row.jitter_us / 1000 > FINE_MS:
                    return False
            elif publication.source == "camera":
                said = self._said(seat, publication.id)
                is_judged = said.is_limited is not False and publication.id not in seat.limits
                if is_judged and (said.frames_per_s or self._meter.rate_bps(source.receiver) < FINE_BPS):
                    return False
            is_any = True
        return is_any

    def _is_down_fine(self, seat: Seat) -> bool:
        is_any = False
        for connection in _receiving(seat):
            state = connection.transport.state
            if state != "connected":
                if state == "disconnected":
                    return False
                continue
            for sender, publication_id in connection.carried().items():
                publication = self._host.room.publications.get(publication_id)
                if publication is None or publication.is_muted or publication_id in seat.participant.paused:
                    continue
                if sender in connection.transport.held:
                    return False
                source, row = self._host.source(publication_id), self._meter.fine_sender(sender)
                coming = None if source is None else self._meter.fine_receiver(source.receiver)
                if coming is None or row is None:
                    return False
                said = self._said(seat, publication_id)
                if publication.kind == "audio":
                    buffer_ms = BUFFER_BY_JITTER * row.jitter_us / 1000 if said.buffer_ms is None else said.buffer_ms
                    if said.concealed or row.rtt_us / 2000 + buffer_ms > FINE_MS:
                        return False
                else:
                    is_coarse = publication.source == "camera" and row.encoding < coming.encoding
                    if said.frozen or is_coarse or self._has_fewer_frames(publication, said):
                        return False
                is_any = True
        return is_any

    # ---------------------------------------------------------------- what they send

    def _up(self, seat: Seat) -> Iterator[AudioLeg | VideoLeg]:
        for publication in seat.participant.publications.values():
            if publication.is_muted or _is_unwanted(seat, publication):
                continue
            stream = self._source(publication)
            if stream is None or not stream.was_flowing:
                continue
            connection = seat.publishing if publication.attachment == SOCKET else _session(seat, publication)
            is_cut = connection is not None and connection.transport.state == "disconnected"
            if publication.kind == "audio":
                rtt_ms = stream.rtt_ms or self._rtt_ms(seat)
                loss = stream.residual_loss if self._has_red(publication) else stream.loss
                yield AudioLeg(
                    loss=loss,
                    burst_ratio=stream.burst_ratio,
                    delay_ms=rtt_ms / 2,
                    buffer_ms=BUFFER_BY_JITTER * stream.jitter_ms,
                    is_silent=is_cut or stream.is_silent,
                )
            else:
                said = self._said(seat, publication.id)
                is_judged = (
                    publication.source == "camera"
                    and said.is_limited is not False
                    and publication.id not in seat.limits  # no more is wanted: not this line's doing
                )
                yield VideoLeg(
                    rate_bps=stream.rate_bps if is_judged and stream.packets else None,
                    frames_per_s=said.frames_per_s if is_judged else None,
                    freeze=1.0 if is_cut or stream.is_silent else 0.0,
                )

    def _source(self, publication: Publication) -> Stream | None:
        source = self._host.source(publication.id)
        return None if source is None else self._meter.receiver(source.receiver)

    def _has_red(self, publication: Publication) -> bool:
        """Whether the publisher puts redundancy first, and so sends it."""
        source = self._host.source(publication.id)
        return source is not None and bool(source.codecs) and source.codecs[0].name.lower() == "red"

    def _rtt_ms(self, seat: Seat) -> float:
        """Of the person's other connection: the relay's reports are answered on that alone."""
        for connection in _receiving(seat):
            for sender in connection.carried():
                stream = self._meter.sender(sender)
                if stream is not None and stream.rtt_ms:
                    return stream.rtt_ms
        return 0.0

    # ---------------------------------------------------------------- what they are sent

    def _down(self, seat: Seat) -> Iterator[AudioLeg | VideoLeg]:
        for connection in _receiving(seat):
            if connection.transport.state not in ("connected", "disconnected"):
                continue
            is_cut = connection.transport.state == "disconnected"
            for sender, publication_id in connection.carried().items():
                publication = self._host.room.publications.get(publication_id)
                if publication is None or publication.is_muted or publication_id in seat.participant.paused:
                    continue
                source, stream = self._source(publication), self._meter.sender(sender)
                if source is None or stream is None or not source.packets or not stream.was_flowing:
                    continue  # nothing is there to be sent
                if sender in connection.transport.held:
                    yield VideoLeg(is_paused=True)
                    continue
                said = self._said(seat, publication_id)
                if publication.kind == "audio":
                    yield _heard(source, stream, said, is_cut)
                else:
                    yield self._seen(publication, source, stream, said, is_cut)

    def _seen(
        self, publication: Publication, source: Stream, stream: Stream, said: ReportedTrack, is_cut: bool
    ) -> VideoLeg:
        is_coarse = publication.source == "camera" and stream.encoding < source.encoding
        return VideoLeg(
            rate_bps=stream.rate_bps if is_coarse else None,
            frames_per_s=said.frames_per_s if self._has_fewer_frames(publication, said) else None,
            freeze=1.0 if is_cut or stream.is_silent else said.frozen or 0.0,
        )

    def _has_fewer_frames(self, publication: Publication, said: ReportedTrack) -> bool:
        """Than were sent, as its publisher says."""
        publisher = self._host.seats.get(publication.participant)
        if said.frames_per_s is None or publisher is None or publication.source != "camera":
            return False
        sent = self._said(publisher, publication.id).frames_per_s
        return sent is not None and said.frames_per_s < FEWER_FRAMES * sent

    def _said(self, seat: Seat, publication: str) -> ReportedTrack:
        """What the person's page said of it, if it did lately."""
        if self._now - seat.reported_at > REPORT_GOOD_FOR_S:
            return _NOTHING
        return seat.reported.get(publication, _NOTHING)


def _heard(source: Stream, stream: Stream, said: ReportedTrack, is_cut: bool) -> AudioLeg:
    # What its page made up is what a person hears; else the packets that its reports call lost. Either includes what
    # never reached the relay, which is not this line's doing.
    lost = stream.fraction_lost if said.concealed is None else said.concealed
    buffer_ms = BUFFER_BY_JITTER * stream.jitter_ms if said.buffer_ms is None else said.buffer_ms
    return AudioLeg(
        loss=max(0.0, lost - source.loss),
        delay_ms=stream.rtt_ms / 2,
        buffer_ms=buffer_ms,
        is_silent=is_cut or stream.is_silent,
    )


def _receiving(seat: Seat) -> Iterator[SubscribeConnection | WhepConnection]:
    if seat.subscribing is not None:
        yield seat.subscribing
    for resource in seat.resources.values():
        if isinstance(resource.connection, WhepConnection):
            yield resource.connection


def _is_unwanted(seat: Seat, publication: Publication) -> bool:
    """Its publisher was told to send nothing of it."""
    limit = seat.limits.get(publication.id)
    return limit is not None and limit.rids == ()


def _session(seat: Seat, publication: Publication) -> PublishConnection | WhepConnection | None:
    resource = seat.resources.get(publication.attachment)
    return None if resource is None else resource.connection
