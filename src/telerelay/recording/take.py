"""
What is recorded between two pauses: the streams of everybody, sorted by person into files.

Blocking where it writes, the recorder's thread; else sans-I/O: `now` is the relay's clock, Unix seconds. Sound and
picture of one person that belong together are one file; what begins later, or as something else, begins another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from aiortc.rtp import RtcpPacket, RtcpSrPacket, RtpPacket

from telerelay.recording.clock import WAIT_S, StreamClock, unix_s
from telerelay.recording.film import RATES, Film
from telerelay.recording.frames import Frame, Pictures, Sound
from telerelay.recording.reorder import Gap, Reorder

TOGETHER_S = 2.0
"""So long a file that begins waits for the other half of it: a keyframe, mostly, that was asked for."""

MAX_HELD = 4096
"""Frames that wait for a file to begin, or for a clock: some seconds of all there is of one person."""


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
    packets: int = 0


@dataclass(slots=True)
class _Reel:
    """The file that is being written of one group of one person, and since when it might have begun."""

    film: Film | None = None
    begun_at: float = 0.0
    """What its first moment was, Unix seconds."""
    waits_since: float | None = None


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


Opened = Callable[[str, str], Callable[[bytes], object]]
"""Makes a file for this person's group; what it returns is given the bytes."""

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
        self._streams[track.ssrc] = _Stream(track, clock, frames=frames)

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
        stream.clock.see(now, packet.timestamp)
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
        """It is over: all files are whole."""
        for stream in self._streams.values():
            self._take(now, stream, stream.order.flush())
        for stream in tuple(self._streams.values()):
            self._write(now, stream.track, is_last=True)
        for sub, group in tuple(self._reels):
            self._close(sub, group)
        self._streams.clear()

    # ---------------------------------------------------------------- within

    def _take(self, now: float, stream: _Stream, items: Iterator[RtpPacket | Gap]) -> None:
        for item in items:
            stream.held.extend(stream.frames.add(item))
        if len(stream.held) > MAX_HELD:
            del stream.held[: len(stream.held) - MAX_HELD]

    def _of(self, sub: str, group: str) -> list[_Stream]:
        return [each for each in self._streams.values() if (each.track.sub, each.track.group) == (sub, group)]

    def _write(self, now: float, track: Track, *, is_last: bool = False) -> None:
        """What of this group can be written: times are known, and there is a file, or one may begin."""
        streams = self._of(track.sub, track.group)
        reel = self._reels.setdefault((track.sub, track.group), _Reel())
        if not all(each.clock.is_known(now) or is_last for each in streams if each.held):
            return
        if reel.film is not None and any(each.held and not reel.film.has(each.track.codec) for each in streams):
            self._close(track.sub, track.group)
            reel = self._reels[track.sub, track.group] = _Reel()
        if reel.film is None and not self._begin(now, reel, streams, is_last):
            return
        film = reel.film
        assert film is not None
        timed = [
            (stream.clock.at(frame.timestamp) - reel.begun_at, stream.track.codec, frame)
            for stream in streams
            for frame in stream.held
        ]
        for stream in streams:
            stream.held.clear()
        for at_s, codec, frame in sorted(timed, key=lambda each: each[0]):
            film.add(codec, frame, at_s)

    def _begin(self, now: float, reel: _Reel, streams: list[_Stream], is_last: bool) -> bool:
        """Open a file, once all that belongs into it is there, or has had its time."""
        ready = [each for each in streams if each.held]
        if not ready:
            return False
        if reel.waits_since is None:
            reel.waits_since = now
        is_whole = len(ready) == len(streams)
        if not (is_whole or is_last or now - reel.waits_since >= max(TOGETHER_S, WAIT_S)):
            return False
        picture = next((each for each in ready if isinstance(each.frames, Pictures)), None)
        track = ready[0].track
        sound = any(isinstance(each.frames, Sound) for each in ready)
        reel.begun_at = min(each.clock.at(each.held[0].timestamp) for each in ready)
        reel.waits_since = None
        write = self._opened(track.sub, track.group)
        reel.film = Film(write, (picture.track.codec, picture.held[0]) if picture is not None else None, sound)
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
