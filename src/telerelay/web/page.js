/**
 * The consult page: a check of camera and sound, the call, the end. Built on telerelay.js, and on its public names only.
 *
 * Address: `?room=…` and `#token=…`; the token stays in the fragment, which no browser sends anywhere. `?lang=fr|en`,
 * `?codec=h264|vp8` are for those who know. What it shows follows from `page` below; `render` draws all of it again.
 */

import { devices, join, openMedia, readToken } from "./telerelay.js";
import { LANGUAGES, firstLanguage, problemKey, roleKey, words } from "./strings.js";

const query = new URLSearchParams(location.search);
const fragment = new URLSearchParams(location.hash.slice(1));
const $ = (id) => document.getElementById(id);

// Long enough to be read aloud, short enough not to be stale.
const NEWS_MS = 6000;
const TICK_MS = 1000;
// So many ticks without a new frame are a picture that stands still.
const STALLED_TICKS = 3;

const KINDS = {
  audio: {
    select: "microphone",
    input: "audioinput",
    source: "microphone",
    none: "no_microphone",
    unnamed: "unnamed_microphone",
  },
  video: { select: "camera", input: "videoinput", source: "camera", none: "no_camera", unnamed: "unnamed_camera" },
};

const page = {
  view: "lobby",
  language: firstLanguage(query.get("lang"), navigator.languages ?? [navigator.language]),
  token: fragment.get("token"),
  room: query.get("room"),
  stream: new MediaStream(), // our own tracks
  problems: {}, // by kind: why a device is not used
  problem: null, // why joining failed: an error code
  isOpening: false,
  isJoining: false,
  call: null,
  connections: {},
  isSoundBlocked: false,
  news: null, // {key, values, until}
  large: null, // key of the picture that was chosen to be large
  endCode: null,
};

const say = (key, values) => words(page.language, key, values);

/** What this tab remembers of a room over a reload: that we were in it, and how. */
const memory = {
  key: () => `telerelay.page:${page.room}`,
  read() {
    try {
      return JSON.parse(sessionStorage.getItem(this.key())) ?? {};
    } catch {
      return {};
    }
  },
  write(changes) {
    try {
      sessionStorage.setItem(this.key(), JSON.stringify({ ...this.read(), ...changes }));
    } catch {
      /* then a reload begins in the lobby */
    }
  },
};

// ---------------------------------------------------------------------------------------------------- the token

const isLoopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);

/** The token of the link; on loopback a relay in demo mode makes one for whoever asks. */
async function findToken() {
  page.room ??= readToken(page.token ?? "")?.room ?? (isLoopback ? "demo" : null);
  if (page.token || !page.room || !isLoopback) return;
  const kept = memory.read().token;
  if (kept && (readToken(kept)?.exp ?? 0) > Date.now() / 1000 + 10) {
    page.token = kept; // the same person after a reload
    return;
  }
  try {
    const response = await fetch(`demo-token?${new URLSearchParams({ room: page.room })}`);
    if (!response.ok) return;
    page.token = (await response.json()).token;
    memory.write({ token: page.token });
  } catch {
    page.problem = "no_network";
  }
}

// ---------------------------------------------------------------------------------------------------- devices

const trackOf = (kind) => page.stream.getTracks().find((track) => track.kind === kind) ?? null;
const publicationOf = (kind) => page.call?.publications.find((own) => own.source === KINDS[kind].source) ?? null;

function setTrack(kind, track) {
  const old = trackOf(kind);
  if (old === track) return;
  if (old) {
    page.stream.removeTrack(old);
    old.stop();
  }
  if (track) page.stream.addTrack(track);
}

/** What to ask of a kind: what was chosen, or anything, or nothing. */
function wish(kind) {
  const choice = memory.read()[kind];
  return choice === "none" ? false : choice ? { deviceId: { exact: choice } } : true;
}

let opening = Promise.resolve();

