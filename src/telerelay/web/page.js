/**
 * The consult page: a check of camera and sound, the call, the end. Built on telerelay.js, and on its public names only.
 *
 * Address: `?room=…` and `#token=…`; the token stays in the fragment, which no browser sends anywhere. `?lang=fr|en`,
 * `?codec=h264|vp8` are for those who know. What it shows follows from `page` (state.js); `render` draws all of it again.
 */

import { join, newNonce, readToken, useLink } from "./telerelay.js";
import { listenCamera, onCamera, renderCamera } from "./camera.js";
import { listenChat, onChat, renderChat } from "./chat.js";
import * as own from "./devices.js";
import { listenRecording, renderRecording } from "./recording.js";
import { listenPapers, papersWords, renderPapers } from "./papers.js";
import { renderDesk } from "./desk.js";
import { isLost, pictures, play, renderTiles, sentencesOn, tiles } from "./people.js";
import { $, KINDS, focusControls, memory, name, page, publicationOf, say, setSentences, setText, tell, trackOf } from "./state.js";
import { LANGUAGES, problemKey } from "./strings.js";
import { renderStrip } from "./strip.js";
import { isWaiting, renderWaiting, waitingSentences } from "./waiting.js";
import { blind, forgetLines, isSpeaking, lineSentences } from "./weak.js";

const TICK_MS = 1000;
// From 4 of 5 on nobody is bothered by what is missing.
const LINE_GOOD = 4;
// For so long the button that ends a consult for everyone waits for a second press.
const SURE_MS = 5000;

// ---------------------------------------------------------------------------------------------------- the token

const isLoopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);

