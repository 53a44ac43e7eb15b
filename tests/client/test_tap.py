"""The tap on decrypted RTP: header fields, and resends counted for what they carry."""

from __future__ import annotations

import struct

import pytest

from telerelay.client.tap import RtpPacket, Tap


def rtp(seq: int, payload: bytes = b"media", ssrc: int = 0x1111, pt: int = 96, first: int = 0x80) -> bytes:
    """A packet with the fields given and nothing else."""
    return struct.pack("!BBHII", first, pt, seq, 3000, ssrc) + payload


def test_header_fields_are_read() -> None:
    """
    CSRCs, an extension block and padding are stepped over; the payload is what lies between.
    """
    csrcs = struct.pack("!2I", 1, 2)
    block = struct.pack("!HH", 0xBEDE, 1) + b"\x10a\x00\x00"
    data = struct.pack("!BBHII", 0xB2, 0xE0, 65535, 9, 7) + csrcs + block + b"payload" + b"\x00\x00\x03"

    packet = RtpPacket.parse(data)

    assert RtpPacket(96, True, 65535, 9, 7, 0xBEDE, b"\x10a\x00\x00", b"payload", 3) == packet


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 11,
        rtp(1, first=0x40),
        rtp(1, b"", first=0x90),
        rtp(1, b"", first=0x8F),
        rtp(1, b"\x00", first=0xA0),
        rtp(1, b"\x09", first=0xA0),
        rtp(1, struct.pack("!HH", 0xBEDE, 2), first=0x90),
    ],
)
def test_what_is_not_rtp_is_counted_as_malformed(data: bytes) -> None:
    """
    A packet whose parts do not add up is counted and moves nothing else.
    """
    tap = Tap()
    tap.add(data, 0)

    assert (1, 0, {}) == (tap.malformed, tap.received, tap.streams)


def test_a_resend_repairs_the_gap_it_carries() -> None:
    """
    An RTX packet (RFC 4588) counts for the number in its first two bytes, on the SSRC that the FID group names.
    """
    tap = Tap()
    tap.learn("v=0\r\na=ssrc-group:FID 4369 8738\r\n")
    for seq in (1, 2, 4):
        tap.add(rtp(seq), 0)
    assert 1 == tap.lost

    tap.add(rtp(900, b"\x00\x03media", ssrc=8738, pt=97), 0)
    tap.add(rtp(901, b"", ssrc=8738, pt=97), 0)

    assert (0, 4, 1, [4369]) == (tap.lost, tap.received, tap.streams[4369].repaired, list(tap.streams))
