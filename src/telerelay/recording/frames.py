"""
Frames out of packets: whole ones, and of pictures only those that a decoder can follow.

Sans-I/O. Payload formats are aiortc's to read (RFC 7741, RFC 6184; Opus is its own payload, RFC 7587). A picture of
which a packet is missing is left out, and so is all behind it up to the next keyframe, which is asked for.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aiortc.codecs.h264 import H264PayloadDescriptor
from aiortc.codecs.vpx import VpxPayloadDescriptor
from aiortc.rtp import RtpPacket

from telerelay.recording.reorder import Gap

CODECS = ("opus", "vp8", "h264")
"""What can be recorded, by the names in SDP, in small letters."""

MAX_FRAME_BYTES = 4 << 20
"""A keyframe of 4K has some hundred KB."""

_IDR, _SPS, _PPS = 5, 7, 8
_START = b"\x00\x00\x00\x01"


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it was encoded. `timestamp` is RTP's; `width` and `height` are told of keyframes, 0: unknown."""

    timestamp: int
    data: bytes
    is_keyframe: bool = True
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """What one packet brings: whether a frame begins with it, and its bytes."""

    is_first: bool
    data: bytes


def vp8_piece(payload: bytes) -> Piece:
    """Raises ValueError."""
    descriptor, data = VpxPayloadDescriptor.parse(payload)
    return Piece(bool(descriptor.partition_start) and descriptor.partition_id == 0, data)


def h264_piece(payload: bytes) -> Piece:
    """With start codes (Annex B). A packet of a picture's middle is none that begins. Raises ValueError."""
    descriptor, data = H264PayloadDescriptor.parse(payload)
    return Piece(bool(descriptor.first_fragment), data)


def vp8_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a keyframe (RFC 6386, 9.1); None: it is none."""
    if len(data) < 10 or data[0] & 1 or data[3:6] != b"\x9d\x01\x2a":
        return None
    return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF


def h264_size(data: bytes) -> tuple[int, int] | None:
    """(0, 0) of an IDR picture with its parameter sets: they tell, and the muxer reads them. None: it is none."""
    found = {each[0] & 0x1F for each in data.split(_START) if each}
    return (0, 0) if {_IDR, _SPS, _PPS} <= found else None


@dataclass(frozen=True, slots=True)
class _Format:
    piece: Callable[[bytes], Piece]
    size: Callable[[bytes], tuple[int, int] | None]


_FORMATS = {"vp8": _Format(vp8_piece, vp8_size), "h264": _Format(h264_piece, h264_size)}


class Sound:
    """Opus: each packet is a frame, and a gap is one in time, which players fill."""

    def add(self, item: RtpPacket | Gap) -> Iterator[Frame]:
        if isinstance(item, RtpPacket) and item.payload:
            yield Frame(item.timestamp, item.payload)


class Pictures:
    """Of one stream of video. `wants_keyframe` is to be asked for, and left out is counted."""

    def __init__(self, codec: str) -> None:
        self._format = _FORMATS[codec]
        self._pieces: list[bytes] = []
        self._size = 0
        self._timestamp = -1
        self._is_broken = True
        self.wants_keyframe = True
        self.left_out = 0
        """Frames that are not in the file: not whole, or without what came before."""

    def add(self, item: RtpPacket | Gap) -> Iterator[Frame]:
        if isinstance(item, Gap):
            self._break()
            return
        if not item.payload:
            return  # padding
        if item.timestamp != self._timestamp:
            if self._pieces:  # the one before has no end
                self._break()
            self._timestamp, self._is_broken = item.timestamp, False
        try:
            piece = self._format.piece(item.payload)
        except ValueError:
            self._break()
            return
        if not self._is_broken and not self._pieces and not piece.is_first:
            self._break()
        if not self._is_broken:
            self._pieces.append(piece.data)
            self._size += len(piece.data)
            if self._size > MAX_FRAME_BYTES:
                self._break()
        if item.marker:
            yield from self._whole()

    def _whole(self) -> Iterator[Frame]:
        pieces, self._pieces, self._size = self._pieces, [], 0
        is_broken, self._is_broken = self._is_broken, True
        data = b"".join(pieces)
        size = self._format.size(data) if data and not is_broken else None
        if size is not None:
            self.wants_keyframe = False
        if is_broken or not data or self.wants_keyframe:
            self.left_out += 1
            return
        yield Frame(self._timestamp, data, size is not None, *(size or (0, 0)))

    def _break(self) -> None:
        """What is here of a frame is of no use, nor is what follows it."""
        self._pieces, self._size, self._is_broken, self.wants_keyframe = [], 0, True, True