/** The token of the link; on loopback a relay in demo mode makes one for whoever asks. */
async function findToken() {
  if (!page.token && page.link) await changeLink();
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

/** A link is good once: what it was changed for is kept by this tab. */
async function changeLink() {
  page.room ??= page.link.split("~")[0];
  const kept = memory.read();
  if (kept.link === page.link && kept.token) {
    page.token = kept.token;
    return;
  }
  // Kept before it is asked: whoever reloads while the answer is under way is known by it.
  const nonce = (kept.link === page.link && kept.nonce) || newNonce();
  memory.write({ link: page.link, token: null, nonce });
  try {
    page.token = (await useLink(page.link, undefined, nonce)).token;
    memory.write({ token: page.token });
  } catch (error) {
    page.problem = error.code === "forbidden" ? "link" : (error.code ?? "other");
  }
}

// ---------------------------------------------------------------------------------------------------- joining and leaving

async function enter() {
  if (page.isJoining) return;
  page.isJoining = true;
  page.problem = null;
  render();
  try {
    await own.opening;
    page.call = await join({ room: page.room, token: page.token, onEvent: onCallEvent });
  } catch (error) {
    page.problem = error.code ?? "other";
    memory.write({ isInside: false });
  }
  page.isJoining = false;
  render();
  if (page.problem) {
    $("join").focus();
    return;
  }
  page.connections = {};
  page.problems = {}; // who comes in all the same knows of them
  page.forbidden.clear();
  page.hasMet = page.call.participants.size > 0;
  if (own.meter.context) page.call.watch(own.meter.context);
  memory.write({ isInside: true });
  show("call");
  keepAwake();
  const muted = memory.read().muted ?? {};
  for (const kind of ["audio", "video"]) {
    const track = trackOf(kind);
    if (track) track.enabled = !muted[kind]; // as it was before a reload
  }
  const publishing = Promise.all(["audio", "video"].map(own.publish));
  render();
  // Who waits has more than a screen to look at, and begins at its top.
  focusControls({ preventScroll: !page.call?.admitted });
  await publishing;
}

async function leave() {
  $("leave").disabled = true;
  await page.call?.leave();
  $("leave").disabled = false;
}

/** Asked for twice, for it is for everyone; what was asked is forgotten after a while. */
async function endConsult() {
  const isSure = page.endAsked_ms && Date.now() - page.endAsked_ms < SURE_MS;
  page.endAsked_ms = isSure ? 0 : Date.now();
  render();
  if (isSure) await page.call?.endConsult().catch((error) => tell(problemKey(error.code), { code: error.code }));
}

function onEnded(code) {
  memory.write({ isInside: false, muted: {} });
  for (const { video } of tiles.values()) page.call.detach(video);
  page.receipt = page.call.receipt;
  page.call = null;
  page.endCode = code;
  renderWaiting(); // what was shown stops
  forgetLines();
  page.forbidden.clear();
  renderObjects();
  page.isSoundBlocked = false;
  for (const kind of ["audio", "video"]) own.setTrack(kind, null);
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

const wereLost = new Set(); // ids of people of whom it was said

function onCallEvent(event) {
  const { participant } = event;
  switch (event.type) {
    case "participantjoined":
      page.hasMet = true;
      tellOf("other_joined", participant);
      break;
    case "participantleft":
      wereLost.delete(participant.id);
      tellOf("other_left", participant);
      break;
    case "participantback":
      if (wereLost.delete(participant.id)) tellOf("other_back", participant);
      break;
    case "muted":
    case "unmuted":
    case "sourcechange":
      page.news = null; // what is now is said at once
      if (event.type === "sourcechange") own.showSelf();
      break;
    case "reconnected":
      tell("reconnected");
      break;
    case "connection":
      if (event.side === "browser") page.connections[event.connection] = event.state;
      break;
    case "network":
      if (event.before !== "good" && event.state === "good") tell("network_good");
      break;
    case "error":
      if (event.error.code === "forbidden" && event.publication) break; // we may not send it: own.publish sees to it
      tell(problemKey(event.error.code), { code: event.error.code });
      break;
    case "draining":
      tell("draining");
      break;
    case "admitted":
      tell("wait_over");
      break;
    case "chat":
      onChat(event);
      break;
    case "camera":
      onCamera(event);
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

/** The name is made when it is said: the language may have changed. */
function tellOf(key, participant) {
  tell(key, { who: () => name(participant) });
}

function toggle(kind) {
  const publication = publicationOf(kind);
  if (!publication) return;
  const muted = !publication.muted;
  memory.write({ muted: { ...memory.read().muted, [kind]: muted } });
  page.call.mute(publication, muted);
  render();
}

function openDialog() {
  $("devices-dialog").showModal();
  own.placeDevices();
  own.fillDevices();
  own.meter.start();
  render();
}

function closeDevices() {
  $("devices-dialog").close();
}

// ---------------------------------------------------------------------------------------------------- what is shown

function show(view) {
  page.view = view;
  page.news = null;
  document.body.dataset.view = view;
  for (const id of ["lobby", "call", "after"]) $(id).hidden = id !== view;
  own.showSelf();
  render();
}

/** What is wrong with camera and microphone, in as few sentences as it takes. */
function deviceWords() {
  const [audio, video] = ["audio", "video"].map((kind) => own.troubleOf(kind));
  const isInCall = page.view === "call";
  const both = problemKey(audio, null, isInCall);
  if (audio && audio === video && both) return say(both, { code: audio });
  const each = Object.entries({ audio, video }).filter(([, code]) => code);
  return each.map(([kind, code]) => say(problemKey(code, kind, isInCall), { code })).join(" ");
}

function problemWords() {
  return page.problem ? say(problemKey(page.problem), { code: page.problem }) : deviceWords();
}

function readiness() {
  const has = { audio: Boolean(trackOf("audio")), video: Boolean(trackOf("video")) };
  return has.audio && has.video ? "" : has.audio ? "_audio" : has.video ? "_video" : "_listen";
}

function lobbyStatus() {
  if (page.isJoining) return [say("joining")];
  if (page.problem) return [];
  if (page.isOpening) return [say("asking")];
  return [say(`ready${readiness()}`)];
}

/** What is, the gravest first; what merely happened is said where nothing grave is. */
function callStatus() {
  const { call, news } = page;
  if (call.state === "reconnecting") return [say("reconnecting")];
  const waiting = waitingSentences();
  if (waiting) return waiting;
  const papers = papersWords();
  const states = Object.values(page.connections);
  const isSilent = states.includes("failed") || states.includes("disconnected") || call.network === "silent";
  if (isSilent) return [say("media_lost")];
  const others = [...call.participants.values()];
  for (const other of others) if (isLost(other)) wereLost.add(other.id);
  const lines = lineSentences();
  const troubles = [...papers, ...others.flatMap(sentencesOn), ...lines];
  if (call.network === "poor" && !lines.length) troubles.push(say("network_poor"));
  if (page.isSoundBlocked) troubles.push(say("sound_blocked"));
  if (publicationOf("audio")?.muted && !own.troubleOf("audio")) troubles.push(say("you_muted"));
  if (news && news.until > Date.now()) {
    const { who } = news.values;
    return [say(news.key, { ...news.values, who: who ? who() : "" }), ...troubles];
  }
  if (!others.length && call.waitingRoom.length) return [say("desk_waits"), ...troubles];
  if (!others.length) {
    const isKept = page.hasMet && call.consult && !call.decides;
    return [say(isKept ? "alone_kept" : page.hasMet ? "alone_again" : "alone"), ...troubles];
  }
  if (!states.includes("connected")) return [say("connecting"), ...troubles];
  const withWhom = others.length > 1 ? say("with_many", { count: others.length }) : say("with_one", { who: name(others[0]) });
  // Whose camera is off is there: that need not be said, too, on a small screen.
  return others.length === 1 && sentencesOn(others[0]).length ? troubles : [withWhom, ...troubles];
}

/** The alert: what is wrong on our side, and what one may press. It is read at once, and once. */
function renderNotice() {
  const isInCall = page.view === "call";
  const text = page.isOpening || page.view === "after" ? "" : problemWords();
  const codes = ["audio", "video"].map((kind) => own.troubleOf(kind)).filter(Boolean);
  const canRetry = !page.problem && codes.some((code) => code !== "source" && code !== "interrupted");
  const hadFocus = $("notice").contains(document.activeElement);
  const isModal = $("devices-dialog").open; // all else is inert then, and would not be heard
  $("notice").hidden = !text;
  setText($("notice-words"), text);
  $("dialog-words").hidden = !text || !isModal;
  setText($("dialog-words"), isModal ? text : "");
  $("retry").hidden = !canRetry;
  $("choose").hidden = !canRetry || !isInCall;
  // Refused both, perhaps because of the camera alone.
  $("sound-only").hidden = isInCall || !(canRetry && codes.length === 2 && codes.every((code) => code === "permission_denied"));
  if (!hadFocus || text) return;
  if (isInCall) focusControls();
  else $("main").focus();
}

function renderLobby() {
  $("lead").hidden = Boolean(problemWords());
  const useless = ["no_token", "unsupported"].includes(page.problem);
  $("join").disabled = useless || !page.token;
  $("join").setAttribute("aria-busy", page.isJoining);
  setText($("join"), say(page.isJoining ? "joining" : `join${page.isOpening ? "" : readiness()}`));
  const words_of_self = page.isOpening ? "preview_opening" : "preview_off";
  setText($("self-words"), trackOf("video") ? "" : say(words_of_self));
}

function renderControls() {
  const control = (id, kind, on, off, icon) => {
    const publication = publicationOf(kind);
    const isOff = !publication || publication.muted;
    const button = $(id);
    const hadFocus = document.activeElement === button;
    button.hidden = page.forbidden.has(kind); // there is nothing to turn on
    button.disabled = !publication;
    if (hadFocus && (button.hidden || button.disabled)) focusControls(); // a button that cannot be pressed loses it
    button.dataset.off = Boolean(publication?.muted);
    button.setAttribute("aria-pressed", Boolean(publication?.muted));
    setText(button.querySelector("span"), say(!publication ? KINDS[kind].none : isOff ? off : on));
    button.querySelector("use").setAttribute("href", `#i-${icon}${isOff || own.troubleOf(kind) ? "-off" : ""}`);
  };
  control("mute-audio", "audio", "mute", "unmute", "microphone");
  control("mute-video", "video", "hide", "show", "camera");
  $("turn-on-sound").hidden = !page.isSoundBlocked;
  $("open-devices").hidden = isWaiting(); // they are on the page
  const isAsked = page.endAsked_ms && Date.now() - page.endAsked_ms < SURE_MS;
  setText($("end-consult").querySelector("span"), say(isAsked ? "end_sure" : "end_consult"));
  const isOff = trackOf("video") && publicationOf("video")?.muted;
  const others = page.call.participants.size;
  const isUnseen = others > 0 && blind().length === others;
  const of_picture = isUnseen ? "self_unseen" : "you";
  setText($("self-words"), say(isOff ? "self_camera_off" : isVideoOff() ? "no_camera" : of_picture));
  $("self").dataset.speaking = isSpeaking(page.call.id);
}

/** The sign: the worse of both directions, with what it suffers from; where both are good, only that. */
function renderLine() {
  const { up, down } = page.call.quality;
  const known = [["up", up], ["down", down]].filter(([, each]) => each);
  const [[direction, worst] = []] = known.sort(([, a], [, b]) => a.score - b.score);
  $("line").hidden = !worst;
  if (!worst) return;
  $("line").dataset.score = worst.score;
  setText($("line-words"), say(worst.score >= LINE_GOOD ? "line_good" : `line_${direction}_${worst.cause}`));
}

/** What people share beside picture and sound. */
function renderObjects() {
  renderStrip();
  renderChat();
  renderCamera();
}

const isVideoOff = () => !trackOf("video") || Boolean(publicationOf("video")?.muted) || Boolean(own.troubleOf("video"));

function render() {
  document.documentElement.lang = page.language;
  document.title = say("title");
  $("self").dataset.picture = isVideoOff() ? "off" : "on";
  $("self").hidden = page.forbidden.has("video"); // nobody is to see it
  for (const kind of ["audio", "video"]) $(KINDS[kind].select).closest(".field").hidden = page.forbidden.has(kind);
  renderNotice();
  let title = "";
  if (page.view === "lobby") {
    renderLobby();
    setSentences($("said"), lobbyStatus());
  } else if (page.view === "call" && page.call) {
    renderTiles();
    renderControls();
    renderLine();
    renderDesk();
    renderObjects();
    renderWaiting();
    own.placeDevices();
    renderPapers();
    renderRecording();
    setSentences($("said"), callStatus());
  } else if (page.view === "after") {
    const isKnown = ["left", "ended", "duplicate_join", "denied"].includes(page.endCode);
    title = say(isKnown ? `${page.endCode}_title` : "lost_title");
    const text = say(isKnown ? `after_${page.endCode}` : problemKey(page.endCode), { code: page.endCode });
    $("rejoin").hidden = page.endCode === "denied" || Boolean(page.receipt); // not in this consultation
    renderReceipt();
    setText($("after-title"), title);
    setText($("after-words"), text);
    setSentences($("said"), [text]);
  }
  setText($("said-before"), title);
}

/** What one takes home of a consultation: how long both saw, or heard, each other, and its number. */
function renderReceipt() {
  const receipt = page.endCode === "ended" ? page.receipt : null;
  $("receipt").hidden = !receipt;
  if (!receipt) return;
  setText($("receipt-video"), durationWords(receipt.two_way_video_s));
  setText($("receipt-audio"), durationWords(receipt.two_way_audio_s));
  // As much as people compare; the whole of it is in the attestation.
  setText($("receipt-number"), receipt.attestation.slice(0, 16).replace(/(.{4})(?=.)/g, "$1 "));
}

const durationWords = (s) => say(s < 60 ? "seconds" : "minutes", { minutes: Math.floor(s / 60), seconds: Math.round(s % 60) });

page.render = render;

function speak(language) {
  page.language = language;
  for (const node of document.querySelectorAll("[data-say]")) setText(node, say(node.dataset.say));
  for (const node of document.querySelectorAll("[data-say-label]")) {
    node.setAttribute("aria-label", say(node.dataset.sayLabel));
  }
  const other = LANGUAGES.find((each) => each !== language);
  $("language").lang = other;
  render();
  own.fillDevices();
}

// ---------------------------------------------------------------------------------------------------- the beginning

function listen() {
  listenChat();
  listenCamera();
  const clicks = {
    join: enter,
    leave,
    "end-consult": endConsult,
    rejoin: begin,
    retry: own.retry,
    choose: openDialog,
    "sound-only": () => {
      memory.write({ video: "none" });
      delete page.problems.video;
      own.openDevices(["audio"]);
    },
    "mute-audio": () => toggle("audio"),
    "mute-video": () => toggle("video"),
    "open-devices": openDialog,
    "close-devices": closeDevices,
    "test-sound": own.playTestSound,
    "turn-on-sound": async () => {
      await page.call.startSound();
      page.isSoundBlocked = false;
      render();
      focusControls();
    },
    language: () => speak(LANGUAGES.find((each) => each !== page.language)),
  };
  for (const [id, action] of Object.entries(clicks)) $(id).addEventListener("click", () => action());
  for (const kind of ["audio", "video"]) $(KINDS[kind].select).addEventListener("change", () => own.chooseDevice(kind));
  $("speaker").addEventListener("change", () => page.call?.setDevice("audiooutput", $("speaker").value));
  $("devices-dialog").addEventListener("close", () => {
    own.showSelf();
    render();
  });
  for (const type of ["pointerdown", "keydown"]) addEventListener(type, () => own.meter.context?.resume().catch(() => {}));
  navigator.mediaDevices?.addEventListener?.("devicechange", own.fillDevices);
  document.addEventListener("visibilitychange", keepAwake);
  addEventListener("hashchange", () => location.reload()); // another link was pasted
  // News grow old.
  setInterval(() => page.call && render(), TICK_MS);
}

async function begin() {
  show("lobby");
  if (!globalThis.RTCPeerConnection) page.problem = "unsupported";
  else if (!page.token) page.problem ??= "no_token";
  render();
  const wasInside = memory.read().isInside;
  const opened = own.openDevices();
  if (!wasInside || !page.token || page.problem) return;
  await opened; // a reload in the call: back to the seat, no question asked
  await enter();
}

speak(page.language);
listen();
listenPapers();
listenRecording();
await findToken();
/** For the browser's console and for tests: the call that is on. */
globalThis.consult = { get call() { return page.call; } };
await begin();
