/**
 * One's own sources: what keeps a published track from giving anything, and permissions that are taken back.
 *
 * Part of telerelay.js; touches permissions, the page's visibility, and the tracks and AudioContexts it is given.
 */

import { listen } from "./errors.js";
import { permissionOf } from "./media.js";

export class Sources {
  #call;
  #wires;
  #permissions = new Map(); // kind -> {status, wasGranted}
  #contexts = new Set(); // AudioContexts of the page
  #isFrozen = false;
  #onSources = () => {
    for (const own of this.#call.publications) this.#look(own);
  };
  #onFrozen = () => {
    this.#isFrozen = true;
    this.#onSources();
  };
  #onThawed = () => {
    this.#isFrozen = false;
    this.#onSources();
  };

  /** `wires`: what the call has to do with it, `emit` and `tellMutes`. */
  constructor(call, wires) {
    this.#call = call;
    this.#wires = wires;
  }

  /** Hear of the page and of its contexts, or no longer. */
  listen(isOn) {
    const look = this.#onSources;
    listen(isOn, globalThis.document, { visibilitychange: look, freeze: this.#onFrozen, resume: this.#onThawed });
    for (const context of this.#contexts) listen(isOn, context, { statechange: look });
    if (!isOn) for (const { status } of this.#permissions.values()) if (status) status.onchange = null;
  }

  /** An AudioContext of the page, whose state tells of a phone call. */
  watchContext(context) {
    if (this.#contexts.has(context)) return;
    this.#contexts.add(context);
    listen(true, context, { statechange: this.#onSources });
    this.#onSources();
  }

  /** One that is published, or has another track. */
  watchTrack(own) {
    const { track } = own;
    const look = () => {
      if (own.track === track && this.#call.publications.includes(own)) this.#look(own);
    };
    listen(true, track, { mute: look, unmute: look, ended: look });
    this.#watchPermission(own);
    look();
  }

  async #watchPermission({ kind, source }) {
    if (this.#permissions.has(kind) || !/^(camera|microphone)$/.test(source)) return;
    const known = { status: null, wasGranted: false };
    this.#permissions.set(kind, known);
    const status = await permissionOf(source);
    if (!status || this.#call.state === "ended") return;
    Object.assign(known, { status, wasGranted: status.state === "granted" });
    status.onchange = () => {
      this.#wires.emit("permission", { kind, state: status.state });
      for (const own of this.#call.publications) {
        if (own.source !== source) continue;
        // Who says no means now, whether or not the browser has ended the track.
        if (status.state === "denied" && own.track.readyState === "live") own.track.stop();
        this.#look(own);
      }
    };
  }

  /** Firefox says "prompt" for what was allowed once: only a change counts, or a plain no. */
  #isWithdrawn(own) {
    const known = this.#permissions.get(own.kind);
    const state = known?.status?.state;
    return state === "denied" || (known?.wasGranted === true && state !== "granted");
  }

  /** What keeps a source from giving anything, the gravest first. */
  #troubleOf(own) {
    const { track, kind } = own;
    const isCalled = kind === "audio" && [...this.#contexts].some(({ state }) => state === "interrupted");
    const isHidden = globalThis.document?.visibilityState === "hidden";
    const ROWS = [
      ["permission_denied", track.readyState === "ended" && this.#isWithdrawn(own)],
      ["device_lost", track.readyState === "ended"],
      ["interrupted", this.#isFrozen || isCalled || (track.muted && isHidden)],
      ["source", track.muted],
    ];
    return ROWS.find(([, isSo]) => isSo)?.[0] ?? null;
  }

  #look(own) {
    const before = own.trouble;
    const reason = this.#troubleOf(own);
    if (reason === before) return;
    own.trouble = reason;
    const isGone = (trouble) => trouble === "device_lost" || trouble === "permission_denied";
    if (isGone(reason) && !isGone(before)) this.#wires.emit("deviceended", { publication: own, reason });
    this.#wires.emit("sourcechange", { publication: own, reason, before });
    this.#wires.tellMutes();
  }
}
