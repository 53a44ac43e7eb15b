/**
 * What the consult page says of weak lines: pictures that the relay holds back, who does not see us, who speaks.
 *
 * Reads `page.call`; what it shows of a state it holds for two seconds, and then has the page drawn again. Touches nothing.
 */

import { name, page, publicationOf, say, tell } from "./state.js";

// What comes and goes faster cannot be read, and worries more than it tells.
const HOLD_MS = 2000;

/** A value as it is shown: another one at most every HOLD_MS, the last one in the end. */
class Shown {
  value = null;
  #since_ms = -Infinity;
  #timer = null;

  /** What to show of `value` now; `onChange(before, after)` is called when that is another. */
  of(value, onChange = () => {}) {
    if (value === this.value) return this.value;
    const left_ms = this.#since_ms + HOLD_MS - performance.now();
    if (left_ms > 0) {
      this.#timer ??= setTimeout(() => {
        this.#timer = null;
        page.render();
      }, left_ms);
      return this.value;
    }
    const before = this.value;
    this.value = value;
    this.#since_ms = performance.now();
    onChange(before, value);
    return value;
  }
}

const shown = new Map(); // what is shown of a state, by its name

const shownOf = (key) => shown.get(key) ?? shown.set(key, new Shown()).get(key);

/** After the end of a call nothing of it is shown. */
export function forgetLines() {
  shown.clear();
}

/** Why the relay holds somebody's picture back: "line", "unwanted" or null. */
export function pausedOf(participant, publication) {
  if (publication?.kind !== "video" || publication.muted) return null;
  return shownOf(publication.id).of(publication.paused, (before) => {
    if (before === "line") tell("other_video_back", { who: () => name(participant) });
  });
}

/** Whose picture or box has a frame, because that person speaks: of two who see each other nobody needs it. */
export function isSpeaking(id) {
  const speaker = shownOf("speaker").of(page.call?.speaker ?? null);
  return speaker === id && (page.call?.participants.size ?? 0) > 1;
}

/** Those who do not see us for the weakness of their lines: participants. */
export function blind() {
  const own = publicationOf("video");
  return [...(page.call?.participants.values() ?? [])].filter((participant) => {
    const isUnseen = Boolean(own && !own.muted && own.unseenBy.has(participant.id));
    return shownOf(`seen ${participant.id}`).of(isUnseen || null, (before) => {
      if (before && own && !own.muted) tell("seen_again", { who: () => name(participant) });
    });
  });
}

/** Sentences on weak lines, as it is now; calm ones: nobody can do anything about it, and it passes. */
export function lineSentences() {
  const others = [...page.call.participants.values()];
  const pictures = others.flatMap((participant) => {
    const videos = [...participant.publications.values()].filter(({ kind, muted }) => kind === "video" && !muted);
    return videos.map((video) => [participant, pausedOf(participant, video)]);
  });
  const held = pictures.filter(([, reason]) => reason === "line");
  const whose = new Set(held.map(([participant]) => participant));
  const found = [];
  if (held.length && held.length === pictures.length) found.push(say("sound_only_now"));
  else for (const participant of whose) found.push(say("other_video_paused", { who: name(participant) }));
  const unseen = blind();
  if (unseen.length > 1 && unseen.length === others.length) found.push(say("seen_by_nobody"));
  else for (const participant of unseen) found.push(say("not_seen_by", { who: name(participant) }));
  return found;
}
