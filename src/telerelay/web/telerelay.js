/**
 * telerelay in the browser: join a room, publish camera and microphone, receive the others.
 *
 * An ES module, with those beside it that say they are part of it and nothing else, served by the relay beside its
 * WebSocket; docs/browser.md says how to use it.
 * It touches WebSocket, RTCPeerConnection, mediaDevices, permissions and sessionStorage (the seat's resume secret), and
 * hears of the network (`online`, navigator.connection). Of the page it knows whether it is visible or asleep, and the media
 * elements and AudioContexts it is given.
 * Two connections: on "publish" we offer, on "subscribe" the relay does (docs/signaling.md). No candidate is ever sent:
 * the relay is ICE-lite and learns a path from its authenticated checks only.
 *
 * Here is the call: what the page calls, the socket, events of the room, messages, connections. Beside it: who is there
 * (roster.js), what is published (publishing.js) and keeps from it (sources.js), what comes (incoming.js) and how well
 * (looking.js), elements of the page (elements.js), one-time links (link.js).
 */

import { Channel } from "./channel.js";
import { Elements } from "./elements.js";
import { CallEvent, TelerelayError, later, listen } from "./errors.js";
import { Incoming } from "./incoming.js";
import { Looking } from "./looking.js";
import { checksOf, numbersOf, reportOf } from "./measuring.js";
import { constraints, getUserMedia } from "./media.js";
import { LocalPublication, Publishing, REFUSED_PAUSE_MS } from "./publishing.js";
import { Roster } from "./roster.js";
import { profileOf } from "./sending.js";
import { FATAL, Signaling, readToken, seats } from "./signaling.js";
import { Sources } from "./sources.js";

