/**
 * The desk of a consult, for who lets in. Uses the document's `desk` and the call's public names.
 *
 * Nobody's name is shown, for the page knows none: people are their role, and how long they have waited.
 */

import { $, page, say, setText, tell } from "./state.js";
import { problemKey, roleKey } from "./strings.js";

const rows = new Map(); // participant id -> {element, since, words, admit, deny}
const busy = new Set(); // of whom something was asked that is not answered yet

/** Draw the desk: the people who wait, the next one first. */
export function renderDesk() {
  const people = page.call?.waitingRoom ?? [];
  $("desk").hidden = !people.length;
  $("end-consult").hidden = !page.call?.decides;
  const ids = new Set(people.map(({ participant }) => participant));
  const hadFocus = $("desk").contains(document.activeElement);
  for (const [id, { element }] of rows) {
    if (ids.has(id)) continue;
    element.remove();
    rows.delete(id);
  }
  for (const [index, person] of people.entries()) {
    const row = rows.get(person.participant) ?? rowOf(person);
    const list = $("desk-people");
    if (list.children[index] !== row.element) list.insertBefore(row.element, list.children[index] ?? null);
    renderRow(row, person, people);
  }
  if (hadFocus && !$("desk").contains(document.activeElement)) $("main").focus(); // its button is gone
}

function rowOf(person) {
  const element = $("waiting-person").content.firstElementChild.cloneNode(true);
  const [admit, deny] = element.querySelectorAll("button");
  const row = { element, admit, deny, words: element.querySelector(".who"), since: element.querySelector(".since") };
  admit.addEventListener("click", () => ask(person.participant, "admit"));
  deny.addEventListener("click", () => ask(person.participant, "deny"));
  rows.set(person.participant, row);
  return row;
}

/** Several of one role are counted, as they came. */
function nameOf(person, people) {
  const same = people.filter(({ role }) => roleKey(role) === roleKey(person.role));
  return say(roleKey(person.role)) + (same.length > 1 ? ` ${same.indexOf(person) + 1}` : "");
}

function renderRow(row, person, people) {
  const who = nameOf(person, people);
  const minutes = Math.max(0, Math.floor((Date.now() / 1000 - person.since) / 60));
  row.element.dataset.emergency = person.emergency;
  setText(row.words, person.emergency ? say("desk_emergency", { who }) : who.charAt(0).toUpperCase() + who.slice(1));
  const since = minutes < 1 ? say("desk_now") : say("desk_since", { count: minutes });
  setText(row.since, person.interrupted ? say("badge_lost") : since);
  for (const [button, key] of [[row.admit, "desk_admit"], [row.deny, "desk_deny"]]) {
    button.disabled = busy.has(person.participant);
    setText(button, say(key));
    button.setAttribute("aria-label", say(`${key}_who`, { who }));
  }
}

async function ask(participant, what) {
  busy.add(participant);
  page.render();
  try {
    await page.call[what](participant);
  } catch (error) {
    if (error.code !== "no_consent") throw error;
    tell(problemKey(error.code));
  } finally {
    busy.delete(participant);
    page.render();
  }
}
