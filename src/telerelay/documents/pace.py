"""
How fast a document may come and go beside a call of the same person: a voice must not wait behind a file.

`Pace` is pure, its time an argument. What is below it touches the connection, on the event loop's thread. What comes
is held back by reading no faster, with a receive buffer that holds no more than the pace needs over that round trip:
what a sender may not send does not stand in the queue of its line. What goes is spread by the kernel
(SO_MAX_PACING_RATE). Either gives way where the round trip shows that a queue stands. Where a proxy ends the connection
it is the proxy that is held back, and has to be told by itself to hold nothing.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

SEGMENT_BYTES = 1448
# Less than two segments under way is a wait for each of them.
LEAST_WINDOW_BYTES = 2 * SEGMENT_BYTES
MOST_WINDOW_BYTES = 65536
# Nearer than that there is no line that a voice shares, but a machine's or a house's own net, whose segments are large.
NEAR_S = 0.005
NEAR_BYTES = 16384
# What a voice may wait behind others and still be one to talk with; a segment alone takes 45 ms of 256 kbit/s. Between
# the two a file goes on as it does.
EMPTY_S, STANDING_S = 0.03, 0.06
# What a line is tried with, and what is left to a file whatever the line does: it is to come to an end.
FIRST_BPS, LEAST_BPS = 100_000.0, 50_000.0
LESS, MORE = 0.7, 1.05
# Each second segment is acknowledged at once, one alone after so long at the most (RFC 5681, 4.2; Linux has 200 ms).
HELD_MOST_S = 0.2
ADJUST_EVERY_S = 0.1
# Of Linux (asm-generic/socket.h); the module socket has no name for them.
SO_MAX_PACING_RATE = 47
SO_BUF_LOCK = 72
# What the next request on the same connection begins with, until the kernel has found what it needs.
GIVEN_BACK_BYTES = 131072
UNPACED = -1  # what the kernel takes for no bound
# struct tcp_info (linux/tcp.h): where tcpi_rtt, tcpi_rcv_rtt and tcpi_min_rtt are, each 32 bits of microseconds.
INFO_BYTES, RTT_AT, RECEIVE_RTT_AT, LEAST_RTT_AT = 152, 68, 92, 148
# And where tcpi_options is, whose lowest bit says that there are timestamps: without them tcpi_rcv_rtt is how long a
# window takes to come, which is the pace's own doing.
OPTIONS_AT, TIMESTAMPS = 5, 1


@dataclass(frozen=True, slots=True)
class Trip:
    """Round trips of one connection, seconds; 0: unknown. `least_s` is that of a line on which nothing waits."""

    rtt_s: float
    least_s: float


class Pace:
    """
    So many bits a second on average at most, and no more than what one wait makes good at once. It begins with fewer,
    and goes up and down with what the round trip says of the line's queue.
    """

    def __init__(self, most_bps: float, now: float, *, is_sender: bool = False) -> None:
        self._most_bps = most_bps
        self._is_sender = is_sender
        self.bps = min(FIRST_BPS, most_bps)
        """What it is now, bit/s."""
        self._free_at = now
        self._heard_at = now
        self._has_heard = False
        self._least_s = 0.0

    def delay_s(self, now: float, size_bytes: int) -> float:
        """How long to wait after so many bytes, seconds."""
        self._free_at = max(self._free_at, now) + size_bytes * 8 / self.bps
        return self._free_at - now

    def hear(self, now: float, trip: Trip) -> None:
        """What the connection's round trips are: looked at once in each of them."""
        known = [each for each in (trip.rtt_s, trip.least_s, self._least_s) if each]
        self._least_s = min(known, default=0.0)
        if self._has_heard and now < self._heard_at + max(trip.rtt_s, ADJUST_EVERY_S):
            return
        self._has_heard = True
        self._heard_at = now
        if self._least_s < NEAR_S:  # nor is there a line to be tried, or nobody knows it
            self.bps = self._most_bps
            return
        # What is sent one by one is acknowledged with the next: that wait is the pace's own doing, and no queue.
        held_s = min(HELD_MOST_S, SEGMENT_BYTES * 8 / self.bps) if self._is_sender else 0.0
        stands_s = trip.rtt_s - self._least_s - held_s
        if stands_s > STANDING_S:
            self.bps = max(min(LEAST_BPS, self._most_bps), LESS * self.bps)
        elif stands_s < EMPTY_S:
            self.bps = min(self._most_bps, MORE * self.bps)

    @property
    def window_bytes(self) -> int:
        """How much may be under way: what this pace has there on an empty line, and one segment that is waited for."""
        if self._least_s < NEAR_S:
            return NEAR_BYTES
        wanted = int(self.bps / 8 * self._least_s) + SEGMENT_BYTES
        return min(MOST_WINDOW_BYTES, max(LEAST_WINDOW_BYTES, wanted))


