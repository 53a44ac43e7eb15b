"""
Recordings of publishers, replayed through the relay's own receiver and sender (native/bench/replay_layers.c) in the
recording's time, with loss on either side, and what the peer has in the end.

Packetizers and depacketizers are written from the RFCs and on their own, so that what the relay makes of descriptors is
judged by a second reading of them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import struct
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import av

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / "build" / "native" / "bench" / "replay_layers"
MTU = 1100
PT = 96
ANY = 255
EPOCH_PICTURE = 0x7FF0
"""Picture ids, sequence numbers and times begin just before their wraps."""
EPOCH_SEQ = 0xFFC0
EPOCH_TS = 0xFFFF0000


@cache
def program() -> Path:
    """The replaying program, built."""
    target = f"../build/native/bench/{PROGRAM.name}"
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    with PROGRAM.with_suffix(".lock").open("w") as lock:  # tests of two processes may want it at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            ["make", "-s", "-C", str(ROOT / "native"), target], capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    return PROGRAM


@dataclass(frozen=True, slots=True)
class Sent:
    """A packet of a recording."""

    at_us: int
    encoding: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that came out. `elements` are the header extensions by id."""

    at_us: int
    marker: bool
    seq: int
    ts: int
    payload: bytes
    elements: dict[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the peer has, in the order of its numbers, and the program's counts."""

    packets: list[Packet]
    counts: dict[str, int]


def parse(at_us: int, data: bytes) -> Packet:
    """An RTP packet without CSRCs."""
    first, second, seq, ts = struct.unpack_from("!BBHI", data)
    at, elements = 12 + 4 * (first & 15), {}
    if first & 0x10:
        profile, words = struct.unpack_from("!HH", data, at)
        block, at = data[at + 4 : at + 4 + 4 * words], at + 4 + 4 * words
        while block:
            if block[0] == 0:
                block = block[1:]
                continue
            number, size, skip = (block[0] >> 4, (block[0] & 15) + 1, 1) if profile == 0xBEDE else (*block[:2], 2)
            elements[number] = block[skip : skip + size]
            block = block[skip + size :]
    return Packet(at_us, bool(second & 0x80), seq, ts, data[at:], elements)


def rtp(encoding: int, seq: int, ts: int, marker: bool, payload: bytes, descriptor: bytes = b"") -> bytes:
    """A packet as replay_layers.c takes it; `descriptor` under its id there."""
    block = b""
    if descriptor:
        block = bytes([5, len(descriptor)]) + descriptor
        block += bytes(-len(block) % 4)
        block = struct.pack("!HH", 0x1000, len(block) // 4) + block
    head = struct.pack(
        "!BBHII", 0x90 if block else 0x80, PT | marker << 7, seq & 0xFFFF, ts & 0xFFFFFFFF, 1000 + 10 * encoding
    )
    return head + block + payload


def replay(
    codec: str,
    encodings: int,
    recording: list[Sent],
    wishes: list[tuple[int, tuple[int, int, int]]],
    *,
    loss_in: int = 0,
    loss_out: int = 0,
    seed: int = 1,
    has_rtx: bool = True,
) -> Replayed:
    """`wishes`: at what time (us) which encoding, spatial and temporal layer is wanted at most."""
    records = [(at_us, 1, 0, bytes(wish)) for at_us, wish in wishes]
    records += [(each.at_us, 0, each.encoding, each.data) for each in recording]
    records.sort(key=lambda record: record[0])
    what = b"".join(struct.pack("<QBBH", at, kind, e, len(data)) + data for at, kind, e, data in records)
    options = [codec, str(encodings), str(loss_in), str(loss_out), str(seed), "rtx" if has_rtx else "plain"]
    done = subprocess.run([program(), *options], input=what, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    packets, at = [], 0
    while at < len(done.stdout):
        at_us, size = struct.unpack_from("<QH", done.stdout, at)
        packets.append(parse(at_us, done.stdout[at + 10 : at + 10 + size]))
        at += 10 + size
    return Replayed(packets, json.loads(done.stderr.splitlines()[-1]))


# ---------------------------------------------------------------------------- codecs


def descriptor_size(codec: str, payload: bytes) -> int:
    """Of the payload descriptor of VP8 (RFC 7741, 4.2) or VP9 (RFC 9628, 4.2)."""
    flags, at = payload[0], 1
    if codec == "VP8":
        if not flags & 0x80:
            return 1
        more, at = payload[1], 2
        if more & 0x80:
            at += 2 if payload[at] & 0x80 else 1
        return at + bool(more & 0x40) + bool(more & 0x30)
    if flags & 0x80:
        at += 2 if payload[at] & 0x80 else 1
    if flags & 0x20:
        at += 1 if flags & 0x10 else 2
    if flags & 0x50 == 0x50:
        while payload[at] & 1:
            at += 1
        at += 1
    if flags & 0x02:
        structure = payload[at]
        at += 1 + (4 * (1 + (structure >> 5)) if structure & 0x10 else 0)
        if structure & 0x08:
            pictures, at = payload[at], at + 1
            for _ in range(pictures):
                at += 1 + (payload[at] >> 2 & 3)
    return at


def is_start(codec: str, payload: bytes) -> bool:
    """Does a frame (of VP9: a layer frame) begin with this packet?"""
    if codec == "VP8":
        return payload[0] & 0x17 == 0x10
    if codec == "VP9":
        return bool(payload[0] & 0x08)
    if codec == "AV1":
        return not payload[0] & 0x80
    return payload[0] & 31 != 28 or bool(payload[1] & 0x80)


def fragments(codec: str, frame: bytes, picture: int) -> Iterator[bytes]:
    """The payloads of a frame of one layer."""
    if codec == "H264":
        units = [each for each in frame.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if each]
        small = [each for each in units if each[0] & 31 in {7, 8}]
        if len(small) > 1:  # parameter sets in one packet (STAP-A), as browsers send them
            yield bytes([0x78]) + b"".join(struct.pack("!H", len(each)) + each for each in small)
            units = units[len(small) :]
        for unit in units:
            if len(unit) <= MTU:
                yield unit
                continue
            pieces = [unit[at : at + MTU] for at in range(1, len(unit), MTU)]
            for i, piece in enumerate(pieces):
                yield bytes([unit[0] & 0xE0 | 28, (i == 0) << 7 | (i == len(pieces) - 1) << 6 | unit[0] & 31]) + piece
        return
    pieces = [frame[at : at + MTU] for at in range(0, len(frame), MTU)]
    number = struct.pack("!H", 0x8000 | picture & 0x7FFF)
    for i, piece in enumerate(pieces):
        if codec == "VP8":
            yield bytes([0x80 | (i == 0) << 4, 0xC0]) + number + bytes([picture & 0xFF]) + piece
        else:
            is_predicted = bool(frame[0] & 0x04)
            flags = 0x80 | is_predicted << 6 | (i == 0) << 3 | (i == len(pieces) - 1) << 2
            yield bytes([flags]) + number + piece


def picture_id(codec: str, payload: bytes) -> int:
    """The 15-bit picture id of VP8 or VP9."""
    at = 2 if codec == "VP8" else 1
    return int.from_bytes(payload[at : at + 2], "big") & 0x7FFF


def places(codec: str, payload: bytes) -> tuple[int, int]:
    """Where picture id (of 15 bits) and TL0PICIDX stand in a payload; 0: it has none."""
    if codec == "VP8":
        if not payload[0] & 0x80:
            return 0, 0
        picture = 2 if payload[1] & 0x80 else 0
        assert not picture or payload[2] & 0x80
        at = 4 if picture else 2
        return picture, at if payload[1] & 0x40 else 0
    if codec == "VP9":
        picture = 1 if payload[0] & 0x80 else 0
        assert not picture or payload[1] & 0x80
        at = 3 if picture else 1
        return picture, at + 1 if payload[0] & 0x20 and not payload[0] & 0x10 else 0
    return 0, 0


def assembled(codec: str, payloads: Iterable[bytes]) -> bytes:
    """What a decoder takes, from a picture's payloads."""
    if codec in {"VP8", "VP9"}:
        return b"".join(payload[descriptor_size(codec, payload) :] for payload in payloads)
    if codec == "AV1":
        return _assembled_av1(payloads)
    out = b""
    for payload in payloads:
        if payload[0] & 31 == 28:
            head = bytes([payload[0] & 0xE0 | payload[1] & 31])
            out += (b"\0\0\0\1" + head if payload[1] & 0x80 else b"") + payload[2:]
        elif payload[0] & 31 == 24:
            at = 1
            while at < len(payload):
                size = int.from_bytes(payload[at : at + 2], "big")
                out += b"\0\0\0\1" + payload[at + 2 : at + 2 + size]
                at += 2 + size
        else:
            out += b"\0\0\0\1" + payload
    return out


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


def _put_leb128(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def _assembled_av1(payloads: Iterable[bytes]) -> bytes:
    """A temporal unit with sizes in its OBUs (AV1 RTP specification, 4.4 and 5)."""
    units: list[bytes] = []
    for payload in payloads:
        head, at, count = payload[0], 1, payload[0] >> 4 & 3
        i, is_open = 0, bool(head & 0x80)
        while at < len(payload):
            i += 1
            size, at = (len(payload) - at, at) if count and i == count else _leb128(payload, at)
            piece, at = payload[at : at + size], at + size
            if is_open and units:
                units[-1] += piece
            else:
                units.append(piece)
            is_open = False
    out = b"\x12\0"  # a temporal delimiter
    for unit in units:
        size = 2 if unit[0] & 4 else 1
        out += bytes([unit[0] | 2]) + unit[1:size] + _put_leb128(len(unit) - size) + unit[size:]
    return out


class Decoder:
    """
    PyAV's; an error is an exception. Of VP8 libvpx, not FFmpeg's own: that makes other samples of some frames of the
    lowest temporal layer by whether upper ones were decoded in between, which nothing refers to.
    """

    NAMES: ClassVar = {"VP8": "libvpx", "VP9": "libvpx-vp9", "H264": "h264", "AV1": "libdav1d"}

    def __init__(self, codec: str) -> None:
        options = {"err_detect": "explode"} | ({"max_frame_delay": "1"} if codec == "AV1" else {})
        self._context: Any = av.CodecContext.create(self.NAMES[codec], "r")
        self._context.options = options
        self._context.thread_count = 1
        self._context.flags |= 0x80000  # low delay

    def decode(self, picture: bytes | None) -> list[Any]:
        """The pictures that come of one, each as (width, height, digest); None: what was kept back."""
        return [each for each, _ in self.decode_at(picture, 0)]

    def sizes(self, picture: bytes) -> list[tuple[int, int]]:
        """The size of each picture that comes of one."""
        return [(each.width, each.height) for each in self._context.decode(av.Packet(picture))]

    def decode_at(self, picture: bytes | None, pts: int) -> list[Any]:
        """The same, each with the `pts` that it was given with."""
        packet = av.Packet(picture) if picture is not None else None
        if packet is not None:
            packet.pts = pts
        return [((each.width, each.height, digest(each)), each.pts) for each in self._context.decode(packet)]


def digest(frame: Any) -> str:
    """Of all samples."""
    return hashlib.sha1(frame.to_ndarray(format="yuv420p").tobytes()).hexdigest()


def pictures(packets: list[Packet]) -> list[list[Packet]]:
    """Packets with payloads, by their time."""
    return [list(each) for _, each in groupby((p for p in packets if p.payload), key=lambda p: p.ts)]
