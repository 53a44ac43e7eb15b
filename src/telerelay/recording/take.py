"""
What is recorded between two pauses: the streams of everybody, sorted by person into files.

Blocking where it writes, the recorder's thread; else sans-I/O: `now` is the relay's clock, Unix seconds. Sound and
picture of one person that belong together are one file; what begins later, or as something else, begins another. In
it sound is end to end (sound.py), and a picture stands where its sound was captured, by the latest sender reports.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from aiortc.rtp import RtcpPacket, RtcpSrPacket, RtpPacket

from telerelay.recording.clock import STRAY_S, StreamClock, unix_s
from telerelay.recording.film import RATES, Film, media_type
from telerelay.recording.frames import Frame, Pictures, Sound
from telerelay.recording.reorder import Gap, Reorder
from telerelay.recording.sound import RATE, SoundLine, frame_samples

TOGETHER_S = 3.0
"""So long a file that begins waits for the other half of it: a keyframe, mostly, that was asked for."""

MAX_HELD, MAX_HELD_BYTES = 4096, 16 << 20
"""Frames of a stream that wait for a file to begin, or for a clock: some seconds."""

FILL_AFTER_S = STRAY_S
"""Sound that is so far behind its picture does not come any more, from however busy a sender."""

MAX_FILL_S = 60.0
"""Where nothing at all came for longer, another file begins."""

ANEW_EVERY_S = 5.0
"""A stream that goes on at another time begins another file, so often at most."""


@dataclass(frozen=True, slots=True)
class Track:
    """
    One publication as it is recorded: `ssrc` is what the tap calls it, `group` which of the person's tracks it belongs
    with.
    """

    ssrc: int
    publication: str
    sub: str
    source: str
    codec: str
    group: str


@dataclass(slots=True)
class _Stream:
    track: Track
    clock: StreamClock
    order: Reorder[RtpPacket] = field(default_factory=Reorder)
    frames: Sound | Pictures = field(default_factory=Sound)
    held: list[Frame] = field(default_factory=list)
    """Those whose time is not known yet, or whose file is not there."""
    held_bytes: int = 0
    packets: int = 0
    anew_at: float = float("-inf")

    @property
    def is_sound(self) -> bool:
        return isinstance(self.frames, Sound)

    def hold(self, frame: Frame) -> None:
        self.held.append(frame)
        self.held_bytes += len(frame.data)
        if len(self.held) > MAX_HELD or self.held_bytes > MAX_HELD_BYTES:
            self.let_go()

    def taken(self) -> list[Frame]:
        """What is held, and held no longer."""
        held, self.held, self.held_bytes = self.held, [], 0
        return held

    def let_go(self) -> None:
        """What is held gets into no file; a picture begins anew."""
        held = self.taken()
        if isinstance(self.frames, Pictures):
            self.frames.left_out += len(held)
            self.frames.wants_keyframe = True

    def begin_with_keyframe(self) -> None:
        """A file can begin with nothing else: what is held before is let go."""
        if isinstance(self.frames, Pictures):
            count = next((n for n, each in enumerate(self.held) if each.is_keyframe), None)
            if count is None:
                self.let_go()
            else:
                self.frames.left_out += count
                del self.held[:count]


@dataclass(slots=True)
class _Reel:
    """The file that is being written of one group of one person, and since when it might have begun."""

    film: Film | None = None
    begun_at: float = 0.0
    """What its first moment was, Unix seconds."""
    waits_since: float | None = None
    sound: _Stream | None = None
    line: SoundLine | None = None
    sound_at_s: float = 0.0
    """Where in the file its first packet of sound is."""

    def where(self, stream: _Stream, timestamp: int) -> float:
        """Where in the file that is, seconds."""
        if self.line is None or self.sound is None:
            return stream.clock.at(timestamp) - self.begun_at
        if stream is self.sound:
            return self.sound_at_s + self.line.place(timestamp) / RATE
        ends = (self.line.first_timestamp + self.line.end) & 0xFFFFFFFF
        return self.sound_at_s + stream.clock.at(timestamp) - self.sound.clock.at(ends) + self.line.end / RATE

    def has_gap(self) -> bool:
        """Whether sound goes on so much later that it is not to be filled."""
        if self.line is None or self.sound is None or not self.sound.held:
            return False
        return self.line.place(self.sound.held[0].timestamp) - self.line.end > MAX_FILL_S * RATE


@dataclass(frozen=True, slots=True)
class Counts:
    """What came of a stream: packets, those lost, runs of these, and frames that are not in the file."""

    packets: int
    lost: int
    gaps: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Part:
    """A file that is closed: whose it is, of what, from when to when (Unix seconds), and what is missing in it."""

    sub: str
    sources: tuple[str, ...]
    media_type: str
    begun_at: float
    length_s: float
    counts: Counts


Opened = Callable[[str, str, str, tuple[str, ...]], Callable[[bytes], object]]
"""Makes a file for this person's group, of this media type and these sources; what it returns is given the bytes."""

