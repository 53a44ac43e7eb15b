/**
 * The other people on the consult page: one picture each, one of them large, and in words what is wrong with one.
 *
 * Reads `page.call` and plays its streams; touches the tiles and the note in their place, and the focus when a picture is
 * made large. Of `page` it changes which one that is, and whether the browser keeps the sound off.
 */

import { $, focusControls, name, page, say, setText } from "./state.js";
import { isSpeaking, pausedOf } from "./weak.js";

export const tiles = new Map(); // key -> {element, video}

/** The socket alone may be gone: then picture and sound go on, and nobody need worry. */
export const isLost = (participant) => participant.interrupted && isSilent(participant);

/** Nothing comes of a person, whatever the cause. */
function isSilent({ publications }) {
  return [...publications.values()].every(({ stalled, track }) => stalled || !track);
}

/** One picture for each person, and one for each screen somebody shares. */
export function pictures() {
  const found = [];
  for (const participant of page.call?.participants.values() ?? []) {
    const publications = [...participant.publications.values()];
    const camera = publications.find(({ source, kind }) => kind === "video" && source === "camera");
    const microphone = publications.find(({ source }) => source === "microphone");
    found.push({ key: participant.id, participant, camera, microphone, stream: participant.stream });
    for (const other of publications) {
      if (other === camera || other === microphone || !other.stream) continue;
      const key = `${participant.id}/${other.id}`;
      found.push({ key, participant, camera: other, microphone: other, stream: other.stream });
    }
  }
  return found;
}

export function renderTiles() {
  const all = pictures();
  const keys = new Set(all.map(({ key }) => key));
  for (const [key, { element, video }] of tiles) {
    if (keys.has(key)) continue;
    page.call?.detach(video);
    element.remove();
    tiles.delete(key);
  }
  if (!keys.has(page.large)) page.large = null;
  const large = page.large ?? (all.find(({ camera }) => camera) ?? all[0])?.key;
  for (const picture of all) {
    const tile = tiles.get(picture.key) ?? addTile(picture);
    renderTile(tile, picture, picture.key === large);
  }
  // Where two stand side by side, one of an odd number is left over.
  const small = all.map(({ key }) => tiles.get(key).element.dataset).filter((each) => each.large === "false");
  const seen = small.filter(({ picture }) => picture === "on");
  for (const each of small) each.lone = each === seen.at(-1) && seen.length % 2 === 1;
  $("stage").dataset.count = Math.min(all.length, 2);
  $("stage").style.setProperty("--others", Math.max(all.length - 1, 1));
  $("waiting").hidden = all.length > 0;
}

function addTile({ key }) {
  const element = $("tile").content.firstElementChild.cloneNode(true);
  const video = element.querySelector("video");
  const tile = { element, video };
  tiles.set(key, tile);
  for (const type of ["loadeddata", "resize"]) video.addEventListener(type, () => page.render());
  element.querySelector("button").addEventListener("click", () => {
    const before = page.large;
    page.large = key;
    page.render();
    // The button is gone with the size: the way back is the next one.
    const back = tiles.get(before)?.element.querySelector("button") ?? document.querySelector(".enlarge:not([hidden])");
    if (back?.hidden === false) back.focus();
    else focusControls();
  });
  $("tiles").append(element);
  return tile;
}

/** Play what a tile shows, once there is something to play; the browser may want a click for the sound. */
export async function play({ video }, stream) {
  if (!page.call || !stream.getTracks().length) return;
  if ((await page.call.attach(video, stream)) || !page.call) return;
  page.isSoundBlocked = true;
  page.render();
}

/** Words for why somebody's camera or microphone gives nothing, by what the relay says of it. */
const COVERS = {
  user: "tile_camera_off",
  source: "tile_camera_silent",
  interrupted: "tile_interrupted",
  device_lost: "tile_camera_lost",
  permission_denied: "tile_camera_denied",
};
const BADGES = {
  user: "badge_muted",
  source: "badge_silent",
  interrupted: "badge_interrupted",
  device_lost: "badge_no_microphone",
  permission_denied: "badge_no_microphone",
};

