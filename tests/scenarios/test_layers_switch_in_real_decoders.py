"""
A publisher of each codec and mode is received by Chromium and by PyAV over lines that lose packets, while layers and
encodings go up and down: both decode all of it, at the right size, past the wraps of every number.

The publisher plays what libwebrtc (of H.264: libx264) made, see support/playing.py; the relay is in the test's loop and
is told which layers to forward.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import statistics
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
import webrtc
from playwright.async_api import Page

from support import encoded, recording
from support.chromium import chromium
from support.impairment import Impairment, UdpImpairment
from support.near_relay import NearRelay, near_relay
from support.playing import Player, Watcher
from support.recording import Recording
from support.replay import ANY
from support.starved import Starved
from support.waiting import until
from support.wrtc_peer import through

pytestmark = [pytest.mark.slow, pytest.mark.timed, pytest.mark.browser, pytest.mark.timeout(600)]

LOSS = 0.03
LINE = Impairment(loss=LOSS, delay_ms=20)
CLEAR = Impairment(delay_ms=20)
SWITCHES = 16
HOLD_S = 1.2
SETTLE_S = 0.4
"""After a change of layers, until the number of pictures is counted."""
TOOK_S, TOOK_MOST_S = 0.7, 3.0
"""A change of size takes this long: the median, and each. A request has to wait half a second for the one before."""
STILL_MOST_S = 1.0
"""No picture in Chromium for so long. Of the lowest of three temporal layers one comes each 133 ms."""
DECODED = 0.8
"""Chromium decodes at least so much of what PyAV does, less what the machine stood still: it leaves out pictures that
come too late to be looked at."""
RIDS = ("q", "h", "f")
SAID = (
    *("framesReceived", "framesDecoded", "framesDropped", "keyFramesDecoded", "pliCount", "nackCount"),
    *("freezeCount", "totalFreezesDuration", "packetsLost", "decoderImplementation"),
)

RECEIVE = r"""
async ([codec, descriptor]) => {
  const pc = globalThis.pc = new RTCPeerConnection();
  const transceiver = pc.addTransceiver("video", { direction: "recvonly" });
  const { codecs } = RTCRtpReceiver.getCapabilities("video");
  const wanted = codecs.filter(({ mimeType }) => [`video/${codec}`, "video/rtx"].includes(mimeType));
  transceiver.setCodecPreferences(wanted);
  const video = document.body.appendChild(document.createElement("video"));
  video.muted = video.autoplay = true;
  pc.ontrack = ({ track }) => { video.srcObject = new MediaStream([track]); };
  const gathered = new Promise((done) => {
    pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && done();
  });
  const offer = await pc.createOffer();
  if (descriptor !== null) {
    const free = [13, 12, 11, 14, 16].find((id) => !offer.sdp.includes(`a=extmap:${id} `));
    offer.sdp = offer.sdp.replace(/a=mid:.*\r\n/, (mid) => `${mid}a=extmap:${free} ${descriptor}\r\n`);
  }
  await pc.setLocalDescription(offer);
  await gathered;
  globalThis.inbound = async () => {
    const rows = [...(await pc.getStats()).values()];
    return rows.find(({ type, kind }) => type === "inbound-rtp" && kind === "video") ?? {};
  };
  const seen = globalThis.seen = { frames: 0, at: performance.now(), still_ms: 0 };
  setInterval(async () => {
    const { framesDecoded } = await inbound();
    const now = performance.now();
    if (!framesDecoded) seen.at = now;
    seen.still_ms = Math.max(seen.still_ms, now - seen.at);
    if (framesDecoded !== seen.frames) Object.assign(seen, { frames: framesDecoded, at: now });
  }, 20);
  return pc.localDescription.sdp;
}
"""


@dataclass(frozen=True, slots=True)
class Mode:
    """`sizes` by encoding and spatial layer, of which there is one or the other; `temporal` layers of each."""

    codec: str
    encodings: tuple[dict[str, Any], ...]
    sizes: tuple[tuple[int, int], ...]
    temporal: int = 3
    is_svc: bool = False
    is_described: bool = True
    offers_descriptor: bool = False
    """Chromium does: by itself it does not, and goes by it where the relay has it agreed on."""

    def wish(self, size: int, temporal: int) -> dict[str, int]:
        """As the worker takes it, of the uppermost layers all there is."""
        at_most = {"temporal": ANY if temporal == self.temporal - 1 else temporal}
        return at_most | ({"spatial": size} if self.is_svc else {"encoding": size})


def simulcast(*scaled: tuple[int, int], mode: str = "L1T3") -> tuple[dict[str, Any], ...]:
    return tuple(
        {"rid": rid, "scale_resolution_down_by": by, "max_bitrate": bps, "scalability_mode": mode}
        for rid, (by, bps) in zip(RIDS, scaled, strict=False)
    )


VIDEO = (960, 540, 30)
THREE = ((240, 135), (480, 270), (960, 540))
SMALL = (640, 360, 30)
TWO = ((320, 180), (640, 360))
MODES = {
    "VP8 simulcast": Mode("VP8", simulcast((4, 120_000), (2, 350_000), (1, 900_000)), THREE),
    "VP8 simulcast by payload": Mode(
        "VP8", simulcast((4, 120_000), (2, 350_000), (1, 900_000)), THREE, is_described=False
    ),
    "H264 simulcast": Mode("H264", (), encoded.SIZES, temporal=1),
    "VP9 SVC": Mode("VP9", ({"scalability_mode": "L3T3_KEY", "max_bitrate": 1_200_000},), TWO, is_svc=True),
    "VP9 SVC by descriptor": Mode(
        "VP9", ({"scalability_mode": "L3T3_KEY", "max_bitrate": 1_200_000},), TWO, is_svc=True, offers_descriptor=True
    ),
    "VP9 simulcast": Mode("VP9", simulcast((2, 250_000), (1, 700_000)), TWO),
    "AV1 SVC": Mode(
        "AV1", ({"scalability_mode": "L2T3_KEY", "max_bitrate": 900_000},), TWO, is_svc=True, offers_descriptor=True
    ),
    "AV1 simulcast": Mode("AV1", simulcast((2, 250_000), (1, 700_000)), TWO),
}


async def recorded(mode: Mode) -> Recording:
    """Keyframes are far apart: a change to another encoding needs one that is asked for."""
    if mode.codec == "H264":
        return encoded.recorded("H264", 75)
    encodings = [webrtc.RTCRtpEncodingParameters(**each) for each in mode.encodings]
    video = VIDEO if len(mode.sizes) == 3 else SMALL
    return await recording.record(mode.codec, encodings, video, 9.0, key_every_s=3.0, is_described=mode.is_described)


class Browser:
    """A page of Chromium that receives one picture over a line that loses packets."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def receive(self, relay: NearRelay, http: aiohttp.ClientSession, room: str, mode: Mode, port: int) -> None:
        """
        By itself Chromium does not offer the dependency descriptor, which it agrees to where the relay offers; without
        it decodes nothing of AV1 in more than one spatial layer.
        """
        await self.page.goto(f"{relay.url}/healthz")
        wanted = recording.DESCRIPTOR if mode.offers_descriptor else None
        offer = await self.page.evaluate(RECEIVE, [mode.codec, wanted])
        headers = {"Authorization": f"Bearer {relay.token(room, 'browser')}", "Content-Type": "application/sdp"}
        async with http.post(f"{relay.url}/whep/{room}", data=offer, headers=headers) as response:
            answer = await response.text()
            assert response.status == 201, answer
        await self.page.evaluate("(sdp) => pc.setRemoteDescription({ type: 'answer', sdp })", through(answer, port))

    async def inbound(self) -> dict[str, Any]:
        """Its inbound-rtp statistics."""
        return dict(await self.page.evaluate("inbound()"))

    async def still_s(self) -> float:
        """How long it has had no new picture, at the longest, since there was one."""
        return float(await self.page.evaluate("seen.still_ms")) / 1e3


