"""
Frames cut into RTP payloads, written from the RFCs and apart from what the relay reads them with: AV1 and H.265, and
VP9 with layers. Of one layer, VP8, VP9 and H.264 are in replay.py.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from support import replay

MTU = 300
"""Small, so that small pictures come in several packets."""


def payloads(codec: str, frame: bytes, number: int) -> list[bytes]:
    """Of a frame of one layer; `codec` in small letters, `number` counts pictures."""
    if codec == "av1":
        return list(av1(frame))
    if codec == "h265":
        return list(h265(frame))
    return list(replay.fragments(codec.upper(), frame, number))


def vp9_layers(frames: Sequence[bytes], number: int, is_key: bool) -> list[bytes]:
    """A picture of several spatial layers, each a frame, in flexible mode (RFC 9628, 4.2)."""
    made = []
    for layer, frame in enumerate(frames):
        pieces = [frame[at : at + MTU] for at in range(0, len(frame), MTU)]
        for place, piece in enumerate(pieces):
            flags = 0x80 | (not is_key) << 6 | 0x20 | 0x10 | (place == 0) << 3 | (place == len(pieces) - 1) << 2
            has_structure = is_key and layer == 0 and place == 0
            head = bytes([flags | has_structure << 1]) + struct.pack("!H", 0x8000 | number & 0x7FFF)
            head += bytes([layer << 1 | (layer > 0)])
            if not is_key:
                head += bytes([1 << 1])  # of the picture before
            if has_structure:  # sizes of all layers, and a group of one picture
                head += bytes([len(frames) - 1 << 5 | 0x18])
                head += b"".join(struct.pack("!HH", 160 << each, 120 << each) for each in range(len(frames)))
                head += bytes([1, 0 << 5 | 1 << 2, 1])
            made.append(head + piece)
    return made


def av1(unit: bytes) -> Iterator[bytes]:
    """A temporal unit; elements with a length each, or, of one element, without (AV1 RTP specification, 4.4)."""
    obus = []
    at = 0
    while at < len(unit):
        head = unit[at : at + (2 if unit[at] & 4 else 1)]
        size, body = _number(unit, at + len(head))
        if head[0] >> 3 & 15 != 2:
            obus.append(bytes([head[0] & ~2]) + head[1:] + unit[body : body + size])
        at = body + size
    is_new = any(each[0] >> 3 & 15 == 1 for each in obus)
    small = [each for each in obus if len(each) < 64][:2]
    if small and len(obus) > len(small):
        yield bytes([is_new << 3]) + b"".join(_bytes(len(each)) + each for each in small)
        obus = obus[len(small) :]
    for obu in obus:
        pieces = [obu[at : at + MTU] for at in range(0, len(obu), MTU)]
        for place, piece in enumerate(pieces):
            yield bytes([(place > 0) << 7 | (place < len(pieces) - 1) << 6 | 1 << 4]) + piece


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


def _bytes(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + _bytes(value >> 7)


def h265(frame: bytes) -> Iterator[bytes]:
    """Parameter sets in one packet, large units in several (RFC 7798, 4.4.2 and 4.4.3)."""
    units = [each for each in frame.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if each]
    sets = [each for each in units if each[0] >> 1 in (32, 33, 34)]
    if sets:
        yield bytes([48 << 1, 1]) + b"".join(struct.pack("!H", len(each)) + each for each in sets)
    for unit in units:
        if unit in sets:
            continue
        if len(unit) <= MTU:
            yield unit
            continue
        pieces = [unit[at : at + MTU] for at in range(2, len(unit), MTU)]
        for place, piece in enumerate(pieces):
            flags = (place == 0) << 7 | (place == len(pieces) - 1) << 6 | unit[0] >> 1
            yield bytes([49 << 1, unit[1], flags]) + piece