/** Open the devices of these kinds, one turn after the other. */
function openDevices(kinds = ["audio", "video"]) {
  opening = opening.then(async () => {
    page.isOpening = true;
    for (const kind of kinds) {
      setTrack(kind, null); // a camera that is open already may be "busy"
      delete page.problems[kind];
    }
    render();
    const wishes = Object.fromEntries(["audio", "video"].map((kind) => [kind, kinds.includes(kind) && wish(kind)]));
    const { stream, errors } = await openMedia(wishes);
    for (const track of stream.getTracks()) {
      setTrack(track.kind, track);
      track.addEventListener("ended", () => deviceLost(track));
    }
    for (const [kind, error] of Object.entries(errors)) page.problems[kind] = error.code;
    page.isOpening = false;
    await fillDevices();
    showSelf();
    render();
  });
  return opening;
}

function deviceLost(track) {
  if (trackOf(track.kind) !== track) return;
  setTrack(track.kind, null);
  page.problems[track.kind] = "device_lost";
  publicationOf(track.kind) && page.call.unpublish(publicationOf(track.kind));
  showSelf();
  render();
}

async function fillDevices() {
  const found = await devices();
  for (const [kind, { select, input, none, unnamed }] of Object.entries(KINDS)) {
    const options = found.filter((device) => device.kind === input && device.deviceId);
    fillSelect($(select), options, unnamed, ["none", say(none)]);
    const chosen = trackOf(kind)?.getSettings().deviceId;
    const isListed = options.some(({ deviceId }) => deviceId === chosen);
    $(select).value = !trackOf(kind) ? "none" : isListed ? chosen : options[0]?.deviceId;
  }
  const outputs = found.filter(({ kind, deviceId }) => kind === "audiooutput" && deviceId && deviceId !== "default");
  $("speaker-field").hidden = !outputs.length || !("setSinkId" in HTMLMediaElement.prototype);
  const before = $("speaker").value;
  fillSelect($("speaker"), outputs, "unnamed_speaker", null, ["", say("default_speaker")]);
  $("speaker").value = outputs.some(({ deviceId }) => deviceId === before) ? before : "";
}

function fillSelect(select, options, unnamed, last, first = null) {
  const rows = options.map(({ deviceId, label }, index) => [deviceId, label || say(unnamed, { number: index + 1 })]);
  if (first) rows.unshift(first);
  if (last) rows.push(last);
  select.replaceChildren(...rows.map(([value, text]) => new Option(text, value)));
}

async function chooseDevice(kind) {
  const value = $(KINDS[kind].select).value;
  memory.write({ [kind]: value });
  const own = publicationOf(kind);
  if (!page.call) return openDevices([kind]);
  if (value === "none") {
    setTrack(kind, null);
    if (own) await page.call.unpublish(own);
  } else if (own) {
    try {
      const track = await page.call.setDevice(KINDS[kind].input, value);
      track.addEventListener("ended", () => deviceLost(track));
      setTrack(kind, track);
      delete page.problems[kind];
    } catch (error) {
      page.problems[kind] = error.code;
      await fillDevices();
    }
  } else {
    await openDevices([kind]);
    await publish(kind);
  }
  showSelf();
  return render();
}

