"""
A small SFU on aiortc, to be measured beside others: WHIP and WHEP, one event loop, one process.

aiortc's own MediaRelay decodes and encodes each track again, which no payload survives and which costs a hundred times
more. This forwards aiortc's packets as they are, with a new SSRC and payload type: kinder to aiortc than its usual use.

usage: python benchmarks/peers/aiortc_sfu.py PORT     (prints "ready")
"""

import asyncio
import contextlib
import sys
import uuid
from collections import defaultdict
from typing import Any

from aiohttp import web
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RTCP_PSFB_PLI, HeaderExtensions, RtcpPsfbPacket, RtpPacket


class Room:
    """Whose tracks go where: receivers of publishers and senders of subscribers, by kind."""

    def __init__(self) -> None:
        self.receivers: list[tuple[str, Any]] = []
        self.senders: list[tuple[str, Any]] = []


ROOMS: dict[str, Room] = defaultdict(Room)
CONNECTIONS: dict[str, RTCPeerConnection] = {}


def participant(request: web.Request) -> str:
    """Who it is: the token is taken for a name, for this server trusts everybody."""
    return request.headers.get("Authorization", "").removeprefix("Bearer ") or str(uuid.uuid4())


def forward(room: Room, owner: str, kind: str, receiver: Any) -> None:
    """Replace what the receiver does with a packet: to every sender of the room but its owner's."""

    async def on_packet(packet: RtpPacket, arrival_time_ms: int) -> None:
        receiver.kind, receiver.last_ssrc = kind, packet.ssrc
        for name, sender in room.senders:
            if name == owner or sender.kind != kind:
                continue
            copy = RtpPacket(
                payload_type=sender.out_pt,
                marker=packet.marker,
                sequence_number=packet.sequence_number,
                timestamp=packet.timestamp,
                ssrc=sender._ssrc,
                payload=packet.payload,
            )
            copy.extensions = HeaderExtensions()
            with contextlib.suppress(ConnectionError):
                await sender.transport._send_rtp(copy.serialize())

    receiver._handle_rtp_packet = on_packet


def listen_for_requests(room: Room, owner: str, sender: Any) -> None:
    """A keyframe that a subscriber asks for is asked of every publisher it may be of."""

    async def on_rtcp(packet: Any) -> None:
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_PLI:
            for name, receiver in room.receivers:
                if name != owner and getattr(receiver, "kind", "") == sender.kind:
                    await receiver._send_rtcp_pli(receiver.last_ssrc)

    sender._handle_rtcp_packet = on_rtcp


async def begin(request: web.Request) -> web.Response:
    is_whip = request.path.startswith("/whip/")
    room, name = ROOMS[request.match_info["room"]], participant(request)
    pc = RTCPeerConnection()
    await pc.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
    mine: list[tuple[str, Any]] = []
    for transceiver in pc.getTransceivers():
        if is_whip:
            forward(room, name, transceiver.kind, transceiver.receiver)
            mine.append((name, transceiver.receiver))
        else:
            transceiver.direction = "sendonly"
            listen_for_requests(room, name, transceiver.sender)
            mine.append((name, transceiver.sender))
    await pc.setLocalDescription(await pc.createAnswer())
    if not is_whip:
        for transceiver in pc.getTransceivers():
            transceiver.sender.out_pt = transceiver._codecs[0].payloadType
    held = room.receivers if is_whip else room.senders
    held.extend(mine)
    key = str(uuid.uuid4())
    CONNECTIONS[key] = pc

    @pc.on("connectionstatechange")
    async def on_state() -> None:
        if pc.connectionState in ("closed", "failed"):
            for each in mine:
                with contextlib.suppress(ValueError):
                    held.remove(each)

    headers = {"Location": f"/session/{key}"}
    return web.Response(status=201, text=pc.localDescription.sdp, content_type="application/sdp", headers=headers)


async def end(request: web.Request) -> web.Response:
    pc = CONNECTIONS.pop(request.match_info["key"], None)
    if pc is not None:
        await pc.close()
    return web.Response()


async def main(port: int) -> None:
    app = web.Application()
    app.router.add_post("/whip/{room}", begin)
    app.router.add_post("/whep/{room}", begin)
    app.router.add_delete("/session/{key}", end)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
