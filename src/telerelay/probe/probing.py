"""
The probing end, in Python: reaches the relay, holds a test call with itself, measures rates, and looks at devices.

Event loop of the command. Ends within `LIMIT_S` whatever happens: what was not found by then is not found. The page
does the same (web/probing.js); docs/signaling.md has what is said.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import json
import socket
import ssl
import statistics
import time
from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp

from telerelay.errors import LocalProtocolError, RemoteProtocolError
from telerelay.probe import devices
from telerelay.probe.judging import Found
from telerelay.probe.rates import Rate

if TYPE_CHECKING:
    from telerelay.probe.call import TestCall

LIMIT_S = 13.0
"""Fifteen are promised: two are left for the start of the program, and for saying it."""
CONNECT_S = 4.0
UDP_S = 4.0
"""ICE asks again and again meanwhile; a line of 200 ms with 5 % loss needs under two."""
LATE_S = 3.0
"""So much longer where UDP does pass, and what is said over it was lost (DTLS asks again after 1, 2 and 4 s)."""
CALL_S = 3.0
"""150 packets: one lost is 0.7 %."""
LOOK_S = 0.6
"""Between two looks at what has come so far: it is known though the time is up before the call's end."""
RATE_S = 1.8
PINGS = 5
HANG_UP = aiohttp.ClientWSTimeout(ws_close=0.1)
"""The relay's goodbye comes behind all that it has sent."""
UP_BLOCK = bytes(16384)
MAX_UP_BYTES = 8 << 20


class Prober:
    """`await Prober(url).run()` gives what was found, and never fails for what it finds."""

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        camera: str = devices.AUTO,
        microphone: str = devices.AUTO,
        limit_s: float = LIMIT_S,
    ) -> None:
        """Raises LocalProtocolError bad_url."""
        parts = urlsplit(url if "//" in url else f"https://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise LocalProtocolError("bad_url", "the address must be like https://relay.example")
        self.host = parts.hostname
        try:
            self.port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            raise LocalProtocolError("bad_url", "the address has no such port") from None
        self._address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}/probe"
        self._token = token
        self._camera, self._microphone = camera, microphone
        self._limit_s = limit_s
        self.found = Found(port=self.port, is_443_needed=self.port == 443)

    async def run(self) -> Found:
        """Everything beside each other that does not get into each other's way."""
        tasks = [asyncio.ensure_future(each) for each in (self._line(), self._port_443(), self._look(), self._listen())]
        await asyncio.wait(tasks, timeout=self._limit_s)
        for task in tasks:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error
        return self.found

    def _note(self, **what: Any) -> None:
        self.found = replace(self.found, **what)

    # ---------------------------------------------------------------- devices

    async def _look(self) -> None:
        seen = await _in_thread(devices.look, self._camera)
        self._note(camera=seen.code, width=seen.width, height=seen.height)

    async def _listen(self) -> None:
        self._note(microphone=(await _in_thread(devices.listen, self._microphone)).code)

    # ---------------------------------------------------------------- the line

    async def _port_443(self) -> None:
        """A plain TCP connection, closed at once."""
        try:
            async with asyncio.timeout(CONNECT_S):
                _, writer = await asyncio.open_connection(self.host, 443)
        except (OSError, TimeoutError) as error:
            self._note(tcp_443=line_code(error))
        else:
            writer.close()
            self._note(tcp_443="ok")

    async def _line(self) -> None:
        http = aiohttp.ClientSession()
        try:
            async with asyncio.timeout(CONNECT_S):
                ws = await http.ws_connect(self._address, compress=0, timeout=HANG_UP)
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            self._note(tcp=line_code(error), udp="not_tried")
            await http.close()
            return
        talk = _Talk(ws)
        try:
            await talk.ask("begin", **({"token": self._token} if self._token else {}))
            self._note(tcp="ok")
        except RemoteProtocolError:
            self._note(tcp="not_allowed", udp="not_tried")
        except (ConnectionError, ValueError):
            self._note(tcp="not_a_relay", udp="not_tried")
        else:
            with contextlib.suppress(ConnectionError):  # what was found until then is found
                await self._pings(talk)
                await self._call(talk)
                await self._up(talk)
                await self._down(talk)
        finally:
            await ws.close()
            await http.close()

    async def _pings(self, talk: _Talk) -> None:
        took = []
        for _ in range(PINGS):
            began = time.monotonic()
            await talk.ask("ping")
            took.append(time.monotonic() - began)
        self._note(delay_ms=statistics.median(took) * 1000)

    async def _call(self, talk: _Talk) -> None:
        """A sound to the relay and back, over UDP: whether it passes, and what becomes of it."""
        from telerelay.probe.call import TestCall  # media takes half a second to import

        call = TestCall(self._address)
        try:
            try:
                await call.begin(lambda kind, sdp: talk.ask(kind, sdp=sdp))
            except RemoteProtocolError:
                self._note(udp="no_room")
                return
            if not await _is_within(call.connected(), UDP_S):
                self._note(udp="ok" if call.is_answered else "no_answer")
                if not call.is_answered or not await _is_within(call.connected(), LATE_S):
                    return
            self._note(udp="ok")
            ends_at = time.monotonic() + CALL_S
            while time.monotonic() < ends_at:
                await asyncio.sleep(LOOK_S)
                await self._look_at(call, talk)
        finally:
            await call.close()

    async def _look_at(self, call: TestCall, talk: _Talk) -> None:
        came = await talk.ask("stats")
        down = call.came()
        if came["rx_packets"]:
            lost = came["lost_packets"]
            self._note(lost_up=lost / (lost + came["rx_packets"]), jitter_up_ms=came["jitter_us"] / 1000)
        if down is not None:
            self._note(lost_down=down.lost, jitter_down_ms=down.jitter_ms)

    async def _up(self, talk: _Talk) -> None:
        """As the relay counts it: the buffers here take more than the line has carried."""
        sending = asyncio.ensure_future(self._send_up(talk))
        try:
            answer = await talk.ask("up", seconds=RATE_S)
        finally:
            sending.cancel()
        self._note(up_bps=answer["bps"])

    async def _send_up(self, talk: _Talk) -> None:
        for _ in range(MAX_UP_BYTES // len(UP_BLOCK)):
            await talk.send(UP_BLOCK)
            await asyncio.sleep(0)

    async def _down(self, talk: _Talk) -> None:
        """The last one: whatever is still on its way then is not waited for."""
        talk.arriving = Rate(time.monotonic())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RATE_S):
                await talk.ask("down", seconds=RATE_S)
        self._note(down_bps=talk.arriving.bps)


