/**
 * What the modules of telerelay.js share: errors with stable codes, events, and a pause.
 *
 * Part of telerelay.js; touches nothing but what it is given.
 */

const SENTENCES = {
  permission_denied: "The browser may not use this device.",
  no_device: "There is no such device.",
  device_busy: "Another program uses this device.",
  device_failed: "The device cannot be opened.",
  insecure_context: "Camera and microphone need a page served over HTTPS.",
  unsupported: "This browser has no WebRTC.",
  no_network: "The relay cannot be reached.",
  media_blocked: "Sound and picture do not get through this network.",
  bad_option: "An option is not one there is.",
  no_common_codec: "The relay and this browser have no codec in common.",
  unauthorized: "The token is missing or not valid.",
  forbidden: "The token does not open this room.",
  duplicate_join: "The same person joined in another window.",
  ended: "The call was ended.",
  denied: "The consult could not be entered.",
  left: "The call was left.",
  too_large: "The message is larger than the relay takes.",
  not_open: "The data channel is not open.",
};

/** What went wrong: `code` is stable (docs/browser.md lists them), `message` an English sentence. */
export class TelerelayError extends Error {
  constructor(code, message = SENTENCES[code] ?? code, options = undefined) {
    super(message, options);
    this.name = "TelerelayError";
    this.code = code;
  }
}

/** An event of a Call; its members are properties, as with the browser's own events. */
export class CallEvent extends Event {
  constructor(type, members) {
    super(type);
    for (const [name, value] of Object.entries(members)) Object.defineProperty(this, name, { value, enumerable: true });
  }
}

/** For tables of events: add or remove all of them at once. */
export function listen(isOn, target, handlers) {
  for (const [type, handler] of Object.entries(handlers)) {
    target?.[isOn ? "addEventListener" : "removeEventListener"]?.(type, handler);
  }
}

export const later = (delay_ms) => new Promise((resolve) => setTimeout(resolve, delay_ms));
