/**
 * What comes, and how well: a look twice a second at what both connections count, and what the relay is told of it.
 *
 * Part of telerelay.js; keeps one timer, and touches the RTCPeerConnections of its call.
 */

import { ASLEEP_MS, FlowGauge, LOOK_MS, NetworkGauge, TrackReporter, reportOf, sampleOf } from "./measuring.js";

// Looks from one report of bad things to the next: the relay judges calls every two seconds.
const REPORT_LOOKS = 4;
// A picture that is sent again begins with a keyframe, which a weak line takes this long to bring at the most.
const COMES_MS = 3000;

export class Looking {
  #call;
  #wires;
  #timer = null;
  #isLooking = false;
  #looked_ms = 0;
  #paused = new Set(); // ids of publications we asked not to have
  #flows = new WeakMap(); // publication -> FlowGauge
  #sentSince_ms = new WeakMap(); // publication -> when the relay held it back last, or sent it again
  #gauge = new NetworkGauge();
  #reporter = new TrackReporter();
  #tracks = []; // of the next report
  #looks = 0;

  /** `wires`: what the call has to do with it, `connections`, `receivedOf`, `emit` and `request`. */
  constructor(call, wires) {
    this.#call = call;
    this.#wires = wires;
  }

  start() {
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS);
  }

  stop() {
    clearInterval(this.#timer);
  }

  /** What we asked not to have does not stall. */
  setPaused(id, paused) {
    if (paused) this.#paused.add(id);
    else this.#paused.delete(id);
  }

  /** The relay holds it back from now on, or sends it again. */
  mark(publication) {
    this.#sentSince_ms.set(publication, performance.now());
  }

  async #look() {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const { publish: up, subscribe: down } = this.#wires.connections;
    const [publish, subscribe] = await Promise.all([up, down].map(reportOf));
    this.#isLooking = false;
    if (this.#call.state === "ended") return;
    const now_ms = performance.now();
    const isAwake = now_ms - this.#looked_ms < ASLEEP_MS;
    this.#looked_ms = now_ms;
    for (const entry of subscribe?.values() ?? []) {
      const received = entry.type === "inbound-rtp" ? this.#wires.receivedOf(entry) : null;
      if (received) this.#lookAtFlow(received, now_ms, entry.packetsReceived ?? 0, isAwake);
    }
    if (isAwake && ++this.#looks % REPORT_LOOKS === 0) this.#lookAtTracks(now_ms, publish, subscribe);
    if (!this.#gauge.take(sampleOf(now_ms, publish, subscribe))) return;
    const before = this.#call.network;
    const { state, rtt_ms, loss_up, loss_down } = this.#gauge;
    this.#call.network = state;
    this.#wires.emit("network", { state, before, rtt_ms, loss_up, loss_down });
  }

  #lookAtTracks(now_ms, publish, subscribe) {
    const idOf = (entry) => {
      if (entry.type === "inbound-rtp") return this.#judged(this.#wires.receivedOf(entry)?.publication, now_ms);
      return this.#call.publications.find(({ transceiver }) => transceiver?.mid === entry.mid)?.id ?? null;
    };
    const mostOf = ({ mid, rid }) => {
      const own = this.#call.publications.find(({ transceiver }) => transceiver?.mid === mid);
      const all = own?.transceiver.sender.getParameters().encodings ?? [];
      const found = all.find((each) => !rid || each.rid === rid);
      return found?.active ? (found.maxBitrate ?? null) : null;
    };
    const wasNotable = this.#reporter.isNotable;
    this.#tracks = this.#reporter.take(now_ms, publish, subscribe, idOf, mostOf);
    // That it is over is news as well.
    if (this.#reporter.isNotable || wasNotable) this.report();
  }

  /** Its id; null where the relay holds it back, or did just now: browsers count that as one long freeze. */
  #judged(publication, now_ms) {
    if (!publication || publication.paused) return null;
    return now_ms - (this.#sentSince_ms.get(publication) ?? -Infinity) > COMES_MS ? publication.id : null;
  }

  /** Tell the relay what only we can see; its reply also shows that the socket lives. */
  report() {
    this.#wires.request("report", { tracks: this.#tracks }).catch(() => {});
  }

  #lookAtFlow({ participant, publication }, now_ms, packets, isAwake) {
    if (!this.#flows.has(publication)) this.#flows.set(publication, new FlowGauge());
    // What is not sent to us does not stall, and what is sent again has its time to come.
    const isSent = !publication.paused && !this.#paused.has(publication.id);
    const stalled = this.#flows.get(publication).isStalled(now_ms, packets, isAwake && isSent);
    if (publication.stalled === stalled) return;
    publication.stalled = stalled;
    this.#wires.emit(stalled ? "stalled" : "flowing", { participant, publication });
  }
}
