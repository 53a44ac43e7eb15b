"""
Frames out of packets: whole ones, and of pictures only those that a decoder can follow.

Sans-I/O. Payloads are read in formats.py; Opus is its own (RFC 7587). A picture of which a packet is missing is left
out, and so is all behind it up to the next keyframe, which is asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from aiortc.rtp import RtpPacket

from telerelay.recording.formats import FORMATS, Piece
from telerelay.recording.reorder import Gap

CODECS = ("opus", *FORMATS)
"""What can be recorded, by the names in SDP, in small letters."""

MAX_FRAME_BYTES = 4 << 20
"""A keyframe of 4K has some hundred KB."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it was encoded. `timestamp` is RTP's; `width` and `height` are told of keyframes, 0: unknown."""

    timestamp: int
    data: bytes
    is_keyframe: bool = True
    width: int = 0
    height: int = 0


class Sound:
    """Opus: each packet is a frame."""

    def add(self, item: RtpPacket | Gap) -> Iterator[Frame]:
        if isinstance(item, RtpPacket) and item.payload:
            yield Frame(item.timestamp, item.payload)


class Pictures:
    """Of one stream of video. `wants_keyframe` is to be asked for, and left out is counted."""

    def __init__(self, codec: str) -> None:
        self._format = FORMATS[codec]
        self._pieces: list[Piece] = []
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
            if self._pieces and self._pieces[-1].is_end:  # nothing of it is missing but a layer that was left out
                yield from self._whole()
            elif self._pieces:
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
            self._pieces.append(piece)
            self._size += len(piece.data)
            if self._size > MAX_FRAME_BYTES:
                self._break()
        if item.marker:
            yield from self._whole()

    def _whole(self) -> Iterator[Frame]:
        pieces, self._pieces, self._size = self._pieces, [], 0
        is_broken, self._is_broken = self._is_broken, True
        data, size = b"", None
        if pieces and not is_broken:
            try:
                data = self._format.join(pieces)
                if (size := self._format.size(data)) is not None:
                    size = max(size, *(each.size for each in pieces))
            except ValueError:
                data = b""
                self._break()
        if size is not None:
            self.wants_keyframe = False
        if not data or self.wants_keyframe:
            self.left_out += 1
            return
        yield Frame(self._timestamp, data, size is not None, *(size or (0, 0)))

    def _break(self) -> None:
        """What is here of a frame is of no use, nor is what follows it."""
        self._pieces, self._size, self._is_broken, self.wants_keyframe = [], 0, True, True
