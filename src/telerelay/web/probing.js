/**
 * Is this site fit for a consult? Devices, a test call with oneself, rates: what `telerelay probe` does, in a browser.
 *
 * Touches mediaDevices, one WebSocket (GET probe) and two peer connections, and lets go of all of it. What is thought of
 * what was found is the relay's to say (docs/signaling.md, Probes).
 */

import { openMedia } from "./media.js";

const LIMIT_MS = 13000;
const DEVICES_MS = 12000; // somebody may have to be asked
const CONNECT_MS = 4000;
const UDP_MS = 4000;
const CALL_MS = 3000;
const RATE_MS = 1800;
const WARM_MS = 500;
const LEAST = 8;
const PINGS = 5;
const BLOCK = new Uint8Array(16384);
const MAX_AHEAD_BYTES = 262144;
const MAX_UP_BYTES = 8 << 20;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const late = Symbol("late");
const within = (ms, promise) => Promise.race([promise, sleep(ms).then(() => late)]);

/** Requests by number over one WebSocket. */
class Talk {
  constructor(url) {
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.waiting = new Map();
    this.number = 0;
    this.onBytes = () => {};
    this.opened = new Promise((done, failed) => {
      this.socket.onopen = done;
      this.socket.onerror = () => failed(new Error("unreachable"));
    });
    this.socket.onmessage = ({ data }) => (typeof data === "string" ? this.take(JSON.parse(data)) : this.onBytes(data.byteLength));
    this.socket.onclose = () => this.end(new Error("closed"));
  }

  take(reply) {
    const asked = this.waiting.get(reply.id);
    this.waiting.delete(reply.id);
    if (reply.type !== "error") asked?.done(reply);
    else asked?.failed(Object.assign(new Error(reply.message), { code: reply.code }));
  }

  end(error) {
    for (const { failed } of this.waiting.values()) failed(error);
    this.waiting.clear();
  }

  ask(type, fields = {}) {
    const id = ++this.number;
    return new Promise((done, failed) => {
      this.waiting.set(id, { done, failed });
      if (this.socket.readyState !== WebSocket.OPEN) return this.end(new Error("closed"));
      this.socket.send(JSON.stringify({ id, type, ...fields }));
    });
  }

  close() {
    this.socket.close();
  }
}

/** Bits a second of what came since `began_ms`, as the relay counts it: once it was warm, if enough came then. */
export class Rate {
  constructor(began_ms) {
    Object.assign(this, { began_ms, last_ms: began_ms, bytes: 0, warm_ms: 0, warmBytes: 0, warmPieces: 0 });
  }

  add(now_ms, size) {
    this.bytes += size;
    this.last_ms = now_ms;
    if (now_ms < this.began_ms + WARM_MS) return;
    if (this.warmPieces++ === 0) this.warm_ms = now_ms;
    else this.warmBytes += size;
  }

  get bps() {
    if (this.warmPieces > LEAST && this.last_ms > this.warm_ms) return (this.warmBytes * 8000) / (this.last_ms - this.warm_ms);
    const took_ms = this.last_ms - this.began_ms;
    return took_ms > 0 ? (this.bytes * 8000) / took_ms : null;
  }
}

/**
 * Everything, within 15 s: `{passed, checks}` as the relay judges it. Rejects with `unreachable` or the relay's `code`
 * where there is no relay to judge. `token`: where the relay wants one.
 */
export async function probe({ language, token = "", context = new AudioContext() }) {
  const found = { port: Number(location.port) || (location.protocol === "https:" ? 443 : 80) };
  found.is_443_needed = found.port === 443;
  found.tcp_443 = found.is_443_needed ? null : "skipped"; // a page reaches no port but its own
  await within(LIMIT_MS, Promise.allSettled([lookAndListen(found, context), measure(found, token, context)]));
  const talk = await connect(); // another connection: behind what the rates have sent it would come late
  try {
    return await talk.ask("judge", { found: { ...found }, language });
  } finally {
    talk.close();
  }
}

