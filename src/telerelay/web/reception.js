/**
 * A practitioner's desk while no consult is on: who waits, who else is there, and what rings. Uses desk.html and
 * desksocket.js; what it shows follows from the desk's three signs.
 *
 * Address: `#token=…`, a desk's. Nobody's name is shown, for the page knows none. A ring is heard, seen, put into the
 * page's title, and told by the system where the browser may: on a desk one looks elsewhere.
 */

import { openDesk } from "./desksocket.js";
import { LANGUAGES, firstLanguage, problemKey, roleKey, words as wordsOf } from "./strings.js";

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
let language = firstLanguage(query.get("lang"), navigator.languages ?? [navigator.language]);
const say = (key, values) => wordsOf(language, key, values);
const token = new URLSearchParams(location.hash.slice(1)).get("token");

const TICK_MS = 1000;
// Two notes, then a rest, as a telephone does.
const RING_EVERY_MS = 2500;

let desk = null;
let problem = token ? null : "no_token";
let entrance = null; // {room, token} of what was accepted, until it is opened
const busy = new Set(); // consults that something was asked of

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// ---------------------------------------------------------------------------------------------------- what is shown

function render() {
  document.documentElement.lang = language;
  const calls = desk?.calls.filter(({ missed }) => !missed) ?? [];
  const state = desk?.state ?? "closed";
  document.title = calls.length ? say("ring_title") : say("reception_title");
  $("notice").hidden = !problem;
  setText($("notice-words"), problem ? say(problemKey(problem), { code: problem }) : "");
  setText($("said"), say(problem ? "desk_closed" : state === "open" ? (desk.away ? "desk_away" : "desk_open") : "desk_opening"));
  $("away").disabled = state !== "open";
  $("away").setAttribute("aria-pressed", Boolean(desk?.away));
  setText($("away"), say(desk?.away ? "desk_come_back" : "desk_step_away"));
  renderEntrance();
  renderCalls();
  renderLine();
  renderPeople();
  $("turn-on-ring").hidden = ring.context?.state === "running";
  $("notify").hidden = !("Notification" in globalThis) || Notification.permission !== "default";
}

function renderEntrance() {
  $("entrance").hidden = !entrance;
  if (entrance) $("enter").href = `./?${new URLSearchParams({ room: entrance.room, lang: language })}#token=${entrance.token}`;
}

/** Rows of a list by key: those that stay are left alone, so that a button keeps its focus. */
function rows(list, template, items, key, fill) {
  const before = new Map([...list.children].map((child) => [child.dataset.key, child]));
  for (const [index, item] of items.entries()) {
    const name = key(item);
    let row = before.get(name);
    before.delete(name);
    if (!row) {
      row = $(template).content.firstElementChild.cloneNode(true);
      row.dataset.key = name;
      for (const button of row.querySelectorAll("button")) {
        button.addEventListener("click", () => act(button.dataset.what, button.dataset.of));
      }
    }
    fill(row, item);
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
  }
  for (const row of before.values()) row.remove();
}

const queueWords = (queue) => (desk.queues.length > 1 ? ` · ${queue}` : "");

function minutes(since) {
  const count = Math.max(0, Math.floor((Date.now() / 1000 - since) / 60));
  return count < 1 ? say("desk_now") : say("desk_since", { count });
}

function renderCalls() {
  const calls = desk?.calls ?? [];
  $("calls-told").hidden = !calls.length;
  rows($("calls"), "call-row", calls, ({ consult }) => consult, (row, call) => {
    const left_s = Math.max(0, Math.ceil(call.until - Date.now() / 1000));
    row.dataset.emergency = call.emergency;
    row.dataset.missed = call.missed;
    setText(row.querySelector(".who"), say(call.emergency ? "ring_emergency" : "ring_patient") + queueWords(call.queue));
    setText(row.querySelector(".since"), say(call.missed ? "ring_missed" : "ring_left", { count: left_s }));
    for (const button of row.querySelectorAll("button")) {
      button.dataset.of = call.consult;
      button.disabled = busy.has(call.consult);
      setText(button, say(`ring_${button.dataset.what}`));
    }
  });
}

function renderLine() {
  const line = desk?.line ?? [];
  setText($("line-count"), desk ? say(line.length ? "line_count" : "line_empty", { count: desk.count }) : "");
  rows($("line"), "line-row", line, ({ consult }) => consult, (row, each) => {
    const who = say(each.people > 1 ? "line_people" : "line_person", { count: each.people });
    row.dataset.emergency = each.emergency;
    const words = each.emergency ? say("desk_emergency", { who }) : who.charAt(0).toUpperCase() + who.slice(1);
    setText(row.querySelector(".who"), words + queueWords(each.queue));
    setText(row.querySelector(".since"), each.free ? minutes(each.since) : say("line_taken"));
  });
  const free = desk?.queues.filter((queue) => line.some((each) => each.queue === queue && each.free)) ?? [];
  rows($("takes"), "take-row", free, (queue) => queue, (row, queue) => {
    const button = row.querySelector("button");
    button.dataset.of = queue;
    button.disabled = busy.has(queue);
    setText(button, say("line_take") + queueWords(queue));
  });
}

