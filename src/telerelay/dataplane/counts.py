"""
What a worker counts of every stream, as small rows: for whoever looks at all calls every second or few.

Hundreds of rows are read at once, so they are plain tuples, unpacked straight from the record.
"""

import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, cast

from telerelay._native import ffi, lib

_ROW = struct.Struct("=9I4B")
assert _ROW.size == ffi.sizeof("tr_count")

WRAP = 1 << 32
"""Counters are told modulo this."""


class Count(NamedTuple):
    """
    A `tr_count`: one receiver (its best active encoding) or one sender. Counters run on, modulo WRAP; `lost` is what
    never arrived, of a sender what its peer last reported; `fraction_lost` is that of its latest report, 0-255. A peer
    that asks for what it misses tells more: `asked` counts such packets, each once, and `gaps` the runs they came in.
    """

    id: int
    packets: int
    bytes: int
    lost: int
    resent: int
    gaps: int
    asked: int
    jitter_us: int
    rtt_us: int
    is_sender: int
    encoding: int
    fraction_lost: int
    is_active: int


_count = cast(Callable[[tuple[int, ...]], Count], partial(tuple.__new__, Count))


def packed(count: Count) -> bytes:
    """As it came, 73 bytes of memory: a tuple and the numbers in it have 400."""
    return _ROW.pack(*count)


def unpacked(row: bytes) -> Count:
    """What `packed` was given."""
    return _count(_ROW.unpack(row))


class CountsPage(NamedTuple):
    """Where the next page begins (0: there is none), and the packed rows of this one."""

    next: int
    packed: bytes

    def rows(self) -> Iterator[Count]:
        # Not Count._make, which counts members that the format has counted: it takes three times as long.
        return map(_count, _ROW.iter_unpack(self.packed))


_RATE = struct.Struct("=I4B2I")
assert _RATE.size == ffi.sizeof("tr_rate")


class Rate(NamedTuple):
    """
    A `tr_rate`: what one layer of one receiver takes now, bit/s on the wire, with all it needs below it: the mean of
    the last second, and what it stays within but for rare peaks. `loudness` is of sound, 0 to 127.
    """

    receiver: int
    encoding: int
    spatial: int
    temporal: int
    loudness: int
    rate_bps: int
    peak_bps: int


_rate = cast(Callable[[tuple[int, ...]], Rate], partial(tuple.__new__, Rate))


class RatesPage(NamedTuple):
    """As CountsPage."""

    next: int
    packed: bytes

    def rows(self) -> Iterator[Rate]:
        return map(_rate, _RATE.iter_unpack(self.packed))


_SEEN = struct.Struct("=7IH4B2x")
assert _SEEN.size == ffi.sizeof("tr_seen")

KEYFRAMES_UNTOLD: int = lib.TR_KEYFRAMES_UNTOLD
"""In `keyframes_told`: nobody knows what is a keyframe."""
KEYFRAMES_BY_LOOKS: int = lib.TR_KEYFRAMES_BY_LOOKS
"""In `keyframes_told`: by headers that what is encrypted may look like."""


class Seen(NamedTuple):
    """
    A `tr_seen`: what one sender's peer was sent of its track. Counters run on, modulo WRAP, whatever the sender is
    bound to, and nothing that left a second time counts in them. `frames`: pictures of which every packet left,
    `keyed_frames` those of them that are a keyframe or have one before them that left whole. `height`: pixels on the
    shorter side of what is forwarded now, 0 where that is not known. `fraction_lost`: of the latest of the peer's
    `reports`, 0-255.
    """

    sender: int
    receiver: int
    packets: int
    frames: int
    keyed_frames: int
    keyframes: int
    reports: int
    height: int
    fraction_lost: int
    keyframes_told: int
    is_forwarding: int
    is_video: int


_seen = cast(Callable[[tuple[int, ...]], Seen], partial(tuple.__new__, Seen))


class SeenPage(NamedTuple):
    """As CountsPage."""

    next: int
    packed: bytes

    def rows(self) -> Iterator[Seen]:
        return map(_seen, _SEEN.iter_unpack(self.packed))


def seen_page(raw: Any) -> SeenPage:
    """From a `tr_seen_page *`."""
    return SeenPage(int(raw.next), bytes(ffi.buffer(raw.rows)[: raw.count * _SEEN.size]))


def rates_page(raw: Any) -> RatesPage:
    """From a `tr_rate_page *`."""
    return RatesPage(int(raw.next), bytes(ffi.buffer(raw.rows)[: raw.count * _RATE.size]))


def counts_page(raw: Any) -> CountsPage:
    """From a `tr_counts *`."""
    return CountsPage(int(raw.next), bytes(ffi.buffer(raw.rows)[: raw.count * _ROW.size]))
