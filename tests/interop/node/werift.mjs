/**
 * werift (WebRTC in TypeScript) as an echo: what it receives over WHEP it publishes over WHIP, packet by packet.
 *
 * It has no codecs: whoever watches the echo tells whether both ways work. A request for a keyframe is passed on.
 */

import { credentials, load, open, run, say, task, version } from "./session.mjs";

const { RTCPeerConnection, RTCRtpCodecParameters, MediaStreamTrack, useOPUS } = load("werift");

const feedback = [{ type: "nack" }, { type: "nack", parameter: "pli" }];
// Plain baseline, as the encoder of the test declares it: who offers constrained baseline alone is not sent it.
const FORMATS = { H264: "profile-level-id=42001f;packetization-mode=1;level-asymmetry-allowed=1", VP9: "profile-id=0" };
const video = new RTCRtpCodecParameters({
  mimeType: `video/${task.video}`,
  clockRate: 90000,
  rtcpFeedback: feedback,
  parameters: FORMATS[task.video],
});
const config = () => ({
  codecs: { audio: [useOPUS()], video: [video] },
  iceServers: [],
  iceUseIpv6: false,
  iceAdditionalHostAddresses: task.address ? [task.address] : [],
});

async function connect(pc, endpoint) {
  await pc.setLocalDescription(await pc.createOffer());
  const session = await open(endpoint, pc.localDescription.sdp);
  await pc.setRemoteDescription({ type: "answer", sdp: session.answer });
  return session;
}

/**
 * Its ICE session before and after. werift begins checks only on the way to DTLS: of a later ICE session it leaves the
 * first check to its peer, which an ICE-lite one never makes.
 */
async function restart(pc, session) {
  const before = credentials(pc.localDescription.sdp).ufrag;
  await pc.setLocalDescription(await pc.createOffer({ iceRestart: true }));
  const sdp = await session.restart(pc.localDescription.sdp);
  await pc.setRemoteDescription({ type: "answer", sdp });
  await Promise.all(pc.iceTransports.map((transport) => transport.start()));
  return { before, after: credentials(pc.localDescription.sdp).ufrag, offer: pc.localDescription.sdp };
}

const counts = { audio: 0, video: 0, asked: 0 };
const out = { audio: new MediaStreamTrack({ kind: "audio" }), video: new MediaStreamTrack({ kind: "video" }) };
const receiving = new RTCPeerConnection(config());
const sending = new RTCPeerConnection(config());

let mediaSsrc = 0;
const receivers = {};
for (const kind of ["audio", "video"]) {
  const transceiver = receiving.addTransceiver(kind, { direction: "recvonly" });
  receivers[kind] = transceiver.receiver;
  transceiver.onTrack.subscribe((track) => {
    track.onReceiveRtp.subscribe((packet) => {
      counts[kind]++;
      if (kind === "video") mediaSsrc = packet.header.ssrc;
      out[kind].writeRtp(packet.serialize());
    });
  });
  const { sender } = sending.addTransceiver(out[kind], { direction: "sendonly" });
  sender.onPictureLossIndication.subscribe(() => {
    counts.asked++;
    receivers.video.sendRtcpPLI(mediaSsrc);
  });
}

// A message from the room is answered to the room.
const pulse = sending.createDataChannel("pulse");
pulse.onMessage.subscribe((text) => pulse.send(`heard ${text}`));

say({ version: version("werift") });
const sessions = [await connect(receiving, task.whep), await connect(sending, task.whip)];
say({ offers: { recvonly: receiving.localDescription.sdp, sendonly: sending.localDescription.sdp } });
await run(counts, {
  restart: async () => [await restart(receiving, sessions[0]), await restart(sending, sessions[1])],
  answer: async () => {
    const pc = new RTCPeerConnection(config());
    await pc.setRemoteDescription({ type: "offer", sdp: task.offer });
    await pc.setLocalDescription(await pc.createAnswer());
    return pc.localDescription.sdp;
  },
});
