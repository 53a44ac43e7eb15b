/**
 * One WebSocket to the relay with its requests and replies, what a token says, and the secret that leads back to a seat.
 *
 * Part of telerelay.js; touches WebSocket and sessionStorage.
 */

import { TelerelayError } from "./errors.js";

// A mobile network may take seconds to open a connection; beyond this nobody believes in it.
const CONNECT_TIMEOUT_MS = 8000;
const REPLY_TIMEOUT_MS = 10000;

const CLOSE_CODES = { 4001: "unauthorized", 4003: "forbidden", 4009: "duplicate_join", 4010: "ended" };
/** After these a new join with the same token is useless. */
export const FATAL = new Set(
  "unauthorized token_expired forbidden duplicate_join ended denied consult_over too_early too_late room_full not_found conflict".split(
    " ",
  ),
);

/** One WebSocket: requests with replies, events, and its end. */
export class Signaling {
  #socket;
  #nextId = 1;
  #waiting = new Map();
  #lastError = null;
  onevent = () => {};
  /** Called once with a TelerelayError; `no_network` means that a new socket may be tried. */
  onclose = () => {};

  static open(url) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url);
      const timer = setTimeout(() => socket.close(), CONNECT_TIMEOUT_MS);
      socket.onopen = () => {
        clearTimeout(timer);
        resolve(new Signaling(socket));
      };
      socket.onclose = () => {
        clearTimeout(timer);
        reject(new TelerelayError("no_network"));
      };
    });
  }

  constructor(socket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#onMessage(JSON.parse(data));
    socket.onclose = ({ code }) => this.#end(this.#lastError ?? new TelerelayError(CLOSE_CODES[code] ?? "no_network"));
  }

  /** Send one request; resolves with its reply, rejects with the relay's error, or `no_network` when the socket ends. */
  request(type, fields = {}, timeout_ms = REPLY_TIMEOUT_MS) {
    return new Promise((resolve, reject) => {
      if (this.#socket.readyState !== WebSocket.OPEN) {
        reject(new TelerelayError("no_network"));
        return;
      }
      const id = this.#nextId++;
      // A socket that stays silent is dead, whatever the browser believes.
      const timer = setTimeout(() => this.#end(new TelerelayError("no_network")), timeout_ms);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ type, id, ...fields }));
    });
  }

  close() {
    this.onclose = () => {};
    this.#end(new TelerelayError("left"));
  }

  #onMessage(message) {
    if (message.type === "error" && message.id === undefined) {
      this.#lastError = new TelerelayError(message.code, message.message);
    } else if (message.type !== "reply" && message.type !== "error") {
      this.onevent(message);
    } else {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      clearTimeout(waiting?.timer);
      if (message.type === "reply") waiting?.resolve(message);
      else waiting?.reject(new TelerelayError(message.code, message.message));
    }
  }

  #end(error) {
    this.#socket.onclose = null;
    this.#socket.onmessage = null;
    this.#socket.close();
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(FATAL.has(error.code) ? error : new TelerelayError("no_network"));
    }
    this.#waiting.clear();
    const { onclose } = this;
    this.onclose = () => {};
    onclose(error);
  }
}

/** The seat's resume secret outlives a reload of this tab, and nothing else. */
export const seats = {
  key: (room, sub) => `telerelay:${room}:${sub}`,
  get(room, sub) {
    try {
      return sessionStorage.getItem(this.key(room, sub));
    } catch {
      return null; // storage may be forbidden
    }
  },
  set(room, sub, secret) {
    try {
      if (secret) sessionStorage.setItem(this.key(room, sub), secret);
      else sessionStorage.removeItem(this.key(room, sub));
    } catch {
      /* then a reload takes a new seat */
    }
  },
};

/** The claims of a token, unverified (the relay verifies); null when it is none. */
export function readToken(token) {
  try {
    const payload = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(payload, (char) => char.charCodeAt(0))));
  } catch {
    return null;
  }
}
