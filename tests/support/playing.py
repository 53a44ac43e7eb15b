"""
A publisher that plays what libwebrtc once made: a recording goes out over WHIP again and again, as one stream without
an end, in real time. A keyframe request has it go on with the next keyframe of the recording, a NACK has it resend.

All numbers begin shortly before their wraps, each encoding at another distance. Event loop of the test.
"""

from __future__ import annotations

import asyncio
import random
import struct
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import aiohttp

from support import recording, replay, sealing
from support.near_relay import NearRelay
from support.raw_peer import MID_ID, OPUS_PT, RawPeer
from support.recording import DESCRIPTOR, DESCRIPTOR_ID, Recording
from support.replay import Packet

RID_ID = 2
CLOCK_HZ = 90_000
FRAME_S = 1 / 30
LONGEST_STEP_US = 70_000
RESENT_FROM = 400
"""As many of its packets an encoding keeps."""
REPORT_EVERY_S = 1.0
FMTP = {"H264": "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", "VP9": "profile-id=0"}
NTP_EPOCH_S = 2_208_988_800


@dataclass(frozen=True, slots=True)
class Scene:
    """From one keyframe to the next: the packets of each encoding, `at_us` from the scene's first."""

    encodings: tuple[list[Packet], ...]


def scenes(codec: str, made: Recording) -> list[Scene]:
    """A recording cut at its keyframes, which all encodings have at the same time."""
    cut = []
    for packets in made.encodings:
        parts: list[list[Packet]] = []
        for picture in _pictures(recording.from_keyframe(codec, packets)):
            if recording.is_keyframe(codec, picture[0]):
                parts.append([])
            parts[-1] += picture
        cut.append(parts)
    return [Scene(tuple(_timed(packets) for packets in parts_of_all)) for parts_of_all in zip(*cut, strict=False)]


