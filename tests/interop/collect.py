"""
Fills tests/data/offers/clients: what each client of the matrix offers and answers, as it says it.

    .venv/bin/python tests/interop/collect.py [CLIENT …]

Needs what `make interop` installs, and root: it runs in a network of its own, so that the addresses in the files are
that network's. Kinds: publish (sound, picture, data), publish_simulcast, subscribe, restart (an offer with other ICE
credentials), answer (to `relay_offer` of tests/protocol/negotiating.py).
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "protocol"), str(TESTS / "browser")]
os.environ.setdefault("WRTC_ALLOW_LOOPBACK", "1")

from negotiating import OFFERS, local, relay_offer  # noqa: E402

from interop.network import ADDRESS, enter_new_network  # noqa: E402
from telerelay.protocol.negotiation import CodecPolicy, PublishNegotiation  # noqa: E402

POLICY = CodecPolicy(video=("VP8", "H264", "VP9", "AV1"))

# What a page does; `step` is one of the kinds, `sdp` the relay's part where it has one.
PAGE = """async (step, sdp) => {
  const gathered = (pc) => new Promise((resolve) => {
    const look = () => pc.iceGatheringState === "complete" && resolve(pc.localDescription.sdp);
    pc.onicegatheringstatechange = look;
    look();
  });
  const offer = async (pc, options) => {
    await pc.setLocalDescription(await pc.createOffer(options));
    return gathered(pc);
  };
  if (step === "taken") return window.publishing.setRemoteDescription({ type: "answer", sdp });
  if (step === "restart") return offer(window.publishing, { iceRestart: true });
  const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  if (step === "answer") {
    await pc.setRemoteDescription({ type: "offer", sdp });
    await pc.setLocalDescription(await pc.createAnswer());
    return gathered(pc);
  }
  if (step === "subscribe") {
    for (const kind of ["audio", "video"]) pc.addTransceiver(kind, { direction: "recvonly" });
    pc.createDataChannel("pulse");
    return offer(pc);
  }
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  for (const track of stream.getTracks()) {
    const isLayered = track.kind === "video" && step === "publish_simulcast";
    const layers = [["q", 4], ["h", 2], ["f", 1]];
    const sendEncodings = layers.map(([rid, by]) => ({ rid, scaleResolutionDownBy: by }));
    const init = { direction: "sendonly", streams: [stream] };
    pc.addTransceiver(track, isLayered ? { ...init, sendEncodings } : init);
  }
  if (step === "publish") {
    pc.createDataChannel("pulse");
    window.publishing = pc;
  }
  return offer(pc);
}"""


def keep(client: str, kind: str, sdp: str) -> None:
    (OFFERS / "clients" / f"{client}_{kind}.sdp").write_bytes(sdp.encode())
    print(f"{client}_{kind}", flush=True)


async def browser(client: str, run: Any) -> None:
    """All kinds of a browser. `run(step, sdp)` is the page's."""
    keep(client, "publish", published := await run("publish", ""))
    await run("taken", PublishNegotiation(POLICY).on_offer(published, local()).answer)
    keep(client, "restart", await run("restart", ""))
    for kind in ("publish_simulcast", "subscribe"):
        keep(client, kind, await run(kind, ""))
    keep(client, "answer", await run("answer", relay_offer()))


async def chromium(url: str) -> None:
    from support.chromium import chromium as started

    async with started() as window:
        context = await window.new_context(permissions=["camera", "microphone"])
        page = await context.new_page()
        await page.goto(url)
        await browser("chromium", lambda step, sdp: page.evaluate(f"([step, sdp]) => ({PAGE})(step, sdp)", [step, sdp]))


async def firefox(url: str) -> None:
    import json

    from interop.firefox import Firefox

    async with Firefox() as window:
        await window.open(url)
        await browser("firefox", lambda step, sdp: window.evaluate(f"({PAGE})({json.dumps(step)}, {json.dumps(sdp)})"))


