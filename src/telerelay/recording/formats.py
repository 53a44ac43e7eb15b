"""
Pictures out of RTP payloads: what each packet brings of one, what a file has of it, and whether it is a keyframe.

Pure. VP8 (RFC 7741) and H.264 (RFC 6184) are aiortc's to read; VP9 (RFC 9628), AV1 (its RTP specification of the AOM)
and H.265 (RFC 7798) are read here, for no library does. A picture has all layers that came of it, as one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from aiortc.codecs.h264 import H264PayloadDescriptor
from aiortc.codecs.vpx import VpxPayloadDescriptor

_START = b"\x00\x00\x00\x01"


@dataclass(frozen=True, slots=True)
class Piece:
    """
    What one packet brings: whether a frame begins with it, and its bytes. `is_end`: a frame is known to end with it,
    so that a picture may, though its last packet, of a layer that was left out, never comes. `size`: width and height
    of the largest layer, where the payload says so of a keyframe.
    """

    is_first: bool
    data: bytes
    is_end: bool = False
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Format:
    """
    Of one codec. `piece` reads a payload, `join` makes of a picture's what a file has; both raise ValueError. `size`
    tells width and height of a keyframe, 0: its muxer reads them; None: it is none.
    """

    piece: Callable[[bytes], Piece]
    join: Callable[[Sequence[Piece]], bytes]
    size: Callable[[bytes], tuple[int, int] | None]


def _joined(pieces: Sequence[Piece]) -> bytes:
    return b"".join(each.data for each in pieces)


# ---------------------------------------------------------------- VP8


def _vp8_piece(payload: bytes) -> Piece:
    descriptor, data = VpxPayloadDescriptor.parse(payload)
    return Piece(bool(descriptor.partition_start) and descriptor.partition_id == 0, data)


def _vp8_size(data: bytes) -> tuple[int, int] | None:
    """RFC 6386, 9.1."""
    if len(data) < 10 or data[0] & 1 or data[3:6] != b"\x9d\x01\x2a":
        return None
    return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF


# ---------------------------------------------------------------- VP9


def _vp9_piece(payload: bytes) -> Piece:
    """RFC 9628, 4.2: I P L F B E V Z."""
    try:
        flags, at = payload[0], 1
        if flags & 0x80:
            at += 2 if payload[at] & 0x80 else 1
        if flags & 0x20:
            at += 1 if flags & 0x10 else 2
        if flags & 0x50 == 0x50:
            for _ in range(3):  # as many references as there may be
                at += 1
                if not payload[at - 1] & 1:
                    break
            else:
                raise ValueError("a picture refers to more than three")
        size = (0, 0)
        if flags & 0x02:
            at, size = _structure(payload, at)
    except IndexError:
        raise ValueError("a VP9 payload descriptor is cut off") from None
    if at >= len(payload):
        raise ValueError("a VP9 payload has a descriptor alone")
    return Piece(bool(flags & 0x08), payload[at:], bool(flags & 0x04), size)


def _structure(payload: bytes, at: int) -> tuple[int, tuple[int, int]]:
    """Where what follows the scalability structure begins, and the largest layer. Raises IndexError."""
    head, sizes = payload[at], [(0, 0)]
    at += 1
    for _ in range((head >> 5) + 1 if head & 0x10 else 0):
        sizes.append((payload[at] << 8 | payload[at + 1], payload[at + 2] << 8 | payload[at + 3]))
        at += 4
    if head & 0x08:
        count = payload[at]
        at += 1
        for _ in range(count):
            at += 1 + (payload[at] >> 2 & 3)
    return at, max(sizes)


def _vp9_join(pieces: Sequence[Piece]) -> bytes:
    """A frame a spatial layer; more than one are a superframe (VP9 bitstream specification, Annex B)."""
    frames: list[bytes] = []
    for each in pieces:
        if each.is_first:
            frames.append(each.data)
        else:
            frames[-1] += each.data
    if len(frames) == 1:
        return frames[0]
    if len(frames) > 8:
        raise ValueError("a VP9 picture has more than eight layers")
    width = (max(map(len, frames)).bit_length() + 7) // 8
    marker = bytes([0xC0 | width - 1 << 3 | len(frames) - 1])
    sizes = b"".join(len(frame).to_bytes(width, "little") for frame in frames)
    return b"".join(frames) + marker + sizes + marker


def _vp9_size(data: bytes) -> tuple[int, int] | None:
    """By the first bits of its uncompressed header: no frame that is shown again, and one of the kind 0."""
    if not data or data[0] >> 6 != 2:
        return None
    bits = data[0] >> 1 if data[0] & 0x30 == 0x30 else data[0] >> 2  # profile 3 has a reserved one before
    return None if bits & 3 else (0, 0)


# ---------------------------------------------------------------- AV1

_SEQUENCE_HEADER, _TEMPORAL_DELIMITER, _FRAME_HEADER, _FRAME, _TILE_LIST, _PADDING = 1, 2, 3, 6, 8, 15


def _av1_piece(payload: bytes) -> Piece:
    """The payload as it is: its elements may be parts of units, which `join` puts together."""
    if len(payload) < 2:
        raise ValueError("an AV1 payload has nothing in it")
    return Piece(not payload[0] & 0x80, payload, not payload[0] & 0x40)


def _av1_join(pieces: Sequence[Piece]) -> bytes:
    """Units with their sizes, and without those that a file does without (AV1 in Matroska)."""
    made, part = bytearray(), b""
    for each in pieces:
        continues, goes_on = each.data[0] & 0x80, each.data[0] & 0x40
        elements = list(_elements(each.data))
        if bool(continues) != bool(part):
            raise ValueError("a part of an AV1 unit is missing")
        for number, element in enumerate(elements):
            part += element
            if number < len(elements) - 1 or not goes_on:
                made += _sized(part)
                part = b""
    if part:
        raise ValueError("an AV1 unit has no end")
    return bytes(made)


def _elements(payload: bytes) -> Iterator[bytes]:
    count, at, number = payload[0] >> 4 & 3, 1, 0
    while at < len(payload):
        number += 1
        size = len(payload) - at
        if number != count:
            size, at = _leb128(payload, at)
        if size > len(payload) - at:
            raise ValueError("an AV1 element is longer than its payload")
        yield payload[at : at + size]
        at += size


def _sized(unit: bytes) -> bytes:
    if not unit:
        raise ValueError("an AV1 unit is empty")
    if unit[0] >> 3 & 15 in (_TEMPORAL_DELIMITER, _TILE_LIST, _PADDING):
        return b""
    start = 2 if unit[0] & 0x04 else 1
    body = unit[start:]
    if unit[0] & 0x02:
        size, at = _leb128(unit, start)
        if size > len(unit) - at:
            raise ValueError("an AV1 unit is shorter than it says")
        body = unit[at : at + size]
    return bytes([unit[0] | 0x02]) + unit[1:start] + _as_leb128(len(body)) + body


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where what follows it begins."""
    value = 0
    for place in range(8):
        if at + place >= len(data):
            break
        value |= (data[at + place] & 0x7F) << 7 * place
        if not data[at + place] & 0x80:
            return value, at + place + 1
    raise ValueError("an AV1 size has no end")


