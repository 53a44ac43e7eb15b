/**
 * telerelay in the browser: join a room, publish camera and microphone, receive the others.
 *
 * An ES module, with six beside it (errors.js, media.js, signaling.js, channel.js, measuring.js, sending.js) and nothing
 * else, served by the relay beside its WebSocket; docs/browser.md says how to use it.
 * It touches WebSocket, RTCPeerConnection, mediaDevices, permissions and sessionStorage (the seat's resume secret), and
 * hears of the network (`online`, navigator.connection). Of the page it knows whether it is visible or asleep, and the media
 * elements and AudioContexts it is given.
 * Two connections: on "publish" we offer, on "subscribe" the relay does (docs/signaling.md). No candidate is ever sent:
 * the relay is ICE-lite and learns a path from its authenticated checks only.
 *
 * Sections: publishing · the call (what the page calls, the socket, events of the room, weak lines, receiving, sending,
 * one's own sources, what comes and how well, messages, connections).
 */

import { Channel } from "./channel.js";
import { CallEvent, TelerelayError, later, listen } from "./errors.js";
import { ASLEEP_MS, FlowGauge, LOOK_MS, NetworkGauge, checksOf, reportOf, sampleOf, TrackReporter } from "./measuring.js";
import { constraints, getUserMedia, permissionOf } from "./media.js";
import { encodings, preferCodec, SenderLimit } from "./sending.js";
import { FATAL, Signaling, readToken, seats } from "./signaling.js";

export { Channel } from "./channel.js";
export { TelerelayError } from "./errors.js";
export { devices, openMedia } from "./media.js";
export { readToken } from "./signaling.js";

/** The WebSocket stands beside this file, under whatever prefix the relay is mounted. */
const DEFAULT_URL = new URL("./ws", import.meta.url).href.replace(/^http/, "ws");

// A lost socket is tried again after 0.25 s, then twice as long each time; 5 s is still bearable to a waiting person.
const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 5000;
// A relay that was killed is there again within some seconds: so long it is asked every second, for whoever sleeps 5 s
// beside a relay that is there again is not back within 5 s.
const BACKOFF_SOON_MS = 1000;
const SOON_MS = 20000;
// A first join that cannot connect says so after three tries: about two seconds.
const JOIN_TRIES = 3;
// Looks from one report of bad things to the next: the relay judges calls every two seconds.
const REPORT_LOOKS = 4;
// A picture that is sent again begins with a keyframe, which a weak line takes this long to bring at the most.
const COMES_MS = 3000;
// No API shows a dead socket. One small request tells; the pause of a busy relay must not look like a loss.
const HEARTBEAT_MS = 5000;
// "disconnected" often heals by itself; after this ICE restarts, which costs a healthy connection nothing.
const DISCONNECTED_MS = 2000;
// A restart that has brought no path by then will not: the connection is begun anew.
const RESTART_MS = 6000;
// After a change of network a socket that does not answer by then is of the old one; to be wrong costs a join, no media.
const MOVED_REPLY_MS = 1000;
// The relay takes five offers at once, then one in two seconds.
const REFUSED_PAUSE_MS = 2000;

// ---------------------------------------------------------------------------------------------------- publishing

/**
 * What this participant publishes: one track under one source. `id` is the relay's, null until it knows of it. `muted` is
 * what the person wants; `trouble` is what keeps the source from giving anything: null, "source" (muted by the system or a
 * switch), "interrupted" (a phone call, a page asleep), "device_lost", "permission_denied".
 */
class LocalPublication {
  id = null;
  muted = false;
  trouble = null;
  /** What the relay says is worth sending: `{max_bps, rids}`, each only where there is a limit; null: all of it. */
  limit = null;
  /** Ids of participants to whom the relay does not send it at the moment, because their line is weak. */
  unseenBy = new Set();
  /** @internal */ transceiver = null;
  /** @internal The reason that the relay knows; null: it takes it for audible; undefined: nobody knows. */ told = null;

  constructor(track, source, options) {
    this.track = track;
    this.kind = track.kind;
    this.source = source;
    this.options = options;
    this.muted = !track.enabled;
    this.ready = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
    this.ready.catch(() => {}); // whoever awaits it hears of it
  }

  /** Why the others get nothing of it: "user" or its trouble; null when they do. */
  get reason() {
    return this.muted ? "user" : this.trouble;
  }
}

// ---------------------------------------------------------------------------------------------------- the call

/**
 * A person in a room. Made by `join`. State: `state` ("joining", "joined", "reconnecting", "ended"), `room`, `id`, `sub`,
 * `role`, `participants` (Map by id of `{id, sub, role, interrupted, stream, publications}`), `publications` (one's own).
 */
export class Call extends EventTarget {
  state = "joining";
  id = null;
  sub = null;
  role = null;
  participants = new Map();
  publications = [];
  codecs = { audio: [], video: [] };
  /** "good", "poor" or "silent". */
  network = "good";
  /** What the relay makes of our line: `{up, down}`, each `{score, cause}` or null. */
  quality = { up: null, down: null };
  /** The id of whom the relay hears speak, one's own included; null: nobody. */
  speaker = null;
  /** Whether this person is in the consult, or waits to be let in. */
  admitted = true;
  /** Where the consult is: `{state, since, emergency}`; null in a room that has none. */
  consult = null;
  /** One's own place in the waiting room: `{position, since, held}`; null: one does not wait. */
  waiting = null;
  waitingContent = []; // {id, kind, url, title}: what the application shows while one waits
  receipt = null; // {attestation, two_way_video_s, two_way_audio_s}: of a consult that has ended
  /** Whether this person may let others in. */
  decides = false;
  /** For whoever decides: who waits, the next one first. */
  waitingRoom = [];
  /** Documents and stills that are here, and stills that were asked for (documents.js sends and fetches them). */
  documents = [];
  stills = [];
  /** The consult's recording, as the sign `recording` has it; null: there is none, and nothing to ask for. */
  recording = null;

  #options;
  #signaling = null;
  #resume;
  #seq = 0;
  #hasMedia = false; // the relay keeps connections of this seat
  #iceServers = [];
  #heartbeat = null;
  #wake = () => {};
  #connections = { publish: null, subscribe: null };
  #failures = { publish: 0, subscribe: 0 };
  #broken = new Set(); // connections to begin anew once there is a socket
  #stale = new Set(); // connections whose ICE is to restart once there is a socket
  #restarting = new Set();
  #isDirty = false; // our offer is older than our publications
  #negotiation = null;
  #spare = []; // transceivers whose publication ended: sections cannot go away, so they are used again
  #offers = Promise.resolve();
  #session = null; // of the relay's offers: another one is another connection
  #limits = new Map(); // what is worth sending, by publication
  #senderLimits = new WeakMap(); // RTCRtpSender -> SenderLimit
  #unanswered = null; // the answer that the relay has not confirmed
  #received = new Map(); // mid -> {participant, publication, track, stream}
  #onOnline = () => this.#onMoved();
  #network = navigator.connection?.type;
  #onNetwork = () => {
    // "change" tells of every new estimate of the speed, too.
    const before = this.#network;
    this.#network = navigator.connection.type;
    if (before !== this.#network && this.#network !== "none") this.#onMoved();
  };

