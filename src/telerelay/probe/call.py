"""
A test call with oneself: a tone goes to the relay on one connection and comes back on another (aiortc).

Event loop of the command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from telerelay.client import Tone
from telerelay.client.ice import host_addresses, local_addresses
from telerelay.client.participant import new_peer_connection
from telerelay.client.tap import RtpPacket, Tap

Offer = Callable[[str, str], Awaitable[dict[str, Any]]]
"""("publish" or "receive", SDP) -> the reply with the answer's `sdp`."""

CLOCK_HZ = 48_000


@dataclass(frozen=True, slots=True)
class Came:
    """Of what came back: the share that did not, 0-1, and how unevenly the rest came, ms (RFC 3550, 6.4.1)."""

    lost: float
    jitter_ms: float


class Jitter:
    """RFC 3550, A.8: over packets with their RTP time and the time they came at, ms."""

    def __init__(self) -> None:
        self.ms = 0.0
        self._before: float | None = None

    def add(self, timestamp: int, at_ms: float) -> None:
        transit = at_ms - timestamp * 1000 / CLOCK_HZ
        if self._before is not None:
            self.ms += (abs(transit - self._before) - self.ms) / 16
        self._before = transit


class TestCall:
    """`begin`, `connected`, wait, `came`, `close`."""

    __test__ = False  # pytest would take it for one of its own

    def __init__(self, url: str) -> None:
        self._addresses = local_addresses(url)
        self._tap = Tap(self._on_packet)
        self._jitter = Jitter()
        self._has_come = asyncio.Event()
        self._tone = Tone()
        self._sending = new_peer_connection()
        self._receiving = new_peer_connection()
        self._draining: asyncio.Task[None] | None = None

    async def begin(self, offer: Offer) -> None:
        """Raises what `offer` raises."""
        self._sending.addTransceiver(self._tone, direction="sendonly")
        self._receiving.addTransceiver("audio", direction="recvonly")
        for pc, kind in ((self._sending, "publish"), (self._receiving, "receive")):
            with host_addresses(*self._addresses):
                await pc.setLocalDescription(await pc.createOffer())
            answer = (await offer(kind, pc.localDescription.sdp))["sdp"]
            if pc is self._receiving:
                self._tap.attach(pc.getTransceivers()[0].receiver.transport)
            await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        self._draining = asyncio.create_task(self._drain())

    async def connected(self) -> None:
        """Until something has come back: over UDP, through the relay. For ever, where nothing does."""
        await self._has_come.wait()

    @property
    def is_answered(self) -> bool:
        """The relay has answered over UDP, whatever has become of the media."""
        return any(pc.iceConnectionState in ("connected", "completed") for pc in (self._sending, self._receiving))

    def came(self) -> Came | None:
        """None: nothing."""
        received, lost = self._tap.received, self._tap.lost
        return Came(lost / (received + lost), self._jitter.ms) if received else None

    async def close(self) -> None:
        if self._draining is not None:
            self._draining.cancel()
        self._tone.stop()
        await asyncio.gather(*(_close(pc) for pc in (self._sending, self._receiving)))

    def _on_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        self._jitter.add(packet.timestamp, arrival_time_ms)
        self._has_come.set()

    async def _drain(self) -> None:
        track = self._receiving.getTransceivers()[0].receiver.track
        try:
            while True:
                await track.recv()
        except MediaStreamError:
            return


async def _close(pc: RTCPeerConnection) -> None:
    """aiortc waits for a peer that may be behind a wall."""
    try:
        async with asyncio.timeout(1.0):
            await pc.close()
    except TimeoutError:
        return
