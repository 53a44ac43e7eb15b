/**
 * @roamhq/wrtc (libwebrtc for Node): publishes a moving picture and a tone over WHIP, decodes what WHEP brings.
 */

import { credentials, load, open, run, say, task, version } from "./session.mjs";

const { RTCPeerConnection, MediaStream, nonstandard } = load("@roamhq/wrtc");

const [WIDTH, HEIGHT, RATE] = [320, 240, 30];
const SAMPLES = 480; // 10 ms at 48 kHz: what libwebrtc takes at a time

/** The offer with the wanted video codec first: there is no setCodecPreferences to rely on. */
function prefer(sdp) {
  const wanted = new RegExp(`^a=rtpmap:(\\d+) ${task.video}/`, "gim");
  const first = [...sdp.matchAll(wanted)].map((match) => match[1]);
  return sdp.replace(/^(m=video \d+ \S+) (.*)$/m, (_line, head, list) => {
    const rest = list.trim().split(" ").filter((pt) => !first.includes(pt));
    return [head, ...first, ...rest].join(" ");
  });
}

async function gathered(pc) {
  if (pc.iceGatheringState === "complete") return;
  await new Promise((resolve) => {
    pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && resolve();
  });
}

async function offer(pc, options = {}) {
  const { type, sdp } = await pc.createOffer(options);
  await pc.setLocalDescription({ type, sdp: prefer(sdp) });
  await gathered(pc);
  return pc.localDescription.sdp;
}

async function connect(pc, endpoint) {
  const session = await open(endpoint, await offer(pc));
  await pc.setRemoteDescription({ type: "answer", sdp: session.answer });
  return session;
}

/** Its ICE session before and after. */
async function restart(pc, session) {
  const before = credentials(pc.localDescription.sdp).ufrag;
  const sdp = await offer(pc, { iceRestart: true });
  await pc.setRemoteDescription({ type: "answer", sdp: await session.restart(sdp) });
  return { before, after: credentials(sdp).ufrag, offer: sdp };
}

const counts = { audio: 0, video: 0, width: 0, height: 0, energy: 0 };

// ------------------------------------------------------------------ publishing

const camera = new nonstandard.RTCVideoSource();
const microphone = new nonstandard.RTCAudioSource();
const stream = new MediaStream([camera.createTrack(), microphone.createTrack()]);
const sending = new RTCPeerConnection({ iceServers: [] });
for (const track of stream.getTracks()) sending.addTransceiver(track, { direction: "sendonly", streams: [stream] });

// A message from the room is answered to the room.
const pulse = sending.createDataChannel("pulse");
pulse.onmessage = ({ data }) => pulse.send(`heard ${data}`);

let frame = 0;
setInterval(() => {
  const data = new Uint8ClampedArray((WIDTH * HEIGHT * 3) / 2).fill(128);
  for (let y = 0; y < HEIGHT; y++) data.fill((y + 3 * frame) & 255, y * WIDTH, (y + 1) * WIDTH);
  frame++;
  camera.onFrame({ width: WIDTH, height: HEIGHT, data });
}, 1000 / RATE);

let sample = 0;
setInterval(() => {
  const samples = new Int16Array(SAMPLES);
  for (let index = 0; index < SAMPLES; index++) samples[index] = 8000 * Math.sin((2 * Math.PI * 440 * sample++) / 48000);
  microphone.onData({ samples, sampleRate: 48000, bitsPerSample: 16, channelCount: 1, numberOfFrames: SAMPLES });
}, 10);

// ------------------------------------------------------------------ receiving

const receiving = new RTCPeerConnection({ iceServers: [] });
const audio = receiving.addTransceiver("audio", { direction: "recvonly" }).receiver.track;
const video = receiving.addTransceiver("video", { direction: "recvonly" }).receiver.track;
new nonstandard.RTCVideoSink(video).onframe = ({ frame: { width, height } }) => {
  counts.video++;
  Object.assign(counts, { width, height });
};
new nonstandard.RTCAudioSink(audio).ondata = ({ samples }) => {
  counts.audio++;
  for (const value of samples) counts.energy += (value / 32768) ** 2;
};

say({ version: version("@roamhq/wrtc") });
const sessions = [await connect(receiving, task.whep), await connect(sending, task.whip)];
say({ offers: { recvonly: receiving.localDescription.sdp, sendonly: sending.localDescription.sdp } });
await run(counts, {
  restart: async () => [await restart(receiving, sessions[0]), await restart(sending, sessions[1])],
  answer: async () => {
    const pc = new RTCPeerConnection({ iceServers: [] });
    await pc.setRemoteDescription({ type: "offer", sdp: task.offer });
    await pc.setLocalDescription(await pc.createAnswer());
    await gathered(pc);
    return pc.localDescription.sdp;
  },
});
