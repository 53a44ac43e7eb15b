"""
What a publisher on libwebrtc sends, recorded as packets: it publishes to a relay in this process, and bare peers take
each encoding from there, all layers of it.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from support import descriptors, raw_peer, replay
from support.near_relay import NearRelay, near_relay
from support.raw_peer import RawPeer
from support.replay import Packet, Sent
from support.waiting import until
from support.wrtc_peer import Peers

DESCRIPTOR = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
DESCRIPTOR_ID = 5


@dataclass(frozen=True, slots=True)
class Recording:
    """One list of packets an encoding, the lowest first, by number; `at_us` from the first packet of all."""

    encodings: tuple[list[Packet], ...]


class _Recorder(RawPeer):
    """A WHEP client that takes one picture."""

    def __init__(self, codec: str) -> None:
        super().__init__()
        self.codec = codec
        self.came: list[Packet] = []
        self.on_packet = self._keep

    def _keep(self, packet: bytes) -> None:
        if packet[1] & 0x7F == replay.PT:
            padding = packet[-1] if packet[0] & 0x20 else 0
            plain = packet[: len(packet) - padding]
            self.came.append(replay.parse(int(self._loop.time() * 1e6), plain))

    def offer(self, direction: str = "recvonly", sections: int = 1) -> str:
        """One section of video of one codec, with the dependency descriptor."""
        fmtp = {
            "H264": ["a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"],
            "VP9": ["a=fmtp:96 profile-id=0"],
        }
        lines = (
            super()
            .offer(direction, sections)
            .replace(f"m=audio 9 UDP/TLS/RTP/SAVPF {raw_peer.OPUS_PT}", "m=video 9 UDP/TLS/RTP/SAVPF 96")
            .splitlines()
        )
        lines = [line for line in lines if not line.startswith("a=rtpmap:")]
        lines.insert(4, "a=extmap-allow-mixed")
        lines += [f"a=rtpmap:96 {self.codec}/90000", *fmtp.get(self.codec, []), "a=rtcp-fb:96 nack pli"]
        lines += [f"a=extmap:{DESCRIPTOR_ID} {DESCRIPTOR}"]
        return "\r\n".join(lines) + "\r\n"


async def _take(relay: NearRelay, http: aiohttp.ClientSession, room: str, codec: str, who: str) -> _Recorder:
    peer = _Recorder(codec)
    headers = {"Authorization": f"Bearer {relay.token(room, who)}", "Content-Type": "application/sdp"}
    async with http.post(f"{relay.url}/whep/{room}", data=peer.offer(), headers=headers) as response:
        answer = await response.text()
        assert response.status == 201, answer
    peer.start(answer)
    await peer.connected.wait()
    return peer


KEY_EVERY_S = 1.2


def plainly(sdp: str) -> str:
    """An offer without the dependency descriptor: with it, libwebrtc's payload descriptors of VP8 have no numbers."""
    return "".join(line for line in sdp.splitlines(keepends=True) if DESCRIPTOR not in line)


async def record(
    codec: str,
    encodings: list[Any],
    video: tuple[int, int, int],
    lasts_s: float,
    *,
    key_every_s: float = KEY_EVERY_S,
    is_described: bool = True,
) -> Recording:
    """
    Record for `lasts_s`; a keyframe is asked for each `key_every_s`. What libwebrtc sends of VP8 is described in the
    dependency descriptor, or in the payload.
    """
    async with near_relay() as relay, Peers(relay) as peers, aiohttp.ClientSession() as http:
        ada = await peers.join("studio", "ada")
        if not is_described:
            ada.edit_offer = plainly
        await ada.publish(audio=False, video=video, prefer=codec, encodings=encodings)
        (worker,) = relay.relay._workers
        recorders: list[_Recorder] = []
        known: set[int] = set()
        for number in range(len(encodings)):
            recorders.append(await _take(relay, http, "studio", codec, f"recorder-{number}"))
            senders = set((await worker.inventory()).senders)
            (sender,) = senders - known
            known = senders
            await worker.set_layer(sender, encoding=number)
        receivers = list((await worker.inventory()).receivers)
        for _ in range(100):  # the publisher's own estimate grows until all encodings and layers are there
            await asyncio.sleep(0.1)
            if all(len(each.came) > 50 for each in recorders) and _ > 50:
                break
        await until(lambda: all(each.came for each in recorders))
        for each in recorders:
            each.came.clear()
        for _ in range(round(lasts_s / key_every_s)):
            for receiver in receivers:
                await worker.request_keyframe(receiver)
            await asyncio.sleep(key_every_s)
        for each in recorders:
            assert not each.bad_tags
            each.close()
        begun = min(each.came[0].at_us for each in recorders)
        kept = [_whole(_by_number(each.came, begun)) for each in recorders]
        if any(str(each.scalability_mode).endswith("_KEY") for each in encodings):
            kept = [_as_k_svc(codec, packets) for packets in kept]
        return Recording(tuple(kept))