/** Words for what the relay does not send us, by its code; any other is a thing of the relay's. */
const REFUSALS = { forbidden: "tile_not_for_you", no_common_codec: "tile_no_codec" };

function coverOf({ participant, camera }, held) {
  if (!camera) return participant.role === "recorder" ? "tile_recorder" : "tile_no_camera";
  if (camera.refused) return REFUSALS[camera.refused] ?? REFUSALS.forbidden; // on or off, it is not for us
  if (camera.muted) return COVERS[camera.reason] ?? COVERS.user;
  return held ?? "tile_waiting"; // there may never have been a picture
}

/** Words over a large picture that the relay holds back; a small one has a badge. */
const HELD = { line: "tile_paused", unwanted: "badge_paused" };

function badgeOf({ participant, camera, microphone }, hasPicture, isHeld) {
  if (isLost(participant)) return "badge_lost";
  if (participant.role === "recorder") return null; // it has none, and lacks none
  if (!microphone) return "badge_no_microphone";
  if (microphone.refused) return "badge_not_for_you";
  if (microphone.muted) return BADGES[microphone.reason] ?? "badge_muted";
  if (hasPicture && camera.stalled) return "badge_stalled";
  if (microphone.stalled) return "badge_sound_stalled";
  return isHeld ? "badge_paused" : null;
}

function renderTile({ element, video }, picture, isLarge) {
  const { participant, camera, microphone } = picture;
  const hasPicture = Boolean(camera?.track) && !camera.muted && video.videoWidth > 0;
  const held = HELD[pausedOf(participant, camera)];
  const cover = coverOf(picture, held);
  const badge = badgeOf(picture, hasPicture, hasPicture && held && !isLarge);
  Object.assign(element.dataset, {
    large: isLarge,
    held: hasPicture && Boolean(held),
    speaking: isSpeaking(participant.id),
    picture: hasPicture ? "on" : "off",
    audio: !microphone ? "none" : microphone.muted ? "muted" : "on",
    video: !camera ? "none" : camera.muted ? "muted" : "on",
  });
  const who = name(participant);
  const title = who.charAt(0).toUpperCase() + who.slice(1);
  video.setAttribute("aria-label", title);
  setText(element.querySelector(".cover span"), say(cover));
  element.querySelector(".held").hidden = !hasPicture || !held || !isLarge;
  setText(element.querySelector(".held span"), held ? say(held) : "");
  setText(element.querySelector(".who"), title);
  element.querySelector(".badge").hidden = !badge;
  setText(element.querySelector(".badge"), badge ? say(badge) : "");
  const button = element.querySelector("button");
  button.hidden = isLarge;
  button.setAttribute("aria-label", say("enlarge", { who }));
}

// Of so many others the sentences would leave a phone no room for the pictures.
const CROWD = 3;
const isCrowded = () => page.call.participants.size >= CROWD;

/** Sentences on one person's sources, as they are now: who reads them knows why nothing is seen or heard. */
export function sentencesOn(participant) {
  const who = name(participant);
  if (isLost(participant)) return [say("other_interrupted", { who })];
  const all = [...participant.publications.values()];
  const found = [];
  const held = all.filter(({ reason }) => reason === "interrupted");
  if (held.length) found.push(say("other_held", { who }));
  const silent = all.filter(({ source, muted, reason, refused }) => {
    if (refused || (reason === "user" && isCrowded())) return false; // it stands on the picture
    return muted && reason !== "interrupted" && /^(camera|microphone)$/.test(source);
  });
  for (const { kind, reason } of silent) found.push(say(`other_${kind}_${reason}`, { who }));
  const still = all.filter(({ muted, stalled, track }) => !muted && stalled && track);
  if (still.length && isSilent(participant)) found.push(say("other_stalled", { who }));
  else if (still.length) found.push(say(`other_${still[0].kind}_stalled`, { who }));
  return found;
}