Closed = Callable[[str, str, Part], None]
"""That person's group's file is whole."""


class Take:
    """
    One. `opened` and `closed` keep files; `keyframe` asks for one of a publication. Whatever `opened` or a file raises
    comes out of here.
    """

    def __init__(self, opened: Opened, closed: Closed, keyframe: Callable[[str], None]) -> None:
        self._opened = opened
        self._closed = closed
        self._keyframe = keyframe
        self._streams: dict[int, _Stream] = {}
        self._reels: dict[tuple[str, str], _Reel] = {}
        self._asked: dict[int, float] = {}

    def begin(self, track: Track) -> None:
        """This publication is recorded from now on."""
        clock = StreamClock(RATES[track.codec])
        frames: Sound | Pictures = Sound() if track.codec == "opus" else Pictures(track.codec)
        stream = _Stream(track, clock, frames=frames)
        if any(each.is_sound == stream.is_sound for each in self._of(track.sub, track.group)):
            stream.track = replace(track, group=track.publication)  # a file has one of each
        self._streams[track.ssrc] = stream

    def end(self, now: float, ssrc: int) -> None:
        """And no longer: a file of it is closed."""
        if (stream := self._streams.get(ssrc)) is None:
            return
        self._take(now, stream, stream.order.flush())
        self._write(now, stream.track)
        self._close(stream.track.sub, stream.track.group)
        self._streams.pop(ssrc, None)

    def rtp(self, now: float, data: bytes) -> None:
        """A packet that the tap told of."""
        try:
            packet = RtpPacket.parse(data)
        except ValueError:
            return
        if (stream := self._streams.get(packet.ssrc)) is None:
            return
        stream.packets += 1
        if not stream.clock.see(now, packet.timestamp) and not self._begin_anew(now, stream, packet.timestamp):
            return
        self._take(now, stream, stream.order.add(now, packet))
        self._write(now, stream.track)

    def rtcp(self, data: bytes) -> None:
        """A compound that the tap told of."""
        try:
            found = RtcpPacket.parse(data)
        except ValueError:
            return
        for each in found:
            if isinstance(each, RtcpSrPacket) and (stream := self._streams.get(each.ssrc)) is not None:
                info = each.sender_info
                stream.clock.report(unix_s(info.ntp_timestamp), info.rtp_timestamp)

    def tick(self, now: float) -> None:
        """Time passes, also where nothing comes."""
        for stream in self._streams.values():
            self._take(now, stream, stream.order.take(now))
            self._write(now, stream.track)
            wants_keyframe = isinstance(stream.frames, Pictures) and stream.frames.wants_keyframe and stream.packets
            if wants_keyframe and now - self._asked.get(stream.track.ssrc, 0.0) >= 1.0:
                self._asked[stream.track.ssrc] = now
                self._keyframe(stream.track.publication)

    def close(self, now: float) -> None:
        """It is over: all files are whole, but those that a problem befell, of which the first comes out."""
        problems = list[Exception]()

        def attempt(step: Callable[[], object]) -> None:
            try:
                step()
            except Exception as error:
                problems.append(error)

        for stream in self._streams.values():
            self._take(now, stream, stream.order.flush())
        for stream in tuple(self._streams.values()):
            attempt(lambda track=stream.track: self._write(now, track, is_last=True))  # type: ignore[misc]
        for sub, group in tuple(self._reels):
            attempt(lambda sub=sub, group=group: self._close(sub, group))  # type: ignore[misc]
        self._streams.clear()
        if problems:
            raise problems[0]

    # ---------------------------------------------------------------- within

    def _take(self, now: float, stream: _Stream, items: Iterator[RtpPacket | Gap]) -> None:
        for item in items:
            for frame in stream.frames.add(item):
                stream.hold(frame)

    def _begin_anew(self, now: float, stream: _Stream, timestamp: int) -> bool:
        """This stream goes on at another time: in another file. Not, where that was just now: it is no time then."""
        if now - stream.anew_at < ANEW_EVERY_S:
            return False
        self._take(now, stream, stream.order.flush())
        self._write(now, stream.track)
        self._close(stream.track.sub, stream.track.group)
        stream.let_go()
        stream.clock, stream.anew_at = StreamClock(RATES[stream.track.codec]), now
        return stream.clock.see(now, timestamp)

    def _of(self, sub: str, group: str) -> list[_Stream]:
        return [each for each in self._streams.values() if (each.track.sub, each.track.group) == (sub, group)]

    def _write(self, now: float, track: Track, *, is_last: bool = False) -> None:
        """What of this group can be written: times are known, and there is a file, or one may begin."""
        streams = self._of(track.sub, track.group)
        reel = self._reels.setdefault((track.sub, track.group), _Reel())
        if not all(each.clock.is_known(now) or is_last for each in streams if each.held):
            return
        is_other = any(reel.film is not None and each.held and not reel.film.has(each.track.codec) for each in streams)
        if is_other or reel.has_gap():
            self._close(track.sub, track.group)
            reel = self._reels[track.sub, track.group] = _Reel()
        if reel.film is None and not self._begin(now, reel, streams, is_last):
            return
        film = reel.film
        assert film is not None
        timed = [(reel.where(stream, frame.timestamp), stream, frame) for stream in streams for frame in stream.taken()]
        for at_s, stream, frame in sorted(timed, key=lambda each: each[0]):
            if reel.line is None:
                film.add(stream.track.codec, frame, at_s)
            elif stream is reel.sound:
                _put_sound(film, reel, reel.line.add(frame.timestamp, frame.data))
            else:
                _put_sound(film, reel, reel.line.fill(round((at_s - reel.sound_at_s - FILL_AFTER_S) * RATE)))
                film.add(stream.track.codec, frame, at_s)

    def _begin(self, now: float, reel: _Reel, streams: list[_Stream], is_last: bool) -> bool:
        """Open a file, once all that belongs into it is there, or has had its time."""
        for each in streams:
            each.begin_with_keyframe()
        ready = [each for each in streams if each.held]
        if not ready:
            return False
        if reel.waits_since is None:
            reel.waits_since = now
        is_whole = len(ready) == len(streams)
        if not (is_whole or is_last or now - reel.waits_since >= TOGETHER_S):
            return False
        picture = next((each for each in ready if not each.is_sound), None)
        sound = next((each for each in ready if each.is_sound), None)
        track = ready[0].track
        reel.begun_at = min(each.clock.at(each.held[0].timestamp) for each in ready)
        reel.waits_since = None
        if sound is not None:
            first = sound.held[0]
            at_s, step = sound.clock.at(first.timestamp), frame_samples(first.data[0])
            # Players begin with sound: so does the file, but for what nobody hears.
            before = math.ceil((at_s - reel.begun_at) * RATE / step - 0.25) * step
            reel.sound, reel.line, reel.sound_at_s = sound, SoundLine(first.timestamp, before), before / RATE
            reel.begun_at = at_s - reel.sound_at_s
        codec = picture.track.codec if picture is not None else None
        sources = tuple(sorted(each.track.source for each in streams))
        write = self._opened(track.sub, track.group, media_type(codec), sources)
        shape = (picture.track.codec, picture.held[0]) if picture is not None else None
        reel.film = Film(write, shape, sound is not None)
        return True

    def _close(self, sub: str, group: str) -> None:
        reel = self._reels.pop((sub, group), None)
        if reel is None or reel.film is None:
            return
        film, streams = reel.film, self._of(sub, group)
        film.close()
        counts = Counts(
            packets=sum(each.packets for each in streams),
            lost=sum(each.order.lost for each in streams),
            gaps=sum(each.order.gaps for each in streams),
            left_out=sum(each.frames.left_out for each in streams if isinstance(each.frames, Pictures)),
        )
        sources = tuple(sorted(each.track.source for each in streams))
        self._closed(sub, group, Part(sub, sources, film.media_type, reel.begun_at, film.end_s, counts))


def _put_sound(film: Film, reel: _Reel, packets: Iterator[tuple[int, bytes]]) -> None:
    for at, data in packets:
        film.add("opus", Frame(0, data), reel.sound_at_s + at / RATE)
