/**
 * Media elements of the page: whose streams they show, where their sound comes out, and the click that some browsers want.
 *
 * Part of telerelay.js; touches the elements it is given.
 */

export class Elements {
  #elements = new Set();
  #sink = "";

  /** Play sound on that output device, "" for any. */
  async setSink(deviceId) {
    this.#sink = deviceId;
    await Promise.all([...this.#elements].map((element) => element.setSinkId?.(deviceId)));
  }

  /** Resolves to false when the browser wants a click before it plays sound: the picture then runs muted. */
  async attach(element, stream) {
    this.#elements.add(element);
    if (element.srcObject !== stream) element.srcObject = stream;
    if (this.#sink) await element.setSinkId?.(this.#sink).catch(() => {});
    try {
      await element.play();
      return !element.muted;
    } catch (error) {
      if (error.name !== "NotAllowedError") return true; // replaced while loading
      element.muted = true;
      element.play().catch(() => {});
      return false;
    }
  }

  detach(element) {
    this.#elements.delete(element);
    element.srcObject = null;
  }

  /** From a click: let all of them play their sound. */
  async startSound() {
    for (const element of this.#elements) element.muted = false;
    await Promise.all([...this.#elements].map((element) => element.play()));
  }
}
