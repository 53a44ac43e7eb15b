/**
 * Camera control on the consult page: buttons for who examines, and motors for whose camera it is.
 *
 * Uses the call's public names, the document's `camera-control`, and the capabilities of one's own camera track
 * (mediacapture-image: pan, tilt, zoom).
 */

import { problemKey } from "./strings.js";
import { $, page, say, setText, tell, trackOf } from "./state.js";

const MOVERS = new Set(["practitioner", "requester", "expert", "assistant"]);
/** Of all that a camera can, at each press. */
const STEP = 0.1;
const MOVES = {
  "camera-left": { pan: -STEP },
  "camera-right": { pan: STEP },
  "camera-up": { tilt: STEP },
  "camera-down": { tilt: -STEP },
  "camera-in": { zoom: STEP },
  "camera-out": { zoom: -STEP },
  "camera-home": { home: true },
};
const AXES = ["pan", "tilt", "zoom"];

let isBusy = false;
let trouble = null;
let home = null; // where the own camera stood before anybody moved it

/** Whose camera the buttons move: the device's, of several the one whose picture is large. */
function target() {
  const devices = [...(page.call?.participants.values() ?? [])].filter(({ role }) => role === "device");
  return devices.find(({ id }) => page.large?.startsWith(id)) ?? devices[0] ?? null;
}

export function renderCamera() {
  if (!page.call) home = trouble = null;
  const isShown = Boolean(page.call?.admitted && MOVERS.has(page.call.role) && target());
  $("camera-control").hidden = !isShown;
  for (const id of Object.keys(MOVES)) $(id).disabled = isBusy;
  setText($("camera-trouble"), trouble ? say(trouble) : "");
}

async function move(id) {
  const whose = target();
  if (!whose || isBusy) return;
  isBusy = true;
  page.render();
  try {
    await page.call.moveCamera(whose.id, MOVES[id]);
    trouble = null;
  } catch (error) {
    const key = `error_${error.code}`;
    trouble = error.code?.startsWith("camera_") ? key : problemKey(error.code);
  }
  isBusy = false;
  page.render();
  $(id).focus(); // it was disabled meanwhile
}

/** Somebody asks that our camera be moved: do it, and say what became of it. */
export async function onCamera(event) {
  const track = trackOf("video");
  const can = track?.getCapabilities?.() ?? {};
  const now = track?.getSettings?.() ?? {};
  const has = AXES.filter((axis) => can[axis]?.max > can[axis]?.min);
  home ??= Object.fromEntries(has.map((axis) => [axis, now[axis]]));
  const asked = event.home ? has : AXES.filter((axis) => event[axis]);
  if (!asked.length || asked.some((axis) => !has.includes(axis))) {
    page.call?.cameraMoved(event.command, "unsupported");
    return;
  }
  const wanted = Object.fromEntries(
    asked.map((axis) => {
      const { min, max, step = 1 } = can[axis];
      if (event.home) return [axis, home[axis]];
      const at = now[axis] + Math.round((event[axis] * (max - min)) / step) * step;
      return [axis, Math.min(max, Math.max(min, at))];
    }),
  );
  try {
    await track.applyConstraints({ advanced: [wanted] });
    const stands = track.getSettings();
    const shares = has.map((axis) => [axis, (stands[axis] - can[axis].min) / (can[axis].max - can[axis].min)]);
    page.call?.cameraMoved(event.command, "done", Object.fromEntries(shares));
    tell("camera_moved_here");
  } catch {
    page.call?.cameraMoved(event.command, "failed");
  }
}

export function listenCamera() {
  for (const id of Object.keys(MOVES)) $(id).addEventListener("click", () => move(id));
}