async def wrtc() -> None:
    import webrtc

    from support.wrtc_peer import description, gathered

    async def offered(pc: Any, is_restart: bool = False) -> str:
        if is_restart:
            pc.restart_ice()
        await pc.set_local_description(await pc.create_offer())
        await gathered(pc)
        return str(pc.local_description.sdp)

    wanted = webrtc.MediaStreamConstraints(audio=True, video=webrtc.MediaTrackConstraints(width=640, height=480))
    stream = await webrtc.media_devices.get_user_media(wanted)
    layers = [
        webrtc.RTCRtpEncodingParameters(rid=rid, scale_resolution_down_by=by)
        for rid, by in (("q", 4), ("h", 2), ("f", 1))
    ]
    for kind in ("publish", "publish_simulcast"):
        pc = webrtc.RTCPeerConnection()
        for track in stream.get_tracks():
            options: dict[str, Any] = {"direction": "sendonly", "streams": [stream]}
            if kind == "publish_simulcast" and track.kind == "video":
                options["send_encodings"] = layers
            pc.add_transceiver(track, webrtc.RTCRtpTransceiverInit(**options))
        if kind == "publish":
            pc.create_data_channel("pulse")
        keep("wrtc", kind, sdp := await offered(pc))
        if kind == "publish":
            answer = PublishNegotiation(POLICY).on_offer(sdp, local()).answer
            await pc.set_remote_description(description("answer", answer))
            keep("wrtc", "restart", await offered(pc, is_restart=True))
        pc.close()
    pc = webrtc.RTCPeerConnection()
    for media in ("audio", "video"):
        pc.add_transceiver(media, webrtc.RTCRtpTransceiverInit(direction="recvonly"))
    keep("wrtc", "subscribe", await offered(pc))
    pc.close()
    pc = webrtc.RTCPeerConnection()
    await pc.set_remote_description(description("offer", relay_offer()))
    await pc.set_local_description(await pc.create_answer())
    await gathered(pc)
    keep("wrtc", "answer", pc.local_description.sdp)
    pc.close()
    for track in stream.get_tracks():
        track.stop()


async def aiortc() -> None:
    from aiortc import RTCSessionDescription

    from telerelay.client.media import MovingPicture, Tone
    from telerelay.client.participant import new_peer_connection

    for kind in ("publish", "subscribe", "answer"):
        pc = new_peer_connection()
        if kind == "answer":
            await pc.setRemoteDescription(RTCSessionDescription(relay_offer(), "offer"))
            await pc.setLocalDescription(await pc.createAnswer())
        else:
            for track in (Tone(), MovingPicture(320, 240, 20)):
                is_sent = kind == "publish"
                pc.addTransceiver(track if is_sent else track.kind, direction="sendonly" if is_sent else "recvonly")
            pc.createDataChannel("pulse")
            await pc.setLocalDescription(await pc.createOffer())
        keep("aiortc", kind, pc.localDescription.sdp)
        await pc.close()


async def programs(relay: Any, chosen: set[str]) -> None:
    """The stacks that are programs of their own, in a session with a relay."""
    from interop.echoes import gstreamer_program, node_program
    from support.waiting import until

    stacks: dict[str, Any] = {
        "gstreamer": gstreamer_program,
        "werift": lambda: node_program("werift", "werift"),
        "node_datachannel": lambda: node_program("node-datachannel", "node-datachannel"),
        "roamhq_wrtc": lambda: node_program("roamhq-wrtc", "@roamhq/wrtc"),
    }
    for client in [each for each in stacks if each in chosen]:
        async with stacks[client]() as program:
            await program.start(relay, client, "device", "VP8", offer=relay_offer())
            try:
                await until(lambda program=program: len(program.offers) == 2)
            except TimeoutError:
                raise RuntimeError(f"{client}: {program.offers.keys()} {''.join(program.errors)}") from None
            keep(client, "publish", program.offers["sendonly"])
            keep(client, "subscribe", program.offers["recvonly"])
            keep(client, "answer", await program.ask("answer"))
            if client in ("werift", "roamhq_wrtc"):
                keep(client, "restart", (await program.ask("restart"))[1]["offer"])


async def main(chosen: set[str]) -> None:
    from support.relay_process import RelayProcess, free_port

    with RelayProcess(udp=f"{ADDRESS}:{free_port()}") as relay:
        if "wrtc" in chosen:
            await wrtc()
        if "aiortc" in chosen:
            await aiortc()
        await programs(relay, chosen)
        if "chromium" in chosen:
            await chromium(f"{relay.url}/?room=r")
        if "firefox" in chosen:
            await firefox(f"{relay.url}/?room=r")


ALL = ["chromium", "firefox", "wrtc", "aiortc", "gstreamer", "werift", "node_datachannel", "roamhq_wrtc"]

if __name__ == "__main__":
    enter_new_network()
    asyncio.run(main(set(sys.argv[1:] or ALL)))
