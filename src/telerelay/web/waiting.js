/**
 * While one waits: one's place in line, a check of devices and line, and what the host has to show. Uses the document's
 * `waiting-room` and the call's public names.
 *
 * What plays here stops when one is let in: its elements are emptied and removed in the same turn.
 */

import { $, page, say, setText } from "./state.js";

// Every two seconds a new figure; a check of the browser's own goes out as often.
const LOOK_MS = 2000;
// So many checks say something of loss; the last one may still be under way.
const LEAST_CHECKS = 8;
const LOST = 0.1;
// From there on people talk into each other's words (ITU-T G.114).
const SLOW_MS = 300;

const shown = new Map(); // an item's key -> its element
let line = null; // {rtt_ms, loss, checks} of our connection, or null: not known yet
let looked_ms = 0;

export const isWaiting = () => Boolean(page.call && !page.call.admitted);

/** What is said to who waits; null: one does not. */
export function waitingSentences() {
  const { call } = page;
  if (!isWaiting()) return null;
  const { position = 0, held = false } = call.waiting ?? {};
  const before = position - 1;
  const place = before < 1 ? say("wait_next") : before === 1 ? say("wait_one") : say("wait_many", { count: before });
  return [say("wait_here"), held ? say("wait_held", { count: position }) : position ? place : ""];
}

/** Draw all of it; where one does not wait, take it away. */
export function renderWaiting() {
  const isHere = isWaiting();
  $("waiting-room").hidden = !isHere;
  $("call").dataset.waiting = isHere;
  renderItems(isHere ? page.call.waitingContent : []);
  if (!isHere) {
    line = null;
    return;
  }
  const video = page.stream.getVideoTracks()[0];
  $("check-camera").hidden = page.forbidden.has("video");
  setText($("check-camera"), say(video && !video.muted ? "check_camera" : "check_no_camera"));
  setText($("check-line"), lineWords());
  $("check-line").dataset.state = lineState();
  look();
}

async function look() {
  const now_ms = Date.now();
  if (now_ms - looked_ms < LOOK_MS) return;
  looked_ms = now_ms;
  const found = await page.call?.line();
  if (!isWaiting()) return;
  line = found;
  setText($("check-line"), lineWords());
  $("check-line").dataset.state = lineState();
}

function lineState() {
  const states = Object.values(page.connections);
  if (states.includes("failed") || states.includes("disconnected")) return "none";
  if (!line) return "unknown";
  if (line.checks >= LEAST_CHECKS && line.loss > LOST) return "lossy";
  return line.rtt_ms > SLOW_MS ? "slow" : "good";
}

const lineWords = () => say(`check_line_${lineState()}`, { rtt: Math.round(line?.rtt_ms ?? 0) });

// ---------------------------------------------------------------------------------------------------- what is shown

const MAKERS = {
  image(item) {
    const image = document.createElement("img");
    image.src = item.url;
    image.alt = item.title;
    return image;
  },
  video: (item) => player("video", item),
  audio: (item) => player("audio", item),
  page(item) {
    const link = document.createElement("a");
    link.href = item.url;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    link.textContent = item.title || item.url;
    return link;
  },
  text(item) {
    const text = document.createElement("p");
    text.textContent = item.title;
    return text;
  },
};

function player(kind, item) {
  const element = document.createElement(kind);
  element.controls = true;
  element.preload = "metadata";
  element.playsInline = true;
  element.src = item.url;
  if (item.title) element.setAttribute("aria-label", item.title);
  return element;
}

/** Those that stay are left alone: a film goes on. */
function renderItems(items) {
  const keyed = items.map((item) => [JSON.stringify([item.id, item.kind, item.url, item.title]), item]);
  const wanted = new Set(keyed.map(([key]) => key));
  for (const [key, element] of shown) {
    if (wanted.has(key)) continue;
    stop(element);
    shown.delete(key);
  }
  $("waiting-items").hidden = !items.length;
  for (const [index, [key, item]] of keyed.entries()) {
    if (!shown.has(key)) shown.set(key, figureOf(item));
    const element = shown.get(key);
    const before = $("waiting-items").children[index] ?? null;
    if (before !== element) $("waiting-items").insertBefore(element, before);
  }
}

function figureOf(item) {
  const figure = document.createElement("figure");
  figure.dataset.testid = "waiting-item";
  figure.append((MAKERS[item.kind] ?? MAKERS.page)(item));
  if (item.title && !["text", "page"].includes(item.kind)) {
    const words = document.createElement("figcaption");
    words.textContent = item.title;
    figure.append(words);
  }
  return figure;
}

function stop(figure) {
  for (const element of figure.querySelectorAll("video, audio")) {
    element.pause();
    element.removeAttribute("src");
    element.load();
  }
  figure.remove();
}