/** How loud the microphone is, as a bar. A browser may want a click before it measures. */
const meter = {
  context: null,
  source: null,
  start() {
    this.stop();
    const track = trackOf("audio");
    if (!track || !globalThis.AudioContext) return;
    this.context ??= new AudioContext();
    this.context.resume().catch(() => {});
    this.source = this.context.createMediaStreamSource(new MediaStream([track]));
    const analyser = this.context.createAnalyser();
    analyser.fftSize = 1024;
    this.source.connect(analyser);
    this.heard = 0;
    const samples = new Float32Array(analyser.fftSize);
    const source = this.source;
    const draw = () => {
      if (this.source !== source) return;
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      // From -60 dB (a quiet room) to -10 dB (a loud voice).
      this.show(Math.min(100, Math.max(0, Math.round((10 * Math.log10(power + 1e-9) + 60) * 2))));
      setTimeout(() => requestAnimationFrame(draw), 60);
    };
    draw();
  },
  stop() {
    this.source?.disconnect();
    this.source = null;
    this.show(0);
  },
  show(level) {
    $("level").setAttribute("aria-valuenow", level);
    $("level-bar").style.setProperty("--level", level / 100);
    if (level > 25) this.heard = Date.now();
    const key = !this.source
      ? "level_off"
      : this.context.state !== "running"
        ? "level_waiting"
        : Date.now() - this.heard < 3000
          ? "level_heard"
          : "level_silent";
    setText($("level-words"), say(key));
  },
};

/** Three notes as a WAV file: an audio element plays it on the loudspeaker that was chosen. */
function testSound() {
  const rate = 22050;
  const notes = [523.25, 659.25, 783.99];
  const length = Math.round(rate * 0.35);
  const view = new DataView(new ArrayBuffer(44 + notes.length * length * 2));
  const header = [0x52494646, 0, 0x57415645, 0x666d7420];
  header.forEach((word, index) => view.setUint32(index * 4, word));
  view.setUint32(4, view.byteLength - 8, true);
  const sizes = [[16, 16], [24, rate], [28, rate * 2], [40, view.byteLength - 44]];
  for (const [offset, value] of sizes) view.setUint32(offset, value, true);
  for (const [offset, value] of [[20, 1], [22, 1], [32, 2], [34, 16]]) view.setUint16(offset, value, true);
  view.setUint32(36, 0x64617461);
  notes.forEach((frequency, note) => {
    for (let i = 0; i < length; i++) {
      const swell = Math.min(1, i / 400) * Math.exp((-4 * i) / length);
      const sample = Math.sin((2 * Math.PI * frequency * i) / rate) * swell * 0.4;
      view.setInt16(44 + (note * length + i) * 2, sample * 32767, true);
    }
  });
  return new Blob([view], { type: "audio/wav" });
}

async function playTestSound() {
  const audio = new Audio(URL.createObjectURL(testSound()));
  if ($("speaker").value) await audio.setSinkId?.($("speaker").value).catch(() => {});
  audio.addEventListener("ended", () => URL.revokeObjectURL(audio.src));
  tell("test_sound_playing");
  await audio.play();
}

/** Our own picture, in the lobby or in the corner of the call. */
function showSelf() {
  const home = page.view === "call" ? $("self-home") : $("mirror");
  if ($("self").parentElement !== home) home.prepend($("self"));
  const video = $("local-video");
  // An element that waits for the first track of a stream would hold up the page's load event for ever.
  const stream = trackOf("video") ? page.stream : null;
  if (video.srcObject !== stream) video.srcObject = stream;
  if (stream) video.play().catch(() => {});
  if (page.view === "lobby" || $("devices-dialog").open) meter.start();
  else meter.stop();
}

// ---------------------------------------------------------------------------------------------------- joining and leaving

async function enter() {
  if (page.isJoining) return;
  page.isJoining = true;
  page.problem = null;
  render();
  try {
    await opening;
    page.call = await join({ room: page.room, token: page.token, onEvent: onCallEvent });
  } catch (error) {
    page.problem = error.code ?? "other";
    memory.write({ isInside: false });
  }
  page.isJoining = false;
  render();
  if (page.problem) return;
  page.connections = {};
  memory.write({ isInside: true });
  show("call");
  keepAwake();
  const muted = memory.read().muted ?? {};
  for (const kind of ["audio", "video"]) {
    const track = trackOf(kind);
    if (track) track.enabled = !muted[kind]; // as it was before a reload
  }
  const publishing = Promise.all(["audio", "video"].map(publish));
  render();
  document.querySelector(".controls button:enabled").focus();
  await publishing;
}

