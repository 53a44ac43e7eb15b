/**
 * How well a call goes, from the browser's statistics: the network, each stream, and what the relay is told of it.
 *
 * Part of telerelay.js, which looks twice a second and gives what it finds to these; nothing here keeps a timer, and of
 * the browser it touches getStats of the connections it is given.
 */

// Twice a second: with the limits below everything is told within 3 s of its beginning.
export const LOOK_MS = 500;
// Sound has 50 packets a second and the slowest camera one picture; 1.5 s of nothing is no jitter any more.
const STALLED_MS = 1500;
// The relay acknowledges what we send many times a second; so long without a byte from it, a path carries nothing.
const SILENT_MS = 1500;
// A gap this long between two looks means that the page was asleep: what it did not count is no loss.
export const ASLEEP_MS = 3000;

const REPORT_TIMEOUT_MS = 2000;

/** A connection's statistics, or null: Firefox may never answer for one whose address was just taken away. */
export async function reportOf(pc) {
  if (!pc) return null;
  let timer;
  const none = new Promise((resolve) => (timer = setTimeout(resolve, REPORT_TIMEOUT_MS, null)));
  try {
    return await Promise.race([pc.getStats(), none]);
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}
// Loss is judged over so many looks (2 s); fewer packets than these say nothing.
const WINDOW_LOOKS = 4;
const LEAST_PACKETS = 25;
// Opus conceals up to about a tenth, and resends fill the rest up to a round trip of half a second. Better is half of it.
const POOR = { loss: 0.1, rtt_ms: 500 };
const FAIR = { loss: 0.05, rtt_ms: 350 };
// Twice poor is no accident; 3 s of fair is an end of it.
const POOR_LOOKS = 2;
const FAIR_LOOKS = 6;

/** The candidate pair in use: Firefox has no transport entry that names it. */
function pairOf(report) {
  const entries = [...report.values()];
  const id = entries.find(({ type, selectedCandidatePairId }) => type === "transport" && selectedCandidatePairId);
  if (id) return report.get(id.selectedCandidatePairId) ?? null;
  return entries.find(({ type, nominated, state }) => type === "candidate-pair" && nominated && state === "succeeded");
}

/** What a connection's own checks (RFC 8445, RFC 7675) say of its line; null: no answer yet. */
export function checksOf(report) {
  const pair = report && pairOf(report);
  if (!pair || !Number.isFinite(pair.currentRoundTripTime)) return null;
  const { requestsSent: checks = 0, responsesReceived: answered = 0 } = pair;
  const missing = Math.max(0, checks - answered - 1); // the last one may be under way
  return { rtt_ms: 1000 * pair.currentRoundTripTime, loss: checks ? missing / checks : 0, checks };
}

const total = (entries, member) => entries.reduce((sum, entry) => sum + (entry[member] ?? 0), 0);

/** What two RTCStatsReports (either may be null) say at one time, as running totals. */
export function sampleOf(now_ms, publish, subscribe) {
  const of = (report, type) => [...(report?.values() ?? [])].filter((entry) => entry.type === type);
  const inbound = of(subscribe, "inbound-rtp");
  const remote = of(publish, "remote-inbound-rtp");
  const pair = publish && pairOf(publish);
  const rtts_s = [...remote.map(({ roundTripTime }) => roundTripTime), pair?.currentRoundTripTime];
  return {
    now_ms,
    heard_bytes: pair?.bytesReceived ?? 0,
    sent_packets: total(of(publish, "outbound-rtp"), "packetsSent"),
    sent_lost: total(remote, "packetsLost"),
    received_packets: total(inbound, "packetsReceived"),
    received_lost: total(inbound, "packetsLost"),
    rtt_ms: 1000 * Math.max(0, ...rtts_s.filter(Number.isFinite)),
  };
}

/** How the network is, from one sample after another: "good", "poor" or "silent" (what we send is not answered). */
export class NetworkGauge {
  state = "good";
  rtt_ms = 0;
  loss_up = 0;
  loss_down = 0;
  #samples = [];
  #heard = { bytes: 0, at_ms: 0, sent: 0 };
  #poorLooks = 0;
  #fairLooks = 0;

  /** True if the state is another now. */
  take(sample) {
    const last = this.#samples.at(-1);
    // After sleep, and with another connection, the counters begin anew.
    const isCutOff = last && (sample.now_ms - last.now_ms > ASLEEP_MS || sample.sent_packets < last.sent_packets);
    if (!last || isCutOff) {
      this.#samples = [];
      this.#heard = { bytes: -1, at_ms: 0, sent: 0 };
    }
    this.#samples = [...this.#samples, sample].slice(-WINDOW_LOOKS - 1);
    const before = this.state;
    this.state = this.#isSilent(sample) ? "silent" : this.#judge(before);
    return this.state !== before;
  }

  #isSilent({ now_ms, heard_bytes, sent_packets }) {
    if (heard_bytes !== this.#heard.bytes) this.#heard = { bytes: heard_bytes, at_ms: now_ms, sent: sent_packets };
    const { at_ms, sent } = this.#heard;
    return heard_bytes > 0 && now_ms - at_ms >= SILENT_MS && sent_packets - sent >= LEAST_PACKETS;
  }

  #judge(before) {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    const grown = (member) => Math.max(0, last[member] - first[member]);
    const share = (lost, all) => (all >= LEAST_PACKETS ? Math.min(1, lost / all) : 0);
    this.rtt_ms = last.rtt_ms;
    this.loss_up = share(grown("sent_lost"), grown("sent_packets"));
    this.loss_down = share(grown("received_lost"), grown("received_packets") + grown("received_lost"));
    const loss = Math.max(this.loss_up, this.loss_down);
    const isOver = (limit) => loss >= limit.loss || this.rtt_ms >= limit.rtt_ms;
    this.#poorLooks = isOver(POOR) ? this.#poorLooks + 1 : 0;
    this.#fairLooks = isOver(FAIR) ? 0 : this.#fairLooks + 1;
    const NEXT = {
      good: this.#poorLooks >= POOR_LOOKS ? "poor" : "good",
      poor: this.#fairLooks >= FAIR_LOOKS ? "good" : "poor",
      silent: "good", // it is heard again; how well is seen next
    };
    return NEXT[before];
  }
}

