/**
 * Documents and stills on the consult page: what is here, what is on its way, and stills that are asked for, both ends.
 *
 * Uses documents.js, the call's public names, and of the document `papers` and `asked`. Names of documents are shown to
 * whoever may have them, and kept nowhere.
 */

import { fetchDocument, send, takeStill } from "./documents.js";
import { $, name, page, say, setText, tell, trackOf } from "./state.js";

const rows = new Map(); // key -> element
const sending = new Map(); // key -> {name, percent, problem, abort}
const shown = new Map(); // document id -> address of its picture in this page
const answered = new Set(); // requests that were answered here
// A still that came to nothing is told of for a while, then it is past.
const TOLD_MS = 15_000;
const toldSince = new Map(); // request -> when its end was seen, ms

const WHY = {
  too_large: "paper_too_large",
  too_many_documents: "paper_too_many",
  forbidden: "paper_forbidden",
  storage_full: "paper_full",
  storage_failed: "paper_full",
  wrong_hash: "paper_broken",
};
const SENDERS = /^(patient|companion|practitioner|requester|expert|assistant|device)$/;
const READERS = /^(patient|companion|practitioner|requester|expert|assistant)$/;
const ASKERS = /^(practitioner|expert)$/;
const SHOWN = /^image\/(jpeg|png|webp)$/;

const participantOf = (sub) => [...(page.call?.participants.values() ?? [])].find((each) => each.sub === sub) ?? null;
const whoOf = (sub) => (participantOf(sub) ? name(participantOf(sub)) : "…");
const asksUs = () => page.call?.stills.find(({ sub, state, request }) => {
  return sub === page.call.sub && state === "asked" && !answered.has(request);
});

/** What is said of stills that we asked for. */
export function papersWords() {
  const { stills, sub } = page.call;
  const last = stills.filter(({ by }) => by === sub).at(-1);
  if (!last || last.state === "taken" || last.state === "withdrawn") return [];
  if (last.state !== "asked" && last.state !== "allowed") {
    if (!toldSince.has(last.request)) toldSince.set(last.request, Date.now());
    if (Date.now() - toldSince.get(last.request) > TOLD_MS) return [];
  }
  return [say(`still_${last.state}`)];
}

function whatOf({ kind, source, name: file, label }) {
  if (kind === "still") return say(source === "frame" ? "paper_frame" : "paper_still");
  return file || label || say("paper_document");
}

/** Draw all of it. */
export function renderPapers() {
  const { call } = page;
  const isIn = call.admitted && Boolean(call.consult);
  $("papers").hidden = !isIn || !(SENDERS.test(call.role) || call.documents.length);
  $("send-document").hidden = !SENDERS.test(call.role);
  renderAsked(isIn ? asksUs() : null);
  renderAskers();
  const wanted = [];
  for (const each of call.documents) wanted.push([each.id, (row) => renderDocument(row, each)]);
  for (const [key, each] of sending) wanted.push([key, (row) => renderSending(row, each, key)]);
  const keys = new Set(wanted.map(([key]) => key));
  for (const [key, row] of rows) {
    if (keys.has(key)) continue;
    row.remove();
    rows.delete(key);
  }
  for (const [index, [key, draw]] of wanted.entries()) {
    const row = rows.get(key) ?? $("paper").content.firstElementChild.cloneNode(true);
    rows.set(key, row);
    const list = $("papers-list");
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
    draw(row);
  }
}

function renderDocument(row, document_) {
  const what = whatOf(document_);
  const isOwn = document_.sub === page.call.sub;
  setText(row.querySelector(".who"), isOwn ? say("paper_of_you", { what }) : say("paper_of", { what, who: whoOf(document_.sub) }));
  setText(row.querySelector(".since"), sizeWords(document_.size_bytes));
  row.dataset.source = document_.source;
  row.querySelector("progress").hidden = true;
  const button = row.querySelector("button");
  setText(button, say("paper_open"));
  button.setAttribute("aria-label", say("paper_open_what", { what }));
  button.hidden = !isOwn && !READERS.test(page.call.role);
  button.onclick = () => open(document_);
  const picture = row.querySelector("img");
  if (document_.kind === "still" && SHOWN.test(document_.media_type) && !shown.has(document_.id)) show(document_);
  const address = shown.get(document_.id);
  picture.hidden = !address;
  picture.alt = what;
  if (address && picture.getAttribute("src") !== address) picture.src = address;
}

