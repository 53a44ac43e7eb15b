"""
Participants on libwebrtc (wrtc): the stack of Chromium without a browser, with NACK, RTX, TWCC and its own bandwidth
estimate.

Signalling is the test's own, straight from docs/signaling.md, so that it does not share code with what it tests.
Event loop of the test; libwebrtc runs threads of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
from collections.abc import Callable
from typing import Any, Protocol

os.environ.setdefault("WRTC_ALLOW_LOOPBACK", "1")

import aiohttp
import webrtc

from support.waiting import until

CONNECT_TIMEOUT_S = 15.0


def through(sdp: str, port: int | None) -> str:
    """The description with the relay's candidates on another port (the impairment proxy's)."""
    if port is None:
        return sdp
    return re.sub(r"^(a=candidate:\S+ \d+ \S+ \d+ \S+) \d+ ", rf"\g<1> {port} ", sdp, flags=re.MULTILINE)


async def gathered(pc: Any) -> None:
    """Wait until all candidates are in the local description."""
    await until(lambda: pc.ice_gathering_state == "complete", every_s=0.01)


class Reachable(Protocol):
    """What a peer needs of a relay."""

    @property
    def url(self) -> str: ...

    def token(self, room: str, sub: str) -> str: ...


class Peer:
    """
    One participant with its two connections. `events` are what the relay sent; `edit_offer` and `edit_answer` may
    change its own descriptions before they are set, as pages do for stereo.
    """

    def __init__(self, relay: Reachable, room: str, sub: str, port: int | None = None) -> None:
        self.relay, self.room, self.sub, self.port = relay, room, sub, port
        self.edit_offer: Callable[[str], str] = lambda sdp: sdp
        self.edit_answer: Callable[[str], str] = lambda sdp: sdp
        self.on_event: Callable[[dict[str, Any]], None] = lambda message: None
        self.publish_pc: Any = None
        self.subscribe_pc: Any = None
        self.participant = ""
        self.publications: list[dict[str, Any]] = []
        self.remote: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._http: aiohttp.ClientSession | None = None
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._offers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._stream: Any = None

    async def join(self) -> None:
        """Open the socket and join; offers are answered from then on."""
        self._http = aiohttp.ClientSession()
        closing = aiohttp.ClientWSTimeout(ws_close=1.0)
        self._ws = await self._http.ws_connect(self.relay.url.replace("http", "ws", 1) + "/ws", timeout=closing)
        self._tasks = [asyncio.create_task(self._read(self._ws)), asyncio.create_task(self._answer_offers())]
        reply = await self.request("join", room=self.room, token=self.relay.token(self.room, self.sub))
        self.participant = reply["participant"]

    async def publish(
        self,
        audio: bool = True,
        video: tuple[int, int, int] | None = (640, 480, 30),
        max_bitrate_bps: int | None = None,
        encodings: list[Any] | None = None,
        prefer: str | None = None,
        voice: tuple[int, bool] | None = None,
        redundant: bool = False,
    ) -> None:
        """
        Publish synthetic media; `video` is width, height and rate, `prefer` moves a codec ("H264") to the front,
        `voice` is what a voice may take at most, bit/s, and whether it may go to longer packets where the line is thin;
        `redundant` asks to send it as RED, each packet with what the one before said as well.
        """
        pc = self.publish_pc = webrtc.RTCPeerConnection()
        wanted = {}
        if audio:
            wanted["audio"] = True
        if video is not None:
            width, height, rate = video
            wanted["video"] = webrtc.MediaTrackConstraints(width=width, height=height, frame_rate=rate)
        self._stream = await webrtc.media_devices.get_user_media(webrtc.MediaStreamConstraints(**wanted))
        sources = {}
        for track in self._stream.get_tracks():
            send = encodings
            if track.kind == "audio" or send is None:
                bitrate = max_bitrate_bps if track.kind == "video" else None
                send = [webrtc.RTCRtpEncodingParameters(max_bitrate=bitrate)] if bitrate else []
                if track.kind == "audio" and voice is not None:
                    send = [webrtc.RTCRtpEncodingParameters(max_bitrate=voice[0])]
                    send[0].adaptive_ptime = voice[1]
            options = {"direction": "sendonly", "streams": [self._stream]} | ({"send_encodings": send} if send else {})
            transceiver = pc.add_transceiver(track, webrtc.RTCRtpTransceiverInit(**options))
            sources[track.kind] = transceiver
            first = prefer if track.kind == "video" else "audio/red" if redundant else None
            if first is not None:
                codecs = webrtc.RTCRtpSender.get_capabilities(track.kind).codecs
                codecs.sort(key=lambda codec, first=first: first.lower() not in codec.mime_type.lower())
                transceiver.set_codec_preferences(codecs)
        await self._offer(sources)

    async def _offer(self, sources: dict[str, Any]) -> None:
        pc = self.publish_pc
        await pc.set_local_description(description("offer", self.edit_offer((await pc.create_offer()).sdp)))
        await gathered(pc)
        tracks = [
            {
                "mid": transceiver.mid,
                "source": "camera" if kind == "video" else "microphone",
                "muted": False,
                "encrypted": False,
            }
            for kind, transceiver in sources.items()
        ]
        reply = await self.request("publish", sdp=pc.local_description.sdp, tracks=tracks)
        self.publications = reply["publications"]
        await pc.set_remote_description(description("answer", through(reply["sdp"], self.port)))

    async def _answer_offers(self) -> None:
        while True:
            offer = await self._offers.get()
            if self.subscribe_pc is None:
                self.subscribe_pc = webrtc.RTCPeerConnection()
            pc = self.subscribe_pc
            await pc.set_remote_description(description("offer", through(offer["sdp"], self.port)))
            await pc.set_local_description(description("answer", self.edit_answer((await pc.create_answer()).sdp)))
            await gathered(pc)
            await self.request("answer", offer_id=offer["offer_id"], sdp=pc.local_description.sdp)
            self.remote.update({track["publication"]: track for track in offer["tracks"]})

    async def request(self, type: str, **fields: Any) -> dict[str, Any]:
        """One request; raises AssertionError with the relay's code if it says no."""
        assert self._ws is not None
        number = next(self._ids)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._ws.send_str(json.dumps({"type": type, "id": number, **fields}))
        reply = await asyncio.wait_for(waiting, CONNECT_TIMEOUT_S)
        assert reply["type"] == "reply", f"{type}: {reply.get('code')}: {reply.get('message')}"
        return reply

    async def _read(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        async for raw in ws:
            if raw.type is not aiohttp.WSMsgType.TEXT:
                continue
            message = json.loads(raw.data)
            waiting = self._waiting.pop(message.get("id"), None)
            if waiting is not None:
                waiting.set_result(message)
            elif message["type"] == "offer":
                self._offers.put_nowait(message)
            self.events.append(message)
            if waiting is None:
                self.on_event(message)

    async def inbound(self, kind: str = "video") -> Any:
        """The inbound-rtp statistics of the last stream of that kind, None before there is one."""
        return await statistics(self.subscribe_pc, "inbound-rtp", kind)

    async def outbound(self, kind: str = "video") -> Any:
        """The outbound-rtp statistics of what is published of that kind (of the last encoding)."""
        return await statistics(self.publish_pc, "outbound-rtp", kind)

    async def leave(self) -> None:
        """Leave and let go of everything; safe to call twice."""
        if self._ws is not None and not self._ws.closed:
            with contextlib.suppress(AssertionError, TimeoutError, ConnectionError):
                await asyncio.wait_for(self.request("leave"), 2)
            await self._ws.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()
        for pc in (self.publish_pc, self.subscribe_pc):
            if pc is not None:
                pc.close()
        if self._stream is not None:
            for track in self._stream.get_tracks():
                track.stop()
        self.publish_pc = self.subscribe_pc = self._stream = None


class Peers:
    """Makes peers on one relay and takes all of them back at the end of `async with`."""

    def __init__(self, relay: Reachable) -> None:
        self._relay = relay
        self._peers: list[Peer] = []

    async def join(self, room: str, sub: str, port: int | None = None) -> Peer:
        """A new participant that has joined and publishes nothing yet."""
        peer = Peer(self._relay, room, sub, port)
        self._peers.append(peer)
        await peer.join()
        return peer

    async def __aenter__(self) -> Peers:
        return self

    async def __aexit__(self, *_: object) -> None:
        for peer in self._peers:
            await peer.leave()


def description(type: str, sdp: str) -> Any:
    """An RTCSessionDescription of wrtc."""
    return webrtc.RTCSessionDescription(webrtc.RTCSessionDescriptionInit(type, sdp))


async def statistics(pc: Any, type: str, kind: str) -> Any:
    """The last statistics object of that type and kind (W3C names in snake_case), None if there is none yet."""
    result = None
    if pc is not None:
        for entry in (await pc.get_stats()).values():
            if str(entry.type.value) == type and getattr(entry, "kind", None) == kind:
                result = entry
    return result