def _timed(packets: list[Packet]) -> list[Packet]:
    """By the publisher's clock, from the first on; without the moments in which a busy machine kept it waiting."""
    timed, at_us, before = [], 0, packets[0].ts
    for picture in _pictures(packets):
        step_us = ((picture[0].ts - before) & 0xFFFFFFFF) * 1_000_000 // CLOCK_HZ
        at_us, before = at_us + min(step_us, LONGEST_STEP_US), picture[0].ts
        timed += [Packet(at_us, p.marker, p.seq, at_us * CLOCK_HZ // 1_000_000, p.payload, p.elements) for p in picture]
    return timed


def _pictures(packets: list[Packet]) -> list[list[Packet]]:
    return [list(each) for _, each in groupby((p for p in packets if p.payload), key=lambda p: p.ts)]


class _Numbers:
    """Of one encoding: what the packets of a scene are numbered from. Differences within a scene stay as they are."""

    def __init__(self, number: int, seed: int) -> None:
        chance = random.Random(seed)
        self.ssrc = 0x7E1E0000 + 0x10 * number
        self.seq = 0x10000 - chance.randrange(200, 900)
        self.picture = 0x8000 - chance.randrange(60, 240)
        self.tl0 = 0x100 - chance.randrange(20, 60)
        self.frame = 0x10000 - chance.randrange(60, 240)
        self.ts = 0x1_0000_0000 - chance.randrange(3, 9) * CLOCK_HZ
        self.begun_s = 0.0
        self.sent: OrderedDict[int, bytes] = OrderedDict()
        self._highest = (self.picture, self.tl0, self.frame)

    def begin(self, codec: str, first: Packet, at_s: float) -> None:
        """A scene begins with this packet: it follows what was sent last."""
        if self.begun_s:
            self.ts += round((at_s - self.begun_s) * CLOCK_HZ)
        self.begun_s = at_s
        self._at = (first.ts, *_counted(codec, first))
        self.picture, self.tl0, self.frame = (each + 1 for each in self._highest)

    def number(self, codec: str, packet: Packet) -> tuple[int, bytes, bytes]:
        """The time, the payload and the descriptor of a packet as it is to be sent."""
        ts, picture, tl0, frame = self._at
        has_picture, has_tl0, has_frame = _counted(codec, packet)
        payload, descriptor = packet.payload, packet.elements.get(DESCRIPTOR_ID, b"")
        picture_at, tl0_at = replay.places(codec, payload)
        now = list(self._highest)
        if picture_at:
            now[0] = self.picture + ((has_picture - picture + 0x4000) & 0x7FFF) - 0x4000
            number = struct.pack("!H", 0x8000 | now[0] & 0x7FFF)
            payload = payload[:picture_at] + number + payload[picture_at + 2 :]
        if tl0_at:
            now[1] = self.tl0 + ((has_tl0 - tl0 + 0x80) & 0xFF) - 0x80
            payload = payload[:tl0_at] + bytes([now[1] & 0xFF]) + payload[tl0_at + 1 :]
        if descriptor:
            now[2] = self.frame + ((has_frame - frame + 0x8000) & 0xFFFF) - 0x8000
            descriptor = descriptor[:1] + struct.pack("!H", now[2] & 0xFFFF) + descriptor[3:]
        self._highest = tuple(max(a, b) for a, b in zip(self._highest, now, strict=True))  # type: ignore[assignment]
        return self.ts + packet.ts - ts, payload, descriptor


def _counted(codec: str, packet: Packet) -> tuple[int, int, int]:
    """Picture id, TL0PICIDX and frame number of a packet; 0: it has none."""
    picture, tl0 = replay.places(codec, packet.payload)
    descriptor = packet.elements.get(DESCRIPTOR_ID, b"")
    return (
        int.from_bytes(packet.payload[picture : picture + 2], "big") & 0x7FFF if picture else 0,
        packet.payload[tl0] if tl0 else 0,
        int.from_bytes(descriptor[1:3], "big") if descriptor else 0,
    )


class Player(RawPeer):
    """
    `loss` is the share of packets that never reach the relay, by a seed. `asked` counts keyframe requests and NACKs,
    `pictures` the pictures played, `unended` those of them without a marker: libwebrtc publishes such a one where its
    encoder was too short of time for the uppermost layer, and no libwebrtc gets past it without a keyframe.
    """

    def __init__(self, codec: str, made: Recording, *, loss: float = 0.0, seed: int = 1) -> None:
        super().__init__()
        self.codec = codec
        self.scenes = scenes(codec, made)
        self.asked: Counter[str] = Counter()
        self.pictures = self.unended = 0
        self.on_rtcp = self._hear
        self._count = len(made.encodings)
        self._numbers = [_Numbers(each, seed + each) for each in range(self._count)]
        self._loss, self._chance = loss, random.Random(seed)
        self._is_key_wanted = False
        self._playing: asyncio.Task[None] | None = None

    def offer(self, direction: str = "sendonly", sections: int = 1) -> str:
        """One section of video, with its encodings by RID."""
        lines = [
            line.replace(f"m=audio 9 UDP/TLS/RTP/SAVPF {OPUS_PT}", f"m=video 9 UDP/TLS/RTP/SAVPF {replay.PT}")
            for line in super().offer(direction, sections).splitlines()
            if not line.startswith(("a=rtpmap:", "a=ssrc:"))
        ]
        lines.insert(4, "a=extmap-allow-mixed")
        lines += [f"a=rtpmap:{replay.PT} {self.codec}/{CLOCK_HZ}"]
        lines += [f"a=fmtp:{replay.PT} {FMTP[self.codec]}"] if self.codec in FMTP else []
        lines += [f"a=rtcp-fb:{replay.PT} {each}" for each in ("nack", "nack pli", "ccm fir")]
        lines += [f"a=extmap:{DESCRIPTOR_ID} {DESCRIPTOR}"]
        if self._count > 1:
            rids = [f"r{each}" for each in range(self._count)]
            lines += [f"a=extmap:{RID_ID} urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"]
            lines += [f"a=rid:{rid} send" for rid in rids] + ["a=simulcast:send " + ";".join(rids)]
        else:
            lines += [f"a=ssrc:{self._numbers[0].ssrc} cname:played"]
        return "\r\n".join(lines) + "\r\n"

    async def publish(self, relay: NearRelay, http: aiohttp.ClientSession, room: str) -> str:
        """Come into the room and play; the relay's answer."""
        headers = {"Authorization": f"Bearer {relay.token(room, 'player')}", "Content-Type": "application/sdp"}
        async with http.post(f"{relay.url}/whip/{room}", data=self.offer(), headers=headers) as response:
            answer = await response.text()
            assert response.status == 201, answer
        self.start(answer)
        await self.connected.wait()
        self._playing = asyncio.create_task(self._play())
        return answer

    @property
    def requests(self) -> int:
        """Keyframe requests that came, PLI and FIR."""
        return self.asked["pli"] + self.asked["fir"]

    async def _play(self) -> None:
        number, reported_s = 0, 0.0
        while True:
            begun_s = self._loop.time()
            self._is_key_wanted = False
            scene = self.scenes[number % len(self.scenes)]
            number += 1
            for numbers, packets in zip(self._numbers, scene.encodings, strict=True):
                numbers.begin(self.codec, packets[0], begun_s + packets[0].at_us / 1e6)
            pictures = [(each[0].at_us, n, each) for n, own in enumerate(scene.encodings) for each in _pictures(own)]
            pictures.sort(key=lambda each: each[:2])
            keyed = 0
            for at_us, n, picture in pictures:
                if self._is_key_wanted and keyed >= self._count:  # each has had its keyframe
                    break
                await asyncio.sleep(begun_s + at_us / 1e6 - self._loop.time())
                for packet in picture:
                    self._play_one(n, packet)
                keyed += recording.is_keyframe(self.codec, picture[0])
                self.pictures += n == self._count - 1
                self.unended += not picture[-1].marker
                if self._loop.time() - reported_s > REPORT_EVERY_S:
                    reported_s = self._loop.time()
                    self._report(reported_s)
            await asyncio.sleep(FRAME_S)

    def _play_one(self, number: int, packet: Packet) -> None:
        numbers = self._numbers[number]
        ts, payload, descriptor = numbers.number(self.codec, packet)
        elements = [(MID_ID, b"0")]
        elements += [(RID_ID, f"r{number}".encode())] if self._count > 1 else []
        elements += [(DESCRIPTOR_ID, descriptor)] if descriptor else []
        block = sealing.extension_block(elements, two_byte=len(descriptor) > 16)
        plain = sealing.rtp(replay.PT, numbers.seq, numbers.ssrc, payload, ts=ts, marker=packet.marker, block=block)
        assert self._tx is not None
        sealed = self._tx.seal_rtp(plain, numbers.seq)
        numbers.sent[numbers.seq & 0xFFFF] = sealed
        if len(numbers.sent) > RESENT_FROM:
            numbers.sent.popitem(last=False)
        numbers.seq += 1
        self._send_or_lose(sealed)

    def _send_or_lose(self, sealed: bytes) -> None:
        if self._chance.random() >= self._loss:
            self._send(sealed)

    def _report(self, now_s: float) -> None:
        clock_s = time.time() + NTP_EPOCH_S
        for numbers in self._numbers:
            ts = numbers.ts + round((now_s - numbers.begun_s) * CLOCK_HZ)
            body = struct.pack("!IQIII", numbers.ssrc, int(clock_s * 2**32), ts & 0xFFFFFFFF, 0, 0)
            self.tell(sealing.part(200, 0, body))

    def _hear(self, compound: bytes) -> None:
        for kind, count, body in parts(compound):
            if kind == 206 and count in {1, 4}:
                self.asked["pli" if count == 1 else "fir"] += 1
                self._is_key_wanted = True
            elif kind == 205 and count == 1:
                self._resend(body)

    def _resend(self, body: bytes) -> None:
        (ssrc,) = struct.unpack_from("!I", body, 4)
        (numbers,) = (each for each in self._numbers if each.ssrc == ssrc)
        for at in range(8, len(body), 4):
            seq, more = struct.unpack_from("!HH", body, at)
            for each in [seq, *(seq + 1 + bit for bit in range(16) if more >> bit & 1)]:
                self.asked["nack"] += 1
                sealed = numbers.sent.get(each & 0xFFFF)
                if sealed is not None:
                    self._send_or_lose(sealed)

    def close(self) -> None:
        if self._playing is not None:
            self._playing.cancel()
        super().close()


def parts(compound: bytes) -> list[tuple[int, int, bytes]]:
    """The parts of an RTCP compound: type, count or format, and what follows the header."""
    found, at = [], 0
    while at + 4 <= len(compound):
        first, kind, words = struct.unpack_from("!BBH", compound, at)
        found.append((kind, first & 31, compound[at + 4 : at + 4 + 4 * words]))
        at += 4 + 4 * words
    return found


class Watcher(RawPeer):
    """
    A WHEP client whose pictures PyAV decodes as they come; `errors` are its decoder's. It loses packets by a seed, asks
    for them, and takes them from RTX. `shown` has time and size of each picture.
    """

    RTX = replay.PT + 1
    ASK_EVERY_S, PATIENCE_S = 0.03, 3.0

    def __init__(self, codec: str, *, loss: float = 0.0, seed: int = 1) -> None:
        super().__init__()
        self.codec = codec
        self.shown: list[tuple[float, int, int]] = []
        self.errors: list[Exception] = []
        self.cut = self.repaired = 0
        self.on_packet = self._take
        self._decoder: Any = replay.Decoder(codec)
        self._loss, self._chance = loss, random.Random(seed)
        self._came: dict[int, Packet] = {}
        self._next: int | None = None
        self._newest = 0
        self._picture: list[Packet] = []
        self._stream = self._waited = 0
        self._missed: list[int] = []
        self.own_ssrc = self.ssrc

    def offer(self, direction: str = "recvonly", sections: int = 1) -> str:
        lines = [
            line.replace(
                f"m=audio 9 UDP/TLS/RTP/SAVPF {OPUS_PT}", f"m=video 9 UDP/TLS/RTP/SAVPF {replay.PT} {self.RTX}"
            )
            for line in super().offer(direction, sections).splitlines()
            if not line.startswith(("a=rtpmap:", "a=ssrc:"))
        ]
        lines.insert(4, "a=extmap-allow-mixed")
        lines += [f"a=rtpmap:{replay.PT} {self.codec}/{CLOCK_HZ}"]
        lines += [f"a=fmtp:{replay.PT} {FMTP[self.codec]}"] if self.codec in FMTP else []
        lines += [f"a=rtpmap:{self.RTX} rtx/{CLOCK_HZ}", f"a=fmtp:{self.RTX} apt={replay.PT}"]
        lines += [f"a=rtcp-fb:{replay.PT} {each}" for each in ("nack", "nack pli")]
        lines += [f"a=extmap:{DESCRIPTOR_ID} {DESCRIPTOR}"]
        return "\r\n".join(lines) + "\r\n"

    async def watch(self, relay: NearRelay, http: aiohttp.ClientSession, room: str) -> None:
        """Come into the room."""
        headers = {"Authorization": f"Bearer {relay.token(room, 'watcher')}", "Content-Type": "application/sdp"}
        async with http.post(f"{relay.url}/whep/{room}", data=self.offer(), headers=headers) as response:
            answer = await response.text()
            assert response.status == 201, answer
        self.start(answer)
        await self.connected.wait()
        self._ask()

    def _take(self, plain: bytes) -> None:
        if self.shown and self._chance.random() < self._loss:  # a beginning that is lost would have to be begun again
            return
        padding = plain[-1] if plain[0] & 0x20 else 0
        packet = replay.parse(0, plain[: len(plain) - padding])
        pt, seq, payload = plain[1] & 0x7F, packet.seq, packet.payload
        if pt == self.RTX:
            if len(payload) < 2:
                return
            seq, payload = int.from_bytes(payload[:2], "big"), payload[2:]
            self.repaired += 1
        elif pt != replay.PT:
            return
        else:
            self._stream = int.from_bytes(plain[8:12], "big")
        index = self._newest + ((seq - self._newest + 0x8000) & 0xFFFF) - 0x8000 if self._newest else seq + 0x10000
        self._next = index if self._next is None else self._next
        if index < self._next or index in self._came:
            return
        self._newest = max(self._newest, index)
        self._came[index] = Packet(0, packet.marker, index, packet.ts, payload, packet.elements)
        while (ready := self._came.pop(self._next, None)) is not None:
            self._next += 1
            self._put(ready)

    def _put(self, packet: Packet) -> None:
        if not packet.payload:
            return
        if self._picture and self._picture[-1].ts != packet.ts:
            self.cut += 1
            self._picture = []
        self._picture.append(packet)
        if not packet.marker:
            return
        data = replay.assembled(self.codec, [each.payload for each in self._picture])
        self._picture = []
        try:
            for width, height in self._decoder.sizes(data):
                self.shown.append((self._loop.time(), width, height))
        except Exception as error:
            self.errors.append(error)

    def _ask(self) -> None:
        if self._next is not None:
            missing = [each for each in range(self._next, self._newest) if each not in self._came][:16]
            entries = [(each & 0xFFFF, 0) for each in missing]
            self._waited = self._waited + 1 if missing and missing[:1] == self._missed else 0
            self._missed = missing[:1]
            if self._waited * self.ASK_EVERY_S > self.PATIENCE_S and not self.errors:
                self.errors.append(TimeoutError(f"packet {missing[0]} never came"))
            if entries:
                report = sealing.receiver_report(self.own_ssrc)
                self.tell(report + sealing.nack(self.own_ssrc, self._stream, *entries))
        self._later(self.ASK_EVERY_S, self._ask)
