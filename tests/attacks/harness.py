"""
One worker of C on loopback, raw peers that may send anything, and a live call beside them that must lose nothing.

`World` owns the worker and counts what is sent to it, so that drops can be compared by the packet. `Peer` is a whole
WebRTC transport of its own (STUN, DTLS by OpenSSL, SRTP by sealing.py), every step in the test's hand. `LiveCall` is
two honest peers: one publishes numbered packets, the other has to get each of them once, in order and unchanged.

Everything runs on the event loop's thread. TELERELAY_ATTACKS=full makes the floods as large as the catalogue has them.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from support import checks, sealing
from support.certificates import self_signed
from support.impairment import SO_TIMESTAMPNS, stamp_s
from support.numbered import Numbered
from telerelay.connection.credentials import new_credentials
from telerelay.dataplane.certificate import make_certificate
from telerelay.dataplane.events import PathChanged, TransportStateChanged, WorkerEvent
from telerelay.dataplane.worker import Worker, WorkerSettings
from telerelay.protocol.parameters import (
    MID,
    Codec,
    DtlsParameters,
    Encoding,
    Fingerprint,
    IceParameters,
    NegotiatedCodec,
    ReceiveParameters,
    RemoteTransport,
    SendParameters,
)

FULL = os.environ.get("TELERELAY_ATTACKS", "") == "full"
GCM = b"SRTP_AEAD_AES_128_GCM"
RECEIVE_BUFFER, SO_RCVBUFFORCE = 4 << 20, 33
OUTSTANDING = 128
"""Datagrams that may wait in the relay's socket: a test of ours must not be what overflows it."""
RETRANSMIT_S = 0.5
PUBLISH_S = 0.03
"""The worker publishes its counters every 20 ms at the latest."""
VIDEO = frozenset({"nack", "nack pli", "ccm fir", "transport-cc"})
OPUS = NegotiatedCodec(Codec("opus", 48000, 2), 111)
RED = NegotiatedCodec(Codec("red", 48000, 2, (("111/111", ""),)), 63)
VP8 = NegotiatedCodec(Codec("VP8", 90000, feedback=VIDEO), 96, 97)


def amount(full: int, quick: int) -> int:
    """As many as the catalogue says, or a sample of them."""
    return full if FULL else quick


async def until(condition: Callable[[], Any], timeout_s: float = 5.0) -> bool:
    """Wait for something that another thread or socket brings about; whether it came."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.002)
    return True


@cache
def identity() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate and its key, for all peers of a run."""
    return self_signed()


def fingerprint() -> Fingerprint:
    return Fingerprint("sha-256", identity()[0].fingerprint(hashes.SHA256()))


@dataclass(slots=True)
class Counted:
    """What a block of a test moved: drops by name, and every other counter by its own."""

    drops: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)


