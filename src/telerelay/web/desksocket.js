/**
 * A practitioner's desk over the relay's `/desk`: who is there, who waits, what rings (docs/signaling.md).
 *
 * Opened again by itself when its socket is lost, until it is closed or refused for good.
 */

import { TelerelayError } from "./errors.js";

const DEFAULT_URL = new URL("./desk", import.meta.url).href.replace(/^http/, "ws");
const REPLY_TIMEOUT_MS = 10000;
// Something every five seconds: the relay then asks nothing, and we find a dead socket by the answer that is missing.
const BEAT_MS = 5000;
const RETRY_MS = [200, 500, 1000, 2000, 5000];
const FOR_GOOD = new Set(["unauthorized", "token_expired", "forbidden", "bad_message"]);

class DeskEvent extends Event {
  constructor(type, members) {
    super(type);
    Object.assign(this, members);
  }
}

/** An EventTarget: `open`, `lost`, `presence`, `line`, `ringing`, and `closed` with its `code`, after which nothing comes. */
export class Desk extends EventTarget {
  state = "opening"; // open, lost, closed
  sub = "";
  role = "";
  queues = [];
  away = false;
  people = []; // {queue, sub, role, status, since}
  line = []; // {consult, queue, since, emergency, people, free}
  count = 0; // of all in line, shown or not
  calls = []; // {consult, queue, since, until, emergency, missed}
  #options;
  #socket = null;
  #number = 0;
  #asked = new Map(); // number -> {resolve, reject, timer}
  #attempts = 0;
  #timers = new Set();

  constructor(options) {
    super();
    this.#options = options;
    this.#open();
  }

  /** Step away, or be back: nobody is rung who is away, but for an emergency. */
  async setAway(away) {
    this.away = away;
    await this.#request("away", { away });
    this.#emit("presence", { people: this.people });
  }

  /** Answer a consult that rings here, or rang: `{room, token}` leads in. */
  accept(consult) {
    return this.#request("accept", { consult });
  }

  /** It is not for here: the next one is rung. */
  decline(consult) {
    return this.#request("decline", { consult });
  }

  /** The next one who waits at a queue of this desk: `{room, token}` leads in. */
  take(queue) {
    return this.#request("take", { queue });
  }

  /** It goes back into the line. */
  giveBack(consult) {
    return this.#request("give_back", { consult });
  }

  close() {
    this.#end("left");
  }

  async #open() {
    const { token: given, url = DEFAULT_URL } = this.#options;
    let socket;
    try {
      const token = typeof given === "function" ? await given() : given;
      socket = new WebSocket(url);
      this.#socket = socket;
      socket.addEventListener("message", ({ data }) => this.#onMessage(JSON.parse(data)));
      socket.addEventListener("close", () => this.#onLost(socket));
      await new Promise((resolve, reject) => {
        socket.addEventListener("open", resolve, { once: true });
        socket.addEventListener("close", reject, { once: true });
      });
      const reply = await this.#request("open", { token, away: this.away });
      ({ sub: this.sub, role: this.role, queues: this.queues } = reply);
    } catch (error) {
      if (FOR_GOOD.has(error.code)) this.#end(error.code);
      else socket?.close();
      return;
    }
    this.state = "open";
    this.#attempts = 0;
    this.#later(BEAT_MS, () => this.#beat(socket));
    this.#emit("open", {});
  }

  async #beat(socket) {
    if (this.#socket !== socket || this.state !== "open") return;
    try {
      await this.#request("away", { away: this.away });
      this.#later(BEAT_MS, () => this.#beat(socket));
    } catch {
      socket.close();
      this.#onLost(socket); // a dead one closes late
    }
  }

  #request(type, fields) {
    const id = ++this.#number;
    return new Promise((resolve, reject) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) return reject(new TelerelayError("no_network"));
      const timer = setTimeout(() => this.#answer(id, null, new TelerelayError("timeout")), REPLY_TIMEOUT_MS);
      this.#asked.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ type, id, ...fields }));
    });
  }

  #answer(id, reply, error) {
    const asked = this.#asked.get(id);
    if (!asked) return;
    this.#asked.delete(id);
    clearTimeout(asked.timer);
    if (error) asked.reject(error);
    else asked.resolve(reply);
  }

  #onMessage(message) {
    switch (message.type) {
      case "reply":
        this.#answer(message.id, message, null);
        break;
      case "error":
        this.#answer(message.id, null, new TelerelayError(message.code, message.message));
        break;
      case "presence":
        this.people = message.people;
        this.#emit("presence", { people: this.people });
        break;
      case "line":
        [this.line, this.count] = [message.consults, message.count];
        this.#emit("line", { consults: this.line });
        break;
      case "ringing":
        this.calls = message.calls;
        this.#emit("ringing", { calls: this.calls });
        break;
    }
  }

  #onLost(socket) {
    if (this.#socket !== socket || this.state === "closed") return;
    this.#socket = null;
    for (const id of [...this.#asked.keys()]) this.#answer(id, null, new TelerelayError("no_network"));
    this.state = "lost";
    [this.people, this.line, this.count, this.calls] = [[], [], 0, []]; // nothing is known
    this.#later(RETRY_MS[Math.min(this.#attempts++, RETRY_MS.length - 1)], () => this.#open());
    this.#emit("lost", {});
  }

  #end(code) {
    if (this.state === "closed") return;
    this.state = "closed";
    for (const timer of this.#timers) clearTimeout(timer);
    this.#socket?.close();
    [this.people, this.line, this.count, this.calls] = [[], [], 0, []];
    this.#emit("closed", { code });
  }

  #later(delay_ms, action) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (this.state !== "closed") action();
    }, delay_ms);
    this.#timers.add(timer);
  }

  #emit(type, members) {
    const event = new DeskEvent(type, members);
    this.dispatchEvent(event);
    this.#options.onEvent?.(event);
  }
}

/** Open a desk: `{token, url?, onEvent?}`; `token` may be a function, asked again at each opening. */
export function openDesk(options) {
  return new Desk(options);
}
