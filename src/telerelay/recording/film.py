"""
One file: frames of one person's sound and picture, as they were encoded, into WebM or MP4 by PyAV.

Blocking, the recorder's thread. The file is written from its beginning to its end and never gone back in, so that it
can be sealed as it grows, and what there is of it plays whenever it ends.
"""

import io
import struct
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import av

from telerelay.recording.formats import FORMATS
from telerelay.recording.frames import Frame

RATES = {"opus": 48000, **dict.fromkeys(FORMATS, 90000)}
"""Of their RTP timestamps, Hz."""

# Whose raw bytes FFmpeg reads by themselves, in MP4, and of what others are called in IVF, in WebM.
_RAW = {"h264": "h264", "h265": "hevc"}
_FOURCC = {"vp8": b"VP80", "vp9": b"VP90", "av1": b"AV01"}
# Apple's players take H.265 under this name alone: parameter sets are told once, before the first picture.
_TAGS = {"h265": "hvc1"}

# A fragment each keyframe, or second of sound, with nothing at the end that the rest needs; a WebM without an index.
_OPTIONS = {
    "mp4": {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "1000000"},
    "webm": {"live": "1", "cluster_time_limit": "1000"},
}
# How long the muxer waits for the other stream's packets to put them in order, us.
_INTERLEAVE_US = "1000000"


class _Out(io.RawIOBase):
    """What PyAV writes to: forwards only."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        self._write(bytes(data))
        return len(data)


def media_type(codec: str | None) -> str:
    """Of a file whose picture is of this codec; None: it has sound alone."""
    if codec is None:
        return "audio/webm"
    return "video/mp4" if codec in _RAW else "video/webm"


class Film:
    """
    `picture` is the keyframe that it begins with and its codec, None: sound alone. `has_sound`: whether there is any.
    `write` is given what the file is made of, in order, and may raise; `add` and `close` raise that.
    """

    def __init__(self, write: Callable[[bytes], object], picture: tuple[str, Frame] | None, has_sound: bool) -> None:
        self.media_type = media_type(picture[0] if picture is not None else None)
        self.container = self.media_type.rpartition("/")[2]
        self._problem: BaseException | None = None
        self._give = write
        self._out = av.open(
            _Out(self._write),
            "w",
            format=self.container,
            options={**_OPTIONS[self.container], "max_interleave_delta": _INTERLEAVE_US},
        )
        self._streams: dict[str, Any] = {}
        self._last: dict[str, int] = {}
        if picture is not None:
            codec, frame = picture
            shape, made_of = _shape_of(codec, frame)
            with av.open(io.BytesIO(made_of), format=shape) as like:
                stream: Any = self._out.add_stream_from_template(like.streams.video[0], opaque=True)
            if frame.width and frame.height:  # of the highest layer, where FFmpeg found the lowest
                stream.width, stream.height = frame.width, frame.height
            if codec in _TAGS:
                stream.codec_context.codec_tag = _TAGS[codec]
            self._streams[codec] = stream
        if has_sound:
            with av.open(io.BytesIO(_silence())) as like:
                self._streams["opus"] = self._out.add_stream_from_template(like.streams.audio[0], opaque=True)
        self.end_s = 0.0
        """Where its last frame begins, seconds from its beginning."""

    def has(self, codec: str) -> bool:
        return codec in self._streams

    def add(self, codec: str, frame: Frame, at_s: float) -> None:
        """A frame that begins so many seconds after the file does. One that is older than the last comes just after."""
        rate = RATES[codec]
        pts = max(round(at_s * rate), self._last.get(codec, -rate) + rate // 1000, 0)
        self._last[codec] = pts
        packet = av.Packet(frame.data)
        packet.stream, packet.time_base = self._streams[codec], Fraction(1, rate)
        packet.pts = packet.dts = pts
        packet.is_keyframe = frame.is_keyframe
        self.end_s = max(self.end_s, pts / rate)
        self._do(lambda: self._out.mux(packet))

    def close(self) -> None:
        """Write what is left. Nothing is written after a problem."""
        self._do(self._out.close)

    def _do(self, step: Callable[[], object]) -> None:
        try:
            step()
        except (OSError, av.FFmpegError):
            if self._problem is None:
                raise
        if self._problem is not None:
            raise self._problem

    def _write(self, data: bytes) -> None:
        if self._problem is None:
            try:
                self._give(data)
            except Exception as error:  # it would get lost among FFmpeg's
                self._problem = error


def _shape_of(codec: str, frame: Frame) -> tuple[str, bytes]:
    """A file of this one frame, from which FFmpeg knows what the stream is like: its format, and its bytes."""
    if codec in _RAW:
        return _RAW[codec], frame.data
    head = struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, _FOURCC[codec], frame.width, frame.height, 90000, 1, 1, 0)
    return "ivf", head + struct.pack("<IQ", len(frame.data), 0) + frame.data


@cache
def _silence() -> bytes:
    """A file with a moment of Opus, from which FFmpeg knows what any is like."""
    made = io.BytesIO()
    with av.open(made, "w", format="ogg") as out:
        stream = out.add_stream("libopus", rate=48000, layout="stereo")
        frame = av.AudioFrame(format="s16", layout="stereo", samples=960)
        frame.sample_rate, frame.pts = 48000, 0
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    return made.getvalue()
