/**
 * The chat panel of the consult page: what was written in this call, and a line to write in.
 *
 * Uses the call's public names and the document's `chat`. Text is only ever put into text nodes; all of it goes with the
 * call.
 */

import { problemKey } from "./strings.js";
import { $, name, page, say, setText } from "./state.js";

const said = []; // {participant, text, at, isOwn, who}
let unread = 0;
let isOpen = false;
let shown = 0;

/** Somebody wrote. */
export function onChat({ participant, text, at }) {
  said.push({ text, at, isOwn: false, who: participant ? name(participant) : say("role_other") });
  if (!isOpen) unread += 1;
}

export function renderChat() {
  if (!page.call) {
    said.length = unread = shown = 0;
    isOpen = false;
    $("chat-said").replaceChildren();
    $("chat-text").value = "";
  }
  $("chat").hidden = !isOpen;
  $("open-chat").hidden = !page.call?.admitted;
  $("open-chat").setAttribute("aria-expanded", isOpen);
  setText($("open-chat").querySelector("span"), unread ? say("chat_unread", { count: unread }) : say("chat"));
  $("open-chat").dataset.unread = unread > 0;
  for (; shown < said.length; shown += 1) $("chat-said").append(lineOf(said[shown]));
}

function lineOf({ text, at, isOwn, who }) {
  const element = $("chat-line").content.firstElementChild.cloneNode(true);
  element.dataset.own = isOwn;
  const time = new Date(at * 1000).toLocaleTimeString(page.language, { hour: "2-digit", minute: "2-digit" });
  const author = isOwn ? say("you") : who.charAt(0).toUpperCase() + who.slice(1);
  setText(element.querySelector(".who"), `${author}, ${time}`);
  setText(element.querySelector(".text"), text);
  return element;
}

function toggle() {
  isOpen = !isOpen;
  unread = 0;
  setText($("chat-trouble"), "");
  page.render();
  (isOpen ? $("chat-text") : $("open-chat")).focus();
  $("chat-said").lastElementChild?.scrollIntoView({ block: "nearest" });
}

async function send(event) {
  event.preventDefault();
  const text = $("chat-text").value.trim();
  if (!text || !page.call) return;
  $("chat-send").disabled = true;
  try {
    const { at } = await page.call.chat(text);
    said.push({ text, at, isOwn: true, who: "" });
    $("chat-text").value = "";
    setText($("chat-trouble"), "");
  } catch (error) {
    // What was written stays where it is, to be sent again.
    setText($("chat-trouble"), error.code === "forbidden" ? say("chat_forbidden") : say(problemKey(error.code), { code: error.code }));
  }
  $("chat-send").disabled = false;
  page.render();
  $("chat-said").lastElementChild?.scrollIntoView({ block: "nearest" });
  $("chat-text").focus();
}

export function listenChat() {
  $("open-chat").addEventListener("click", toggle);
  $("close-chat").addEventListener("click", toggle);
  $("chat-form").addEventListener("submit", send);
}
