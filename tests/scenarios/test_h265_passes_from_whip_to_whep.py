"""
H.265 from a WHIP publisher to a WHEP subscriber (RFC 7798): negotiated by profile, begun at a keyframe, never changed.

No encoder is needed: aiortc lends its ICE, DTLS and SRTP under descriptions in which its VP8 is called H265, and the
packets are written here.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aiortc import RTCSessionDescription

from support.relay_process import RelayProcess
from support.waiting import until
from telerelay.client.whip import HttpSession

FMTP = "level-id=93;profile-id={};tier-flag=0;tx-mode=SRST"
VPS, SPS, PPS, IDR, TRAIL, AP, FU = 32, 33, 34, 19, 1, 48, 49


def nal(kind: int, body: bytes) -> bytes:
    return struct.pack("!H", kind << 9 | 1) + body


def keyframe(number: int) -> list[bytes]:
    """Parameter sets in an aggregation packet, then an IDR picture in three fragments (RFC 7798, 4.4.2 and 4.4.3)."""
    sets = [nal(kind, bytes([number]) * 9) for kind in (VPS, SPS, PPS)]
    together = nal(AP, b"".join(struct.pack("!H", len(each)) + each for each in sets))
    picture = [
        nal(FU, bytes([start << 7 | end << 6 | IDR]) + bytes([0x80 | number]) * 800)
        for start, end in ((1, 0), (0, 0), (0, 1))
    ]
    return [together, *picture]


def delta(number: int) -> list[bytes]:
    return [nal(TRAIL, b"\xd0" + bytes([number]) * 300)]


class H265Session(HttpSession):
    """A session whose VP8 is called H265 towards the relay."""

    def __init__(self, endpoint: str, token: str, profile: int) -> None:
        super().__init__(endpoint, token)
        self._profile = profile

    def pt(self) -> int:
        return next(c.payloadType for c in self.pc.getTransceivers()[0]._codecs if c.mimeType == "video/VP8")

    async def open(self) -> None:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        text = self.pc.localDescription.sdp
        fmtp = FMTP.format(self._profile)
        offer = re.sub(r"a=rtpmap:(\d+) VP8/90000", rf"a=rtpmap:\1 H265/90000\r\na=fmtp:\1 {fmtp}", text)
        offer = re.sub(r"H264/90000", "X-OTHER/90000", offer)
        headers = {**self._authorization, "Content-Type": "application/sdp"}
        async with aiohttp.ClientSession() as http, http.post(self.endpoint, data=offer, headers=headers) as response:
            self.answer = await response.text()
            assert response.status == 201, self.answer
            self.resource = urljoin(str(response.url), response.headers["Location"])
        answer = re.sub(r"a=fmtp:\d+ [^\r]*profile-id[^\r]*\r\n", "", self.answer.replace("H265/", "VP8/"))
        self.tap.learn(answer)
        for transceiver in self.pc.getTransceivers():
            self.tap.attach(transceiver.receiver.transport)
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))


class Camera:
    """What the publisher sends: one packet after the other, the last of each picture marked."""

    def __init__(self, session: H265Session) -> None:
        self._transport: Any = session.pc.getTransceivers()[0].sender.transport
        self._ssrc, self._pt = session.pc.getTransceivers()[0].sender._ssrc, session.pt()
        self._seq, self._ts = 500, 90000

    async def show(self, picture: list[bytes]) -> None:
        self._ts += 3000
        for index, payload in enumerate(picture):
            marker = 0x80 if index == len(picture) - 1 else 0
            head = struct.pack("!BBHII", 0x80, marker | self._pt, self._seq, self._ts, self._ssrc)
            self._seq += 1
            await self._transport._send_rtp(head + payload)


async def opened(session: H265Session, direction: str) -> H265Session:
    session.pc.addTransceiver("video", direction=direction)
    await session.open()
    await until(lambda: session.pc.connectionState == "connected")
    return session


async def test_pictures_arrive_from_the_next_keyframe_on(relay: RelayProcess) -> None:
    """
    What comes before the keyframe is of no use and stays behind; parameter sets, fragments and what follows arrive byte
    for byte, the level that was offered in both answers. The packet of the sets comes once more by RTX (RFC 4588, 4).
    """
    received: defaultdict[int, list[bytes]] = defaultdict(list)
    sent = [keyframe(3), *(delta(number) for number in range(4, 40))]
    whip = H265Session(f"{relay.url}/whip/story", relay.token("story", "camera"), profile=1)
    whep = H265Session(f"{relay.url}/whep/story", relay.token("story", "viewer"), profile=1)
    async with whip, whep:
        camera = Camera(await opened(whip, "sendonly"))
        for number in range(3):
            await camera.show(delta(number))
        await opened(whep, "recvonly")
        whep.tap.on_packet = lambda packet, _at: received[packet.ssrc].append(packet.payload)

        async def is_waiting() -> bool:
            await camera.show(delta(0))
            return relay.drops().get("wait_keyframe", 0) > 2

        await until(is_waiting)
        for picture in sent:
            await camera.show(picture)
        await until(lambda: sum(map(len, received.values())) > sum(map(len, sent)))

    media, resent = received.values()
    assert [payload for picture in sent for payload in picture] == media
    assert [sent[0][0]] == [payload[2:] for payload in resent]
    assert all("H265/90000" in session.answer and "level-id=93" in session.answer for session in (whip, whep))


async def test_another_profile_is_not_sent(relay: RelayProcess) -> None:
    """
    Main 10 to a player of Main: nothing comes, and the publisher goes on.
    """
    whip = H265Session(f"{relay.url}/whip/story", relay.token("story", "camera"), profile=2)
    main = H265Session(f"{relay.url}/whep/story", relay.token("story", "main"), profile=1)
    main10 = H265Session(f"{relay.url}/whep/story", relay.token("story", "main10"), profile=2)
    seen: dict[str, list[bytes]] = {"main": [], "main10": []}
    async with whip, main, main10:
        camera = Camera(await opened(whip, "sendonly"))
        for name, session in (("main", main), ("main10", main10)):
            await opened(session, "recvonly")
            session.tap.on_packet = lambda packet, _at, name=name: seen[name].append(packet.payload)

        async def is_seen() -> bool:
            await camera.show(keyframe(len(seen["main10"]) % 64))
            return len(seen["main10"]) >= 50

        await until(is_seen)

    assert [] == seen["main"]
