"""
Bare WebRTC peers for crowds: one transport each (STUN, DTLS by OpenSSL, SRTP by sealing.py), joined by WHIP and WHEP or
over a WebSocket.

A stack of somebody else's costs ten milliseconds and more a peer; one of these costs one, so that a hundred can come
at once on the machine that the relay runs on. Everything runs on the event loop's thread; loopback only.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import secrets
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import aiohttp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL

from support import checks, sealing
from support.certificates import self_signed

OPUS_PT = 111
MID_ID = 1
GCM = b"SRTP_AEAD_AES_128_GCM"
CHECK_EVERY_S = 1.0
RETRANSMIT_S = 0.5
_SSRCS = itertools.count(0x01000001, 0x10)


@cache
def _context() -> tuple[SSL.Context, str]:
    """One certificate for all of them (each is another peer to the relay all the same), and its fingerprint."""
    certificate, key = self_signed()
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_verify(SSL.VERIFY_NONE)
    context.use_certificate(certificate)
    context.use_privatekey(key)
    context.set_tlsext_use_srtp(GCM)
    return context, certificate.fingerprint(hashes.SHA256()).hex(":").upper()


class RawPeer:
    """One transport. `packets` are the plain RTP packets that came, unless `on_packet` takes them."""

    def __init__(self) -> None:
        self.ufrag, self.pwd = secrets.token_hex(4), secrets.token_hex(16)
        self.ssrc = next(_SSRCS)
        self.packets: list[bytes] = []
        self.on_packet: Callable[[bytes], None] = self.packets.append
        self.on_rtcp: Callable[[bytes], None] = lambda compound: None
        self.bad_tags = 0
        self.connected = asyncio.Event()
        self._highest: dict[int, int] = {}
        self._rx: sealing.Direction | None = None
        self._tx: sealing.Direction | None = None
        self._seq = self._rtcp_index = 0
        self._loop = asyncio.get_running_loop()
        self._timers: list[asyncio.TimerHandle] = []
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self._sock.bind(("127.0.0.1", 0))
        self._loop.add_reader(self._sock.fileno(), self._receive)
        self._dtls = SSL.Connection(_context()[0], None)
        self._dtls.set_connect_state()

    # ------------------------------------------------------------------ SDP

    def offer(self, direction: str, sections: int = 1) -> str:
        """Opus sections in one bundle; with `sendonly` the first one's SSRC is `ssrc`."""
        mids = [str(n) for n in range(sections)]
        lines = ["v=0", f"o=- {secrets.randbits(62)} 1 IN IP4 127.0.0.1", "s=-", "t=0 0"]
        lines.append("a=group:BUNDLE " + " ".join(mids))
        for mid in mids:
            lines += [
                f"m=audio 9 UDP/TLS/RTP/SAVPF {OPUS_PT}",
                "c=IN IP4 0.0.0.0",
                f"a=ice-ufrag:{self.ufrag}",
                f"a=ice-pwd:{self.pwd}",
                f"a=fingerprint:sha-256 {_context()[1]}",
                "a=setup:active",
                f"a=mid:{mid}",
                f"a=extmap:{MID_ID} urn:ietf:params:rtp-hdrext:sdes:mid",
                f"a={direction}",
                "a=rtcp-mux",
                f"a=rtpmap:{OPUS_PT} opus/48000/2",
            ]
            if direction == "sendonly":
                lines.append(f"a=ssrc:{self.ssrc} cname:raw")
        return "\r\n".join(lines) + "\r\n"

    def answer(self, offer: str) -> str:
        """To an offer of the relay's: everything is received."""
        text = re.sub(r"a=(candidate|end-of-candidates|msid|ssrc|ssrc-group|ice-lite)\b.*\r\n", "", offer)
        text = text.replace("a=sendonly", "a=recvonly").replace("a=setup:actpass", "a=setup:active")
        text = re.sub(r"a=ice-ufrag:.*\r", f"a=ice-ufrag:{self.ufrag}\r", text)
        text = re.sub(r"a=fingerprint:.*\r", f"a=fingerprint:sha-256 {_context()[1]}\r", text)
        return re.sub(r"a=ice-pwd:.*\r", f"a=ice-pwd:{self.pwd}\r", text)

    def start(self, answer: str) -> None:
        """Begin checks and the handshake with the relay that wrote this description; once."""
        found = re.search(r"^a=candidate:\S+ 1 udp \d+ (127\.0\.0\.1) (\d+) ", answer, re.MULTILINE | re.IGNORECASE)
        ufrag = re.search(r"^a=ice-ufrag:(\S+)", answer, re.MULTILINE)
        pwd = re.search(r"^a=ice-pwd:(\S+)", answer, re.MULTILINE)
        assert found is not None
        assert ufrag is not None
        assert pwd is not None
        self._user, self._relay_pwd = f"{ufrag[1]}:{self.ufrag}".encode(), pwd[1]
        self._sock.connect((found[1], int(found[2])))
        self._check()
        self._shake()
        self._retransmit()

    # ------------------------------------------------------------------ ICE and DTLS

    def _check(self) -> None:
        attributes = [
            (checks.USERNAME, self._user),
            (checks.PRIORITY, struct.pack("!I", 1845501695)),
            (checks.ICE_CONTROLLING, bytes(8)),
            (checks.USE_CANDIDATE, b""),
        ]
        self._send(checks.message(checks.REQUEST, attributes, self._relay_pwd))
        self._later(CHECK_EVERY_S, self._check)

    def _retransmit(self) -> None:
        if self._tx is not None:
            return
        self._dtls.DTLSv1_handle_timeout()
        self._flush()
        self._later(RETRANSMIT_S, self._retransmit)

    def _shake(self) -> None:
        with suppress(SSL.WantReadError):
            self._dtls.do_handshake()
            material = self._dtls.export_keying_material(b"EXTRACTOR-dtls_srtp", 56)
            self._tx = sealing.Direction.of(material[:16], material[32:44])
            self._rx = sealing.Direction.of(material[16:32], material[44:])
            self.connected.set()
        self._flush()

    def _flush(self) -> None:
        data = b""
        with suppress(SSL.WantReadError):
            while True:
                data += self._dtls.bio_read(4096)
        while data:  # a datagram a record
            size = 13 + int.from_bytes(data[11:13], "big")
            self._send(data[:size])
            data = data[size:]

    def _later(self, delay_s: float, do: Callable[[], None]) -> None:
        self._timers = [each for each in self._timers if each.when() > self._loop.time()]
        self._timers.append(self._loop.call_later(delay_s, do))

    # ------------------------------------------------------------------ media

    def say(self, payload: bytes) -> None:
        """One packet, numbered on from the last."""
        assert self._tx is not None
        packet = sealing.rtp(OPUS_PT, self._seq, self.ssrc, payload, ts=self._seq * 960)
        self._send(self._tx.seal_rtp(packet, self._seq))
        self._seq += 1

    def _send(self, data: bytes) -> None:
        with suppress(ConnectionRefusedError):
            self._sock.send(data)

    def _receive(self) -> None:
        for _ in range(64):
            try:
                data = self._sock.recv(2048)
            except (BlockingIOError, ConnectionRefusedError):
                return
            if 20 <= data[0] < 64:
                self._dtls.bio_write(data)
                if self._tx is None:
                    self._shake()
            elif data[0] >= 128 and self._rx is not None:
                if 192 <= data[1] <= 223:
                    self._on_srtcp(data)
                else:
                    self._on_srtp(data)

    def _on_srtp(self, data: bytes) -> None:
        assert self._rx is not None
        seq, ssrc = struct.unpack("!xxHxxxxI", data[:12])
        highest = self._highest.get(ssrc, seq)
        index = highest + ((seq - highest + 0x8000) & 0xFFFF) - 0x8000
        try:
            plain = self._rx.open_rtp(data, index >> 16)
        except InvalidTag:
            self.bad_tags += 1
            return
        self._highest[ssrc] = max(highest, index)
        self.on_packet(plain)

    def _on_srtcp(self, data: bytes) -> None:
        assert self._rx is not None
        try:
            compound = self._rx.open_rtcp(data)
        except InvalidTag:
            self.bad_tags += 1
            return
        self.on_rtcp(compound)

    def tell(self, compound: bytes) -> None:
        """Send RTCP."""
        assert self._tx is not None
        self._rtcp_index += 1
        self._send(self._tx.seal_rtcp(compound, self._rtcp_index))

    def close(self) -> None:
        """Let go of the socket; the relay is not told."""
        for timer in self._timers:
            timer.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()