async function connect() {
  const url = new URL("probe", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.search = url.hash = "";
  const talk = new Talk(url);
  if ((await within(CONNECT_MS, talk.opened)) === late) throw new Error("unreachable");
  return talk;
}

async function open(token) {
  const talk = await connect();
  await talk.ask("begin", token ? { token } : {});
  return talk;
}

async function lookAndListen(found, context) {
  const opened = await within(DEVICES_MS, openMedia());
  if (opened === late) return;
  const { stream, errors } = opened;
  try {
    const [video] = stream.getVideoTracks();
    const { width, height } = video?.getSettings() ?? {};
    if (video) Object.assign(found, { camera: "ok", width: width ?? null, height: height ?? null });
    else found.camera = errors.video?.code ?? "no_device";
    const [audio] = stream.getAudioTracks();
    found.microphone = audio ? ((await isHeard(audio, context)) ? "ok" : "silent") : (errors.audio?.code ?? "no_device");
  } finally {
    for (const track of stream.getTracks()) track.stop();
  }
}

/** Whether anything at all comes from a microphone: even a quiet room is not all zeros. */
async function isHeard(track, context) {
  const source = context.createMediaStreamSource(new MediaStream([track]));
  const analyser = context.createAnalyser();
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  for (let tries = 0; tries < 30; tries++) {
    analyser.getFloatTimeDomainData(samples);
    if (samples.some((sample) => sample !== 0)) break;
    await sleep(100);
  }
  source.disconnect();
  return samples.some((sample) => sample !== 0);
}

async function measure(found, token, context) {
  found.udp = "not_tried";
  let talk;
  try {
    talk = await open(token);
  } catch (error) {
    found.tcp = error.code ? "not_allowed" : "not_a_relay";
    throw error;
  }
  found.tcp = "ok";
  if (found.is_443_needed) found.tcp_443 = "ok";
  try {
    const took = [];
    for (let number = 0; number < PINGS; number++) {
      const began = performance.now();
      await talk.ask("ping");
      took.push(performance.now() - began);
    }
    found.delay_ms = took.sort((a, b) => a - b)[PINGS >> 1];
    await call(found, talk, context);
    await measureUp(found, talk);
    await measureDown(found, talk);
  } finally {
    talk.close();
  }
}

/** A tone goes to the relay on one connection and comes back on another. */
async function call(found, talk, context) {
  const tone = context.createOscillator();
  const target = context.createMediaStreamDestination();
  tone.connect(target);
  tone.start();
  const [sending, receiving] = [new RTCPeerConnection(), new RTCPeerConnection()];
  try {
    sending.addTransceiver(target.stream.getAudioTracks()[0], { direction: "sendonly" });
    receiving.addTransceiver("audio", { direction: "recvonly" });
    try {
      for (const [pc, type] of [[sending, "publish"], [receiving, "receive"]]) {
        await pc.setLocalDescription(await pc.createOffer());
        const { sdp } = await talk.ask(type, { sdp: pc.localDescription.sdp });
        await pc.setRemoteDescription({ type: "answer", sdp });
      }
    } catch (error) {
      found.udp = "no_room";
      if (!error.code) throw error;
      return;
    }
    const deadline = performance.now() + UDP_MS;
    while (!(await came(receiving))?.packetsReceived) {
      if (performance.now() > deadline) {
        found.udp = "no_answer";
        return;
      }
      await sleep(100);
    }
    found.udp = "ok";
    await sleep(CALL_MS);
    const up = await talk.ask("stats");
    const down = await came(receiving);
    if (up.rx_packets) {
      found.lost_up = up.lost_packets / (up.lost_packets + up.rx_packets);
      found.jitter_up_ms = up.jitter_us / 1000;
    }
    const lost = Math.max(0, down.packetsLost); // one that came twice counts against it
    found.lost_down = lost / (lost + down.packetsReceived);
    found.jitter_down_ms = down.jitter * 1000;
  } finally {
    tone.stop();
    sending.close();
    receiving.close();
  }
}

async function came(pc) {
  for (const report of (await pc.getStats()).values()) if (report.type === "inbound-rtp") return report;
  return null;
}

async function measureUp(found, talk) {
  let isOn = true;
  const answer = talk.ask("up", { seconds: RATE_MS / 1000 }).finally(() => (isOn = false));
  const send = async () => {
    for (let sent = 0; isOn && sent < MAX_UP_BYTES; ) {
      if (talk.socket.bufferedAmount >= MAX_AHEAD_BYTES) {
        await sleep(5);
        continue;
      }
      talk.socket.send(BLOCK);
      sent += BLOCK.length;
      if (sent % MAX_AHEAD_BYTES === 0) await sleep(0);
    }
  };
  const [{ bps }] = await Promise.all([answer, send()]);
  found.up_bps = bps;
}

/** The last one: whatever is still on its way then is not waited for. */
async function measureDown(found, talk) {
  const rate = new Rate(performance.now());
  talk.onBytes = (size) => rate.add(performance.now(), size);
  await within(RATE_MS, talk.ask("down", { seconds: RATE_MS / 1000 }));
  talk.onBytes = () => {};
  found.down_bps = rate.bps;
}