def make(codec: str, encodings: list[Any], video: tuple[int, int, int], lasts_s: float, **options: Any) -> Recording:
    """`record`, in a loop of its own."""
    return asyncio.run(record(codec, encodings, video, lasts_s, **options))


def _by_number(packets: list[Packet], begun_us: int) -> list[Packet]:
    first, index, numbered = packets[0].seq, 0, {}
    for packet in packets:
        index += ((packet.seq - first - index + 0x8000) & 0xFFFF) - 0x8000
        numbered[index] = Packet(
            packet.at_us - begun_us, packet.marker, index, packet.ts, packet.payload, packet.elements
        )
    assert sorted(numbered) == list(range(min(numbered), max(numbered) + 1)), "packets were lost on loopback"
    return [numbered[index] for index in sorted(numbered)]


def _whole(packets: list[Packet]) -> list[Packet]:
    """Without the packets behind the last marker: the recording may have ended in the midst of a picture."""
    last = max(at for at, packet in enumerate(packets) if packet.marker)
    return packets[: last + 1]


def _without_d(packet: Packet) -> Packet:
    payload = packet.payload
    if not payload or payload[0] & 0x60 != 0x60 or not layer_of("VP9", packet)[0]:
        return packet
    at = 1 + (2 if payload[0] & 0x80 else 0)
    return replace(packet, payload=payload[:at] + bytes([payload[at] & 0xFE]) + payload[at + 1 :])


def _as_k_svc(codec: str, packets: list[Packet]) -> list[Packet]:
    """As published: that an upper layer needs the one below but at keyframes is the relay's word."""
    reader, out = descriptors.Reader(), []
    for packet in packets:
        published = _without_d(packet) if codec == "VP9" else packet
        if (data := packet.elements.get(DESCRIPTOR_ID)) is not None:
            published = replace(published, elements=packet.elements | {DESCRIPTOR_ID: reader.untied(data)})
        out.append(published)
    return out


def from_keyframe(codec: str, packets: list[Packet]) -> list[Packet]:
    """From the first packet of the first keyframe on."""
    return packets[next(i for i, packet in enumerate(packets) if is_keyframe(codec, packet)) :]


def is_keyframe(codec: str, packet: Packet) -> bool:
    """Does a keyframe begin with it?"""
    payload = packet.payload
    if not payload:
        return False
    if codec == "H264":
        return payload[0] & 31 == 7 or (payload[0] & 31 == 24 and payload[3] & 31 == 7)
    if codec == "VP8":
        return replay.is_start(codec, payload) and not payload[replay.descriptor_size(codec, payload)] & 1
    if codec == "VP9":
        return payload[0] & 0x48 == 0x08 and not layer_of(codec, packet)[0]
    return bool(payload[0] & 0x08)


def layer_of(codec: str, packet: Packet) -> tuple[int, int]:
    """Spatial and temporal layer, by the payload; of AV1 where an OBU begins in the packet."""
    payload = packet.payload
    if codec == "VP9":
        at = 1 + (2 if payload[0] & 0x80 else 0)
        return (payload[at] >> 1 & 7, payload[at] >> 5) if payload[0] & 0x20 else (0, 0)
    if codec == "VP8":
        return 0, payload[5] >> 6 if payload[1] & 0x20 else 0
    at = 1 if payload[0] >> 4 & 3 == 1 else 2 if not payload[1] & 0x80 else 3
    if payload[at] >> 3 & 15 == 2:  # a temporal delimiter has no layer
        at += 2
    return (payload[at + 1] >> 3 & 3, payload[at + 1] >> 5) if payload[at] & 4 else (0, 0)


def sent(codec: str, encoding: int, packets: list[Packet]) -> list[Sent]:
    """As the publisher would send them with all its numbers just before their wraps."""
    pictures = frames = lowest = None
    out = []
    for packet in packets:
        payload, descriptor = packet.payload, packet.elements.get(DESCRIPTOR_ID, b"")
        picture_at, tl0_at = replay.places(codec, payload) if payload else (0, 0)
        if picture_at:
            number = replay.picture_id(codec, payload)
            pictures = number if pictures is None else pictures
            moved = 0x8000 | (number - pictures + replay.EPOCH_PICTURE) & 0x7FFF
            payload = payload[:picture_at] + struct.pack("!H", moved) + payload[picture_at + 2 :]
        if tl0_at:
            lowest = payload[tl0_at] if lowest is None else lowest
            payload = payload[:tl0_at] + bytes([(payload[tl0_at] - lowest + 0xFC) & 0xFF]) + payload[tl0_at + 1 :]
        if descriptor:
            number = int.from_bytes(descriptor[1:3], "big")
            frames = number if frames is None else frames
            descriptor = descriptor[:1] + struct.pack("!H", (number - frames + 0xFFC0) & 0xFFFF) + descriptor[3:]
        seq = packet.seq - packets[0].seq + replay.EPOCH_SEQ
        ts = packet.ts - packets[0].ts + replay.EPOCH_TS
        data = replay.rtp(encoding, seq, ts, packet.marker, payload, descriptor)
        out.append(Sent(packet.at_us - packets[0].at_us, encoding, data))
    return out