def _as_leb128(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _av1_size(data: bytes) -> tuple[int, int] | None:
    """A sequence header, and a first frame that is a key frame and shown for the first time (6.8.2)."""
    at, has_sequence = 0, False
    while at < len(data):
        start = at + (2 if data[at] & 0x04 else 1)
        size, body = _leb128(data, start)
        kind = data[at] >> 3 & 15
        has_sequence = has_sequence or kind == _SEQUENCE_HEADER
        if kind in (_FRAME, _FRAME_HEADER):
            return (0, 0) if has_sequence and size and not data[body] & 0xE0 else None
        at = body + size
    return None


# ---------------------------------------------------------------- H.264 and H.265, with start codes (Annex B)

_H264_IDR, _H264_SPS, _H264_PPS = 5, 7, 8
_H265_AGGREGATION, _H265_FRAGMENT = 48, 49
_H265_SETS = frozenset({32, 33, 34})
"""Of video, sequence and picture."""
_H265_RANDOM_ACCESS = range(16, 22)


def _h264_piece(payload: bytes) -> Piece:
    """A packet of a unit's middle is none that begins."""
    descriptor, data = H264PayloadDescriptor.parse(payload)
    return Piece(bool(descriptor.first_fragment), data)


def _h264_size(data: bytes) -> tuple[int, int] | None:
    """Of an IDR picture with its parameter sets."""
    found = {each[0] & 0x1F for each in data.split(_START) if each}
    return (0, 0) if {_H264_IDR, _H264_SPS, _H264_PPS} <= found else None


def _h265_piece(payload: bytes) -> Piece:
    """RFC 7798, 4.4, without decoding order numbers (sprop-max-don-diff is 0 here)."""
    if len(payload) < 3:
        raise ValueError("an H.265 payload has no unit")
    kind = payload[0] >> 1 & 0x3F
    if kind < _H265_AGGREGATION:
        return Piece(True, _START + payload)
    if kind == _H265_AGGREGATION:
        made, at = b"", 2
        while at + 2 <= len(payload):
            size = int.from_bytes(payload[at : at + 2], "big")
            at += 2
            if not size or at + size > len(payload):
                raise ValueError("an H.265 aggregation is cut off")
            made += _START + payload[at : at + size]
            at += size
        return Piece(True, made)
    if kind != _H265_FRAGMENT:
        raise ValueError("an H.265 payload of a kind that is not negotiated")
    if not payload[2] & 0x80:
        return Piece(False, payload[3:])
    head = payload[0] & 0x81 | (payload[2] & 0x3F) << 1
    return Piece(True, _START + bytes([head, payload[1]]) + payload[3:])


def _h265_size(data: bytes) -> tuple[int, int] | None:
    """Of a picture with which decoding may begin, with its parameter sets."""
    found = {each[0] >> 1 & 0x3F for each in data.split(_START) if each}
    return (0, 0) if found >= _H265_SETS and any(kind in found for kind in _H265_RANDOM_ACCESS) else None


FORMATS = {
    "vp8": Format(_vp8_piece, _joined, _vp8_size),
    "vp9": Format(_vp9_piece, _vp9_join, _vp9_size),
    "av1": Format(_av1_piece, _av1_join, _av1_size),
    "h264": Format(_h264_piece, _joined, _h264_size),
    "h265": Format(_h265_piece, _joined, _h265_size),
}
"""By the codecs' names in SDP, in small letters."""