class World:
    """The worker, its peers, and the count of what went to it."""

    def __init__(
        self,
        consent_timeout_us: int = 30_000_000,
        keep_alive_s: float = 1.0,
        max_transports: int = 4096,
        cpu: int = -1,
    ) -> None:
        settings = WorkerSettings(
            index=0,
            binds=(("127.0.0.1", 0),),
            consent_timeout_us=consent_timeout_us,
            max_transports=max_transports,
            cpu=cpu,
        )
        self.worker = Worker(settings, make_certificate())
        self.peers: list[Peer] = []
        self.sent = 0
        self.keep_alive_s = keep_alive_s
        self.conflicts = 0
        """Packets of the relay's under a number it had used for other bytes (A07)."""
        self._sockets: list[socket.socket] = []
        self._keepalive: asyncio.Task[None] | None = None

    async def __aenter__(self) -> World:
        await self.worker.start()
        self.worker.on_event = self._on_event
        self.address = ("127.0.0.1", self.worker.ports[0])
        self._keepalive = asyncio.create_task(self._keep_alive())
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._keepalive:
            self._keepalive.cancel()
        for peer in list(self.peers):
            await peer.leave()
        for each in self._sockets:
            each.close()
        await self.worker.stop()

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self.keep_alive_s)
            for peer in self.peers:
                if peer.keeps_alive:
                    peer.send(peer.check())

    def _on_event(self, event: WorkerEvent) -> None:
        for peer in self.peers:
            if peer.transport == getattr(event, "transport", 0):
                peer.on_event(event)

    # ------------------------------------------------------------- sending

    def stranger(self, ip: str = "127.0.0.1") -> socket.socket:
        """A socket of somebody the relay does not know."""
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        with suppress(PermissionError):  # beyond the system's limit, where we may
            made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        made.bind((ip, 0))
        self._sockets.append(made)
        return made

    def send(self, source: socket.socket, data: bytes) -> None:
        source.sendto(data, self.address)
        self.sent += 1

    async def flood(self, source: socket.socket, datagrams: Iterable[bytes]) -> int:
        """All of them, as fast as the relay takes them; how many."""
        count = 0
        for datagram in datagrams:
            self.send(source, datagram)
            count += 1
            if count % 32 == 0:
                await asyncio.sleep(0)
                assert await until(lambda: self.sent - self.worker.stats().rx_packets <= OUTSTANDING)
        return count

    async def drained(self) -> None:
        """Everything sent so far is counted."""
        assert await until(lambda: self.worker.stats().rx_packets >= self.sent), (
            f"{self.sent - self.worker.stats().rx_packets} datagrams never reached the relay"
        )

    @asynccontextmanager
    async def counting(self) -> AsyncIterator[Counted]:
        """What the block moves, in the value yielded, once the block has ended."""
        await self._settled()
        before, counted = self.worker.stats(), Counted()
        yield counted
        await self._settled()
        self._read(before, counted)

    async def _settled(self) -> None:
        """All that was sent is counted, handshakes too, which wait their turn behind media."""
        await self.drained()
        if self.peers:  # a command is answered at the top of the next turn
            await self.worker.transport_stats(self.peers[0].transport)
        await asyncio.sleep(PUBLISH_S)

    def _read(self, before: Any, counted: Counted) -> None:
        after = self.worker.stats()
        moved = Counter(after.drops)
        moved.subtract(before.drops)
        counted.drops = {name: count for name, count in moved.items() if count}
        for name in ("tx_packets", "tx_bytes", "plis_rx", "plis_tx", "nacks_rx", "resent_packets", "stun_requests"):
            counted.numbers[name] = getattr(after, name) - getattr(before, name)

    @asynccontextmanager
    async def drops(self, **expected: int) -> AsyncIterator[Counted]:
        """The block moves these counters by exactly so much, and no other reason for a drop."""
        async with self.counting() as counted:
            yield counted
        assert {name: count for name, count in expected.items() if count} == counted.drops

    # ------------------------------------------------------------- peers

    async def peer(self, **options: Any) -> Peer:
        """A peer that is connected: checked, its handshake done, keys on both sides."""
        peer = Peer(self, **options)
        await peer.begin()
        await peer.connect()
        return peer


