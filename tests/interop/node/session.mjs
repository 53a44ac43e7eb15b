/**
 * What the three programs share: the task on the command line, one WHIP or WHEP session, lines of JSON on stdout.
 *
 * The task is JSON: {whip, whep, token, video, address}. A program says {"counts": {…}} twice a second, and ends its
 * sessions when its stdin ends.
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

export const task = JSON.parse(process.argv[2]);

// The packages are installed under build/: this folder stays clean.
const require = createRequire(`${process.env.TELERELAY_INTEROP_NODE}/`);

/** A package of build/interop, CommonJS. */
export const load = (name) => require(name);

/** The version of a package that is installed there. */
export function version(name) {
  const folder = `${process.env.TELERELAY_INTEROP_NODE}/node_modules/${name}`;
  return JSON.parse(readFileSync(`${folder}/package.json`, "utf8")).version;
}

export const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");

const sessions = [];

/** POST an offer; the relay's answer. */
export async function open(endpoint, offer) {
  const authorization = { Authorization: `Bearer ${task.token}` };
  const headers = { ...authorization, "Content-Type": "application/sdp" };
  const response = await fetch(endpoint, { method: "POST", headers, body: offer });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`${response.status}: ${text}`);
  const resource = new URL(response.headers.get("Location"), endpoint);
  sessions.push(() => fetch(resource, { method: "DELETE", headers: authorization }));
  return text;
}

/** Report until stdin ends, then end all sessions. */
export async function run(counts) {
  const timer = setInterval(() => say({ counts }), 500);
  await new Promise((resolve) => process.stdin.on("end", resolve).resume());
  clearInterval(timer);
  await Promise.allSettled(sessions.map((end) => end()));
  process.exit(0);
}
