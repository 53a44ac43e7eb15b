"""
A room's data channels in memory: the relay's halves, aiortc's peers, and lines between them that lose by a seed.

Time is the loop's own and passes only when nothing is left to do, so a minute of bad line takes as long as its
arithmetic and comes out the same each time.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, cast

from aiortc import rtcsctptransport as sctp
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters

from telerelay.connection import sending
from telerelay.connection.data import DataTransport
from telerelay.connection.sending import run_now
from telerelay.protocol.data import DataParameters
from telerelay.signaling import channels
from telerelay.signaling.channels import ChannelRelay
from telerelay.signaling.seat import ChannelRates, Seat


class _NoWait(selectors.DefaultSelector):
    """Where a loop would wait, its clock moves on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits for nothing")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _NoWait()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


class _Clock:
    """Stands for the module `time` where associations and rates read it."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.time = self.monotonic = loop.time


def run(story: Callable[[], Coroutine[Any, Any, None]], monkeypatch: Any) -> None:
    """Run a story in its own time."""
    loop = VirtualLoop()
    clock = _Clock(loop)
    for module in (sctp, sending, channels):
        monkeypatch.setattr(module, "time", clock)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(story())


@dataclass(frozen=True, slots=True)
class Bad:
    """One direction of a line. `queue_bytes`: what a router keeps before it drops."""

    loss: float = 0.0
    delay_s: float = 0.005
    rate_bps: float = 50e6
    queue_bytes: int = 256_000
    reorder: float = 0.0  # held back for 3 ms more
    duplicate: float = 0.0


class Way:
    """One direction, seeded. `is_cut` loses everything."""

    def __init__(self, bad: Bad, seed: int, far: Callable[[bytes], None]) -> None:
        self.bad, self.far = bad, far
        self.is_cut = False
        self.sent = self.lost = self.sent_bytes = 0
        self._random = random.Random(seed)
        self._free_at = 0.0

    def send(self, packet: bytes) -> None:
        loop, bad = asyncio.get_running_loop(), self.bad
        loss, late, twice = (self._random.random() for _ in range(3))
        self.sent += 1
        self.sent_bytes += len(packet)
        start = max(loop.time(), self._free_at)
        if self.is_cut or loss < bad.loss or (start - loop.time()) * bad.rate_bps / 8 > bad.queue_bytes:
            self.lost += 1
            return
        self._free_at = start + 8 * len(packet) / bad.rate_bps
        at = self._free_at + bad.delay_s + (0.003 if late < bad.reorder else 0.0)
        loop.call_at(at, self.far, packet)
        if twice < bad.duplicate:
            loop.call_at(at + 0.001, self.far, packet)


class PeerLine:
    """What aiortc sends its packets over."""

    state = "connected"
    _role = "client"

    def __init__(self) -> None:
        self.send: Callable[[bytes], None] = lambda packet: None

    def _register_data_receiver(self, receiver: object) -> None: ...
    def _unregister_data_receiver(self, receiver: object) -> None: ...

    async def _send_data(self, data: bytes) -> None:
        self.send(data)


class Peer:
    """A participant's browser: aiortc's association as it is. What arrives is kept while `is_reading`."""

    def __init__(self, room: Room, who: str, bad: Bad, seed: int) -> None:
        self.who = who
        self.heard: dict[str, list[bytes]] = {}
        self.opened: dict[str, list[RTCDataChannel]] = {}
        self.line = PeerLine()
        self.association = sctp.RTCSctpTransport(self.line)  # type: ignore[arg-type,unused-ignore]
        self.association.on("datachannel", self._on_channel)
        self.data = DataTransport(lambda packet: self.down.send(packet), room.relay.listener(lambda: who))
        self.up = Way(bad, seed, lambda packet: self.data.feed(packet))
        self.down = Way(bad, seed + 1, lambda packet: run_now(self.association._handle_data(packet)))
        self.line.send = self.up.send

    async def start(self, *, is_dtls_client: bool = True) -> None:
        """Who is the DTLS client begins with SCTP, too."""
        self.line._role = "client" if is_dtls_client else "server"
        self.data.describe(DataParameters("0", 5000, 0), is_dtls_client=not is_dtls_client)
        self.data.start()
        await self.association.start(sctp.RTCSctpCapabilities(0), 5000)
        await until(lambda: self.data.is_up and self.association.state == "connected")

    async def open(self, label: str, **options: Any) -> RTCDataChannel:
        """Open an own channel."""
        channel = self.begin(label, **options)
        await until(lambda: channel.readyState == "open")
        return channel

    def begin(self, label: str, **options: Any) -> RTCDataChannel:
        channel = RTCDataChannel(self.association, RTCDataChannelParameters(label=label, **options))
        self._listen(channel)
        return channel

    async def given(self, label: str) -> RTCDataChannel:
        """The channel that the relay opened."""
        await until(lambda: label in self.opened)
        return self.opened[label][0]

    def _on_channel(self, channel: RTCDataChannel) -> None:
        self.opened.setdefault(channel.label, []).append(channel)
        self._listen(channel)

    def _listen(self, channel: RTCDataChannel) -> None:
        channel.on("message", self.heard.setdefault(channel.label, []).append)


class Room:
    """Seats are as much of a Seat as the relay of channels looks at."""

    def __init__(self) -> None:
        self.seats: dict[str, Any] = {}
        self.peers: dict[str, Peer] = {}
        self.told: list[tuple[str, str, str]] = []
        self.relay = ChannelRelay(cast(dict[str, Seat], self.seats))

    async def join(self, who: str, bad: Bad, seed: int) -> Peer:
        peer = self.make(who, bad, seed)
        await self.seat(peer)
        return peer

    def make(self, who: str, bad: Bad, seed: int) -> Peer:
        """Somebody who is not there yet."""
        self.peers[who] = Peer(self, who, bad, seed)
        return self.peers[who]

    async def seat(self, peer: Peer, *, is_dtls_client: bool = True) -> None:
        who = peer.who
        holder = type("Holder", (), {"transport": type("Transport", (), {"data": peer.data})})
        self.seats[who] = type(
            "SeatOf",
            (),
            {
                "participant": type("Participant", (), {"is_admitted": True, "role": "patient"}),
                "publishing": holder,
                "subscribing": None,
                "resources": {},
                "channel_rates": ChannelRates(asyncio.get_running_loop().time()),
                "tell": lambda event: self.told.append((who, event.label, event.code)),
            },
        )
        await peer.start(is_dtls_client=is_dtls_client)

    async def leave(self, peer: Peer) -> None:
        del self.seats[peer.who]
        peer.data.close()


async def until(condition: Callable[[], object], timeout_s: float = 60) -> None:
    """Wait in the loop's time."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def send_all(channel: RTCDataChannel, pieces: list[bytes], ahead_bytes: int = 65536) -> None:
    """As a page sends a file: no more than so much ahead of the line."""
    for piece in pieces:
        while channel.bufferedAmount > ahead_bytes:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        channel.send(piece)
