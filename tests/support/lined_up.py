"""
What leaves a publisher and what its receiver has, so that a sample and a picture of one moment can be held against each
other: payloads by their digest, timestamps, and the sender reports between them (RFC 3550, 6.4.1).

Event loop of the client whose aiortc transports are listened to.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from aiortc import RTCDtlsTransport
from aiortc.rtp import RtcpPacket, RtcpSrPacket

from telerelay.client import Client
from telerelay.client.tap import RtpPacket

NTP_UNIX_S = 2208988800
VIDEO_CLOCK_HZ = 90_000

Sent = dict[str, dict[bytes, tuple[float, int]]]
"""By source: digest of a payload to when it left, by the given clock, and its timestamp."""
BySsrc = dict[int, dict[bytes, tuple[float, int]]]
Reports = dict[int, list[tuple[float, int]]]
"""By SSRC: NTP times as Unix seconds, and the RTP timestamps that go with them."""


def digest_of(payload: bytes) -> bytes:
    """Short enough to be written down by the ten thousand; no two in a call are alike by chance."""
    return hashlib.sha256(payload).digest()[:12]


@contextmanager
def watching_sent(clock: Callable[[], float]) -> Iterator[BySsrc]:
    """
    What leaves any connection of this process, from the first packet on: whoever looks once a track is published may
    have missed one. Resends count for what they carry.
    """
    by_ssrc: BySsrc = {}
    send = RTCDtlsTransport._send_rtp

    async def tapped(transport: RTCDtlsTransport, data: bytes) -> None:
        if not 192 <= data[1] <= 223:
            packet = RtpPacket.parse(data)
            mine = by_ssrc.setdefault(packet.ssrc, {})
            mine.setdefault(digest_of(packet.payload), (clock(), packet.timestamp))
        await send(transport, data)

    RTCDtlsTransport._send_rtp = tapped
    try:
        yield by_ssrc
    finally:
        RTCDtlsTransport._send_rtp = send


def sent_by(client: Client, by_ssrc: BySsrc) -> Sent:
    """Of one client, by source; it goes on to grow."""
    sources = {each.mid: each.source for each in client.publications.values()}
    assert client._publish is not None
    return {
        sources[each.mid]: by_ssrc.setdefault(each.sender._ssrc, {})
        for each in client._publish.getTransceivers()
        if each.mid in sources
    }


def watch_reports(client: Client) -> Reports:
    """The relay's sender reports from now on: what of its clock a picture belongs to. Once it has offered something."""
    reports: Reports = {}
    watched: set[int] = set()
    assert client._subscribe is not None
    for transceiver in client._subscribe.getTransceivers():
        transport = transceiver.receiver.transport
        if id(transport) in watched:
            continue
        watched.add(id(transport))

        async def tapped(data: bytes, handle: Any = transport._handle_rtcp_data) -> None:
            for each in RtcpPacket.parse(data):
                if isinstance(each, RtcpSrPacket):
                    info = each.sender_info
                    ntp_s = info.ntp_timestamp / 2**32 - NTP_UNIX_S
                    reports.setdefault(each.ssrc, []).append((ntp_s, info.rtp_timestamp))
            await handle(data)

        transport._handle_rtcp_data = tapped
    return reports


def by_relay_s(timestamp: int, reports: Sequence[tuple[float, int]]) -> float:
    """A picture's time by the relay's clock, by the report next to it. Raises ValueError where there is none."""
    found = [(ntp_s, (timestamp - stamp + 2**31) % 2**32 - 2**31) for ntp_s, stamp in reports]
    ntp_s, ticks = min(found, key=lambda each: abs(each[1]))
    return ntp_s + ticks / VIDEO_CLOCK_HZ


def errors_s(samples: Mapping[float, float], pictures: Mapping[float, float]) -> list[float]:
    """
    How far apart a sample and a picture of one moment come to lie, for each sample, which is held against the picture
    next to it in time. Both are given as when it was, by the publisher's clock, to when that is said to have been, by
    the relay's.
    """
    moments = sorted(pictures)
    errors = []
    for at, told in samples.items() if moments else ():
        after = bisect_left(moments, at)
        nearest = min(moments[max(0, after - 1) : after + 1], key=lambda moment: abs(moment - at))
        errors.append(abs((told - at) - (pictures[nearest] - nearest)))
    return errors
