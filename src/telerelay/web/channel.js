/**
 * Messages to and from everyone else in the room: one label over whatever data channel carries it.
 *
 * Part of telerelay.js, whose `Call.channel` makes them; touches the RTCPeerConnections that it is given.
 */

import { CallEvent, TelerelayError } from "./errors.js";

// What the relay takes (docs/signaling.md), and how much may wait here before `drained` is worth waiting for.
const MAX_MESSAGE_BYTES = 65536;
const MAX_BUFFERED_BYTES = 262144;

/**
 * Messages to and from everyone else in the room under one label, made by `Call.channel`. Events: `open`, `close`, and
 * `message`, whose `data` is a string or an ArrayBuffer; `onmessage` is called with it too.
 */
export class Channel extends EventTarget {
  onmessage = null;
  /** @internal What the page asked for; null as long as only others use the label. */ options = null;
  #lines = new Map(); // what carries the label, ours or the relay's, with its connection
  // Those that were open a task ago. Chromium counts what leaves from then on: what is sent in the task in which a channel
  // is given to us, or opens, and leaves before that task ends, stays in `bufferedAmount` for ever (seen in 156).
  #opened = new WeakSet();
  #chosen = null; // what we send on: one and the same as long as it is open, or messages could overtake each other

  constructor(label) {
    super();
    this.label = label;
  }

  get isOpen() {
    return Boolean(this.#open());
  }

  /** Bytes that wait to be sent. */
  get bufferedAmount() {
    return this.#open()?.bufferedAmount ?? 0;
  }

  /** Resolves once messages can be sent. */
  ready() {
    return this.#until(() => this.isOpen);
  }

  /** Resolves once less than that waits: the way to send much. */
  drained(below_bytes = MAX_BUFFERED_BYTES) {
    const line = this.#open();
    if (line) line.bufferedAmountLowThreshold = below_bytes;
    return this.#until(() => this.bufferedAmount <= below_bytes);
  }

  /** Send a string, an ArrayBuffer or a view of one. Throws `too_large` or `not_open`. */
  send(data) {
    const size = typeof data === "string" ? new TextEncoder().encode(data).length : data.byteLength;
    if (size > MAX_MESSAGE_BYTES) throw new TelerelayError("too_large");
    const line = this.#open();
    if (!line) throw new TelerelayError("not_open");
    line.send(data);
  }

  /** Close it for oneself; the others' go on. */
  close() {
    this.options = null;
    for (const line of this.#lines.keys()) line.close();
  }

  /** @internal Whether anything carries it. */
  get isCarried() {
    return this.#lines.size > 0;
  }

  /** @internal Open it on a connection of ours, unless something carries it already. */
  openOn(pc) {
    if (this.options && !this.isCarried) this.add(pc.createDataChannel(this.label, this.options), pc);
  }

  /** @internal `onGone` is called when this line has closed. */
  add(line, pc, onGone = () => {}) {
    line.binaryType = "arraybuffer";
    this.#lines.set(line, pc);
    line.onopen = () =>
      setTimeout(() => {
        this.#opened.add(line);
        if (this.#lines.has(line)) this.dispatchEvent(new CallEvent("open", {}));
      });
    line.onbufferedamountlow = () => this.dispatchEvent(new CallEvent("drain", {}));
    line.onmessage = ({ data }) => {
      const event = new CallEvent("message", { data });
      this.dispatchEvent(event);
      this.onmessage?.(event);
    };
    line.onclose = () => {
      if (this.#lines.delete(line) && !this.isCarried) this.dispatchEvent(new CallEvent("close", {}));
      onGone();
    };
  }

  /** @internal A connection is gone, and what it carried. */
  drop(pc) {
    const had = this.isCarried;
    for (const [line, on] of this.#lines) if (on === pc) this.#lines.delete(line);
    if (had && !this.isCarried) this.dispatchEvent(new CallEvent("close", {}));
  }

  #open() {
    const isUsable = (line) => this.#lines.has(line) && this.#opened.has(line) && line.readyState === "open";
    if (!isUsable(this.#chosen)) this.#chosen = [...this.#lines.keys()].find(isUsable);
    return this.#chosen;
  }

  #until(condition) {
    const types = ["open", "close", "drain"];
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return;
        for (const type of types) this.removeEventListener(type, look);
        resolve();
      };
      for (const type of types) this.addEventListener(type, look);
      look();
    });
  }
}