@dataclass(slots=True)
class Seen:
    """What was measured while layers changed."""

    took_s: list[float] = field(default_factory=list)
    shares: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    """By temporal layer: pictures that PyAV and Chromium decoded of those that were made."""
    keyframe_changes: int = 0
    plis: int = 0
    """Chromium's own keyframe requests. The first are its beginning's, whose keyframe lost a packet."""
    requests: int = 0
    """Keyframe requests that reached the publisher."""
    unended: int = 0


def walk(mode: Mode, seed: str) -> list[tuple[int, int]]:
    """Sizes and temporal layers to have one after the other, each another than the last; first all there is."""
    chance = random.Random(seed)
    every = [(size, temporal) for size in range(len(mode.sizes)) for temporal in range(mode.temporal)]
    found = [every[-1]]
    while len(found) < SWITCHES + 1:
        found.append(chance.choice([each for each in every if each != found[-1]]))
    return found


async def switch(
    mode: Mode, worker: Any, senders: list[int], browser: Browser, watcher: Watcher, player: Player
) -> Seen:
    """Go up and down, and see that both receivers follow."""
    seen, loop = Seen(), asyncio.get_running_loop()

    async def are_right(size: tuple[int, int]) -> bool:
        found = await browser.inbound()
        in_browser = (found.get("frameWidth"), found.get("frameHeight"))
        return size == in_browser and bool(watcher.shown) and size == watcher.shown[-1][1:]

    wishes = walk(mode, mode.codec)
    await until(lambda: are_right(mode.sizes[-1]), timeout_s=20)
    plis, requests, unended = (await browser.inbound())["pliCount"], player.requests, player.unended
    for (before, _), (size, temporal) in pairwise(wishes):
        begun = loop.time()
        for sender in senders:
            await worker.set_layer(sender, **mode.wish(size, temporal))
        if size != before:
            try:
                await until(lambda wanted=mode.sizes[size]: are_right(wanted), timeout_s=10, every_s=0.02)
            except TimeoutError:
                raise AssertionError(
                    f"{(size, temporal)}: {await browser.inbound()}, {watcher.shown[-1]}, {watcher.errors}"
                ) from None
            seen.took_s.append(loop.time() - begun)
            seen.keyframe_changes += size > before or not mode.is_svc
        await asyncio.sleep(SETTLE_S)
        decoded = (await browser.inbound())["framesDecoded"]
        shown, made = len(watcher.shown), player.pictures
        await asyncio.sleep(HOLD_S)
        here, made = len(watcher.shown) - shown, player.pictures - made
        there = (await browser.inbound())["framesDecoded"] - decoded
        seen.shares.setdefault(temporal, []).append((here / made, there / made))
    seen.plis, seen.requests = (await browser.inbound())["pliCount"] - plis, player.requests - requests
    seen.unended = player.unended - unended
    return seen