function renderSending(row, { name: file, percent, problem, abort }, key) {
  setText(row.querySelector(".who"), file || say("paper_still"));
  const why = problem && say("paper_failed", { why: say(WHY[problem] ?? "paper_other") });
  setText(row.querySelector(".since"), why ?? say("paper_sending", { percent }));
  const progress = row.querySelector("progress");
  progress.hidden = Boolean(problem);
  progress.value = percent;
  progress.setAttribute("aria-label", file);
  const button = row.querySelector("button");
  setText(button, say("paper_stop"));
  button.hidden = Boolean(problem);
  button.onclick = () => (abort.abort(), forget(key));
}

function renderAsked(still) {
  const hadFocus = $("asked").contains(document.activeElement);
  $("asked").hidden = !still;
  setText($("asked-title"), still ? say("still_asked_of_you", { who: whoOf(still.by) }) : "");
  setText($("asked-reason"), still ? (still.reason ? say("still_why", { reason: still.reason }) : say("still_usual")) : "");
  if (hadFocus && !still) $("main").focus();
}

/** One button for each who may be asked. */
function renderAskers() {
  const { call } = page;
  const mayAsk = call.decides || ASKERS.test(call.role);
  const others = mayAsk ? [...call.participants.values()].filter(({ role }) => READERS.test(role) && !ASKERS.test(role)) : [];
  const home = $("ask-stills");
  while (home.children.length > others.length) home.lastElementChild.remove();
  for (const [index, other] of others.entries()) {
    const button = home.children[index] ?? home.appendChild(document.createElement("button"));
    button.type = "button";
    button.dataset.testid = "ask-still";
    setText(button, say("ask_still", { who: name(other) }));
    button.disabled = call.stills.some(({ sub, state }) => sub === other.sub && (state === "asked" || state === "allowed"));
    button.onclick = () => call.requestStill(other).catch(() => page.render());
  }
}

function sizeWords(size_bytes) {
  const [value, unit] = size_bytes < 1e6 ? [size_bytes / 1e3, "kilobyte"] : [size_bytes / 1e6, "megabyte"];
  return new Intl.NumberFormat(page.language, { style: "unit", unit, maximumFractionDigits: 1 }).format(value);
}

// ---------------------------------------------------------------------------------------------------- doing

async function transfer(blob, options) {
  const key = `sending-${crypto.randomUUID()}`;
  const abort = new AbortController();
  sending.set(key, { name: options.name ?? "", percent: 0, problem: null, abort });
  const onprogress = (sent, size) => {
    sending.get(key).percent = Math.floor((100 * sent) / size);
    page.render();
  };
  page.render();
  try {
    await send(page.call, blob, { ...options, onprogress, signal: abort.signal });
    forget(key);
  } catch (error) {
    if (error.code === "aborted") return;
    if (sending.has(key)) sending.get(key).problem = error.code ?? "other";
    setTimeout(forget, TOLD_MS, key);
    page.render();
    throw error;
  }
}

function forget(key) {
  sending.delete(key);
  if (page.call) page.render();
}

async function answer(word) {
  const still = asksUs();
  if (!still) return;
  answered.add(still.request);
  page.render();
  const { call } = page;
  try {
    await call.answerStill(still, word);
    if (word !== "allowed") return;
    const { blob, source, hash } = await takeStill(trackOf("video"));
    await transfer(blob, { kind: "still", request: still.request, source, hash, label: still.label });
  } catch {
    if (word === "allowed") await call.answerStill(still, "failed").catch(() => {});
    page.render();
  }
}

/** Fetch a picture once, to be shown small. */
async function show(document_) {
  shown.set(document_.id, "");
  try {
    const blob = await fetchDocument(page.call, document_);
    shown.set(document_.id, URL.createObjectURL(blob));
    page.render();
  } catch {
    /* it can be opened by hand */
  }
}

/** Have it saved, under its name: a browser opens what it can from there. */
async function open(document_) {
  try {
    const blob = await fetchDocument(page.call, document_);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = document_.name || document_.label || document_.id;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch {
    tell("paper_bad");
  }
}

/** Put the buttons in order; once. */
export function listenPapers() {
  $("send-document").addEventListener("click", () => $("document-file").click());
  $("document-file").addEventListener("change", ({ target }) => {
    for (const file of target.files) transfer(file, { name: file.name, type: file.type }).catch(() => {});
    target.value = "";
  });
  $("allow-still").addEventListener("click", () => answer("allowed"));
  $("refuse-still").addEventListener("click", () => answer("refused"));
}