class RawPerson:
    """Somebody with one transport to speak and one to hear by, for a room where `hears` others speak."""

    def __init__(self, http: aiohttp.ClientSession, url: str, room: str, token: str, hears: int = 1) -> None:
        self._http, self._url, self._room, self._token, self._hears = http, url, room, token, hears
        self.speaks, self.listens = RawPeer(), RawPeer()
        self.took_s = 0.0
        """From the first request until everything there is to connect was connected."""

    async def join(self) -> None:
        """Come in; returns when the handshakes are done."""
        begun = time.monotonic()
        await self._connect()
        self.took_s = time.monotonic() - begun

    async def _connect(self) -> None:
        raise NotImplementedError

    async def leave(self) -> None:
        """Go, and let go of everything."""
        self.speaks.close()
        self.listens.close()


class WhipPerson(RawPerson):
    """A WHIP and a WHEP session, one beside the other."""

    async def _connect(self) -> None:
        self._sessions: list[str] = []
        await asyncio.gather(
            self._open("whip", self.speaks, self.speaks.offer("sendonly")),
            self._open("whep", self.listens, self.listens.offer("recvonly", self._hears)),
        )

    async def _open(self, way: str, peer: RawPeer, offer: str) -> None:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/sdp"}
        async with self._http.post(f"{self._url}/{way}/{self._room}", data=offer, headers=headers) as response:
            answer = await response.text()
            assert response.status == 201, f"{way}: {response.status} {answer}"
            self._sessions.append(response.headers["Location"])
        peer.start(answer)
        await peer.connected.wait()

    async def leave(self) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        for each in self._sessions:
            await (await self._http.delete(self._url + each, headers=headers)).release()
        await super().leave()


