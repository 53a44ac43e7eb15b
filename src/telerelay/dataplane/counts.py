"""
What a worker counts of every stream, as small rows: for whoever looks at all calls every few seconds.

Hundreds of rows are read at once, so they are plain tuples, unpacked straight from the record.
"""

import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, cast

from telerelay._native import ffi

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


def rates_page(raw: Any) -> RatesPage:
    """From a `tr_rate_page *`."""
    return RatesPage(int(raw.next), bytes(ffi.buffer(raw.rows)[: raw.count * _RATE.size]))


def counts_page(raw: Any) -> CountsPage:
    """From a `tr_counts *`."""
    return CountsPage(int(raw.next), bytes(ffi.buffer(raw.rows)[: raw.count * _ROW.size]))