async function publish(kind) {
  const track = trackOf(kind);
  if (!track || !page.call) return;
  const videoCodec = query.get("codec")?.toUpperCase() ?? "VP8";
  try {
    await page.call.publish(track, { source: KINDS[kind].source, videoCodec });
  } catch (error) {
    // Whose role may not publish watches and listens.
    if (error.code === "forbidden") setTrack(kind, null);
    else if (error.code !== "left" && error.code !== "ended") tell(problemKey(error.code), { code: error.code });
  }
  render();
}

async function leave() {
  $("leave").disabled = true;
  await page.call?.leave();
  $("leave").disabled = false;
}

function onEnded(code) {
  memory.write({ isInside: false, muted: {} });
  for (const { video } of tiles.values()) page.call.detach(video);
  page.call = null;
  page.endCode = code;
  page.isSoundBlocked = false;
  for (const kind of ["audio", "video"]) setTrack(kind, null);
  wakeLock?.release().catch(() => {});
  if ($("devices-dialog").open) closeDevices();
  show("after");
  $("after-title").focus();
}

let wakeLock = null;

/** A phone that goes to sleep ends the picture. */
async function keepAwake() {
  try {
    if (page.call && document.visibilityState === "visible") wakeLock = await navigator.wakeLock?.request("screen");
  } catch {
    /* not allowed now */
  }
}

// ---------------------------------------------------------------------------------------------------- during the call

function onCallEvent(event) {
  const { participant } = event;
  switch (event.type) {
    case "participantjoined":
      tell("other_joined", { participant });
      break;
    case "participantleft":
      tell("other_left", { participant });
      break;
    case "participantback":
      if (lost.has(participant.id)) tell("other_back", { participant });
      break;
    case "muted":
      tell(event.publication.kind === "audio" ? "other_muted" : "other_camera_off", { participant });
      break;
    case "unmuted":
      page.news = null;
      break;
    case "reconnected":
      tell("reconnected");
      break;
    case "connection":
      if (event.side === "browser") page.connections[event.connection] = event.state;
      break;
    case "error":
      tell(problemKey(event.error.code), { code: event.error.code });
      break;
    case "draining":
      tell("draining");
      break;
    case "track":
      renderTiles();
      for (const { key, stream } of pictures()) if (stream === event.stream) play(tiles.get(key), stream);
      break;
    case "ended":
      onEnded(event.code);
      return;
  }
  render();
}

function tell(key, values = {}) {
  page.news = { key, values, until: Date.now() + NEWS_MS };
  // Names are settled now: who leaves has no number afterwards.
  if (values.participant) page.news.values = { who: () => name(values.participant), ...values };
  render();
}

/** Whom we see: by role; several of one role are counted. */
function name(participant) {
  const everybody = [...(page.call?.participants.values() ?? [])];
  const same = everybody.filter(({ role }) => roleKey(role) === roleKey(participant.role));
  const number = same.length > 1 ? same.indexOf(participant) + 1 : 0;
  return say(roleKey(participant.role)) + (number > 0 ? ` ${number}` : "");
}

const tiles = new Map(); // key -> {element, video, frames, still}
const lost = new Set(); // ids of participants whose socket and media are both gone

/** One picture for each person, and one for each screen somebody shares. */
function pictures() {
  const found = [];
  for (const participant of page.call?.participants.values() ?? []) {
    const publications = [...participant.publications.values()];
    const camera = publications.find(({ source, kind }) => kind === "video" && source === "camera");
    const microphone = publications.find(({ source }) => source === "microphone");
    found.push({ key: participant.id, participant, camera, microphone, stream: participant.stream });
    for (const other of publications) {
      if (other === camera || other === microphone || !other.stream) continue;
      const key = `${participant.id}/${other.id}`;
      found.push({ key, participant, camera: other, microphone: other, stream: other.stream });
    }
  }
  return found;
}

