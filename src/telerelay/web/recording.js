/**
 * The recording on the consult page: that there is one, what it means, and one's own say in it, at any moment.
 *
 * Uses the call's public names, and of the document `recording`.
 */

import { $, name, page, say, setText, tell } from "./state.js";

let isAsking = false; // our own word is under way
let before = ""; // the state that was shown

const whoOf = (sub) => {
  if (sub === page.call.sub) return say("recording_you");
  const found = [...page.call.participants.values()].find((each) => each.sub === sub);
  return found ? name(found) : say("recording_host");
};

/** Draw it. */
export function renderRecording() {
  const { call } = page;
  const recording = call.admitted ? call.recording : null;
  const isActive = /^(asked|running|paused)$/.test(recording?.state ?? "");
  const mayAsk = Boolean(recording) && call.decides && !isActive;
  if (recording && before !== recording.state) {
    const wasActive = /^(asked|running|paused)$/.test(before);
    before = recording.state;
    if (wasActive && !isActive) setTimeout(tell, 0, endOf(recording));
  }
  const home = $("recording");
  home.hidden = !isActive && !mayAsk;
  home.dataset.state = recording?.state ?? "";
  home.classList.toggle("asked", isActive && recording.asked && !recording.agreed);
  if (home.hidden) return;
  const isMissing = isActive && recording.asked && !recording.agreed;
  setText($("recording-title"), isActive ? titleOf(recording, isMissing) : say("recording_title"));
  setText($("recording-words"), isActive ? wordsOf(recording, isMissing) : say("recording_may"));
  show("agree-recording", isMissing);
  show("refuse-recording", isMissing);
  show("withdraw-recording", isActive && recording.asked && recording.agreed);
  show("ask-recording", mayAsk);
}

function titleOf({ state, by }, isMissing) {
  if (state === "running") return say("recording_running");
  if (isMissing) return say("recording_asked_of_you", { who: whoOf(by) });
  return say(state === "paused" ? "recording_paused" : "recording_asked");
}

function wordsOf({ state, missing }, isMissing) {
  if (isMissing) return say("recording_means");
  if (state === "running") return say("recording_runs");
  const who = new Intl.ListFormat(page.language).format(missing.map(whoOf));
  return say("recording_waits", { who });
}

const endOf = ({ why }) => {
  if (why === "refused" || why === "withdrawn") return "recording_refused";
  return why === "full" || why === "failed" ? "recording_failed" : "recording_stopped";
};

function show(id, isShown) {
  const button = $(id);
  button.hidden = !isShown;
  button.disabled = isAsking;
}

async function doing(word) {
  isAsking = true;
  page.render();
  try {
    await word(page.call);
  } catch (error) {
    tell(error.code === "forbidden" ? "recording_forbidden" : "recording_unheard");
  } finally {
    isAsking = false;
    page.render();
  }
}

/** Put the buttons in order; once. */
export function listenRecording() {
  $("ask-recording").addEventListener("click", () => doing((call) => call.askRecording()));
  $("agree-recording").addEventListener("click", () => doing((call) => call.answerRecording(call.recording, true)));
  for (const id of ["refuse-recording", "withdraw-recording"]) {
    $(id).addEventListener("click", () => doing((call) => call.answerRecording(call.recording, false)));
  }
}
