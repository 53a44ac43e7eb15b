"""
A browser as it was recorded: publishes with an offer's own text, its payload types, header extensions and sections,
and sends a picture and sound over a transport of its own.

Event loop of the person's process. Of the offer only what belongs to one connection is another: credentials,
fingerprint, candidates. The picture is of the codec that comes first in the answer, as browsers choose.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder

from rows.figures import HERE
from support import sealing
from support.raw_peer import RawPeer, _context
from telerelay.client import MovingPicture

OFFERS = HERE.parent / "data" / "offers"
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
CODECS: dict[str, Callable[[], Any]] = {"VP8": Vp8Encoder, "H264": H264Encoder}
SILENCE = b"\xf8\xff\xfe"
"""An Opus packet of 20 ms."""
SOUND_S, FPS = 0.02, 10
KEYFRAME_EVERY = 5
"""Pictures: nobody's request is waited for, half a second is soon enough."""


@dataclass(slots=True)
class _Section:
    """One section of the offer and of its answer."""

    kind: str
    mid: str
    pt: int
    codec: str
    block: bytes
    ssrc: int


class RecordedPeer(RawPeer):
    """`publish` with a recorded offer; media goes until `stop`."""

    def __init__(self) -> None:
        super().__init__()
        self._sending: list[asyncio.Task[None]] = []
        self.codecs: list[str] = []
        """What is sent, section by section."""

    def offer_of(self, name: str) -> str:
        """The recording, under our credentials."""
        text = (OFFERS / f"{name}.sdp").read_text().replace("\r\n", "\n")
        text = re.sub(r"^a=(candidate|end-of-candidates)\b.*\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"^a=ice-ufrag:.*$", f"a=ice-ufrag:{self.ufrag}", text, flags=re.MULTILINE)
        text = re.sub(r"^a=ice-pwd:.*$", f"a=ice-pwd:{self.pwd}", text, flags=re.MULTILINE)
        text = re.sub(r"^a=fingerprint:.*$", f"a=fingerprint:sha-256 {_context()[1]}", text, flags=re.MULTILINE)
        return text.replace("\n", "\r\n")

    async def publish(self, name: str, request: Callable[..., Awaitable[dict[str, Any]]]) -> None:
        """Say the offer, connect, and send. Raises what `request` raises; TimeoutError."""
        offer = self.offer_of(name)
        tracks = [{"mid": mid, "source": source} for mid, source in _sources(offer)]
        answer = (await request("publish", sdp=offer, tracks=tracks))["sdp"]
        self.start(answer)
        async with asyncio.timeout(15.0):
            await self.connected.wait()
        for section in _sections(offer, answer, self.ssrc):
            self.codecs.append(section.codec)
            sending = self._speak(section) if section.kind == "audio" else self._show(section)
            self._sending.append(asyncio.create_task(sending))

    def stop(self) -> None:
        """Let go of everything."""
        for task in self._sending:
            task.cancel()
        self.close()

    async def _speak(self, section: _Section) -> None:
        for number in itertools.count():
            self._put(section, number, number * 960, SILENCE, marker=number == 0)
            await asyncio.sleep(SOUND_S)

    async def _show(self, section: _Section) -> None:
        encoder, picture, numbers = CODECS[section.codec](), MovingPicture(320, 240, FPS), itertools.count()
        for count in itertools.count():
            frame = await picture.recv()
            payloads, _ = encoder.encode(frame, force_keyframe=count % KEYFRAME_EVERY == 0)
            for payload in payloads:
                self._put(section, next(numbers), frame.pts, payload, marker=payload is payloads[-1])

    def _put(self, section: _Section, number: int, ts: int, payload: bytes, *, marker: bool) -> None:
        assert self._tx is not None
        packet = sealing.rtp(section.pt, number, section.ssrc, payload, ts=ts, marker=marker, block=section.block)
        self._send(self._tx.seal_rtp(packet, number))


def _split(sdp: str) -> Iterator[str]:
    """The sections' texts."""
    yield from re.split(r"^(?=m=)", sdp, flags=re.MULTILINE)[1:]


def _value(section: str, pattern: str) -> str:
    found = re.search(pattern, section, re.MULTILINE)
    return found[1].strip() if found else ""


def _sources(offer: str) -> Iterator[tuple[str, str]]:
    for section in _split(offer):
        if source := {"m=audio": "microphone", "m=video": "camera"}.get(section[:7]):
            yield _value(section, r"^a=mid:(.*)$"), source


def _sections(offer: str, answer: str, ssrc: int) -> Iterator[_Section]:
    for offered, answered in zip(_split(offer), _split(answer), strict=True):
        kind = offered[2:7]
        if kind not in {"audio", "video"}:
            continue
        pt = int(answered.split("\n", 1)[0].split()[3])
        codec = _value(answered, rf"^a=rtpmap:{pt} (\w+)/")
        mid, number = _value(offered, r"^a=mid:(.*)$"), _value(answered, rf"^a=extmap:(\d+)\S* {re.escape(MID)}")
        block = sealing.extension_block([(int(number), mid.encode())]) if number else b""
        own = _value(offered, r"^a=ssrc:(\d+)")
        yield _Section(kind, mid, pt, codec, block, int(own) if own else ssrc + ord(kind[0]))
