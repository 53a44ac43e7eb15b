"""
GStreamer's webrtcbin as a client: publishes a test picture and a tone over WHIP, decodes what WHEP brings.

A program of its own, run by Debian's Python (the one with the bindings), driven like those in node/: the task as JSON
on the command line, lines of JSON on stdout, commands on stdin, the end of stdin is the end. webrtcbin's certificate is
RSA. GLib's main loop runs the pipelines; stdin has a thread of its own.
"""

from __future__ import annotations

import array
import json
import sys
import threading
import urllib.parse
import urllib.request
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402  after the versions

WIDTH, HEIGHT, RATE = 320, 240, 30
ENCODERS = {
    "VP8": "vp8enc deadline=1 cpu-used=8 keyframe-max-dist=300 ! rtpvp8pay picture-id-mode=15-bit",
    "VP9": "vp9enc deadline=1 cpu-used=8 keyframe-max-dist=300 ! rtpvp9pay picture-id-mode=15-bit",
    "H264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=300"
    " ! video/x-h264,profile=constrained-baseline ! rtph264pay config-interval=-1 aggregate-mode=zero-latency",
}
# Plain baseline, as the encoder of the test declares it: who offers constrained baseline alone is not sent it.
H264_RECEIVED = ",packetization-mode=(string)1,profile-level-id=(string)42001f"

counts: dict[str, Any] = {"audio": 0, "video": 0, "width": 0, "height": 0, "energy": 0.0}
offers: dict[str, str] = {}
sessions: list[str] = []


def say(**message: Any) -> None:
    print(json.dumps(message), flush=True)


def ufrag(sdp: str) -> str:
    return sdp.partition("a=ice-ufrag:")[2].split()[0]


def rtp_caps(kind: str, video: str, h264: str = "") -> str:
    """What is offered; the profile of the H.264 that is sent is the encoder's."""
    if kind == "audio":
        return "application/x-rtp,media=audio,encoding-name=OPUS,payload=111,clock-rate=48000,encoding-params=(string)2"
    more = h264 if video == "H264" else ""
    return f"application/x-rtp,media=video,encoding-name={video},payload=96,clock-rate=90000{more}"


class Session:
    """One webrtcbin that offers and takes the answer of one endpoint."""

    def __init__(self, name: str, pipeline: Any, task: dict[str, str], endpoint: str) -> None:
        self._name, self._task, self._endpoint = name, task, endpoint
        self._pipeline = pipeline
        self._bin = pipeline.get_by_name("webrtc")
        self._is_posted = False
        self._bin.connect("notify::ice-gathering-state", self._on_gathering)

    def offer(self) -> None:
        promise = Gst.Promise.new_with_change_func(self._on_offer)
        self._bin.emit("create-offer", None, promise)

    def ask_for_restart(self) -> dict[str, str]:
        """Its ICE session before and after an offer that is to restart ICE (W3C's name for the option)."""
        before = ufrag(self._bin.get_property("local-description").sdp.as_text())
        options, _ = Gst.Structure.from_string("options, iceRestart=(boolean)true;")
        promise = Gst.Promise.new()
        self._bin.emit("create-offer", options, promise)
        promise.wait()
        reply = promise.get_reply()
        return {"before": before, "after": ufrag(reply.get_value("offer").sdp.as_text())}

    def stop(self) -> None:
        self._pipeline.set_state(Gst.State.NULL)

    def _on_offer(self, promise: Any) -> None:
        reply = promise.get_reply()  # owns what it holds: a name keeps it alive
        self._bin.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

    def _on_gathering(self, *_: Any) -> None:
        if self._bin.get_property("ice-gathering-state") != GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            return
        if not self._is_posted:
            self._is_posted = True
            threading.Thread(target=self._post, daemon=True).start()

    def _post(self) -> None:
        description = self._bin.get_property("local-description")
        sdp = offers[self._name] = description.sdp.as_text()
        headers = {"Authorization": f"Bearer {self._task['token']}", "Content-Type": "application/sdp"}
        request = urllib.request.Request(self._endpoint, sdp.encode(), headers, method="POST")
        with urllib.request.urlopen(request, timeout=10) as response:
            answer = response.read()
            sessions.append(urllib.parse.urljoin(self._endpoint, response.headers["Location"]))
        _, message = GstSdp.SDPMessage.new_from_text(answer.decode())
        description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self._bin.emit("set-remote-description", description, Gst.Promise.new())
        transceiver = self._bin.emit("get-transceiver", 0)
        end = transceiver.get_property("sender" if self._name == "sendonly" else "receiver")
        say(offers=offers)
        GLib.timeout_add(100, self._say_certificate, end)

    def _say_certificate(self, end: object) -> bool:
        """Once it is whole; until then, asked again."""
        certificate = end.get_property("transport").get_property("certificate") or ""
        if "END CERTIFICATE" not in certificate:
            return True
        say(certificate=certificate)
        return False


