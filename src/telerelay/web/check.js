/**
 * The check of a site, for whoever stands before its equipment: one button, and a sentence for each thing. Uses check.html
 * and probing.js.
 *
 * Address: `#token=…` where the relay wants one. Enters no consult and needs no appointment.
 */

import { probe } from "./probing.js";
import { LANGUAGES, firstLanguage, words } from "./strings.js";

const $ = (id) => document.getElementById(id);
let language = firstLanguage(new URLSearchParams(location.search).get("lang"), navigator.languages ?? [navigator.language]);
const say = (key, values) => words(language, key, values);
const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";

let state = "ready"; // ready, running, passed, failed, unreachable
let checks = [];

function render() {
  document.documentElement.lang = language;
  document.title = say("site_title");
  for (const node of document.querySelectorAll("[data-say]")) node.textContent = say(node.dataset.say);
  $("language").lang = LANGUAGES.find((each) => each !== language);
  $("said").textContent = state === "ready" ? "" : say(`site_${state}`);
  $("start").textContent = say(state === "ready" ? "site_start" : "site_again");
  $("start").disabled = state === "running";
  $("result").hidden = !checks.length;
  $("checks").replaceChildren(
    ...checks.map(({ name, result, text }) => {
      const row = $("check-row").content.firstElementChild.cloneNode(true);
      Object.assign(row.dataset, { name, result });
      row.querySelector(".who").textContent = say(`site_${result}`);
      row.querySelector(".since").textContent = text;
      return row;
    }),
  );
}

async function start() {
  state = "running";
  checks = [];
  const context = new AudioContext(); // begun by a press: a browser lets it play
  render();
  try {
    const judged = await probe({ language, token, context });
    checks = judged.checks;
    state = judged.passed ? "passed" : "failed";
  } catch (error) {
    state = error.code ? "not_allowed" : "unreachable";
  } finally {
    await context.close();
  }
  render();
}

$("start").addEventListener("click", start);
$("language").addEventListener("click", () => {
  language = LANGUAGES.find((each) => each !== language);
  checks = []; // sentences are the relay's, in the language they were asked in
  if (state !== "running") state = "ready";
  render();
});
render();