class SocketPerson(RawPerson):
    """As the page comes in: a WebSocket, a publishing connection, and one on which the relay offers."""

    async def _connect(self) -> None:
        self._replies: dict[int, asyncio.Future[dict[str, object]]] = {}
        self._ws = await self._http.ws_connect(f"{self._url}/ws")
        self._reading = asyncio.create_task(self._read())
        await self._ask(1, {"type": "join", "room": self._room, "token": self._token})
        tracks = [{"mid": "0", "source": "microphone"}]
        reply = await self._ask(2, {"type": "publish", "sdp": self.speaks.offer("sendonly"), "tracks": tracks})
        self.speaks.start(str(reply["sdp"]))
        await self.speaks.connected.wait()

    async def _ask(self, number: int, request: dict[str, object]) -> dict[str, object]:
        waiting = self._replies[number] = asyncio.get_running_loop().create_future()
        await self._ws.send_str(json.dumps(request | {"id": number}))
        reply = await waiting
        assert reply["type"] == "reply", reply
        return reply

    async def _read(self) -> None:
        has_started = False
        async for frame in self._ws:
            message = json.loads(frame.data)
            if message.get("id") in self._replies:
                self._replies.pop(message["id"]).set_result(message)
            elif message["type"] == "offer":
                answer = self.listens.answer(message["sdp"])
                request = {"type": "answer", "offer_id": message["offer_id"], "sdp": answer}
                await self._ws.send_str(json.dumps(request))
                if not has_started:
                    self.listens.start(message["sdp"])
                has_started = True

    async def leave(self) -> None:
        with suppress(ConnectionError):
            await self._ws.send_str(json.dumps({"type": "leave"}))
        await self._reading  # the relay closes
        await super().leave()