function renderTiles() {
  const all = pictures();
  const keys = new Set(all.map(({ key }) => key));
  for (const [key, { element, video }] of tiles) {
    if (keys.has(key)) continue;
    page.call?.detach(video);
    element.remove();
    tiles.delete(key);
  }
  if (!keys.has(page.large)) page.large = null;
  const large = page.large ?? (all.find(({ camera }) => camera) ?? all[0])?.key;
  for (const picture of all) {
    const tile = tiles.get(picture.key) ?? addTile(picture);
    renderTile(tile, picture, picture.key === large);
  }
  $("tiles").dataset.count = Math.min(all.length, 2);
  $("tiles").style.setProperty("--others", Math.max(all.length - 1, 1));
  $("waiting").hidden = all.length > 0;
}

function addTile({ key }) {
  const element = $("tile").content.firstElementChild.cloneNode(true);
  const video = element.querySelector("video");
  const tile = { element, video, frames: 0, still: 0 };
  tiles.set(key, tile);
  for (const type of ["loadeddata", "resize"]) video.addEventListener(type, render);
  element.querySelector("button").addEventListener("click", () => {
    page.large = key;
    render();
  });
  $("tiles").append(element);
  return tile;
}

/** Play what a tile shows, once there is something to play; the browser may want a click for the sound. */
async function play({ video }, stream) {
  if (!page.call || !stream.getTracks().length) return;
  if ((await page.call.attach(video, stream)) || !page.call) return;
  page.isSoundBlocked = true;
  render();
}

function renderTile({ element, video, still }, { participant, camera, microphone }, isLarge) {
  const hasPicture = Boolean(camera?.track) && !camera.muted && video.videoWidth > 0;
  const cover = !camera ? "tile_no_camera" : camera.muted ? "tile_camera_off" : "tile_waiting";
  const badge = lost.has(participant.id)
    ? "badge_lost"
    : !microphone
      ? "badge_no_microphone"
      : microphone.muted
        ? "badge_muted"
        : hasPicture && still >= STALLED_TICKS
          ? "badge_stalled"
          : null;
  Object.assign(element.dataset, {
    large: isLarge,
    picture: hasPicture ? "on" : "off",
    audio: !microphone ? "none" : microphone.muted ? "muted" : "on",
    video: !camera ? "none" : camera.muted ? "muted" : "on",
  });
  const who = name(participant);
  const title = who.charAt(0).toUpperCase() + who.slice(1);
  video.setAttribute("aria-label", title);
  setText(element.querySelector(".cover span"), say(cover));
  setText(element.querySelector(".who"), title);
  element.querySelector(".badge").hidden = !badge;
  setText(element.querySelector(".badge"), badge ? say(badge) : "");
  const button = element.querySelector("button");
  button.hidden = isLarge;
  button.setAttribute("aria-label", say("enlarge", { who }));
}

/** Once a second: whose picture stands still, and whose connection is gone for good measure. */
function tick() {
  if (!page.call || document.visibilityState !== "visible") return;
  for (const { key, participant, camera } of pictures()) {
    const tile = tiles.get(key);
    if (!tile) continue;
    const frames = tile.video.getVideoPlaybackQuality?.().totalVideoFrames ?? 0;
    tile.still = frames === tile.frames && camera && !camera.muted ? tile.still + 1 : 0;
    tile.frames = frames;
    if (key !== participant.id) continue;
    // The socket alone may be gone: then picture and sound go on, and nobody need worry.
    const isLost = participant.interrupted && (tile.still >= STALLED_TICKS || !camera || camera.muted);
    if (isLost) lost.add(key);
    else lost.delete(key);
  }
  render();
}

function toggle(kind) {
  const own = publicationOf(kind);
  if (!own) return;
  const muted = !own.muted;
  memory.write({ muted: { ...memory.read().muted, [kind]: muted } });
  page.call.mute(own, muted);
  render();
}