export { Channel } from "./channel.js";
export { TelerelayError } from "./errors.js";
export { newNonce, useLink } from "./link.js";
export { devices, openMedia } from "./media.js";
export { PROFILES } from "./sending.js";
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
// No API shows a dead socket. One small request tells; the pause of a busy relay must not look like a loss.
const HEARTBEAT_MS = 5000;
// "disconnected" often heals by itself; after this ICE restarts, which costs a healthy connection nothing.
const DISCONNECTED_MS = 2000;
// A restart that has brought no path by then will not: the connection is begun anew.
const RESTART_MS = 6000;
// After a change of network a socket that does not answer by then is of the old one; to be wrong costs a join, no media.
const MOVED_REPLY_MS = 1000;

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
  #channels = new Map(); // label -> Channel
  #wires = {
    connections: this.#connections,
    channels: this.#channels,
    connect: (name) => (this.#connections[name] ??= this.#newConnection(name)),
    drop: (name) => this.#dropConnection(name),
    isOpen: () => this.#signaling !== null,
    receivedOf: (entry) => this.#incoming.of(entry),
    tellMutes: () => this.#publishing.tellMutes(),
    emit: (type, members) => this.#emit(type, members),
    request: (type, fields) => this.#request(type, fields),
    fail: (error) => this.#fail(error),
  };
  #looking = new Looking(this, this.#wires);
  #incoming = new Incoming(this, this.#wires);
  #roster = new Roster(this, this.#wires);
  #publishing = new Publishing(this, this.#wires);
  #sources = new Sources(this, this.#wires);
  #elements = new Elements();
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
    Object.assign(this.#wires, { roster: this.#roster, incoming: this.#incoming, looking: this.#looking });
    this.#listen(true);
  }

  #listen(isOn) {
    listen(isOn, globalThis, { online: this.#onOnline });
    listen(isOn, navigator.connection, { change: this.#onNetwork });
    this.#sources.listen(isOn);
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
   * "screen"…), `videoCodec` ("VP8", "H264"), `simulcast`, `maxBitrate` (bit/s), `redundancy` (of a voice: RED), `profile`
   * (what a picture must not lose: "talk", "motion", "detail"; rejects with "bad_option" where it is none of them).
   */
  async publish(what, options = {}) {
    const { hint } = profileOf(options.profile);
    if (what instanceof MediaStream) return Promise.all(what.getTracks().map((track) => this.publish(track, options)));
    if (this.state === "ended") throw new TelerelayError("ended");
    if (what.kind === "video" && options.profile) what.contentHint = hint;
    const source = options.source ?? (what.kind === "audio" ? "microphone" : "camera");
    const publication = new LocalPublication(what, source, options);
    this.publications.push(publication);
    this.#sources.watchTrack(publication);
    this.#publishing.negotiate();
    return publication.ready;
  }

  /** Take a publication back. Its track goes on; stop it yourself. */
  async unpublish(publication) {
    const index = this.publications.indexOf(publication);
    if (index < 0) return;
    this.publications.splice(index, 1);
    this.#publishing.retire(publication);
    await this.#publishing.negotiate();
  }

  /** Mute or unmute one's own publication, or all of a kind ("audio", "video"). The others are told. */
  async mute(what, muted = true) {
    const chosen = this.publications.filter((own) => own === what || own.kind === what || own.id === what);
    for (const own of chosen) {
      own.muted = muted;
      own.track.enabled = !muted;
    }
    await this.#publishing.tellMutes();
  }

  /** Send another track in a publication's place, without negotiation. The old track is returned, still running. */
  async replaceTrack(publication, track) {
    const old = publication.track;
    track.enabled = !publication.muted;
    publication.track = track;
    if (publication.options.profile) track.contentHint = old.contentHint;
    await publication.transceiver?.sender.replaceTrack(track);
    this.#sources.watchTrack(publication); // now it gives something again, if it lacked a source
    return old;
  }

  /**
   * Use another device, or without `deviceId` any. `kind` is that of MediaDeviceInfo: "audioinput", "videoinput" change
   * what is published (the new track is returned, the old one stopped), "audiooutput" where attached elements play.
   * Rejects with a device's code.
   */
  async setDevice(kind, deviceId = "") {
    if (kind === "audiooutput") {
      await this.#elements.setSink(deviceId);
      return null;
    }
    const media = kind === "audioinput" ? "audio" : "video";
    const source = media === "audio" ? "microphone" : "camera";
    const own = this.publications.find((publication) => publication.source === source);
    const wish = deviceId ? { deviceId: { exact: deviceId } } : true;
    const open = () => getUserMedia({ [media]: constraints(media, wish, own?.options.profile) });
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
    this.#looking.setPaused(id, paused);
    await this.#request("pause", { publication: id, paused });
  }

  /**
   * Give it an AudioContext of the page: on iOS its state "interrupted" is how a phone call is told from a microphone that
   * is muted for another reason.
   */
  watch(context) {
    if (this.state !== "ended") this.#sources.watchContext(context);
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

  /**
   * Show a participant's stream in a media element of yours. Resolves to false when the browser wants a click before it
   * plays sound: the picture then runs muted, until `startSound()` is called from a click.
   */
  attach(element, stream) {
    return this.#elements.attach(element, stream);
  }

  detach(element) {
    this.#elements.detach(element);
  }

  /** From a click: let all attached elements play their sound. */
  startSound() {
    return this.#elements.startSound();
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
    const received = isSent ? null : this.#incoming.of(entry);
    const own = isSent ? this.publications.find(({ transceiver }) => transceiver?.mid === entry.mid) : null;
    return {
      direction: isSent ? "publish" : "subscribe",
      kind: entry.kind,
      source: (own ?? received?.publication)?.source ?? null,
      participant: isSent ? this.id : (received?.participant.id ?? null),
      ...numbersOf(report, entry),
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
      this.#publishing.forgetLimits();
    }
    this.#roster.forgetSigns();
    this.#hasMedia = true;
    this.state = "joined";
    this.#roster.meet(reply.participants ?? [], isFirst);
    clearInterval(this.#heartbeat);
    this.#heartbeat = setInterval(() => this.#looking.report(), HEARTBEAT_MS);
    this.#looking.start();
    if (isFirst) this.#emit("joined", { resumed: Boolean(reply.resumed) });
    else this.#emit("reconnected", { resumed: Boolean(reply.resumed) });
    // What the lost socket may have swallowed is said again; the relay takes it as it comes.
    this.#incoming.sendAgain();
    if (this.#hasToSend && (!isKept || this.#publishing.isDirty)) this.#publishing.negotiate();
    else this.#publishing.tellMutes();
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
    this.#looking.stop();
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
        this.#incoming.take(message);
        break;
      case "participant_joined":
        this.#roster.welcome(message.participant);
        break;
      case "participant_left":
        if (participant) this.#roster.dismiss(participant, message.reason);
        break;
      case "participant_interrupted":
      case "participant_back":
        if (participant) this.#roster.setInterrupted(participant, message.type === "participant_interrupted");
        break;
      case "published":
        if (participant) this.#roster.add(participant, message.publication);
        break;
      case "unpublished":
        if (publication) this.#roster.remove(participant, publication);
        break;
      case "muted":
        if (publication) this.#roster.setMuted(participant, publication, message.muted, message.reason);
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
        this.#publishing.setLimits(message.tracks);
        this.#emit("limits", { tracks: message.tracks });
        break;
      case "track_state":
        this.#roster.setPaused(message.publication, message.state === "paused" ? message.reason : null);
        break;
      case "seen_by":
        this.#roster.setSeen(this.#roster.ownOf(message.publication), message.participant, message.state === "live");
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
        this.#roster.refuse(message.publication, message.code);
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

  // ------------------------------------------------------------------ messages

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
    else this.#publishing.negotiate();
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
        await this.#publishing.negotiate();
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
    if (name === "publish" && this.#hasToSend) this.#publishing.negotiate();
  }

  #dropConnection(name) {
    const pc = this.#connections[name];
    this.#connections[name] = null;
    this.#broken.delete(name);
    this.#stale.delete(name);
    pc?.close();
    if (pc) for (const channel of this.#channels.values()) channel.drop(pc);
    if (name === "publish") this.#publishing.drop();
    else this.#incoming.drop();
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