  /** Use `join`. */
  constructor(options) {
    super();
    this.#options = options;
    this.room = options.room;
    this.#resume = options.resume;
    this.#listen(true);
  }

  #listen(isOn) {
    listen(isOn, globalThis, { online: this.#onOnline });
    listen(isOn, navigator.connection, { change: this.#onNetwork });
    const look = this.#onSources;
    listen(isOn, globalThis.document, { visibilitychange: look, freeze: this.#onFrozen, resume: this.#onThawed });
    for (const context of this.#contexts) listen(isOn, context, { statechange: look });
    if (!isOn) for (const { status } of this.#permissions.values()) if (status) status.onchange = null;
  }

  /** @internal The first join; rejects when it cannot be. */
  async start() {
    if (!globalThis.RTCPeerConnection) throw new TelerelayError("unsupported");
    for (let tries = 1; ; tries++) {
      try {
        await this.#connect();
        return this;
      } catch (error) {
        if (error.code !== "no_network" || tries === JOIN_TRIES || navigator.onLine === false) {
          this.#end(error, { isSilent: true });
          throw error;
        }
        await later(BACKOFF_FIRST_MS * 2 ** tries * (0.5 + Math.random()));
      }
    }
  }

  // ------------------------------------------------------------------ what the page calls

  /**
   * Publish a track, or all tracks of a stream (then an array is returned). Options: `source` ("camera", "microphone",
   * "screen"…), `videoCodec` ("VP8", "H264"), `simulcast`, `maxBitrate` (bit/s).
   */
  async publish(what, options = {}) {
    if (what instanceof MediaStream) return Promise.all(what.getTracks().map((track) => this.publish(track, options)));
    if (this.state === "ended") throw new TelerelayError("ended");
    const source = options.source ?? (what.kind === "audio" ? "microphone" : "camera");
    const publication = new LocalPublication(what, source, options);
    this.publications.push(publication);
    this.#watchTrack(publication);
    this.#negotiate();
    return publication.ready;
  }

  /** Take a publication back. Its track goes on; stop it yourself. */
  async unpublish(publication) {
    const index = this.publications.indexOf(publication);
    if (index < 0) return;
    this.publications.splice(index, 1);
    this.#retire(publication);
    await this.#negotiate();
  }

  /** Mute or unmute one's own publication, or all of a kind ("audio", "video"). The others are told. */
  async mute(what, muted = true) {
    const chosen = this.publications.filter((own) => own === what || own.kind === what || own.id === what);
    for (const own of chosen) {
      own.muted = muted;
      own.track.enabled = !muted;
    }
    await this.#tellMutes();
  }

  /** Send another track in a publication's place, without negotiation. The old track is returned, still running. */
  async replaceTrack(publication, track) {
    const old = publication.track;
    track.enabled = !publication.muted;
    publication.track = track;
    await publication.transceiver?.sender.replaceTrack(track);
    this.#watchTrack(publication); // now it gives something again, if it lacked a source
    return old;
  }

  /**
   * Use another device, or without `deviceId` any. `kind` is that of MediaDeviceInfo: "audioinput", "videoinput" change
   * what is published (the new track is returned, the old one stopped), "audiooutput" where attached elements play.
   * Rejects with a device's code.
   */
  async setDevice(kind, deviceId = "") {
    if (kind === "audiooutput") {
      this.#sink = deviceId;
      await Promise.all([...this.#elements].map((element) => element.setSinkId?.(deviceId)));
      return null;
    }
    const media = kind === "audioinput" ? "audio" : "video";
    const source = media === "audio" ? "microphone" : "camera";
    const own = this.publications.find((publication) => publication.source === source);
    const wish = deviceId ? { deviceId: { exact: deviceId } } : true;
    const open = () => getUserMedia({ [media]: constraints(media, wish) });
    const stream = await open().catch((error) => {
      if (error.code !== "device_busy" || !own) throw error;
      own.track.stop(); // many phones open one camera at a time
      return open();
    });
    const [track] = stream.getTracks();
    if (own) (await this.replaceTrack(own, track)).stop();
    return track;
  }

  /** Stop or resume receiving one publication of somebody else. */
  async pause(publication, paused = true) {
    const id = publication.id ?? publication;
    if (paused) this.#paused.add(id); // what we asked not to have does not stall
    else this.#paused.delete(id);
    await this.#request("pause", { publication: id, paused });
  }

  /**
   * Give it an AudioContext of the page: on iOS its state "interrupted" is how a phone call is told from a microphone that
   * is muted for another reason.
   */
  watch(context) {
    if (this.#contexts.has(context) || this.state === "ended") return;
    this.#contexts.add(context);
    listen(true, context, { statechange: this.#onSources });
    this.#onSources();
  }

  /**
   * The data channel of that label: a Channel, whose messages go to everyone else in the room. `options` are those of
   * createDataChannel (`ordered`, `maxRetransmits`, `maxPacketLifeTime`, `protocol`).
   */
  channel(label, options = {}) {
    const channel = this.#channelOf(label);
    channel.options ??= options;
    this.#openChannels();
    return channel;
  }

  #elements = new Set();
  #sink = "";

  /**
   * Show a participant's stream in a media element of yours. Resolves to false when the browser wants a click before it
   * plays sound: the picture then runs muted, until `startSound()` is called from a click.
   */
  async attach(element, stream) {
    this.#elements.add(element);
    if (element.srcObject !== stream) element.srcObject = stream;
    if (this.#sink) await element.setSinkId?.(this.#sink).catch(() => {});
    try {
      await element.play();
      return !element.muted;
    } catch (error) {
      if (error.name !== "NotAllowedError") return true; // replaced while loading
      element.muted = true;
      element.play().catch(() => {});
      return false;
    }
  }

  detach(element) {
    this.#elements.delete(element);
    element.srcObject = null;
  }

  /** From a click: let all attached elements play their sound. */
  async startSound() {
    for (const element of this.#elements) element.muted = false;
    await Promise.all([...this.#elements].map((element) => element.play()));
  }

  /**
   * Numbers: `{tracks, publish, subscribe, relay}`. `tracks` has one plain object for each stream sent or received;
   * `publish` and `subscribe` are the browser's RTCStatsReports, `relay` what the relay says of this participant.
   */
  async stats() {
    const [publish, subscribe, relay] = await Promise.all([
      reportOf(this.#connections.publish),
      reportOf(this.#connections.subscribe),
      this.#request("stats").catch(() => null),
    ]);
    const tracks = [];
    for (const [report, type] of [[publish, "outbound-rtp"], [subscribe, "inbound-rtp"]]) {
      for (const entry of report?.values() ?? []) if (entry.type === type) tracks.push(this.#trackStats(report, entry));
    }
    return { tracks, publish, subscribe, relay };
  }

  /**
   * What the checks of our own connection say of the line, media or none: `{rtt_ms, loss, checks}`, `loss` being the
   * share of the relay's `checks` that were not answered; null before the first answer.
   */
  async line() {
    return checksOf(await reportOf(this.#connections.publish));
  }

  #trackStats(report, entry) {
    const isSent = entry.type === "outbound-rtp";
    const received = isSent ? null : this.#receivedOf(entry);
    const own = isSent ? this.publications.find(({ transceiver }) => transceiver?.mid === entry.mid) : null;
    return {
      direction: isSent ? "publish" : "subscribe",
      kind: entry.kind,
      source: (own ?? received?.publication)?.source ?? null,
      participant: isSent ? this.id : (received?.participant.id ?? null),
      codec: report.get(entry.codecId)?.mimeType ?? null,
      packets: entry.packetsSent ?? entry.packetsReceived ?? 0,
      packets_lost: entry.packetsLost ?? 0,
      size_bytes: entry.bytesSent ?? entry.bytesReceived ?? 0,
      frames: entry.framesEncoded ?? entry.framesDecoded ?? 0,
      frames_per_second: entry.framesPerSecond ?? 0,
      width: entry.frameWidth ?? 0,
      height: entry.frameHeight ?? 0,
      audio_level: entry.audioLevel ?? 0,
      audio_energy: entry.totalAudioEnergy ?? 0,
      freezes: entry.freezeCount ?? 0,
      jitter_ms: (entry.jitter ?? 0) * 1000,
    };
  }

  /** Let somebody in who waits: an entry of `waitingRoom`, or its `participant`. For whoever decides. */
  admit(person) {
    return this.#request("admit", { participant: person.participant ?? person });
  }

  /** Send somebody away who waits. */
  deny(person) {
    return this.#request("deny", { participant: person.participant ?? person });
  }

  /** The consult is an emergency, or is none any more. */
  setEmergency(emergency = true) {
    return this.#request("priority", { emergency });
  }

  /** The consult is over, for everyone. */
  endConsult() {
    return this.#request("end");
  }

  /** Write to everyone who is in, 2,000 characters at most; resolves to `{message, at}`. They hear it as `chat`. */
  chat(text) {
    return this.#request("chat", { text });
  }

  /**
   * Move a participant's camera: `{pan, tilt, zoom}` each -1 to 1, a share of all that it can, or `{home: true}`. Resolves
   * to where it stands; rejects with camera_refused, camera_unsupported, camera_failed, camera_timeout, forbidden.
   */
  moveCamera(participant, moves) {
    return this.#request("move_camera", { participant: participant.id ?? participant, ...moves });
  }

  /** What became of a `camera` event: "done", "refused", "unsupported" or "failed"; where it stands now, each 0 to 1. */
  cameraMoved(command, outcome, stands = {}) {
    return this.#request("camera_moved", { command, outcome, ...stands }).catch(() => {}); // nobody waits any more
  }

  /** Ask a participant for a still: `label`, a word for what of; `reason`, which that person reads. Gives `{request}`. */
  requestStill(participant, { label, reason } = {}) {
    return this.#request("request_still", { participant: participant.id ?? participant, label, reason });
  }

  /** "allowed", "refused" or "failed" to a still of `stills` that was asked of us. */
  answerStill({ request }, answer) {
    return this.#request("answer_still", { request, answer });
  }

  /** A still that we asked for is wanted no more. */
  withdrawStill({ request }) {
    return this.#request("withdraw_still", { request });
  }

  /** Have the consult recorded: everybody who is in is asked. Gives `{recording}`. */
  askRecording() {
    return this.#request("ask_recording", {});
  }

  /** Agree to `recording`, or not, or no longer. */
  answerRecording({ recording }, agreed) {
    return this.#request("answer_recording", { recording, agreed });
  }

  stopRecording() {
    return this.#request("stop_recording", {});
  }

  /** Headers by which an HTTPS request of ours is known to be of this seat, also when the token has expired since. */
  async headers() {
    const { token } = this.#options;
    const resume = this.#resume ? { "Telerelay-Resume": this.#resume } : {};
    return { Authorization: `Bearer ${typeof token === "function" ? await token() : token}`, ...resume };
  }

  /** Leave for good: the seat is given up. Tracks given to `publish` are not stopped. */
  async leave() {
    if (this.state === "ended") return;
    await Promise.race([this.#request("leave").catch(() => {}), later(1000)]);
    this.#end(new TelerelayError("left"));
  }

  // ------------------------------------------------------------------ the socket

  async #connect() {
    const { token: given, url = DEFAULT_URL } = this.#options;
    const token = typeof given === "function" ? await given() : given;
    const sub = readToken(token)?.sub;
    const resume = this.#resume ?? seats.get(this.room, sub);
    const signaling = await Signaling.open(url);
    if (this.state === "ended") {
      signaling.close();
      throw new TelerelayError("left");
    }
    const keeps = this.#hasMedia && Boolean(resume);
    signaling.onevent = (message) => this.#onEvent(message);
    signaling.onclose = (error) => this.#onLost(signaling, error);
    const seat = keeps ? { resume, media: "keep", last_seq: this.#seq } : resume ? { resume, media: "new" } : {};
    let reply;
    try {
      reply = await signaling.request("join", { room: this.room, token, ...seat });
    } catch (error) {
      signaling.close();
      throw error;
    }
    this.#signaling = signaling;
    this.#onJoined(reply, keeps && reply.resumed);
  }

  #onJoined(reply, isKept) {
    const isFirst = this.state === "joining";
    this.id = reply.participant;
    this.sub = reply.sub;
    this.role = reply.role;
    this.admitted = reply.admitted ?? true;
    this.codecs = reply.codecs ?? this.codecs;
    this.#iceServers = reply.ice_servers ?? [];
    this.#resume = reply.resume;
    seats.set(this.room, this.sub, reply.resume);
    if (!isKept) {
      this.#dropConnection("publish");
      this.#dropConnection("subscribe");
      this.#seq = reply.seq ?? 0;
      this.#limits.clear();
    }
    this.#forgetSigns();
    this.#hasMedia = true;
    this.state = "joined";
    this.#meet(reply.participants ?? [], isFirst);
    clearInterval(this.#heartbeat);
    this.#heartbeat = setInterval(() => this.#report(), HEARTBEAT_MS);
    this.#looking ??= setInterval(() => this.#look(), LOOK_MS);
    if (isFirst) this.#emit("joined", { resumed: Boolean(reply.resumed) });
    else this.#emit("reconnected", { resumed: Boolean(reply.resumed) });
    // What the lost socket may have swallowed is said again; the relay takes it as it comes.
    if (this.#unanswered) this.#sendAnswer();
    if (this.#hasToSend && (!isKept || this.#isDirty)) this.#negotiate();
    else this.#tellMutes();
    for (const name of this.#broken) this.#reconnect(name);
    for (const name of this.#stale) this.#restart(name);
  }

  #onLost(signaling, error) {
    if (this.#signaling !== signaling || this.state === "ended") return;
    this.#signaling = null;
    clearInterval(this.#heartbeat);
    if (FATAL.has(error.code)) this.#end(error);
    else this.#comeBack();
  }

  async #comeBack() {
    this.state = "reconnecting";
    const lostAt = performance.now();
    for (let attempt = 0; this.state === "reconnecting"; attempt++) {
      const most_ms = performance.now() - lostAt < SOON_MS ? BACKOFF_SOON_MS : BACKOFF_MAX_MS;
      const delay_ms = Math.min(most_ms, BACKOFF_FIRST_MS * 2 ** attempt) * (0.5 + Math.random() / 2);
      this.#emit("reconnecting", { attempt: attempt + 1, delay_ms });
      await Promise.race([later(delay_ms), new Promise((resolve) => (this.#wake = resolve))]);
      if (this.state !== "reconnecting") return;
      try {
        await this.#connect();
      } catch (error) {
        if (FATAL.has(error.code)) this.#end(error);
      }
    }
  }

  #request(type, fields) {
    return this.#signaling?.request(type, fields) ?? Promise.reject(new TelerelayError("no_network"));
  }

  #end(error, { isSilent = false } = {}) {
    if (this.state === "ended") return;
    this.state = "ended";
    this.#wake();
    clearInterval(this.#heartbeat);
    clearInterval(this.#looking);
    this.#listen(false);
    this.#signaling?.close();
    this.#signaling = null;
    // Another window of this person has the seat now; its secret is not ours to delete.
    if (this.sub && error.code !== "duplicate_join") seats.set(this.room, this.sub, null);
    this.#dropConnection("publish");
    this.#dropConnection("subscribe");
    for (const own of this.publications) own.reject(error);
    if (!isSilent) this.#emit("ended", { code: error.code, error });
  }

  // ------------------------------------------------------------------ events of the room

  #onEvent(message) {
    if (message.seq) this.#seq = Math.max(this.#seq, message.seq);
    const participant = this.participants.get(message.participant);
    const publication = participant?.publications.get(message.publication?.id ?? message.publication);
    switch (message.type) {
      case "offer":
        this.#learnTracks(message.tracks);
        this.#offers = this.#offers.then(() => this.#answer(message)).catch((error) => this.#fail(error));
        break;
      case "participant_joined":
        this.#welcome(message.participant);
        break;
      case "participant_left":
        if (participant) this.#dismiss(participant, message.reason);
        break;
      case "participant_interrupted":
      case "participant_back":
        if (participant) this.#setInterrupted(participant, message.type === "participant_interrupted");
        break;
      case "published":
        if (participant) this.#addPublication(participant, message.publication);
        break;
      case "unpublished":
        if (publication) this.#removePublication(participant, publication);
        break;
      case "muted":
        if (publication) this.#setMuted(participant, publication, message.muted, message.reason);
        break;
      case "connection":
        this.#emit("connection", { connection: message.connection, state: message.state, side: "relay" });
        // The relay knows at once what the browser would find out after half a minute: its worker was lost.
        if (message.state === "failed") this.#reconnect(message.connection, { isLost: true });
        break;
      case "quality":
        this.quality = { up: message.up, down: message.down };
        this.#emit("quality", this.quality);
        break;
      case "limits":
        this.#limits = new Map(message.tracks.map(({ publication, ...limit }) => [publication, limit]));
        this.#applyLimits();
        this.#emit("limits", { tracks: message.tracks });
        break;
      case "track_state":
        this.#setPaused(message.publication, message.state === "paused" ? message.reason : null);
        break;
      case "seen_by":
        this.#setSeen(this.#ownOf(message.publication), message.participant, message.state === "live");
        break;
      case "speaker":
        if (this.speaker === message.participant) break;
        this.speaker = message.participant;
        this.#emit("speaker", { id: this.speaker, participant: participant ?? null });
        break;
      case "admitted":
        this.admitted = true;
        this.waiting = null;
        this.waitingContent = [];
        this.#emit("admitted", {});
        break;
      case "consult":
        this.consult = { state: message.state, since: message.since, emergency: message.emergency };
        this.#emit("consult", this.consult);
        break;
      case "waiting":
        this.waiting = { position: message.position, since: message.since, held: message.held };
        this.#emit("waiting", this.waiting);
        break;
      case "receipt":
        this.receipt = {
          attestation: message.attestation,
          two_way_video_s: message.two_way_video_s,
          two_way_audio_s: message.two_way_audio_s,
        };
        this.#emit("receipt", this.receipt);
        break;
      case "waiting_content":
        this.waitingContent = message.items;
        this.#emit("waitingcontent", { items: message.items });
        break;
      case "waiting_room":
        this.decides = true;
        this.waitingRoom = message.people;
        this.#emit("waitingroom", { people: this.waitingRoom });
        break;
      case "chat": {
        const { message: id, text, at } = message;
        this.#emit("chat", { participant: this.participants.get(message.participant) ?? null, id, text, at });
        break;
      }
      case "camera": {
        const { command, pan, tilt, zoom, home } = message;
        this.#emit("camera", { command, participant: this.participants.get(message.participant), pan, tilt, zoom, home });
        break;
      }
      case "documents":
      case "stills":
        this[message.type] = message[message.type];
        this.#emit(message.type, { [message.type]: message[message.type] });
        break;
      case "recording": {
        const { type, ...recording } = message;
        this.recording = recording;
        this.#emit(type, { recording });
        break;
      }
      case "channel_refused":
        this.#emit("channelrefused", { label: message.label, code: message.code });
        break;
      case "refused":
        this.#emit("refused", { publication: message.publication, code: message.code });
        break;
      case "draining":
        this.#emit("draining", {});
        break;
      case "duplicate_join":
        this.#end(new TelerelayError("duplicate_join"));
        break;
      case "ended":
        this.#end(message.reason === "denied" ? new TelerelayError("denied") : new TelerelayError("ended", message.reason));
        break;
    }
  }

  /** Make the list of the others what the relay says it is. */
  #meet(others, isFirst) {
    const ids = new Set(others.map(({ id }) => id));
    for (const participant of [...this.participants.values()]) {
      if (!ids.has(participant.id)) this.#dismiss(participant, "left");
    }
    for (const other of others) this.#welcome(other, isFirst);
  }

  #welcome({ id, sub, role, interrupted = false, publications = [] }, isSilent = false) {
    if (id === this.id) return;
    let participant = this.participants.get(id);
    if (!participant) {
      participant = { id, sub, role, interrupted, publications: new Map(), stream: new MediaStream() };
      this.participants.set(id, participant);
      for (const info of publications) participant.publications.set(info.id, this.#publicationOf(info));
      if (!isSilent) this.#emit("participantjoined", { participant });
      return;
    }
    const listed = new Set(publications.map((info) => info.id));
    for (const publication of [...participant.publications.values()]) {
      if (!listed.has(publication.id)) this.#removePublication(participant, publication);
    }
    for (const info of publications) this.#addPublication(participant, info);
    this.#setInterrupted(participant, interrupted);
  }

  #dismiss(participant, reason) {
    for (const publication of [...participant.publications.values()]) this.#removePublication(participant, publication);
    this.participants.delete(participant.id);
    for (const own of this.publications) this.#setSeen(own, participant.id, true);
    this.#emit("participantleft", { participant, reason });
  }

  #setInterrupted(participant, interrupted) {
    if (participant.interrupted === interrupted) return;
    participant.interrupted = interrupted;
    this.#emit(interrupted ? "participantinterrupted" : "participantback", { participant });
  }

  #addPublication(participant, info) {
    const known = participant.publications.get(info.id);
    if (known) {
      this.#setMuted(participant, known, info.muted, info.reason);
      return known;
    }
    const publication = this.#publicationOf(info);
    participant.publications.set(info.id, publication);
    this.#emit("published", { participant, publication });
    return publication;
  }

  #removePublication(participant, publication) {
    participant.publications.delete(publication.id);
    for (const [mid, received] of this.#received) if (received.publication === publication) this.#endTrack(mid);
    this.#emit("unpublished", { participant, publication });
  }

  /** As the relay tells it, with room for what comes of it. A client that gives no reason was asked to mute. */
  #publicationOf({ reason = "user", ...info }) {
    return { ...info, reason: info.muted ? reason : null, stalled: false, paused: null, track: null, stream: null };
  }

  /** An offer says whether, not why; then the reason we know stays. */
  #setMuted(participant, publication, muted = false, given = undefined) {
    const reason = muted ? (given ?? publication.reason ?? "user") : null;
    if (publication.muted === muted && publication.reason === reason) return;
    Object.assign(publication, { muted, reason });
    this.#emit(muted ? "muted" : "unmuted", { participant, publication, reason });
  }

  // ------------------------------------------------------------------ what the relay does for a weak line

  #ownOf(id) {
    return this.publications.find((own) => own.id === id) ?? null;
  }

  /** Signs are not kept for who is away: after each join the relay says again what is. */
  #forgetSigns() {
    for (const { publications } of this.participants.values()) {
      for (const { id, paused } of publications.values()) if (paused) this.#setPaused(id, null);
    }
    for (const own of this.publications) for (const id of [...own.unseenBy]) this.#setSeen(own, id, true);
  }

  /** `reason`: why the relay sends nothing of it, "line" or "unwanted"; null: it does. */
  #setPaused(id, reason) {
    const participant = [...this.participants.values()].find(({ publications }) => publications.has(id));
    const publication = participant?.publications.get(id);
    if (!publication || publication.paused === reason) return;
    const before = publication.paused;
    publication.paused = reason;
    this.#sentSince_ms.set(publication, performance.now());
    this.#emit("trackstate", { participant, publication, state: reason ? "paused" : "live", reason: reason ?? before });
  }

  #setSeen(own, id, isSeen) {
    if (!own || own.unseenBy.has(id) !== isSeen) return;
    if (isSeen) own.unseenBy.delete(id);
    else own.unseenBy.add(id);
    const participant = this.participants.get(id) ?? null;
    this.#emit("seenby", { publication: own, participant, state: isSeen ? "live" : "paused" });
  }

  // ------------------------------------------------------------------ receiving

  async #answer({ offer_id, sdp, tracks }) {
    if (this.state === "ended") return;
    if (this.#unanswered?.offer_id === offer_id && sdp === this.#unanswered.offer) return this.#sendAnswer();
    // Another session is another connection at the relay: ours begins anew with it.
    const session = /^o=\S+ (\d+)/m.exec(sdp)?.[1];
    if (this.#connections.subscribe && session !== this.#session) this.#dropConnection("subscribe");
    this.#session = session;
    const pc = (this.#connections.subscribe ??= this.#newConnection("subscribe"));
    try {
      await pc.setRemoteDescription({ type: "offer", sdp });
      const answer = await pc.createAnswer();
      await pc.setLocalDescription(answer);
      if (pc !== this.#connections.subscribe) return;
      this.#bindTracks(pc, tracks);
      this.#unanswered = { offer_id, offer: sdp, sdp: answer.sdp };
    } catch (error) {
      if (pc !== this.#connections.subscribe) return; // closed under our hands
      throw error;
    }
    await this.#sendAnswer();
  }

  async #sendAnswer() {
    const { offer_id, sdp } = this.#unanswered;
    try {
      await this.#request("answer", { offer_id, sdp });
    } catch (error) {
      if (error.code === "no_network") return; // said again after the next join
      // "bad_message" is a stale offer_id: said twice, or the relay has begun anew.
      if (error.code !== "bad_message") this.#fail(error);
    }
    if (this.#unanswered?.offer_id === offer_id) this.#unanswered = null;
  }

  /** What an offer says of its publications holds when it comes; once it is answered, later events may have changed it. */
  #learnTracks(tracks) {
    for (const { participant: id, publication, kind, source, muted } of tracks) {
      const participant = this.participants.get(id);
      if (participant) this.#addPublication(participant, { id: publication, kind, source, muted });
    }
  }

  #bindTracks(pc, tracks) {
    const byMid = new Map(tracks.map((track) => [track.mid, track]));
    for (const [mid, received] of [...this.#received]) {
      if (byMid.get(mid)?.publication !== received.publication.id) this.#endTrack(mid);
    }
    const transceivers = new Map(pc.getTransceivers().map((transceiver) => [transceiver.mid, transceiver]));
    for (const [mid, info] of byMid) {
      const track = transceivers.get(mid)?.receiver.track;
      const participant = this.participants.get(info.participant);
      const publication = participant?.publications.get(info.publication);
      if (!track || !publication || this.#received.has(mid)) continue; // taken back while we were answering
      const { kind, source } = info;
      // Camera and microphone belong together; whatever else comes (a screen) is a picture of its own.
      const stream = /^(camera|microphone)$/.test(source) ? participant.stream : new MediaStream();
      stream.addTrack(track);
      Object.assign(publication, { track, stream });
      this.#received.set(mid, { participant, publication, track, stream });
      this.#emit("track", { participant, publication, kind, source, track, stream });
    }
  }

  #endTrack(mid) {
    const { participant, publication, track, stream } = this.#received.get(mid);
    this.#received.delete(mid);
    stream.removeTrack(track);
    Object.assign(publication, { track: null, stream: null, stalled: false });
    const { kind, source } = publication;
    this.#emit("trackended", { participant, publication, kind, source, track, stream });
  }

  // ------------------------------------------------------------------ sending

  /** Offer what is published now. Calls are coalesced; what a lost socket leaves undone, the next join does. */
  #negotiate() {
    this.#isDirty = true;
    this.#negotiation ??= this.#negotiateAll().finally(() => (this.#negotiation = null));
    return this.#negotiation;
  }

  async #negotiateAll() {
    while (this.#isDirty && this.#signaling) {
      this.#isDirty = false;
      const pc = (this.#connections.publish ??= this.#newConnection("publish"));
      try {
        await this.#offer(pc);
      } catch (error) {
        if (pc !== this.#connections.publish) continue; // begun anew meanwhile
        if (error.code === "no_network") this.#isDirty = true;
        else if (error.code === "too_many_requests") {
          this.#isDirty = true;
          await later(REFUSED_PAUSE_MS);
        } else await this.#withdraw(pc, error);
      }
    }
  }

  async #offer(pc) {
    for (const own of this.publications) own.transceiver ??= await this.#addTransceiver(pc, own);
    for (const channel of this.#channels.values()) channel.openOn(pc);
    const offer = await pc.createOffer();
    await pc.setLocalDescription(offer);
    const offered = this.publications.filter((own) => own.transceiver?.mid);
    const tracks = offered.map((own) => {
      const encrypted = own.transceiver.sender.transform != null; // or the relay may add copies to sound, and join it
      return { mid: own.transceiver.mid, source: own.source, muted: own.reason !== null, encrypted };
    });
    // createOffer's text, not localDescription's: no address of this machine in it.
    const reply = await this.#request("publish", { sdp: offer.sdp, tracks });
    if (pc !== this.#connections.publish) return;
    await pc.setRemoteDescription({ type: "answer", sdp: reply.sdp });
    const ids = new Map(reply.publications.map(({ mid, id }) => [mid, id]));
    for (const [index, own] of offered.entries()) {
      own.id = ids.get(own.transceiver?.mid) ?? null;
      own.told = tracks[index].muted ? (own.told ?? undefined) : null;
      if (own.id) own.resolve(own);
      else this.#refuse(own, new TelerelayError("no_common_codec"));
    }
    this.#applyLimits(); // also that there is none: a transceiver may have been another's
    await this.#tellMutes();
  }

  async #addTransceiver(pc, own) {
    const { kind, track, options } = own;
    const isOwn = options.simulcast || (kind === "audio" && own.source !== "microphone"); // its encodings are its own
    const index = isOwn ? -1 : this.#spare.findIndex((spare) => spare.kind === kind);
    let transceiver;
    if (index >= 0) {
      transceiver = this.#spare.splice(index, 1)[0].transceiver;
      transceiver.direction = "sendonly";
      await transceiver.sender.replaceTrack(track);
    } else {
      const streams = [new MediaStream([track])];
      const sendEncodings = encodings(track, own.source, options);
      transceiver = pc.addTransceiver(track, { direction: "sendonly", streams, sendEncodings });
    }
    if (kind === "video") preferCodec(transceiver, options.videoCodec ?? "VP8");
    return transceiver;
  }

  #applyLimits() {
    for (const own of this.publications) {
      if (!own.id || !own.transceiver) continue;
      const { sender } = own.transceiver;
      own.limit = this.#limits.get(own.id) ?? null;
      if (!this.#senderLimits.has(sender)) this.#senderLimits.set(sender, new SenderLimit(sender));
      this.#senderLimits.get(sender).set(own.limit);
    }
  }

  #retire({ kind, transceiver, options }) {
    if (!transceiver || transceiver.stopped || !this.#connections.publish) return;
    transceiver.direction = "inactive";
    transceiver.sender.replaceTrack(null).catch(() => {});
    if (!options.simulcast) this.#spare.push({ kind, transceiver });
  }

  /** The relay did not take the offer: go back to what it took last, without those it has never known. */
  async #withdraw(pc, error) {
    await pc.setLocalDescription({ type: "rollback" }).catch(() => {});
    const unknown = this.publications.filter((own) => !own.id);
    for (const own of unknown) {
      own.transceiver?.stop();
      this.#refuse(own, error);
    }
    if (!unknown.length) this.#fail(error);
  }

  #refuse(own, error) {
    this.publications = this.publications.filter((other) => other !== own);
    own.reject(error);
    this.#emit("error", { error });
  }

  async #tellMutes() {
    for (const own of this.publications) {
      const { reason } = own;
      if (!own.id || reason === own.told) continue;
      own.told = reason; // before the reply: what changes meanwhile is said after it
      try {
        const why = reason ? { reason } : {};
        await this.#request("mute", { publication: own.id, muted: reason !== null, ...why });
      } catch (error) {
        own.told = undefined; // said again after the next join
        if (error.code !== "no_network") this.#fail(error);
      }
    }
  }

  // ------------------------------------------------------------------ one's own sources

  #permissions = new Map(); // kind -> {status, wasGranted}
  #contexts = new Set(); // AudioContexts of the page
  #isFrozen = false;
  #onSources = () => {
    for (const own of this.publications) this.#lookAtSource(own);
  };
  #onFrozen = () => {
    this.#isFrozen = true;
    this.#onSources();
  };
  #onThawed = () => {
    this.#isFrozen = false;
    this.#onSources();
  };

  #watchTrack(own) {
    const { track } = own;
    const look = () => {
      if (own.track === track && this.publications.includes(own)) this.#lookAtSource(own);
    };
    listen(true, track, { mute: look, unmute: look, ended: look });
    this.#watchPermission(own);
    look();
  }

  async #watchPermission({ kind, source }) {
    if (this.#permissions.has(kind) || !/^(camera|microphone)$/.test(source)) return;
    const known = { status: null, wasGranted: false };
    this.#permissions.set(kind, known);
    const status = await permissionOf(source);
    if (!status || this.state === "ended") return;
    Object.assign(known, { status, wasGranted: status.state === "granted" });
    status.onchange = () => {
      this.#emit("permission", { kind, state: status.state });
      for (const own of this.publications) {
        if (own.source !== source) continue;
        // Who says no means now, whether or not the browser has ended the track.
        if (status.state === "denied" && own.track.readyState === "live") own.track.stop();
        this.#lookAtSource(own);
      }
    };
  }

  /** Firefox says "prompt" for what was allowed once: only a change counts, or a plain no. */
  #isWithdrawn(own) {
    const known = this.#permissions.get(own.kind);
    const state = known?.status?.state;
    return state === "denied" || (known?.wasGranted === true && state !== "granted");
  }

  /** What keeps a source from giving anything, the gravest first. */
  #troubleOf(own) {
    const { track, kind } = own;
    const isCalled = kind === "audio" && [...this.#contexts].some(({ state }) => state === "interrupted");
    const isHidden = globalThis.document?.visibilityState === "hidden";
    const ROWS = [
      ["permission_denied", track.readyState === "ended" && this.#isWithdrawn(own)],
      ["device_lost", track.readyState === "ended"],
      ["interrupted", this.#isFrozen || isCalled || (track.muted && isHidden)],
      ["source", track.muted],
    ];
    return ROWS.find(([, isSo]) => isSo)?.[0] ?? null;
  }

  #lookAtSource(own) {
    const before = own.trouble;
    const reason = this.#troubleOf(own);
    if (reason === before) return;
    own.trouble = reason;
    const isGone = (trouble) => trouble === "device_lost" || trouble === "permission_denied";
    if (isGone(reason) && !isGone(before)) this.#emit("deviceended", { publication: own, reason });
    this.#emit("sourcechange", { publication: own, reason, before });
    this.#tellMutes();
  }

  // ------------------------------------------------------------------ what comes, and how well

  #looking = null;
  #isLooking = false;
  #looked_ms = 0;
  #paused = new Set(); // ids of publications we asked not to have
  #flows = new WeakMap(); // publication -> FlowGauge
  #sentSince_ms = new WeakMap(); // publication -> when the relay held it back last, or sent it again
  #gauge = new NetworkGauge();
  #reporter = new TrackReporter();
  #tracks = []; // of the next report
  #looks = 0;

  async #look() {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const { publish: up, subscribe: down } = this.#connections;
    const [publish, subscribe] = await Promise.all([up, down].map(reportOf));
    this.#isLooking = false;
    if (this.state === "ended") return;
    const now_ms = performance.now();
    const isAwake = now_ms - this.#looked_ms < ASLEEP_MS;
    this.#looked_ms = now_ms;
    for (const entry of subscribe?.values() ?? []) {
      const received = entry.type === "inbound-rtp" ? this.#receivedOf(entry) : null;
      if (received) this.#lookAtFlow(received, now_ms, entry.packetsReceived ?? 0, isAwake);
    }
    if (isAwake && ++this.#looks % REPORT_LOOKS === 0) this.#lookAtTracks(now_ms, publish, subscribe);
    if (!this.#gauge.take(sampleOf(now_ms, publish, subscribe))) return;
    const before = this.network;
    const { state, rtt_ms, loss_up, loss_down } = this.#gauge;
    this.network = state;
    this.#emit("network", { state, before, rtt_ms, loss_up, loss_down });
  }

  #lookAtTracks(now_ms, publish, subscribe) {
    const idOf = (entry) => {
      if (entry.type === "inbound-rtp") return this.#judged(this.#receivedOf(entry)?.publication, now_ms);
      return this.publications.find(({ transceiver }) => transceiver?.mid === entry.mid)?.id ?? null;
    };
    const mostOf = ({ mid, rid }) => {
      const own = this.publications.find(({ transceiver }) => transceiver?.mid === mid);
      const all = own?.transceiver.sender.getParameters().encodings ?? [];
      const found = all.find((each) => !rid || each.rid === rid);
      return found?.active ? (found.maxBitrate ?? null) : null;
    };
    const wasNotable = this.#reporter.isNotable;
    this.#tracks = this.#reporter.take(now_ms, publish, subscribe, idOf, mostOf);
    // That it is over is news as well.
    if (this.#reporter.isNotable || wasNotable) this.#report();
  }

  /** Its id; null where the relay holds it back, or did just now: browsers count that as one long freeze. */
  #judged(publication, now_ms) {
    if (!publication || publication.paused) return null;
    return now_ms - (this.#sentSince_ms.get(publication) ?? -Infinity) > COMES_MS ? publication.id : null;
  }

  /** Tell the relay what only we can see; its reply also shows that the socket lives. */
  #report() {
    this.#request("report", { tracks: this.#tracks }).catch(() => {});
  }

  #lookAtFlow({ participant, publication }, now_ms, packets, isAwake) {
    if (!this.#flows.has(publication)) this.#flows.set(publication, new FlowGauge());
    // What is not sent to us does not stall, and what is sent again has its time to come.
    const isSent = !publication.paused && !this.#paused.has(publication.id);
    const stalled = this.#flows.get(publication).isStalled(now_ms, packets, isAwake && isSent);
    if (publication.stalled === stalled) return;
    publication.stalled = stalled;
    this.#emit(stalled ? "stalled" : "flowing", { participant, publication });
  }

  #receivedOf({ mid, trackIdentifier }) {
    const isIt = ({ track }) => track.id === trackIdentifier;
    return this.#received.get(mid) ?? [...this.#received.values()].find(isIt) ?? null;
  }

  // ------------------------------------------------------------------ messages

  #channels = new Map(); // label -> Channel

  #channelOf(label) {
    if (!this.#channels.has(label)) this.#channels.set(label, new Channel(label));
    return this.#channels.get(label);
  }

  /** Open what the page wants and nothing carries; the first one of a connection takes an offer. */
  #openChannels() {
    const wanted = [...this.#channels.values()].filter(({ options, isCarried }) => options && !isCarried);
    if (!wanted.length || this.state === "ended") return;
    const pc = this.#connections.publish;
    if (pc?.sctp) for (const channel of wanted) channel.openOn(pc);
    else this.#negotiate();
  }

  get #hasToSend() {
    return this.publications.length > 0 || [...this.#channels.values()].some(({ options }) => options);
  }

  #onChannel(pc, line) {
    const isNew = !this.#channels.has(line.label);
    const channel = this.#channelOf(line.label);
    // The relay closes its own when nobody else has one: what the page wants is opened then.
    channel.add(line, pc, () => this.#openChannels());
    if (isNew) this.#emit("channel", { channel });
  }

  // ------------------------------------------------------------------ connections

  #newConnection(name) {
    const pc = new RTCPeerConnection({ iceServers: this.#iceServers, bundlePolicy: "max-bundle" });
    pc.ondatachannel = ({ channel }) => this.#onChannel(pc, channel);
    let timer = null;
    let wasConnected = false;
    pc.onconnectionstatechange = () => {
      clearTimeout(timer);
      if (pc !== this.#connections[name]) return;
      const state = pc.connectionState;
      this.#emit("connection", { connection: name, state, side: "browser" });
      if (state === "connected") {
        this.#failures[name] = 0;
        wasConnected = true;
      }
      if (state === "failed") {
        // What has never connected, or has lost its DTLS, no other path helps.
        if (wasConnected && pc.iceConnectionState === "failed") this.#restart(name);
        else this.#reconnect(name);
      }
      if (state === "disconnected") {
        // The address may be gone, and no browser says so: then the socket is dead as well, and is not worth ten seconds.
        this.#signaling?.request("stats", {}, MOVED_REPLY_MS).catch(() => {});
        timer = setTimeout(() => {
          if (pc === this.#connections[name] && pc.connectionState === "disconnected") this.#restart(name);
        }, DISCONNECTED_MS);
      }
    };
    return pc;
  }

  /** The network is another, or there again: paths that still work are kept until better ones are found. */
  #onMoved() {
    this.#wake();
    if (this.state === "ended" || this.state === "joining") return;
    this.#signaling?.request("stats", {}, MOVED_REPLY_MS).catch(() => {});
    for (const name of ["publish", "subscribe"]) this.#restart(name);
  }

  /** Restart ICE of a connection; without a socket, once there is one. If no path comes of it, begin anew. */
  async #restart(name) {
    const pc = this.#connections[name];
    if (!pc || this.state === "ended" || this.#restarting.has(name)) return;
    this.#stale.add(name);
    if (!this.#signaling) return;
    this.#restarting.add(name);
    try {
      if (name === "publish") {
        pc.restartIce();
        await this.#negotiate();
      } else {
        await this.#ask("restart", { connection: name });
      }
    } catch (error) {
      if (error.code !== "no_network" && pc === this.#connections[name]) this.#reconnect(name);
      return;
    } finally {
      this.#restarting.delete(name);
    }
    this.#stale.delete(name);
    await later(RESTART_MS);
    const isDown = pc.connectionState === "disconnected" || pc.connectionState === "failed";
    if (pc === this.#connections[name] && isDown && !this.#restarting.has(name)) this.#reconnect(name);
  }

  /** A request that waits where the relay says that it is too much at once. */
  async #ask(type, fields) {
    for (;;) {
      try {
        return await this.#request(type, fields);
      } catch (error) {
        if (error.code !== "too_many_requests") throw error;
        await later(REFUSED_PAUSE_MS);
      }
    }
  }

  /** Begin a connection anew, here and at the relay; without a socket, once there is one. */
  async #reconnect(name, { isLost = false } = {}) {
    const pc = this.#connections[name];
    if (!pc && name === "publish") return;
    this.#broken.add(name);
    if (!this.#signaling || this.state === "ended") return;
    const failures = this.#failures[name]++;
    if (failures === 1) this.#emit("error", { error: new TelerelayError("media_blocked") });
    if (failures) await later(Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** failures));
    const isUp = pc?.connectionState === "connected" && !isLost;
    if (this.state === "ended" || pc !== this.#connections[name] || isUp) {
      this.#broken.delete(name);
      return;
    }
    try {
      await this.#ask("reconnect", { connection: name });
    } catch (error) {
      if (error.code !== "no_network") this.#fail(error);
      return;
    }
    this.#broken.delete(name);
    // A fresh offer may have come before the reply: then the connection is another one already.
    if (pc === this.#connections[name]) this.#dropConnection(name);
    if (name === "publish" && this.#hasToSend) this.#negotiate();
  }

  #dropConnection(name) {
    const pc = this.#connections[name];
    this.#connections[name] = null;
    this.#broken.delete(name);
    this.#stale.delete(name);
    pc?.close();
    if (pc) for (const channel of this.#channels.values()) channel.drop(pc);
    if (name === "publish") {
      this.#spare = [];
      for (const own of this.publications) {
        Object.assign(own, { id: null, transceiver: null, told: null });
        own.unseenBy.clear();
      }
    } else {
      this.#session = null;
      this.#unanswered = null;
      for (const mid of [...this.#received.keys()]) this.#endTrack(mid);
    }
  }

  #fail(error) {
    const isOurs = error instanceof TelerelayError;
    this.#emit("error", { error: isOurs ? error : new TelerelayError("internal", error.message, { cause: error }) });
  }

  #emit(type, members) {
    const event = new CallEvent(type, members);
    this.dispatchEvent(event);
    this.#options.onEvent?.(event); // second: a dispatched event has its target
  }
}

/**
 * Join a room. Resolves with a Call, rejects with a TelerelayError.
 *
 * `room`, `token` (a string, or a function that gives one, asked again at each reconnection), `url` (the relay's WebSocket;
 * by default beside this module), `resume` (a seat's secret; by default the one this tab remembers), `onEvent` (called with
 * every event, `joined` included).
 */
export async function join(options) {
  return new Call(options).start();
}

/** What nobody else can know: 192 random bits, as `useLink` wants them. */
export function newNonce() {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

/**
 * Change a one-time link for `{room, token}`. A link is good once: keep what comes of it, for this tab. `url` is the
 * relay's `/link`, by default beside this module. Who gives the same `nonce` (of `newNonce`) within half a minute is
 * answered again: keep it before asking, for a reload may lose the answer. Rejects with `forbidden` where the link was
 * used, or is over.
 */
export async function useLink(link, url = new URL("./link", import.meta.url).href, nonce = newNonce()) {
  let response;
  try {
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify({ link, nonce });
    response = await fetch(url, { method: "POST", headers, body, credentials: "omit" });
  } catch (cause) {
    throw new TelerelayError("no_network", undefined, { cause });
  }
  const body = await response.json();
  if (!response.ok) throw new TelerelayError(body.error.code, body.error.message);
  return body;
}