function openDialog() {
  $("devices-away").append($("devices"));
  $("devices-dialog").showModal();
  fillDevices();
  meter.start();
}

function closeDevices() {
  $("devices-dialog").close();
}

// ---------------------------------------------------------------------------------------------------- what is shown

/** Leaves the node alone when nothing changed: a screen reader would say it again. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function show(view) {
  page.view = view;
  page.news = null;
  document.body.dataset.view = view;
  for (const id of ["lobby", "call", "after"]) $(id).hidden = id !== view;
  if (view === "lobby") $("devices-home").append($("devices"));
  showSelf();
  render();
}

function problemWords() {
  if (page.problem) return say(problemKey(page.problem), { code: page.problem });
  const { audio, video } = page.problems;
  if (audio && audio === video) return say(problemKey(audio), { code: audio });
  const each = Object.entries(page.problems).map(([kind, code]) => say(problemKey(code, kind), { code }));
  return each.join(" ");
}

function readiness() {
  const has = { audio: Boolean(trackOf("audio")), video: Boolean(trackOf("video")) };
  return has.audio && has.video ? "" : has.audio ? "_audio" : has.video ? "_video" : "_listen";
}

function lobbyStatus() {
  if (page.isJoining) return say("joining");
  if (page.problem) return problemWords();
  if (page.isOpening) return say("asking");
  return say(`ready${readiness()}`);
}

function callStatus() {
  const { call, news } = page;
  if (call.state === "reconnecting") return say("reconnecting");
  const states = Object.values(page.connections);
  if (states.includes("failed") || states.includes("disconnected")) return say("media_lost");
  if (news && news.until > Date.now()) {
    const { who } = news.values;
    return say(news.key, { ...news.values, who: who ? who() : "" });
  }
  if (page.isSoundBlocked) return say("sound_blocked");
  const others = [...call.participants.values()];
  const sentences = [];
  const gone = others.find(({ id }) => lost.has(id));
  const other = others[0];
  if (!other) sentences.push(say("alone"));
  else if (gone) sentences.push(say("other_interrupted", { who: name(gone) }));
  else if (!states.includes("connected")) sentences.push(say("connecting"));
  else if (others.length > 1) sentences.push(say("with_many", { count: others.length }));
  else {
    sentences.push(say("with_one", { who: name(other) }));
    const muted = [...other.publications.values()].filter((publication) => publication.muted);
    if (muted.some(({ source }) => source === "camera")) sentences.push(say("other_camera_off", { who: name(other) }));
    if (muted.some(({ source }) => source === "microphone")) sentences.push(say("other_muted", { who: name(other) }));
  }
  if (publicationOf("audio")?.muted) sentences.push(say("you_muted"));
  return sentences.join(" ");
}

function renderLobby() {
  const text = page.isOpening ? "" : problemWords();
  $("notice").hidden = !text;
  setText($("notice-words"), text);
  $("lead").hidden = Boolean(text);
  $("retry").hidden = Boolean(page.problem) || !Object.keys(page.problems).length;
  const { audio, video } = page.problems;
  // Refused both, perhaps because of the camera alone.
  $("sound-only").hidden = Boolean(page.problem) || !(audio && audio === video && audio === "permission_denied");
  const useless = ["no_token", "unsupported"].includes(page.problem);
  $("join").disabled = useless || !page.token || page.isJoining;
  setText($("join"), say(page.isJoining ? "joining" : `join${page.isOpening ? "" : readiness()}`));
  const words_of_self = page.isOpening ? "preview_opening" : "preview_off";
  setText($("self-words"), trackOf("video") ? "" : say(words_of_self));
}

function renderControls() {
  const control = (id, kind, on, off, icon) => {
    const own = publicationOf(kind);
    const button = $(id);
    button.disabled = !own;
    button.dataset.off = Boolean(own?.muted);
    setText(button.querySelector("span"), say(!own ? KINDS[kind].none : own.muted ? off : on));
    button.querySelector("use").setAttribute("href", `#i-${icon}${!own || own.muted ? "-off" : ""}`);
  };
  control("mute-audio", "audio", "mute", "unmute", "microphone");
  control("mute-video", "video", "hide", "show", "camera");
  $("turn-on-sound").hidden = !page.isSoundBlocked;
  const isHidden = !trackOf("video") || publicationOf("video")?.muted;
  setText($("self-words"), isHidden ? say(trackOf("video") ? "self_camera_off" : "no_camera") : say("you"));
}

function render() {
  document.documentElement.lang = page.language;
  document.title = say("title");
  const isVideoOff = !trackOf("video") || Boolean(publicationOf("video")?.muted);
  $("self").dataset.picture = isVideoOff ? "off" : "on";
  if (page.view === "lobby") {
    renderLobby();
    setText($("status"), lobbyStatus());
  } else if (page.view === "call" && page.call) {
    renderTiles();
    renderControls();
    setText($("status"), callStatus());
  } else if (page.view === "after") {
    const isKnown = ["left", "ended", "duplicate_join"].includes(page.endCode);
    const title = say(page.endCode === "left" ? "left_title" : page.endCode === "ended" ? "ended_title" : "lost_title");
    const text = say(isKnown ? `after_${page.endCode}` : problemKey(page.endCode), { code: page.endCode });
    setText($("after-title"), title);
    setText($("after-words"), text);
    setText($("status"), `${title}. ${text}`);
  }
}

function speak(language) {
  page.language = language;
  for (const node of document.querySelectorAll("[data-say]")) setText(node, say(node.dataset.say));
  for (const node of document.querySelectorAll("[data-say-label]")) {
    node.setAttribute("aria-label", say(node.dataset.sayLabel));
  }
  const other = LANGUAGES.find((each) => each !== language);
  $("language").lang = other;
  render();
  fillDevices();
}

// ---------------------------------------------------------------------------------------------------- the beginning

function listen() {
  const clicks = {
    join: enter,
    leave,
    rejoin: begin,
    retry: () => openDevices(),
    "sound-only": () => {
      memory.write({ video: "none" });
      delete page.problems.video;
      openDevices(["audio"]);
    },
    "mute-audio": () => toggle("audio"),
    "mute-video": () => toggle("video"),
    "open-devices": openDialog,
    "close-devices": closeDevices,
    "test-sound": playTestSound,
    "turn-on-sound": async () => {
      await page.call.startSound();
      page.isSoundBlocked = false;
      render();
    },
    language: () => speak(LANGUAGES.find((each) => each !== page.language)),
  };
  for (const [id, action] of Object.entries(clicks)) $(id).addEventListener("click", () => action());
  for (const kind of ["audio", "video"]) $(KINDS[kind].select).addEventListener("change", () => chooseDevice(kind));
  $("speaker").addEventListener("change", () => page.call?.setDevice("audiooutput", $("speaker").value));
  $("devices-dialog").addEventListener("close", meter.stop.bind(meter));
  for (const type of ["pointerdown", "keydown"]) addEventListener(type, () => meter.context?.resume().catch(() => {}));
  navigator.mediaDevices?.addEventListener?.("devicechange", fillDevices);
  document.addEventListener("visibilitychange", keepAwake);
  addEventListener("hashchange", () => location.reload()); // another link was pasted
  setInterval(tick, TICK_MS);
}

async function begin() {
  show("lobby");
  if (!globalThis.RTCPeerConnection) page.problem = "unsupported";
  else if (!page.token) page.problem ??= "no_token";
  render();
  const wasInside = memory.read().isInside;
  const opened = openDevices();
  if (!wasInside || !page.token || page.problem) return;
  await opened; // a reload in the call: back to the seat, no question asked
  await enter();
}

speak(page.language);
listen();
await findToken();
/** For the browser's console and for tests: the call that is on. */
globalThis.consult = { get call() { return page.call; } };
await begin();
