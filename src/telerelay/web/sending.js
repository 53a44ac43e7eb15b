/**
 * What one RTCRtpSender sends: its encodings, its codec, and how much of it is worth sending just now.
 *
 * Part of telerelay.js; nothing here keeps a timer, and of the browser it touches the senders it is given.
 */

import { TelerelayError } from "./errors.js";

/** Sources that show what the consultation is about. */
const EXAMINED = new Set(["scope", "document"]);

/**
 * What a picture must not lose where it cannot have everything, and what the browser is asked for it. A gait needs its
 * frames: twice as many as a face, and for them more than libwebrtc gives 30 of these lines.
 */
const ASKED = {
  talk: { hint: "" },
  motion: { hint: "motion", preference: "maintain-framerate", frameRate: 60, high_bps: 4_000_000, low_bps: 2_500_000 },
  detail: { hint: "detail", preference: "maintain-resolution" },
};

/** Names of profiles. */
export const PROFILES = Object.keys(ASKED);

/** What a profile asks for; throws "bad_option" where there is none of that name. */
export function profileOf(name = "talk") {
  if (Object.hasOwn(ASKED, name)) return ASKED[name];
  throw new TelerelayError("bad_option", `profile must be one of ${PROFILES.join(", ")}`);
}

/** Let the encoder give up the other thing first. Browsers without `degradationPreference` go by the track's hint. */
export async function preferProfile({ sender }, name) {
  const { preference } = profileOf(name);
  const parameters = preference && sender.getParameters();
  if (parameters) await sender.setParameters({ ...parameters, degradationPreference: preference }).catch(() => {});
}

/** The encodings of a track, smallest first. */
export function encodings(track, source, { simulcast = false, maxBitrate, profile } = {}) {
  // Where the line is thin a voice goes to packets of 60 ms by itself; what an instrument hears stays as it is.
  if (track.kind !== "video") return [{ adaptivePtime: source === "microphone" }];
  // libwebrtc's own ceilings for these sizes: beyond them the picture gains nothing.
  const { frameRate, high_bps = 2_500_000, low_bps = 1_500_000 } = profileOf(profile);
  const max_bps = maxBitrate ?? ((track.getSettings().height ?? 480) > 480 ? high_bps : low_bps);
  const all = simulcast
    ? [
        { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
        { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500_000 },
        { rid: "f", maxBitrate: max_bps },
      ]
    : [{ maxBitrate: max_bps }];
  // A thin line is divided in this proportion: what is examined has four times what a face has.
  const more = { ...(EXAMINED.has(source) && { priority: "high" }), ...(frameRate && { maxFramerate: frameRate }) };
  return all.map((each) => ({ ...each, ...more }));
}

// With less than this of its rate a picture looks worse than the next smaller one does with all of its own.
const LEAST_SHARE = 1 / 3;

/** Make encodings, smallest first, what is worth sending of `base`, which they were before any limit. */
function limitEncodings(encodings, base, limit) {
  let left_bps = limit?.max_bps ?? Infinity;
  let isFirst = true;
  for (const [index, encoding] of encodings.entries()) {
    const { rid, active, maxBitrate: most_bps = Infinity } = base[index];
    const isWanted = !limit?.rids || (rid ? limit.rids.includes(rid) : limit.rids.length > 0);
    const isWorth = isFirst ? left_bps > 0 : left_bps >= LEAST_SHARE * most_bps;
    encoding.active = active !== false && isWanted && isWorth;
    const max_bps = encoding.active ? Math.min(most_bps, left_bps) : most_bps;
    if (encoding.active) {
      left_bps -= max_bps;
      isFirst = false;
    }
    if (max_bps === Infinity) delete encoding.maxBitrate;
    else encoding.maxBitrate = max_bps;
  }
}

/** What one RTCRtpSender may send; of several limits in a row the last one is applied. */
export class SenderLimit {
  #sender;
  #base = null; // its encodings before any limit
  #limit = null;
  #applying = null;

  constructor(sender) {
    this.#sender = sender;
  }

  /** `{max_bps, rids}`, or null. Unless one is being applied, it is when this returns: a frame more costs what it costs. */
  set(limit) {
    if (limit === this.#limit) return;
    this.#limit = limit;
    this.#applying ??= this.#apply().finally(() => (this.#applying = null));
  }

  async #apply() {
    let applied;
    do {
      applied = this.#limit;
      const parameters = this.#sender.getParameters();
      if (!parameters.encodings?.length) return;
      this.#base ??= parameters.encodings.map(({ rid, active, maxBitrate }) => ({ rid, active, maxBitrate }));
      limitEncodings(parameters.encodings, this.#base, applied);
      await this.#sender.setParameters(parameters).catch(() => {}); // it was stopped
    } while (applied !== this.#limit);
  }
}

/** Have a voice sent as RED, each packet with the one before in it: a browser does where the relay's answer has it first. */
export function preferRedundancy(transceiver) {
  const { codecs } = RTCRtpSender.getCapabilities("audio") ?? { codecs: [] };
  const rank = ({ mimeType }) => (/^audio\/red$/i.test(mimeType) ? 0 : 1);
  try {
    transceiver.setCodecPreferences([...codecs].sort((a, b) => rank(a) - rank(b)));
  } catch {
    /* a browser without it sends what it would have */
  }
}

/** Put the wanted codec first; what else the browser has stays behind it. */
export function preferCodec(transceiver, name) {
  const { codecs } = RTCRtpSender.getCapabilities("video") ?? { codecs: [] };
  // Mode 1 constrained baseline is the one H.264 that everybody has.
  const rank = ({ mimeType, sdpFmtpLine = "" }) => {
    if (mimeType.toLowerCase() !== `video/${name.toLowerCase()}`) return 2;
    return /H264/i.test(name) && !/packetization-mode=1.*42e0|42e0.*packetization-mode=1/i.test(sdpFmtpLine) ? 1 : 0;
  };
  try {
    transceiver.setCodecPreferences([...codecs].sort((a, b) => rank(a) - rank(b)));
  } catch {
    /* a browser without it sends what the relay's answer lists first */
  }
}