@contextlib.asynccontextmanager
async def page() -> AsyncIterator[Page]:
    async with chromium() as started:
        context = await started.new_context(permissions=["camera", "microphone"])
        yield await context.new_page()


@pytest.mark.parametrize("name", MODES)
async def test_layers_go_up_and_down_and_both_decode(name: str) -> None:
    """
    Sixteen changes at random, 3 % lost on the publisher's line and on both receivers': no decoder errs, the size is the
    right one within the bound, of temporal layers as many pictures come as there should; nobody asks for a keyframe but
    for the changes, and for pictures that have no end.
    """
    mode = MODES[name]
    made = await recorded(mode)
    async with near_relay(adapts=False) as relay, aiohttp.ClientSession() as http, page() as opened:
        (worker,) = relay.relay._workers
        player = Player(mode.codec, made, loss=LOSS, seed=3)
        watcher = Watcher(mode.codec, loss=LOSS, seed=4)
        browser = Browser(opened)
        answer = await player.publish(relay, http, "room")
        found = re.search(r"^a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 (\d+) ", answer, re.MULTILINE | re.IGNORECASE)
        assert found is not None
        # Chromium asks once for what it lost of an upper spatial layer (docs/layers.md): where that question is lost it
        # stands still for 3 s, whatever the relay does. Of other modes questions are lost, too.
        up = CLEAR if mode.is_svc else LINE
        with UdpImpairment(("127.0.0.1", int(found[1])), up=up, down=LINE, seed=5) as line:
            try:
                await until(lambda: player.pictures > 5)
                await watcher.watch(relay, http, "room")
                await browser.receive(relay, http, "room", mode, line.port)
                senders = list((await worker.inventory()).senders)
                with Starved() as starved:  # a picture that the machine kept from being shown is not the relay's
                    seen = await switch(mode, worker, senders, browser, watcher, player)
                    inbound, still_s = await browser.inbound(), await browser.still_s()
                if (folder := os.environ.get("TELERELAY_SCREENSHOTS")) is not None:
                    await opened.screenshot(path=f"{folder}/{name.replace(' ', '-')}.png")
            finally:
                player.close()
                watcher.close()
    took = sorted(seen.took_s)
    shares, in_browser = (
        {temporal: round(statistics.median(pair[who] for pair in each), 2) for temporal, each in seen.shares.items()}
        for who in (0, 1)
    )
    print(
        f"\n{name}: a change of size took p50 {statistics.median(took):.2f} s, at most {took[-1]:.2f} s; "
        f"shares of pictures {shares}, in Chromium {in_browser}; "
        f"{len(watcher.shown)} pictures by PyAV, {watcher.repaired} repaired, "
        f"{len(watcher.errors)} errors, {watcher.cut} cut; Chromium: "
        f"{ {key: inbound.get(key) for key in SAID} }, "
        f"still {still_s:.2f} s, starved for {starved.total_s:.2f} s; "
        f"{seen.requests} keyframe requests for {seen.keyframe_changes} changes, {seen.plis} of "
        f"Chromium's own, {seen.unended} pictures without an end; "
        f"{player.asked['nack']} of the publisher's packets asked for again"
    )

    assert [] == watcher.errors
    assert 0 == watcher.bad_tags + player.bad_tags
    assert 0 == seen.plis
    assert still_s <= STILL_MOST_S + starved.total_s
    assert statistics.median(took) <= TOOK_S + starved.total_s / len(took)
    assert took[-1] <= TOOK_MOST_S + starved.total_s
    assert seen.requests <= seen.keyframe_changes + 2 + seen.unended
    if mode.temporal == 3:
        assert 0.15 <= shares[0] <= 0.35
        assert 0.4 <= shares[1] <= 0.6
    assert shares[mode.temporal - 1] >= 0.85
    decoded = DECODED - starved.total_s / (SWITCHES * HOLD_S)
    assert all(in_browser[temporal] >= decoded * share for temporal, share in shares.items())