function renderPeople() {
  const people = desk?.people ?? [];
  rows($("people"), "person-row", people, ({ queue, sub }) => `${queue} ${sub}`, (row, person) => {
    const same = people.filter(({ queue, role }) => queue === person.queue && roleKey(role) === roleKey(person.role));
    const number = same.length > 1 ? ` ${same.indexOf(person) + 1}` : "";
    const who = person.sub === desk.sub ? say("you") : say(roleKey(person.role)) + number;
    row.dataset.status = person.status;
    setText(row.querySelector(".who"), who.charAt(0).toUpperCase() + who.slice(1) + queueWords(person.queue));
    setText(row.querySelector(".since"), say(`status_${person.status}`));
  });
}

// ---------------------------------------------------------------------------------------------------- what one does

async function act(what, of) {
  busy.add(of);
  render();
  try {
    const answer = await desk[what](of);
    if (answer.token) entrance = { room: answer.room, token: answer.token };
  } catch (error) {
    problem = error.code;
    setTimeout(() => {
      problem = null;
      render();
    }, 6000);
  } finally {
    busy.delete(of);
    render();
  }
  if (entrance && !$("entrance").hidden) $("enter").focus();
}

// ---------------------------------------------------------------------------------------------------- the ring

const ring = {
  context: null,
  timer: 0,
  rung: new Set(), // consults that a notice was shown of
  turnOn() {
    this.context ??= globalThis.AudioContext ? new AudioContext() : null;
    this.context?.resume().then(render, () => {});
  },
  look() {
    const calls = desk?.calls.filter(({ missed }) => !missed) ?? [];
    if (calls.length && !this.timer) {
      this.timer = setInterval(() => this.play(), RING_EVERY_MS);
      this.play();
    } else if (!calls.length && this.timer) {
      clearInterval(this.timer);
      this.timer = 0;
    }
    for (const { consult, emergency } of calls) {
      if (this.rung.has(consult)) continue;
      this.rung.add(consult);
      this.notify(emergency);
    }
    for (const consult of this.rung) if (!calls.some((call) => call.consult === consult)) this.rung.delete(consult);
  },
  play() {
    navigator.vibrate?.([300, 150, 300]);
    if (this.context?.state !== "running") return;
    const now = this.context.currentTime;
    for (const [index, hertz] of [[0, 660], [1, 880], [2, 660], [3, 880]]) {
      const tone = new OscillatorNode(this.context, { frequency: hertz });
      const volume = new GainNode(this.context, { gain: 0 });
      const at = now + index * 0.25;
      volume.gain.setValueAtTime(0, at);
      volume.gain.linearRampToValueAtTime(0.3, at + 0.02);
      volume.gain.linearRampToValueAtTime(0, at + 0.24);
      tone.connect(volume).connect(this.context.destination);
      tone.start(at);
      tone.stop(at + 0.25);
    }
  },
  /** Where the window is not looked at, the system says it; it says nothing of anybody. */
  notify(emergency) {
    if (!("Notification" in globalThis) || Notification.permission !== "granted" || document.visibilityState === "visible") return;
    try {
      new Notification(say(emergency ? "ring_emergency" : "ring_patient"), { tag: "telerelay-ring", requireInteraction: true });
    } catch {
      /* some browsers show them from elsewhere alone */
    }
  },
};

// ---------------------------------------------------------------------------------------------------- the beginning

function speak(wanted) {
  language = wanted;
  for (const node of document.querySelectorAll("[data-say]")) setText(node, say(node.dataset.say));
  $("language").lang = LANGUAGES.find((each) => each !== language);
  render();
}

function onDesk(event) {
  if (event.type === "closed") problem = event.code;
  ring.look();
  render();
}

$("language").addEventListener("click", () => speak(LANGUAGES.find((each) => each !== language)));
$("away").addEventListener("click", () => desk.setAway(!desk.away).then(render, () => {}));
$("turn-on-ring").addEventListener("click", () => ring.turnOn());
$("notify").addEventListener("click", () => Notification.requestPermission().then(render));
$("enter").addEventListener("click", () => {
  entrance = null;
  render();
});
for (const type of ["pointerdown", "keydown"]) addEventListener(type, () => ring.turnOn(), { once: true });
addEventListener("hashchange", () => location.reload()); // another token was pasted
setInterval(render, TICK_MS);
speak(language);
if (token) {
  desk = openDesk({ token, onEvent: onDesk });
  globalThis.desk = desk; // for the browser's console and for tests
}
render();