class _Talk:
    """Requests by number over one WebSocket; binary messages between them are counted."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self._numbers = itertools.count(1)
        self.arriving = Rate(0.0)

    async def send(self, data: bytes) -> None:
        await self._ws.send_bytes(data)

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The reply's body. Raises RemoteProtocolError with the relay's code, ConnectionError once it is closed."""
        number = next(self._numbers)
        await self._ws.send_str(json.dumps({"id": number, "type": kind, **fields}))
        while True:
            message = await self._ws.receive()
            match message.type:
                case aiohttp.WSMsgType.BINARY:
                    self.arriving.add(time.monotonic(), len(message.data))
                case aiohttp.WSMsgType.TEXT:
                    reply = json.loads(message.data)
                    if reply["type"] == "error":
                        raise RemoteProtocolError(reply["code"], reply["message"])
                    if reply.get("id") != number:
                        continue
                    return dict(reply)
                case _:
                    raise ConnectionResetError("the relay closed the probe")


async def _is_within(what: Awaitable[None], seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await what
    except TimeoutError:
        return False
    return True


def line_code(error: BaseException) -> str:
    """One of judging.LINE_CODES."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError | ssl.CertificateError):
            return "tls"
        if isinstance(cause, socket.gaierror):
            return "no_name"
        if isinstance(cause, TimeoutError):
            return "no_answer"
        if isinstance(cause, OSError):
            number = cause.errno
            if number in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EPERM, errno.EACCES):
                return "no_route"
            if number == errno.ECONNREFUSED:
                return "refused"
            if number == errno.ETIMEDOUT:
                return "no_answer"
        cause = cause.__cause__ or getattr(cause, "os_error", None)
    if isinstance(error, aiohttp.ClientConnectorError | OSError):
        return "refused"
    return "not_a_relay"


async def _in_thread(look: Any, what: str) -> devices.Seen:
    """A driver that hangs must not hold up the command: its thread is nobody's to wait for."""
    import threading

    loop = asyncio.get_running_loop()
    done: asyncio.Future[devices.Seen] = loop.create_future()

    def finish(seen: devices.Seen) -> None:
        if not done.done():
            done.set_result(seen)

    def work() -> None:
        seen = look(what)
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(finish, seen)

    threading.Thread(target=work, daemon=True, name="device").start()
    return await done
