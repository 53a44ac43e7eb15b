"""
How fast a document may come and go beside a call of the same person: a voice must not wait behind a file.

`Pace` is pure, its time an argument. The two functions below it touch the connection, on the event loop's thread. What
comes is held back by reading no faster, with a receive buffer so small that the sender has little under way: what it
cannot send does not stand in the queue of its line. What goes is spread by the kernel (SO_MAX_PACING_RATE). Where a
proxy ends the connection it is the proxy that is held back, and has to be told by itself to hold nothing.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from aiohttp import web

# A window of so much lets a client send 1.3 Mbit/s over 100 ms, and is 64 ms of a line of 2 Mbit/s.
RECEIVE_BYTES = 16384
SEND_BYTES = 32768
# Of Linux (asm-generic/socket.h); the module socket has no name for it.
SO_MAX_PACING_RATE = 47
UNPACED = -1  # what the kernel takes for no bound


class Pace:
    """So many bits a second on average, and no more than what one wait makes good at once."""

    def __init__(self, bps: float, now: float) -> None:
        self._bps = bps
        self._free_at = now

    def delay_s(self, now: float, size_bytes: int) -> float:
        """How long to wait after so many bytes, seconds."""
        self._free_at = max(self._free_at, now) + size_bytes * 8 / self._bps
        return self._free_at - now


async def received(request: web.Request, bps: float) -> AsyncIterator[bytes]:
    """The body of a request, no faster than that."""
    transport = request.transport
    loop = asyncio.get_running_loop()
    pace = Pace(bps, loop.time())
    _set(transport, socket.SO_RCVBUF, RECEIVE_BYTES)
    while True:
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


def spread(request: web.Request, bps: float) -> None:
    """What is sent on this connection from now on leaves no faster than that; 0: as fast as it can."""
    _set(request.transport, SO_MAX_PACING_RATE, int(bps / 8) if bps else UNPACED)
    if bps:
        _set(request.transport, socket.SO_SNDBUF, SEND_BYTES)


def _set(transport: asyncio.BaseTransport | None, option: int, value: int) -> None:
    found = transport.get_extra_info("socket") if transport is not None else None
    if found is not None:
        with contextlib.suppress(OSError):  # another system has no such option
            found.setsockopt(socket.SOL_SOCKET, option, value)
