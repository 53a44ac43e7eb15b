"""
What a WHIP publisher sends is what a WHEP subscriber receives: the same payload bytes under headers that add up (RFC
3550).

Both ends are aiortc, listened to inside its encryption: what goes into SRTP on one side, what comes out of it on the
other.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from support.relay_process import RelayProcess
from support.waiting import until
from telerelay.client import MovingPicture, Tone, publish_whip, subscribe_whep
from telerelay.client.tap import RtpPacket
from telerelay.client.whip import HttpSession

PACKETS = {"audio": 100, "video": 150}


def listen_to_what_is_sent(session: HttpSession) -> list[RtpPacket]:
    """Every RTP packet that this session encrypts from now on."""
    sent: list[RtpPacket] = []
    transport: Any = session.pc.getTransceivers()[0].sender.transport
    send = transport._send_rtp

    async def tapped(data: bytes) -> None:
        if not 192 <= data[1] <= 223:  # RTCP (RFC 5761, 4)
            sent.append(RtpPacket.parse(data))
        await send(data)

    transport._send_rtp = tapped
    return sent


def alignment(sent: list[bytes], received: list[bytes]) -> int:
    """Where in `sent` the run `received` begins; fails the test if it is not in there as a whole."""
    for start in range(len(sent) - len(received) + 1):
        if sent[start] == received[0] and sent[start : start + len(received)] == received:
            return start
    pytest.fail("what was received is not a run of what was sent")


def payload_type(session: HttpSession, kind: str, codec: str) -> int:
    """The number that this session's descriptions give the codec."""
    for transceiver in session.pc.getTransceivers():
        if transceiver.kind == kind:
            for each in transceiver._codecs:
                if each.mimeType.lower() == codec.lower():
                    return int(each.payloadType)
    raise AssertionError(f"{codec} was not negotiated")


async def test_payloads_and_headers_come_out_as_they_went_in(relay: RelayProcess) -> None:
    """
    For picture and tone: payloads byte for byte, one SSRC, sequence numbers in steps of 1, the publisher's timestamp
    steps and marker bits, the payload type that the subscriber negotiated.
    """
    received: dict[int, list[RtpPacket]] = defaultdict(list)
    picture, tone = MovingPicture(fps=30), Tone()
    async with await publish_whip(f"{relay.url}/whip/story", relay.token("story", "camera"), [tone, picture]) as whip:
        sent = listen_to_what_is_sent(whip)
        whep = await subscribe_whep(f"{relay.url}/whep/story", relay.token("story", "viewer"))
        whep.tap.on_packet = lambda packet, _at: received[packet.pt].append(packet)
        async with whep:
            names = {"audio": "audio/opus", "video": "video/VP8"}
            pts = {kind: payload_type(whep, kind, codec) for kind, codec in names.items()}
            await until(lambda: all(len(received[pts[kind]]) >= count for kind, count in PACKETS.items()), 30)
            for kind, codec in names.items():
                came = received[pts[kind]][: PACKETS[kind]]
                went = [packet for packet in sent if packet.pt == payload_type(whip, kind, codec)]
                start = alignment([packet.payload for packet in went], [packet.payload for packet in came])
                went = went[start : start + len(came)]
                steps = list(zip(went, went[1:], came, came[1:], strict=False))

                assert 1 == len({packet.ssrc for packet in came})
                assert went[0].ssrc != came[0].ssrc
                assert {1} == {(c2.seq - c1.seq) & 0xFFFF for _, _, c1, c2 in steps}
                assert [(w2.timestamp - w1.timestamp) & 0xFFFFFFFF for w1, w2, _, _ in steps] == [
                    (c2.timestamp - c1.timestamp) & 0xFFFFFFFF for _, _, c1, c2 in steps
                ]
                assert [packet.marker for packet in went] == [packet.marker for packet in came]
            assert 0 == whep.tap.lost
            assert 0 == whep.tap.malformed