class Peer:
    """One transport at the relay and the client end of it."""

    def __init__(
        self, world: World, *, room: int = 1, ip: str = "127.0.0.1", fingerprints: tuple[Fingerprint, ...] | None = None
    ) -> None:
        self.world = world
        self.worker = world.worker
        self.room = room
        self.fingerprints = (fingerprint(),) if fingerprints is None else fingerprints
        self.profiles = GCM
        self.sock = world.stranger(ip)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.transport = self.worker.transports.take()
        self.local = new_credentials(0)
        self.remote = IceParameters("peer", "q" * 24)
        self.keeps_alive = self.is_deaf = False
        self.states: list[str] = []
        self.reason = ""
        self.paths: list[str] = []
        self.bytes_in = self.datagrams_in = self.answers = self.bad_tags = 0
        self.dtls_in: list[bytes] = []
        self.packets: list[bytes] = []
        """Plain RTP packets, in the order they came."""
        self.reports: list[bytes] = []
        """Plain RTCP compounds."""
        self.arrived_s = 0.0
        """When the kernel had what is being read, CLOCK_REALTIME."""
        self.on_packet: Callable[[bytes], None] | None = None
        self.rx: sealing.Direction | None = None
        self.tx: sealing.Direction | None = None
        self.rtcp_index = 0
        self._seen: dict[tuple[str, int, int], int] = {}
        self._highest: dict[int, int] = {}
        self._dtls: SSL.Connection | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.sock.fileno(), self._receive)
        world.peers.append(self)

    # ------------------------------------------------------------- life

    async def begin(self) -> None:
        """The relay knows of it; nothing is sent yet."""
        await self.worker.add_transport(
            transport=self.transport,
            room=self.room,
            participant=self.transport,
            is_admitted=True,
            ufrag=self.local.ufrag,
            pwd=self.local.pwd,
        )
        if self.fingerprints:
            await self.worker.set_remote(
                self.transport, RemoteTransport(self.remote, DtlsParameters(self.fingerprints, "active"))
            )

    async def connect(self, timeout_s: float = 8.0) -> None:
        self.send(self.check())
        self.keeps_alive = True
        self.start_dtls()
        for _ in range(int(timeout_s / RETRANSMIT_S)):
            if await until(lambda: self.tx and self.states[-1:] == ["connected"], RETRANSMIT_S):
                return
            if self.tx is None:
                self.resend_flight()
        raise AssertionError(f"not connected: {self.states}")

    async def leave(self) -> None:
        if self not in self.world.peers:
            return
        self.world.peers.remove(self)
        self._loop.remove_reader(self.sock.fileno())
        await self.worker.remove_transport(self.transport)

    def on_event(self, event: WorkerEvent) -> None:
        if isinstance(event, TransportStateChanged):
            self.states.append(event.state)
            self.reason = event.reason
        elif isinstance(event, PathChanged):
            self.paths.append(event.remote)

    # ------------------------------------------------------------- STUN

    def check(
        self,
        *,
        nominates: bool = True,
        signs: bool = True,
        pwd: str = "",
        username: str = "",
        priority: int = 1845501695,
        more: Iterable[tuple[int, bytes]] = (),
    ) -> bytes:
        """A connectivity check as a browser would send it, or a forgery of one."""
        attributes = [
            (checks.USERNAME, (username or f"{self.local.ufrag}:{self.remote.ufrag}").encode()),
            (checks.PRIORITY, struct.pack("!I", priority)),
            (checks.ICE_CONTROLLING, bytes(8)),
        ]
        if nominates:
            attributes.append((checks.USE_CANDIDATE, b""))
        return checks.message(checks.REQUEST, [*attributes, *more], (pwd or self.local.pwd) if signs else "")

    # ------------------------------------------------------------- DTLS

    def start_dtls(self) -> None:
        self._make_dtls()
        self._shake()

    def first_flight(self) -> list[bytes]:
        """A ClientHello, not sent."""
        self._make_dtls()
        assert self._dtls is not None
        with suppress(SSL.WantReadError):
            self._dtls.do_handshake()
        return self.flight()

    def _make_dtls(self) -> None:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_verify(SSL.VERIFY_NONE)
        certificate, key = identity()
        context.use_certificate(certificate)
        context.use_privatekey(key)
        context.set_tlsext_use_srtp(self.profiles)
        self._dtls = SSL.Connection(context, None)
        self._dtls.set_connect_state()

    def _shake(self) -> None:
        assert self._dtls is not None
        try:
            self._dtls.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error:
            self.states.append("refused")
        else:
            if self.tx is None and self._dtls.get_selected_srtp_profile() == GCM:
                self._take_keys()
        self.send_flight()

    def _take_keys(self) -> None:
        assert self._dtls is not None
        material = self._dtls.export_keying_material(b"EXTRACTOR-dtls_srtp", 56)
        client, server, client_salt, server_salt = material[:16], material[16:32], material[32:44], material[44:]
        self.tx = sealing.Direction.of(client, client_salt)
        self.rx = sealing.Direction.of(server, server_salt)

    def flight(self) -> list[bytes]:
        """Records the client's end wants to send, each as a datagram."""
        assert self._dtls is not None
        data = b""
        while True:
            try:
                data += self._dtls.bio_read(4096)
            except SSL.WantReadError:
                break
        records = []
        while data:
            size = 13 + int.from_bytes(data[11:13], "big")
            records.append(data[:size])
            data = data[size:]
        return records

    def send_flight(self) -> None:
        for record in self.flight():
            self.send(record)

    def resend_flight(self) -> None:
        """As the client's retransmission timer does."""
        assert self._dtls is not None
        self._dtls.DTLSv1_handle_timeout()
        self.send_flight()

    def write_data(self, data: bytes) -> bytes:
        """One authentic record of application data."""
        assert self._dtls is not None
        self._dtls.send(data)
        return b"".join(self.flight())

    # ------------------------------------------------------------- datagrams

    def send(self, data: bytes) -> None:
        self.world.send(self.sock, data)

    async def flood(self, datagrams: Iterable[bytes]) -> int:
        return await self.world.flood(self.sock, datagrams)

    def seal(self, packet: bytes, rollover: int = 0) -> bytes:
        assert self.tx is not None
        return self.tx.seal_rtp(packet, rollover << 16 | int.from_bytes((packet + bytes(4))[2:4], "big"))

    def send_rtp(self, packet: bytes, rollover: int = 0) -> None:
        self.send(self.seal(packet, rollover))

    def seal_rtcp(self, *parts: bytes) -> bytes:
        assert self.tx is not None
        self.rtcp_index += 1
        return self.tx.seal_rtcp(b"".join(parts), self.rtcp_index)

    def send_rtcp(self, *parts: bytes) -> None:
        self.send(self.seal_rtcp(*parts))

    def _receive(self) -> None:
        for _ in range(64):
            try:
                data, extra, _, _ = self.sock.recvmsg(2048, 64)
            except BlockingIOError:
                return
            self.arrived_s = stamp_s(extra)
            self.bytes_in += len(data)
            self.datagrams_in += 1
            if data[0] < 4:
                self.answers += 1
            elif data[0] < 64:
                self._on_dtls(data)
            elif self.rx:
                self._on_srtp(data)

    def _on_dtls(self, data: bytes) -> None:
        self.dtls_in.append(data)
        if self.is_deaf or self._dtls is None:
            return
        self._dtls.bio_write(data)
        if self.tx is None:
            self._shake()

    def _on_srtp(self, data: bytes) -> None:
        assert self.rx is not None
        try:
            if 192 <= data[1] <= 223:
                self._never_twice("rtcp", data[4:8], int.from_bytes(data[-4:], "big"), data)
                self.reports.append(self.rx.open_rtcp(data))
                return
            seq, ssrc = struct.unpack("!xxHxxxxI", data[:12])
            highest = self._highest.get(ssrc, seq)
            index = highest + ((seq - highest + 0x8000) & 0xFFFF) - 0x8000
            plain = self.rx.open_rtp(data, index >> 16)
        except InvalidTag:
            self.bad_tags += 1
            return
        self._highest[ssrc] = max(highest, index)
        self._never_twice("rtp", data[8:12], index, data)
        if self.on_packet:
            self.on_packet(plain)
        else:
            self.packets.append(plain)

    def _never_twice(self, kind: str, ssrc: bytes, index: int, data: bytes) -> None:
        key = (kind, int.from_bytes(ssrc, "big"), index)
        if self._seen.setdefault(key, hash(data)) != hash(data):
            self.world.conflicts += 1

    # ------------------------------------------------------------- media

    async def publishes(
        self,
        ssrc: int,
        codec: NegotiatedCodec = OPUS,
        *,
        mid: str = "0",
        encodings: tuple[Encoding, ...] | None = None,
        extensions: dict[int, int] | None = None,
    ) -> int:
        """A receiver at the relay; its id."""
        kind = "audio" if codec.codec.clock_rate == 48000 else "video"
        own = encodings if encodings is not None else (Encoding("", ssrc, ssrc + 1 if codec.rtx_pt else 0),)
        receiver = self.worker.receivers.take()
        params = ReceiveParameters(mid, kind, (codec,), own, {MID: 1} if extensions is None else extensions)  # type: ignore[arg-type]
        await self.worker.add_receiver(receiver, self.transport, params)
        return receiver

    async def watches(
        self,
        receiver: int,
        ssrc: int,
        codec: NegotiatedCodec = OPUS,
        *,
        mid: str = "0",
        extensions: dict[int, int] | None = None,
    ) -> int:
        """A sender at the relay bound to that receiver; its id."""
        kind = "audio" if codec.codec.clock_rate == 48000 else "video"
        rtx_ssrc = ssrc + 1 if codec.rtx_pt else 0
        sender = self.worker.senders.take()
        own = {MID: 4} if extensions is None else extensions
        params = SendParameters("key", mid, kind, ssrc, rtx_ssrc, "cname", (codec,), own)  # type: ignore[arg-type]
        await self.worker.add_sender(sender, self.transport, params)
        rtx_pt = 255 if codec.rtx_pt is None else codec.rtx_pt
        await self.worker.bind_sender(sender, receiver, [codec.pt], [rtx_pt])
        return sender


