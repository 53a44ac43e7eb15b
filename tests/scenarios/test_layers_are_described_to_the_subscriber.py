"""
The dependency descriptor of AV1, VP9 and VP8 goes on to whoever negotiated it: for pictures encrypted end to end it is
all that a receiver's buffer, and the relay, can go by.

Both ends are libwebrtc. The descriptors are read on the wire: SRTP leaves header extensions in clear.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import webrtc

from support.impairment import UdpImpairment
from support.relay_process import RelayProcess
from support.waiting import until
from support.wrtc_peer import Peers

URI = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
MID_ID, DESCRIPTOR_ID = 1, 6


def elements(datagram: bytes) -> Iterator[tuple[int, bytes]]:
    """The header extensions of an SRTP packet without CSRCs (RFC 8285, 4.2 and 4.3)."""
    profile, words = int.from_bytes(datagram[12:14], "big"), int.from_bytes(datagram[14:16], "big")
    block = datagram[16 : 16 + 4 * words]
    while block:
        if block[0] == 0:
            block = block[1:]
            continue
        number, size, at = (block[0] >> 4, (block[0] & 15) + 1, 1) if profile == 0xBEDE else (block[0], block[1], 2)
        yield number, block[at : at + size]
        block = block[at + size :]


@pytest.mark.parametrize(
    ("codec", "layers"),
    [
        ("AV1", [{"scalability_mode": "L1T3"}]),
        ("VP9", [{"scalability_mode": "L3T3_KEY"}]),
        (
            "VP8",
            [
                {"rid": "q", "scale_resolution_down_by": 2, "max_bitrate": 150_000},
                {"rid": "f", "max_bitrate": 500_000},
            ],
        ),
    ],
)
async def test_each_packet_says_which_frame_it_is_of(
    relay: RelayProcess, codec: str, layers: list[dict[str, Any]]
) -> None:
    """
    Every picture packet has a descriptor, the first one a structure; frame numbers never go back, across encodings too,
    but in what is sent again; the picture is decoded at its full size.
    """
    described: list[tuple[int, bytes]] = []
    """Those of the stream itself: what a line is tried by is sent again, on a stream of its own (RFC 4588)."""
    streams: list[int] = []
    plain = 0

    def watch(way: str, datagram: bytes) -> None:
        nonlocal plain
        if way != "down" or not 128 <= datagram[0] <= 191 or 192 <= datagram[1] <= 223:
            return
        found = dict(elements(datagram)) if datagram[0] & 0x10 else {}
        assert found.get(MID_ID) == b"0"
        ssrc = int.from_bytes(datagram[8:12], "big")
        streams.append(ssrc)
        if DESCRIPTOR_ID in found and ssrc == streams[0]:
            described.append((int.from_bytes(datagram[2:4], "big"), found[DESCRIPTOR_ID]))
        elif DESCRIPTOR_ID not in found:
            plain += 1

    with UdpImpairment(relay.udp_address, watch=watch) as line:
        async with Peers(relay) as peers:
            ada, bob = await peers.join("story", "ada"), await peers.join("story", "bob", port=line.port)
            encodings = [webrtc.RTCRtpEncodingParameters(**each) for each in layers]
            await ada.publish(audio=False, video=(640, 480, 30), prefer=codec, encodings=encodings)

            async def is_seen() -> Any:
                picture = await bob.inbound("video")
                return picture is not None and (picture.frames_decoded or 0) >= 90 and picture.frame_width == 640

            await until(is_seen, timeout_s=30)
            answer = bob.subscribe_pc.local_description.sdp

    assert f"a=extmap:{DESCRIPTOR_ID} {URI}" in answer
    assert 0 == plain
    _, first = described[0]
    assert first[0] & 0x80
    assert first[3] & 0x80
    frames = [int.from_bytes(each[1:3], "big") for _, each in described]
    assert len(set(frames)) >= 90
    assert all(0 <= (after - before) & 0xFFFF < 0x8000 for before, after in pairwise(frames))
