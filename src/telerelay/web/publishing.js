/**
 * What this participant publishes, and the offers by which the relay gets it.
 *
 * Part of telerelay.js; touches the sending RTCPeerConnection of its call and the tracks it is given.
 */

import { TelerelayError, later } from "./errors.js";
import { SenderLimit, encodings, preferCodec, preferProfile, preferRedundancy } from "./sending.js";

// The relay takes five offers at once, then one in two seconds.
export const REFUSED_PAUSE_MS = 2000;

/**
 * What this participant publishes: one track under one source. `id` is the relay's, null until it knows of it. `muted` is
 * what the person wants; `trouble` is what keeps the source from giving anything: null, "source" (muted by the system or a
 * switch), "interrupted" (a phone call, a page asleep), "device_lost", "permission_denied".
 */
export class LocalPublication {
  id = null;
  muted = false;
  trouble = null;
  /** What the relay says is worth sending: `{max_bps, rids}`, each only where there is a limit; null: all of it. */
  limit = null;
  /** Ids of participants to whom the relay does not send it at the moment, because their line is weak. */
  unseenBy = new Set();
  /** @internal */ transceiver = null;
  /** @internal The reason that the relay knows; null: it takes it for audible; undefined: nobody knows. */ told = null;

  constructor(track, source, options) {
    this.track = track;
    this.kind = track.kind;
    this.source = source;
    this.options = options;
    this.muted = !track.enabled;
    this.ready = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
    this.ready.catch(() => {}); // whoever awaits it hears of it
  }

  /** Why the others get nothing of it: "user" or its trouble; null when they do. */
  get reason() {
    return this.muted ? "user" : this.trouble;
  }
}

/** Whether what its section sends was made for it alone. */
const isShaped = ({ kind, options }) => options.simulcast || (kind === "video" && options.profile);

export class Publishing {
  #call;
  #wires;
  #isDirty = false; // our offer is older than our publications
  #negotiation = null;
  #spare = []; // transceivers whose publication ended: sections cannot go away, so they are used again
  #offering = []; // what the latest offer is of
  #alone = new Set(); // what is offered one after the other: together they were refused
  #limits = new Map(); // what is worth sending, by publication
  #senderLimits = new WeakMap(); // RTCRtpSender -> SenderLimit

  /**
   * `wires`: what the call has to do with it: `connections`, `connect`, `drop`, `channels`, `isOpen` (there is a
   * socket), `emit`, `request`, `fail`.
   */
  constructor(call, wires) {
    this.#call = call;
    this.#wires = wires;
  }

  /** Whether something is not offered yet. */
  get isDirty() {
    return this.#isDirty;
  }

  /** What is worth sending of each publication, as the relay says; of what is not in it, all. */
  setLimits(tracks) {
    this.#limits = new Map(tracks.map(({ publication, ...limit }) => [publication, limit]));
    this.#apply();
  }

  /** Nobody says so any more. */
  forgetLimits() {
    this.#limits.clear();
  }

  /** The connection is gone: the relay knows of no publication. */
  drop() {
    this.#spare = [];
    for (const own of this.#call.publications) {
      Object.assign(own, { id: null, transceiver: null, told: null });
      own.unseenBy.clear();
    }
  }

  /** Offer what is published now. Calls are coalesced; what a lost socket leaves undone, the next join does. */
  negotiate() {
    this.#isDirty = true;
    this.#negotiation ??= this.#negotiateAll().finally(() => (this.#negotiation = null));
    return this.#negotiation;
  }

  async #negotiateAll() {
    while (this.#isDirty && this.#wires.isOpen()) {
      this.#isDirty = false;
      const pc = this.#wires.connect("publish");
      try {
        await this.#offer(pc);
      } catch (error) {
        if (pc !== this.#wires.connections.publish) continue; // begun anew meanwhile
        if (error.code === "no_network") this.#isDirty = true;
        else if (error.code === "too_many_requests") {
          this.#isDirty = true;
          await later(REFUSED_PAUSE_MS);
        } else await this.#withdraw(pc, error);
      }
    }
  }