/** Whether anything comes of one publication of somebody else's. */
export class FlowGauge {
  #packets = 0;
  #at_ms = 0;

  /** True if it has stood still for too long; what has never begun has not. */
  isStalled(now_ms, packets, isAwake) {
    if (packets !== this.#packets || !isAwake) {
      this.#packets = packets;
      this.#at_ms = now_ms;
    }
    return packets > 0 && now_ms - this.#at_ms >= STALLED_MS;
  }
}

// ---------------------------------------------------------------------------------------------------- for the relay

// What is worth telling at once: sound made up for more than half a percent, a picture that stood still, a line that holds
// our encoder back.
const CONCEALED_SHARE = 0.005;
// An encoder that gets less of what it may take is held back by the line, whatever else holds it back.
const GIVEN_SHARE = 0.5;

const share = (part, whole) => (whole > 0 ? Math.min(1, Math.max(0, part / whole)) : 0);
const rounded = (value, digits = 3) => Number(value.toFixed(digits));

/** What only the browser can see of each publication since the last time: the tracks of a `report` (docs/signaling.md). */
export class TrackReporter {
  #before = new Map(); // id of the statistics' entry -> entry
  #at_ms = 0;
  #isNotable = false;

  /** Whether the relay should hear of this before its time. */
  get isNotable() {
    return this.#isNotable;
  }

  /**
   * `publish`, `subscribe`: RTCStatsReports, either may be null; `idOf(entry)`: the publication of an entry, or null;
   * `mostOf(entry)`: what an encoding may take, bit/s, or null. Gives the tracks, without those that are seen for the first
   * time.
   */
  take(now_ms, publish, subscribe, idOf, mostOf = () => null) {
    const before = this.#before;
    const seconds = (now_ms - this.#at_ms) / 1000;
    this.#before = new Map();
    this.#at_ms = now_ms;
    this.#isNotable = false;
    const tracks = new Map();
    for (const [report, type, describe] of [
      [publish, "outbound-rtp", this.#sent],
      [subscribe, "inbound-rtp", this.#received],
    ]) {
      for (const entry of report?.values() ?? []) {
        const publication = entry.type === type ? idOf(entry) : null;
        if (!publication) continue;
        this.#before.set(entry.id, entry);
        const last = before.get(entry.id);
        if (last) describe(tracks, publication, last, entry, seconds, mostOf);
      }
    }
    for (const { concealed = 0, frozen = 0, limited = false } of tracks.values()) {
      this.#isNotable ||= concealed > CONCEALED_SHARE || frozen > 0 || limited;
    }
    return [...tracks.values()];
  }

  /** Of several encodings the one with the most frames. */
  #sent(tracks, publication, last, entry, seconds, mostOf) {
    if (entry.kind !== "video") return;
    const known = tracks.get(publication) ?? { publication, frames_per_s: 0, limited: false };
    const frames_per_s = rounded(Math.max(0, entry.framesEncoded - last.framesEncoded) / seconds, 1);
    known.frames_per_s = Math.min(1000, Math.max(known.frames_per_s, frames_per_s));
    // A device that is short of both says "cpu" and nothing of its line: what that gives the encoder tells.
    const { qualityLimitationReason: reason, targetBitrate: given_bps } = entry;
    known.limited ||= reason === "bandwidth" || (reason === "cpu" && given_bps < GIVEN_SHARE * (mostOf(entry) ?? 0));
    tracks.set(publication, known);
  }

  #received(tracks, publication, last, entry, seconds) {
    const grown = (member) => (entry[member] ?? 0) - (last[member] ?? 0);
    if (entry.kind === "video") {
      tracks.set(publication, {
        publication,
        frozen: rounded(share(grown("totalFreezesDuration"), seconds)),
        frames_per_s: rounded(Math.min(1000, Math.max(0, grown("framesDecoded") / seconds)), 1),
      });
      return;
    }
    const concealed = grown("concealedSamples") - grown("silentConcealedSamples");
    const emitted = grown("jitterBufferEmittedCount");
    const buffer_ms = emitted > 0 ? (1000 * grown("jitterBufferDelay")) / emitted : 0;
    tracks.set(publication, {
      publication,
      concealed: rounded(share(concealed, grown("totalSamplesReceived"))),
      buffer_ms: rounded(Math.min(60_000, Math.max(0, buffer_ms)), 0),
    });
  }
}

/** What a report counts of one stream that is sent or received. */
export function numbersOf(report, entry) {
  return {
    codec: report.get(entry.codecId)?.mimeType ?? null,
    packets: entry.packetsSent ?? entry.packetsReceived ?? 0,
    packets_lost: entry.packetsLost ?? 0,
    size_bytes: entry.bytesSent ?? entry.bytesReceived ?? 0,
    frames: entry.framesEncoded ?? entry.framesDecoded ?? 0,
    frames_per_second: entry.framesPerSecond ?? 0,
    width: entry.frameWidth ?? 0,
    height: entry.frameHeight ?? 0,
    audio_level: entry.audioLevel ?? 0,
    audio_energy: entry.totalAudioEnergy ?? 0,
    freezes: entry.freezeCount ?? 0,
    jitter_ms: (entry.jitter ?? 0) * 1000,
  };
}