def publisher(task: dict[str, str]) -> Session:
    pipeline = Gst.parse_launch(
        "webrtcbin name=webrtc bundle-policy=max-bundle"
        f" videotestsrc is-live=true pattern=ball ! video/x-raw,width={WIDTH},height={HEIGHT},framerate={RATE}/1"
        f" ! videoconvert ! queue ! {ENCODERS[task['video']]} ! {rtp_caps('video', task['video'])} ! webrtc."
        " audiotestsrc is-live=true ! audioconvert ! audioresample ! opusenc ! rtpopuspay"
        f" ! {rtp_caps('audio', '')} ! webrtc."
    )
    session = Session("sendonly", pipeline, task, task["whip"])
    webrtc = pipeline.get_by_name("webrtc")
    for index in range(2):
        direction = GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY
        webrtc.emit("get-transceiver", index).set_property("direction", direction)
    pipeline.set_state(Gst.State.READY)
    channel = webrtc.emit("create-data-channel", "pulse", None)
    # A message from the room is answered to the room.
    channel.connect("on-message-string", lambda _, text: channel.emit("send-string", f"heard {text}"))
    webrtc.connect("on-negotiation-needed", lambda _: session.offer())
    pipeline.set_state(Gst.State.PLAYING)
    return session


def subscriber(task: dict[str, str]) -> Session:
    pipeline = Gst.Pipeline.new(None)
    pipeline.add(Gst.parse_launch("webrtcbin name=webrtc bundle-policy=max-bundle"))
    webrtc = pipeline.get_by_name("webrtc")
    session = Session("recvonly", pipeline, task, task["whep"])
    webrtc.connect("pad-added", lambda _, pad: decode(pipeline, pad))
    pipeline.set_state(Gst.State.PLAYING)
    for kind in ("audio", "video"):
        caps = Gst.Caps.from_string(rtp_caps(kind, task["video"], H264_RECEIVED))
        webrtc.emit("add-transceiver", GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY, caps)
    session.offer()
    return session


def decode(pipeline: Any, pad: Any) -> None:
    """Decode one stream and count what comes out."""
    if pad.get_direction() != Gst.PadDirection.SRC:
        return
    is_audio = pad.get_current_caps().get_structure(0).get_string("media") == "audio"
    raw = "audioconvert ! audio/x-raw,format=S16LE" if is_audio else "videoconvert"
    chain = f"decodebin name=decoder ! {raw} ! fakesink name=sink sync=false signal-handoffs=true"
    part = Gst.parse_bin_from_description(chain, False)
    ghost = Gst.GhostPad.new("sink", part.get_by_name("decoder").get_static_pad("sink"))
    part.add_pad(ghost)
    part.get_by_name("sink").connect("handoff", on_sound if is_audio else on_picture)
    pipeline.add(part)
    part.sync_state_with_parent()
    pad.link(ghost)


def on_picture(_sink: Any, _buffer: Any, pad: Any) -> None:
    size = pad.get_current_caps().get_structure(0)
    counts["video"] += 1
    counts["width"], counts["height"] = size.get_int("width")[1], size.get_int("height")[1]


def on_sound(_sink: Any, buffer: Any, _pad: Any) -> None:
    counts["audio"] += 1
    samples = array.array("h", buffer.extract_dup(0, buffer.get_size()))
    counts["energy"] += sum((value / 32768) ** 2 for value in samples[::16])


def answer(offer: str) -> str:
    """What webrtcbin answers to an offer; nothing is connected."""
    pipeline = Gst.Pipeline.new(None)
    webrtc = Gst.ElementFactory.make("webrtcbin")
    webrtc.set_property("bundle-policy", "max-bundle")
    pipeline.add(webrtc)
    pipeline.set_state(Gst.State.PLAYING)
    _, message = GstSdp.SDPMessage.new_from_text(offer)
    description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.OFFER, message)
    for step in (("set-remote-description", description), ("create-answer", None)):
        promise = Gst.Promise.new()
        webrtc.emit(*step, promise)
        promise.wait()
    reply = promise.get_reply()
    text = reply.get_value("answer").sdp.as_text()
    pipeline.set_state(Gst.State.NULL)
    return str(text)


def begin(task: dict[str, str]) -> list[Session]:
    return [subscriber(task), publisher(task)]


def end(task: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {task['token']}"}
    while sessions:
        request = urllib.request.Request(sessions.pop(), headers=headers, method="DELETE")
        urllib.request.urlopen(request, timeout=5).close()


def main() -> None:
    task = json.loads(sys.argv[1])
    Gst.init(None)
    say(version=Gst.version_string().removeprefix("GStreamer "))
    kept = begin(task)
    loop = GLib.MainLoop()

    def report() -> bool:
        say(counts=counts)
        return bool(kept)

    GLib.timeout_add(500, report)

    def obey() -> None:
        for line in sys.stdin:
            if line.strip() == "restart":
                say(restart=[session.ask_for_restart() for session in kept])
            elif line.strip() == "reconnect":
                end(task)
                for session in kept:
                    session.stop()
                kept[:] = begin(task)
                say(reconnect=True)
            elif line.strip() == "answer":
                say(answer=answer(task["offer"]))
        end(task)
        loop.quit()

    threading.Thread(target=obey, daemon=True).start()
    loop.run()


main()