@asynccontextmanager
async def pair(
    world: World,
    codec: NegotiatedCodec = OPUS,
    *,
    ssrc: int = 0x40,
    heard_as: int = 0x80,
    room: int = 9,
    **options: Any,
) -> AsyncIterator[tuple[Peer, Peer]]:
    """Two peers of which the first publishes to the second, apart from the live call, in the hands of the test."""
    publisher, subscriber = await world.peer(room=room), await world.peer(room=room)
    receiver = await publisher.publishes(ssrc, codec, **options)
    await subscriber.watches(receiver, heard_as, codec)
    try:
        yield publisher, subscriber
    finally:
        await subscriber.leave()
        await publisher.leave()


class LiveCall(Numbered):
    """Two honest peers: `ada` publishes a numbered packet every 10 ms, `bob` notes what he gets."""

    SSRC, HEARD_AS = 0x0A0A0A0A, 0x0B0B0B0B

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> LiveCall:
        self.ada, self.bob = await self.world.peer(), await self.world.peer()
        self.receiver = await self.ada.publishes(self.SSRC)
        self.sender = await self.bob.watches(self.receiver, self.HEARD_AS)
        self.bob.on_packet = self.hear
        self._task = asyncio.create_task(self.talk())
        assert await until(lambda: len(self.heard) > 2)
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task:
            self._task.cancel()

    def packet(self, number: int) -> bytes:
        return sealing.rtp(111, number, self.SSRC, self.words(number), ts=number * 480)

    def sealed(self, number: int) -> bytes:
        return self.ada.seal(self.packet(number), number >> 16)

    def say(self, number: int) -> None:
        self.ada.send(self.sealed(number))

    async def check(self) -> None:
        """All that was said up to now is heard: once each, in order, unchanged, and it goes on."""
        said = self.said + 3
        assert await until(lambda: len(self.heard) >= said), f"{len(self.heard)} of {said} packets heard"
        assert list(range(len(self.heard))) == self.heard
        assert (0, 0, 0) == (self.changed, self.bob.bad_tags, self.world.conflicts)
