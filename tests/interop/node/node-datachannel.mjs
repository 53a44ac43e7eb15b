/**
 * node-datachannel (libdatachannel) as an echo: what it receives over WHEP it publishes over WHIP, packet by packet.
 *
 * It has no codecs: whoever watches the echo tells whether both ways work. A request for a keyframe is passed on.
 */

import { credentials, load, open, run, say, task, version } from "./session.mjs";

const library = load("node-datachannel");

const PAYLOAD_TYPES = { audio: 111, video: 96 };
const SSRCS = { audio: 0x0a0a0a01, video: 0x0a0a0a02 };
// Plain baseline, as the encoder of the test declares it: who offers constrained baseline alone is not sent it.
const PROFILES = { H264: "profile-level-id=42001f;packetization-mode=1;level-asymmetry-allowed=1" };

function describe(kind, direction) {
  const media = kind === "audio" ? new library.Audio(kind, direction) : new library.Video(kind, direction);
  if (kind === "audio") media.addOpusCodec(PAYLOAD_TYPES.audio);
  else if (task.video === "H264") media.addH264Codec(PAYLOAD_TYPES.video, PROFILES.H264);
  else media[`add${task.video}Codec`](PAYLOAD_TYPES.video);
  if (direction === "SendOnly") media.addSSRC(SSRCS[kind], "echo", "echo", `echo-${kind}`);
  return media;
}

const offers = {};

function gathered(pc) {
  return new Promise((resolve) => {
    pc.onGatheringStateChange((state) => state === "complete" && resolve());
  });
}

async function connect(name, pc, endpoint) {
  const complete = gathered(pc);
  pc.setLocalDescription("offer");
  await complete;
  offers[name] = pc.localDescription().sdp;
  const session = await open(endpoint, offers[name]);
  pc.setRemoteDescription(session.answer, "answer");
  return session;
}

/** RFC 4585, 6.3.1, anywhere in a compound packet. */
function asksForKeyframe(packet) {
  for (let at = 0; at + 4 <= packet.length; at += 4 * (packet.readUInt16BE(at + 2) + 1)) {
    if (packet[at + 1] === 206 && (packet[at] & 31) === 1) return true;
  }
  return false;
}

const isRtcp = (packet) => packet[1] >= 192 && packet[1] <= 223;

const counts = { audio: 0, video: 0, asked: 0 };
const config = { iceServers: [], disableAutoNegotiation: true };

/** Both connections, from the first offer on. */
async function begin() {
  const receiving = new library.PeerConnection("receiving", config);
  const sending = new library.PeerConnection("sending", config);
  const incoming = {};
  const outgoing = {};
  for (const kind of ["audio", "video"]) {
    incoming[kind] = receiving.addTrack(describe(kind, "RecvOnly"));
    incoming[kind].setMediaHandler(new library.RtcpReceivingSession());
    outgoing[kind] = sending.addTrack(describe(kind, "SendOnly"));
    outgoing[kind].onMessage((packet) => {
      if (!isRtcp(packet) || !asksForKeyframe(packet)) return;
      counts.asked++;
      incoming.video.requestKeyframe();
    });
    incoming[kind].onMessage((packet) => {
      if (isRtcp(packet)) return;
      counts[kind]++;
      if (!outgoing[kind].isOpen()) return;
      packet.writeUInt32BE(SSRCS[kind], 8);
      outgoing[kind].sendMessageBinary(packet);
    });
  }

  // A message from the room is answered to the room.
  const pulse = sending.createDataChannel("pulse");
  pulse.onMessage((text) => pulse.sendMessage(`heard ${text}`));

  const sessions = [
    await connect("recvonly", receiving, task.whep),
    await connect("sendonly", sending, task.whip),
  ];
  // Tracks and channels are named here so that they live as long as the connections.
  return { connections: [receiving, sending], sessions, incoming, outgoing, pulse };
}

say({ version: `${version("node-datachannel")} (libdatachannel ${library.getLibraryVersion()})` });
let current = await begin();
say({ offers });
await run(counts, {
  /**
   * Another offer, the only thing its API has. Given credentials for it (LocalDescriptionInit), it aborts the process:
   * "Invalid ICE attributes", since it takes them before it gathers only.
   */
  restart: () =>
    current.connections.map((pc) => {
      const before = credentials(pc.localDescription().sdp).ufrag;
      pc.setLocalDescription("offer");
      return { before, after: credentials(pc.localDescription().sdp).ufrag };
    }),
  reconnect: async () => {
    await Promise.all(current.sessions.map((session) => session.end()));
    for (const pc of current.connections) pc.close();
    current = await begin();
    return offers;
  },
  answer: async () => {
    const pc = new library.PeerConnection("answering", config);
    const complete = gathered(pc);
    pc.setRemoteDescription(task.offer, "offer");
    pc.setLocalDescription("answer");
    await complete;
    return pc.localDescription().sdp;
  },
});
