"""
A tap on the decrypted RTP of one aiortc transport: every packet as the relay sent it, before aiortc does anything
with it.

aiortc's own statistics count a stream and its retransmissions apart, so a repaired packet stays lost in them. Here a
resend (RFC 4588) counts for the packet it carries. Event loop of the client; wraps one method of the transport given.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from telerelay.client.gaps import GapCounter


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """The fields of one RTP packet (RFC 3550, 5.1); `payload` is without padding, `extensions` the raw block or b""."""

    pt: int
    marker: bool
    seq: int
    timestamp: int
    ssrc: int
    extension_profile: int
    extensions: bytes
    payload: bytes
    padding: int

    @classmethod
    def parse(cls, data: bytes) -> RtpPacket:
        """Raises ValueError for what is not RTP."""
        if len(data) < 12 or data[0] >> 6 != 2:
            raise ValueError("not an RTP packet")
        first, second, seq, timestamp, ssrc = struct.unpack_from("!BBHII", data)
        offset, profile, extensions, padding = 12 + 4 * (first & 15), 0, b"", 0
        if first & 0x10:
            if len(data) < offset + 4:
                raise ValueError("header extension past the end")
            profile, words = struct.unpack_from("!HH", data, offset)
            extensions = data[offset + 4 : offset + 4 + 4 * words]
            offset += 4 + 4 * words
        if offset > len(data):
            raise ValueError("header past the end")
        if first & 0x20:
            padding = data[-1]
            if not 0 < padding <= len(data) - offset:
                raise ValueError("padding past the start")
        payload = data[offset : len(data) - padding]
        return cls(second & 0x7F, bool(second & 0x80), seq, timestamp, ssrc, profile, extensions, payload, padding)


@dataclass(slots=True)
class StreamCount:
    """What came of one stream; `repaired` are those that came first as a resend."""

    gaps: GapCounter = field(default_factory=GapCounter)
    repaired: int = 0
    bytes: int = 0


class Tap:
    """Counts the streams of one transport by SSRC and shows each packet to `on_packet`, if given."""

    def __init__(self, on_packet: Callable[[RtpPacket, int], None] | None = None) -> None:
        self.streams: dict[int, StreamCount] = {}
        self.malformed = 0
        self.on_packet = on_packet
        self._rtx_of: dict[int, int] = {}
        self._attached: set[int] = set()

    def learn(self, sdp: str) -> None:
        """Take from a remote description which SSRC resends which (a=ssrc-group:FID, RFC 5576)."""
        for media, rtx in re.findall(r"^a=ssrc-group:FID (\d+) (\d+)", sdp, re.MULTILINE):
            self._rtx_of[int(rtx)] = int(media)

    def attach(self, transport: Any) -> None:
        """Listen on this RTCDtlsTransport; again for the same one does nothing."""
        if id(transport) in self._attached:
            return
        self._attached.add(id(transport))
        handle = transport._handle_rtp_data

        async def tapped(data: bytes, arrival_time_ms: int) -> None:
            self.add(data, arrival_time_ms)
            await handle(data, arrival_time_ms=arrival_time_ms)

        transport._handle_rtp_data = tapped

    def add(self, data: bytes, arrival_time_ms: int) -> None:
        """Count one decrypted packet."""
        try:
            packet = RtpPacket.parse(data)
        except ValueError:
            self.malformed += 1
            return
        media_ssrc = self._rtx_of.get(packet.ssrc)
        if media_ssrc is None:
            stream = self.streams.setdefault(packet.ssrc, StreamCount())
            stream.gaps.add(packet.seq)
            stream.bytes += len(packet.payload)
        elif len(packet.payload) >= 2:
            # RFC 4588, 4: the original sequence number opens the payload. A resend without one is padding (a probe).
            stream = self.streams.setdefault(media_ssrc, StreamCount())
            if stream.gaps.add(int.from_bytes(packet.payload[:2], "big")):
                stream.repaired += 1
                stream.bytes += len(packet.payload) - 2
        if self.on_packet is not None:
            self.on_packet(packet, arrival_time_ms)

    @property
    def received(self) -> int:
        """Packets of all streams, resends counted for what they carry, duplicates not at all."""
        return sum(stream.gaps.received for stream in self.streams.values())

    @property
    def lost(self) -> int:
        """Packets of all streams that never came."""
        return sum(stream.gaps.lost for stream in self.streams.values())
