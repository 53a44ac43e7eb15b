/**
 * What the three programs share: the task on the command line, WHIP and WHEP sessions, lines of JSON on stdout.
 *
 * The task is JSON: {whip, whep, token, video, address}. A program says {"counts": {…}} twice a second, does what a
 * line of its stdin says ("restart", "reconnect"), and ends its sessions when its stdin ends.
 */

import { readFileSync } from "node:fs";
import { request } from "node:http";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

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

/** One HTTP request, on a connection of its own: one that was kept may belong to an address that is gone. */
function http(url, method, headers = {}, body = "") {
  const authorization = { Authorization: `Bearer ${task.token}` };
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, agent: false, headers: { ...authorization, ...headers } }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part) => (text += part));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    sent.on("error", reject).end(body);
  });
}

const sessions = new Set();

/** One WHIP or WHEP session: `answer` is the relay's. */
class Session {
  constructor(resource, answer) {
    Object.assign(this, { resource, answer });
    sessions.add(this);
  }

  /**
   * Restart ICE by PATCH with the credentials and candidates of an offer (RFC 9725, 4.3.3); returns the answer with
   * the relay's new credentials.
   */
  async restart(offer) {
    const [, first] = offer.split(/^(?=m=)/m);
    const lines = first.split(/\r?\n/);
    const of = (pattern) => lines.filter((line) => pattern.test(line));
    const own = credentials(offer);
    const mid = first.match(/^a=mid:(\S+)/m)[1];
    const fragment = [
      `a=group:BUNDLE ${mid}`,
      ...of(/^m=/),
      ...of(/^a=mid:/),
      `a=ice-ufrag:${own.ufrag}`,
      `a=ice-pwd:${own.pwd}`,
      ...of(/^a=candidate:/),
    ];
    const headers = { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*" };
    const { status, text } = await http(this.resource, "PATCH", headers, fragment.join("\r\n") + "\r\n");
    if (status !== 200) throw new Error(`${status}: ${text}`);
    const { ufrag, pwd } = credentials(text);
    this.answer = this.answer
      .replace(/^(a=ice-ufrag:).*$/gm, `$1${ufrag}`)
      .replace(/^(a=ice-pwd:).*$/gm, `$1${pwd}`);
    return this.answer;
  }

  async end() {
    sessions.delete(this);
    await http(this.resource, "DELETE");
  }
}

/** The ICE credentials of a description or a fragment, wherever they stand first. */
export function credentials(sdp) {
  const [ufrag, pwd] = ["ufrag", "pwd"].map((name) => sdp.match(new RegExp(`^a=ice-${name}:(\\S+)`, "m"))[1]);
  return { ufrag, pwd };
}

/** POST an offer. */
export async function open(endpoint, offer) {
  const { status, headers, text } = await http(endpoint, "POST", { "Content-Type": "application/sdp" }, offer);
  if (status !== 201) throw new Error(`${status}: ${text}`);
  return new Session(new URL(headers.location, endpoint), text);
}

/** Report and do as told until stdin ends, then end all sessions. `commands`: async functions by name. */
export async function run(counts, commands = {}) {
  const timer = setInterval(() => say({ counts }), 500);
  for await (const line of createInterface({ input: process.stdin })) say({ [line]: await commands[line]() });
  clearInterval(timer);
  await Promise.allSettled([...sessions].map((session) => session.end()));
  process.exit(0);
}