async def received(request: web.Request, bps: float) -> AsyncIterator[bytes]:
    """The body of a request, no faster than that."""
    transport = request.transport
    loop = asyncio.get_running_loop()
    pace = Pace(bps, loop.time())
    try:
        while True:
            pace.hear(loop.time(), _trip(transport, RECEIVE_RTT_AT))
            _set(transport, socket.SO_RCVBUF, pace.window_bytes)
            if transport is not None and not transport.is_closing():
                with contextlib.suppress(RuntimeError):
                    transport.resume_reading()
            piece = await request.content.readany()
            if not piece:
                return
            if transport is not None and not request.content.is_eof():
                with contextlib.suppress(RuntimeError):
                    transport.pause_reading()
            try:
                yield piece
                await asyncio.sleep(pace.delay_s(loop.time(), len(piece)))
            finally:
                if transport is not None and not transport.is_closing():
                    with contextlib.suppress(RuntimeError):
                        transport.resume_reading()
    finally:
        _give_back(transport, socket.SO_RCVBUF)


@contextlib.asynccontextmanager
async def spread(request: web.Request, bps: float) -> AsyncIterator[None]:
    """What is sent on this connection meanwhile leaves no faster than that; 0: as fast as it can."""
    if not bps:
        yield
        return
    adjusting = asyncio.create_task(_adjust(request.transport, bps))
    try:
        yield
        await _left(request.transport)
    finally:
        adjusting.cancel()
        _set(request.transport, SO_MAX_PACING_RATE, UNPACED)
        _give_back(request.transport, socket.SO_SNDBUF)


async def _left(transport: asyncio.Transport | None) -> None:
    """What was written has gone as far as the kernel."""
    # A transport tells nobody when its buffer is empty.
    while transport is not None and not transport.is_closing() and transport.get_write_buffer_size():  # noqa: ASYNC110
        await asyncio.sleep(ADJUST_EVERY_S)


async def _adjust(transport: asyncio.BaseTransport | None, bps: float) -> None:
    now = asyncio.get_running_loop().time
    pace = Pace(bps, now(), is_sender=True)
    while True:
        pace.hear(now(), _trip(transport, RTT_AT))
        _set(transport, SO_MAX_PACING_RATE, int(pace.bps / 8))
        _set(transport, socket.SO_SNDBUF, pace.window_bytes)
        await asyncio.sleep(ADJUST_EVERY_S)


def _trip(transport: asyncio.BaseTransport | None, at: int) -> Trip:
    """As the kernel has them, the newest at that place of its table; another system has no such table."""
    found = transport.get_extra_info("socket") if transport is not None else None
    if found is None or not hasattr(socket, "TCP_INFO"):
        return Trip(0.0, 0.0)
    try:
        info = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, INFO_BYTES)
        rtt_us, least_us = (struct.unpack_from("=I", info, each)[0] for each in (at, LEAST_RTT_AT))
    except (OSError, struct.error):
        return Trip(0.0, 0.0)
    if at == RECEIVE_RTT_AT and not info[OPTIONS_AT] & TIMESTAMPS:
        rtt_us = 0
    # Of a connection that has no sample yet the least is all ones.
    return Trip(rtt_us / 1e6, least_us / 1e6 if least_us != 0xFFFFFFFF else 0.0)


def _give_back(transport: asyncio.BaseTransport | None, option: int) -> None:
    """A still that comes next on this connection is not held back: its buffer is the kernel's affair again."""
    _set(transport, option, GIVEN_BACK_BYTES)
    _set(transport, SO_BUF_LOCK, 0)


def _set(transport: asyncio.BaseTransport | None, option: int, value: int) -> None:
    found = transport.get_extra_info("socket") if transport is not None else None
    if found is not None:
        with contextlib.suppress(OSError):  # another system has no such option
            found.setsockopt(socket.SOL_SOCKET, option, value)