  async #offer(pc) {
    for (const own of this.#alone) if (!this.#call.publications.includes(own)) this.#alone.delete(own); // taken back
    const [next] = this.#alone;
    this.#offering = this.#call.publications.filter((own) => own === next || !this.#alone.has(own));
    for (const own of this.#offering) own.transceiver ??= await this.#addTransceiver(pc, own);
    const takenBack = this.#offering.filter((own) => !this.#call.publications.includes(own)); // while it was waited for
    for (const own of takenBack) if (own.transceiver.direction === "sendonly") this.retire(own);
    this.#offering = this.#offering.filter((own) => !takenBack.includes(own));
    for (const channel of this.#wires.channels.values()) channel.openOn(pc);
    const isEmpty = pc.getTransceivers().every(({ direction }) => direction === "stopped");
    if (isEmpty && !this.#wires.channels.size) return; // all of it was refused
    const offer = await pc.createOffer();
    await pc.setLocalDescription(offer);
    const offered = this.#offering.filter((own) => own.transceiver?.mid);
    const tracks = offered.map((own) => {
      const encrypted = own.transceiver.sender.transform != null; // or the relay may add copies to sound, and join it
      const { profile } = own.options;
      const more = profile && own.kind === "video" ? { profile } : {};
      return { mid: own.transceiver.mid, source: own.source, muted: own.reason !== null, encrypted, ...more };
    });
    // createOffer's text, not localDescription's: no address of this machine in it.
    const reply = await this.#wires.request("publish", { sdp: offer.sdp, tracks });
    if (pc !== this.#wires.connections.publish) return;
    await pc.setRemoteDescription({ type: "answer", sdp: reply.sdp });
    const ids = new Map(reply.publications.map(({ mid, id }) => [mid, id]));
    for (const [index, own] of offered.entries()) {
      own.id = ids.get(own.transceiver?.mid) ?? null;
      own.told = tracks[index].muted ? (own.told ?? undefined) : null;
      if (own.id) own.resolve(own);
      else this.#refuse(own, new TelerelayError("no_common_codec"));
      this.#alone.delete(own);
    }
    if (this.#alone.size) this.#isDirty = true;
    this.#apply(); // also that there is none: a transceiver may have been another's
    await this.tellMutes();
  }

  async #addTransceiver(pc, own) {
    const { kind, track, options } = own;
    const isOwn = isShaped(own) || (kind === "audio" && own.source !== "microphone"); // its encodings are its own
    const index = isOwn ? -1 : this.#spare.findIndex((spare) => spare.kind === kind);
    let transceiver;
    if (index >= 0) {
      transceiver = this.#spare.splice(index, 1)[0].transceiver;
      transceiver.direction = "sendonly";
      await transceiver.sender.replaceTrack(track);
    } else {
      const streams = [new MediaStream([track])];
      const sendEncodings = encodings(track, own.source, options);
      transceiver = pc.addTransceiver(track, { direction: "sendonly", streams, sendEncodings });
    }
    if (kind === "video") await preferProfile(transceiver, options.profile);
    if (kind === "video") preferCodec(transceiver, options.videoCodec ?? "VP8");
    else if (options.redundancy) preferRedundancy(transceiver);
    return transceiver;
  }

  #apply() {
    for (const own of this.#call.publications) {
      if (!own.id || !own.transceiver) continue;
      const { sender } = own.transceiver;
      own.limit = this.#limits.get(own.id) ?? null;
      if (!this.#senderLimits.has(sender)) this.#senderLimits.set(sender, new SenderLimit(sender));
      this.#senderLimits.get(sender).set(own.limit);
    }
  }

  /** Nothing is sent of it any more. */
  retire(own) {
    const { kind, transceiver } = own;
    if (!transceiver || transceiver.stopped || !this.#wires.connections.publish) return;
    transceiver.direction = "inactive";
    transceiver.sender.replaceTrack(null).catch(() => {});
    if (!isShaped(own)) this.#spare.push({ kind, transceiver });
  }

  /** The relay did not take the offer: go back to what it took last, without those it has never known. */
  async #withdraw(pc, error) {
    const isNew = !pc.currentRemoteDescription;
    if (!isNew) await pc.setLocalDescription({ type: "rollback" }).catch(() => {});
    const unknown = this.#offering.filter((own) => !own.id && this.#call.publications.includes(own));
    // Which of them it is that may not be, is not said.
    const isUnclear = error.code === "forbidden" && unknown.length > 1;
    for (const own of unknown) {
      if (!isNew) own.transceiver?.stop();
      own.transceiver = null;
      if (isUnclear) this.#alone.add(own);
      else {
        this.#alone.delete(own);
        this.#refuse(own, error);
      }
    }
    // Chromium keeps what a first offer was rolled back from, and can make no other of it: another connection can.
    if (isNew) this.#wires.drop("publish");
    if (this.#alone.size || (unknown.length && this.#wires.channels.size)) this.#isDirty = true;
    if (!unknown.length) this.#wires.fail(error);
  }

  #refuse(own, error) {
    this.#call.publications = this.#call.publications.filter((other) => other !== own);
    own.reject(error);
    this.#wires.emit("error", { error, publication: own });
  }

  /** Tell the relay of each that gives nothing, or gives something again, what it does not know yet. */
  async tellMutes() {
    for (const own of this.#call.publications) {
      const { reason } = own;
      if (!own.id || reason === own.told) continue;
      own.told = reason; // before the reply: what changes meanwhile is said after it
      try {
        const why = reason ? { reason } : {};
        await this.#wires.request("mute", { publication: own.id, muted: reason !== null, ...why });
      } catch (error) {
        own.told = undefined; // said again after the next join
        if (error.code !== "no_network") this.#wires.fail(error);
      }
    }
  }
}
