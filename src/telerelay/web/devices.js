/**
 * One's own devices on the consult page: opening, choosing and losing them, the sound bar, the test sound, one's picture.
 *
 * Works on `page` (state.js); in a call it goes through `page.call`, which tells the others.
 */

import { PROFILES, devices, openMedia, readToken } from "./telerelay.js";
import { $, KINDS, memory, page, publicationOf, query, say, setText, tell, trackOf } from "./state.js";
import { problemKey } from "./strings.js";
import { isWaiting } from "./waiting.js";

export function setTrack(kind, track) {
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
  if (choice === "none") return false;
  // The camera of a site can be moved from afar, where it has motors and the browser agrees.
  const motors = kind === "video" && readToken(page.token ?? "")?.role === "device" ? { pan: true, tilt: true, zoom: true } : null;
  if (!choice) return motors ?? true;
  return { deviceId: { exact: choice }, ...motors };
}

/** What one's own picture is for: whoever made the link may say so. */
function pictureProfile() {
  const asked = query.get("profile") ?? undefined;
  if (asked === undefined || PROFILES.includes(asked)) return asked;
  console.warn(`?profile= must be one of ${PROFILES.join(", ")}; ${asked} is none of them and is passed over`);
  return undefined;
}

export let opening = Promise.resolve();

/** Open the devices of these kinds, one turn after the other. */
export function openDevices(kinds = ["audio", "video"]) {
  opening = opening.then(async () => {
    page.isOpening = true;
    for (const kind of kinds) {
      setTrack(kind, null); // a camera that is open already may be "busy"
      delete page.problems[kind];
    }
    page.render();
    const wishes = Object.fromEntries(["audio", "video"].map((kind) => [kind, kinds.includes(kind) && wish(kind)]));
    const { stream, errors } = await openMedia({ ...wishes, profile: pictureProfile() });
    for (const track of stream.getTracks()) {
      setTrack(track.kind, track);
      watch(track);
    }
    for (const [kind, error] of Object.entries(errors)) page.problems[kind] = error.code;
    page.isOpening = false;
    await fillDevices();
    showSelf();
    page.render();
  });
  return opening;
}

/** In a call the library knows why, and tells; here only a plain no can be told from an unplugged device. */
function watch(track) {
  const { kind } = track;
  for (const type of ["mute", "unmute"]) track.addEventListener(type, () => page.render());
  track.addEventListener("ended", async () => {
    if (page.call || trackOf(kind) !== track) return;
    setTrack(kind, null);
    const permission = await navigator.permissions?.query({ name: KINDS[kind].source }).catch(() => null);
    page.problems[kind] = permission?.state === "denied" ? "permission_denied" : "device_lost";
    await fillDevices();
    showSelf();
    page.render();
  });
}

/** "Try again": whatever does not work is opened anew, in the call without leaving it. */
export async function retry() {
  if (!page.call) return openDevices();
  page.isOpening = true;
  for (const kind of ["audio", "video"]) {
    if (!troubleOf(kind)) continue;
    if (publicationOf(kind)) await replace(kind, "");
    else await openDevices([kind]).then(() => publish(kind));
  }
  page.isOpening = false;
  return page.render();
}

/** What is wrong with a device of ours: a code of docs/browser.md, or null. */
export function troubleOf(kind) {
  if (page.problems[kind]) return page.problems[kind];
  const own = publicationOf(kind);
  if (!own) return trackOf(kind)?.muted ? "source" : null;
  const isMoot = own.muted && ["source", "interrupted"].includes(own.trouble); // nobody is to get anything anyway
  return isMoot ? null : own.trouble;
}

export async function publish(kind) {
  const track = trackOf(kind);
  if (!track || !page.call) return;
  const videoCodec = query.get("codec")?.toUpperCase() ?? "VP8";
  const redundancy = query.get("redundancy") === "1"; // whoever made the link knows that the line loses
  try {
    await page.call.publish(track, { source: KINDS[kind].source, videoCodec, redundancy, profile: pictureProfile() });
  } catch (error) {
    // Who may not publish watches and listens.
    if (error.code === "forbidden") {
      setTrack(kind, null);
      page.forbidden.add(kind);
    } else if (error.code !== "left" && error.code !== "ended") tell(problemKey(error.code), { code: error.code });
  }
  page.render();
}

async function replace(kind, deviceId) {
  try {
    const track = await page.call.setDevice(KINDS[kind].input, deviceId);
    setTrack(kind, track);
    delete page.problems[kind];
  } catch (error) {
    page.problems[kind] = error.code;
  }
  await fillDevices();
  showSelf();
}

export async function fillDevices() {
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

export async function chooseDevice(kind) {
  const value = $(KINDS[kind].select).value;
  memory.write({ [kind]: value });
  const own = publicationOf(kind);
  if (!page.call) return openDevices([kind]);
  if (value === "none") {
    setTrack(kind, null);
    delete page.problems[kind];
    if (own) await page.call.unpublish(own);
  } else if (own) {
    await replace(kind, value);
  } else {
    await openDevices([kind]);
    await publish(kind);
  }
  showSelf();
  return page.render();
}

/** How loud the microphone is, as a bar. A browser may want a click before it measures. */
export const meter = {
  context: null,
  source: null,
  start() {
    this.stop();
    const track = trackOf("audio");
    if (!track || !globalThis.AudioContext) return;
    this.context ??= new AudioContext();
    this.context.resume().catch(() => {});
    page.call?.watch(this.context);
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

export async function playTestSound() {
  const audio = new Audio(URL.createObjectURL(testSound()));
  if ($("speaker").value) await audio.setSinkId?.($("speaker").value).catch(() => {});
  audio.addEventListener("ended", () => URL.revokeObjectURL(audio.src));
  tell("test_sound_playing");
  await audio.play();
}

/** Our own picture, in the lobby or in the corner of the call. */
export function showSelf() {
  const home = page.view === "call" ? $("self-home") : $("mirror");
  if ($("self").parentElement !== home) home.prepend($("self"));
  const video = $("local-video");
  // An element that waits for the first track of a stream would hold up the page's load event for ever.
  const stream = trackOf("video") ? page.stream : null;
  if (video.srcObject !== stream) video.srcObject = stream;
  if (stream) video.play().catch(() => {});
  placeDevices();
  if (isDevicesShown()) meter.start();
  else meter.stop();
}

const isDevicesShown = () => page.view === "lobby" || isWaiting() || $("devices-dialog").open;

/** The choice of devices is where one looks: in the lobby, beside what is shown to who waits, or in its dialog. */
export function placeDevices() {
  const home = $("devices-dialog").open ? "away" : page.view === "lobby" ? "home" : isWaiting() ? "waiting" : "away";
  const isElsewhere = $("devices").parentElement !== $(`devices-${home}`);
  if (!isElsewhere) return;
  $(`devices-${home}`).append($("devices"));
  if (!isDevicesShown()) meter.stop();
}

