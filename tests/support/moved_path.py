"""
An aiortc connection that goes on from another address: as after a NAT forgot it, or after an ICE restart.

aiortc can do neither by itself. Here its DTLS, SRTP and media stay what they were, and a socket of ours with checks of
our own takes the place of its ICE. Event loop of the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from aioice import stun
from aioice.candidate import candidate_priority

CHECK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Credentials:
    ufrag: str
    pwd: str

    @classmethod
    def of(cls, sdp: str) -> Credentials:
        """Those of a description's first section."""
        found = [re.search(rf"^a=ice-{name}:(\S+)", sdp, re.MULTILINE) for name in ("ufrag", "pwd")]
        return cls(*(match[1] for match in found if match))

    def put_into(self, sdp: str) -> str:
        """The description with these instead."""
        sdp = re.sub(r"^(a=ice-ufrag:)\S+", rf"\g<1>{self.ufrag}", sdp, flags=re.MULTILINE)
        return re.sub(r"^(a=ice-pwd:)\S+", rf"\g<1>{self.pwd}", sdp, flags=re.MULTILINE)


class MovedPath(asyncio.DatagramProtocol):
    """
    One socket to the relay, connected: what comes from another address than the one it sends to is never seen. `media`
    and `dtls` are when datagrams of either came, in monotonic seconds.
    """

    def __init__(self, pc: Any) -> None:
        transceiver = pc.getTransceivers()[0]
        self.connection = transceiver.receiver.transport.transport._connection
        self._pair = next(iter(self.connection._nominated.values()))
        self.relay = self._pair.remote_addr
        self.local = Credentials(self.connection.local_username, self.connection.local_password)
        self.remote = Credentials(self.connection.remote_username, self.connection.remote_password)
        self.media: list[float] = []
        self.dtls: list[float] = []
        self.first_check_at = 0.0
        self._socket: Any = None
        self._answers: dict[bytes, asyncio.Future[None]] = {}

    async def open(self, address: str) -> None:
        loop = asyncio.get_running_loop()
        self._socket, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=(address, 0), remote_addr=self.relay
        )

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    async def silence_old_path(self) -> None:
        """The peer's own ICE sends no check any more; what comes to its socket is still taken."""
        task = self.connection._query_consent_task
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def use(self) -> None:
        """Send by this socket from now on."""
        self.connection._nominated[1] = SimpleNamespace(protocol=self, remote_addr=self.relay)

    async def check(self, *, nominates: bool) -> None:
        """Checks every 50 ms (RFC 8445, 7.2.4) until one is answered."""
        self.first_check_at = time.monotonic()
        while True:
            request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
            request.attributes["USERNAME"] = f"{self.remote.ufrag}:{self.local.ufrag}"
            request.attributes["PRIORITY"] = candidate_priority(1, "prflx")
            request.attributes["ICE-CONTROLLING"] = self.connection._tie_breaker
            if nominates:
                request.attributes["USE-CANDIDATE"] = None
            request.add_message_integrity(self.remote.pwd.encode())
            self._answers[request.transaction_id] = asyncio.get_running_loop().create_future()
            self._socket.sendto(bytes(request), self.relay)
            await asyncio.wait(self._answers.values(), timeout=CHECK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
            if any(each.done() for each in self._answers.values()):
                return

    async def send_data(self, data: bytes, _address: tuple[str, int]) -> None:
        self._socket.sendto(data, self.relay)

    def datagram_received(self, data: bytes, _address: Any) -> None:
        if data[0] < 4:
            answer = stun.parse_message(data)
            waiting = self._answers.get(answer.transaction_id)
            if answer.message_class is stun.Class.RESPONSE and waiting is not None and not waiting.done():
                waiting.set_result(None)
            return
        (self.media if data[0] >= 128 else self.dtls).append(time.monotonic())
        self.connection.data_received(data, 1)
