/**
 * What the consult page knows, and the small helpers that its other modules share.
 *
 * `page` is the whole state; who changes it calls `page.render()`, which page.js puts in, and all that is shown follows.
 * Reads the address and the browser's languages once; keeps what a reload may know in sessionStorage; of the document it
 * changes the nodes it is given.
 */

import { firstLanguage, roleKey, words } from "./strings.js";

export const query = new URLSearchParams(location.search);
const fragment = new URLSearchParams(location.hash.slice(1));

export const KINDS = {
  audio: {
    select: "microphone",
    input: "audioinput",
    source: "microphone",
    none: "no_microphone",
    unnamed: "unnamed_microphone",
  },
  video: { select: "camera", input: "videoinput", source: "camera", none: "no_camera", unnamed: "unnamed_camera" },
};

export const page = {
  view: "lobby",
  language: firstLanguage(query.get("lang"), navigator.languages ?? [navigator.language]),
  token: fragment.get("token"),
  link: fragment.get("link"),
  room: query.get("room"),
  stream: new MediaStream(), // our own tracks
  problems: {}, // by kind: why a device is not used
  forbidden: new Set(), // kinds that our role, or a rule of the application's, lets nobody have of us
  problem: null, // why joining failed: an error code
  isOpening: false,
  isJoining: false,
  call: null,
  connections: {},
  isSoundBlocked: false,
  hasMet: false, // somebody else was in the call with us
  news: null, // {key, values, until}
  large: null, // key of the picture that was chosen to be large
  endCode: null,
  receipt: null, // what the call that has ended was attested as
  endAsked_ms: 0, // when the end was asked for, for everyone; it takes two presses
  render() {},
};

export const $ = (id) => document.getElementById(id);
export const say = (key, values) => words(page.language, key, values);

/** Whom we see: by role; several of one role are counted. */
export function name(participant) {
  const everybody = [...(page.call?.participants.values() ?? [])];
  const same = everybody.filter(({ role }) => roleKey(role) === roleKey(participant.role));
  const number = same.length > 1 ? same.indexOf(participant) + 1 : 0;
  return say(roleKey(participant.role)) + (number > 0 ? ` ${number}` : "");
}

/** The first of the call's buttons that is there: where one goes on. */
export const focusControls = (options) =>
  document.querySelector(".controls button:enabled:not([hidden])")?.focus(options);

/** Leaves the node alone when nothing changed: a screen reader would say it again. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** One element for each sentence; those that stay are left alone, so that only what is new is read aloud. */
export function setSentences(node, sentences) {
  const wanted = sentences.filter(Boolean);
  const kept = new Map([...node.children].map((child) => [child.textContent.trim(), child]));
  for (const [text, child] of kept) if (!wanted.includes(text)) child.remove();
  for (const [index, text] of wanted.entries()) {
    if (node.children[index]?.textContent.trim() === text) continue;
    const child = kept.get(text)?.isConnected ? kept.get(text) : document.createElement("span");
    child.textContent = `${text} `;
    node.insertBefore(child, node.children[index] ?? null);
  }
}

export const trackOf = (kind) => page.stream.getTracks().find((track) => track.kind === kind) ?? null;
export const publicationOf = (kind) =>
  page.call?.publications.find((own) => own.source === KINDS[kind].source) ?? null;

/** What this tab remembers of a room over a reload: that we were in it, and how. */
export const memory = {
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

// Long enough to be read aloud, short enough not to be stale.
const NEWS_MS = 6000;

/** Say something for a while: what happened, not what is. */
export function tell(key, values = {}) {
  page.news = { key, values, until: Date.now() + NEWS_MS };
  page.render();
}
