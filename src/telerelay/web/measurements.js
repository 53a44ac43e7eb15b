/**
 * Measurements in the browser: what a device measures goes out and is kept until it is safe; what others measure comes in
 * once and in order. docs/measurements.md has the messages.
 *
 * Beside telerelay.js, of which it uses public names only. Keeps one timer while it is open; of the page it touches nothing.
 */

export const PROTOCOL = "telerelay.measurements.1";
const LABEL = "measurements";

// Of one message: eight seconds of a wave of 250 Hz. Of what may be on its way: a minute of it.
const MAX_SAMPLES = 2000;
const WINDOW_SAMPLES = 16_384;
const SEND_BELOW_BYTES = 65_536;
// A relay that does not answer a hello by then does not know the channel: another one is opened.
const WELCOME_MS = 5000;
// What came is confirmed that often: sooner tells nobody anything new.
const CONFIRM_MS = 100;
// Series that one hello may name: of others the relay may send again what is here, and nothing else.
const MAX_NAMED = 64;
const FINAL = new Set(["type_not_allowed", "too_many_series", "conflict"]);

const nameOf = ({ device, series }) => `${device}\n${series}`;
const keyOf = ({ sub, device, series }) => `${sub}\n${device}\n${series}`;

/** The same batch without the samples before `seq`, which is within it. */
function after(batch, seq, rate_hz) {
  const cut = seq - batch.seq;
  if (cut <= 0) return batch;
  const isWave = batch.times.length === 1 && rate_hz > 0;
  const times = isWave ? [batch.times[0] + cut / rate_hz] : batch.times.slice(cut);
  return { ...batch, seq, times, values: batch.values.slice(cut) };
}

/**
 * One's end of a room's measurements. With `receive` it has what others measure. Events: `series` ({sub, series}), `batch`
 * ({sub, series, batch}: `times` in Unix seconds by the sender's clock, one or, of a wave, that of the first value alone;
 * with `media_offset_s` added by the relay's, as `estimatedPlayoutTimestamp` is), `gap` ({sub, series, first, next}: these
 * will not come), `refused` ({code, message, device, series}).
 */
export class Measurements extends EventTarget {
  #channel;
  #receive;
  #kept = new Map(); // device and series -> {series, base, next, cursor, batches, isDeclared, isRefused}
  #named = new Map(); // the same, by the name that the page gave
  #heard = new Map(); // sub, device and series -> {sub, series, next, told}
  #texts = [];
  #timer;
  #call;
  #isWelcome = false;
  #greeted_ms = 0;

  constructor(call, { receive = false } = {}) {
    super();
    this.#receive = receive;
    this.#call = call;
    call.addEventListener("reconnected", this.#begin); // another relay may be behind the channel
    this.#channel = call.channel(LABEL, { protocol: PROTOCOL });
    this.#channel.addEventListener("open", this.#begin);
    this.#channel.addEventListener("drain", this.#pump);
    this.#channel.addEventListener("message", this.#onMessage);
    this.#timer = setInterval(this.#pump, CONFIRM_MS);
    if (this.#channel.isOpen) this.#begin();
  }

  close() {
    clearInterval(this.#timer);
    this.#call.removeEventListener("reconnected", this.#begin);
    this.#channel.removeEventListener("open", this.#begin);
    this.#channel.removeEventListener("drain", this.#pump);
    this.#channel.removeEventListener("message", this.#onMessage);
    this.#channel.close();
  }

  /** Samples that are not safe yet. */
  get waiting() {
    return [...this.#kept.values()].reduce((sum, { base, next }) => sum + next - base, 0);
  }

  /**
   * `{device, series, kind: "value" | "wave", of, unit, rate_hz, codes}`: there is such a series from now on. Its name gets
   * an end of its own, for numbers begin at 0 here: after a reload it is another series.
   */
  declare(series) {
    const sent = { ...series, series: `${series.series}.${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}` };
    const fresh = { series: sent, base: 0, next: 0, cursor: 0, batches: [], isDeclared: false, isRefused: false };
    if (!this.#named.has(nameOf(series))) {
      this.#named.set(nameOf(series), fresh);
      this.#kept.set(nameOf(sent), fresh);
    }
    this.#pump();
  }

  /** Samples that follow the last ones of a series; `times` in Unix seconds, of a wave that of the first alone. */
  record(series, times, values, device_at = undefined) {
    const kept = this.#named.get(nameOf(series));
    const { device, series: name } = kept.series;
    const isWave = kept.series.kind === "wave";
    for (let at = 0; at < values.length; at += MAX_SAMPLES) {
      const part = values.slice(at, at + MAX_SAMPLES);
      const step = at / (kept.series.rate_hz || 1);
      const when = isWave ? [times[0] + step] : times.slice(at, at + MAX_SAMPLES);
      const own = device_at === undefined ? {} : { device_at: device_at + (isWave ? step : when[0] - times[0]) };
      kept.batches.push({ device, series: name, seq: kept.next, times: when, values: part, ...own });
      kept.next += part.length;
    }
    this.#pump();
  }

  // ------------------------------------------------------------------ the channel

  #begin = () => {
    for (const each of this.#heard.values()) each.told = 0; // of more than may be named it is confirmed one by one
    const has = [...this.#heard.values()].slice(-MAX_NAMED).map((each) => {
      each.told = each.next;
      return { sub: each.sub, device: each.series.device, series: each.series.series, next: each.next };
    });
    this.#isWelcome = false;
    this.#greeted_ms = performance.now();
    this.#texts = [{ type: "hello", receive: this.#receive, ...(has.length ? { has } : {}) }];
    for (const kept of this.#kept.values()) kept.isDeclared = false;
    this.#pump();
  };

  #pump = () => {
    const isStrange = this.#channel.isOpen && !this.#isWelcome && performance.now() - this.#greeted_ms > WELCOME_MS;
    if (isStrange) {
      this.#greeted_ms = performance.now();
      this.#channel.close();
      this.#call.channel(LABEL, { protocol: PROTOCOL });
      return;
    }
    while (this.#channel.isOpen && this.#channel.bufferedAmount < SEND_BELOW_BYTES) {
      const said = this.#next();
      if (!said) return;
      this.#channel.send(JSON.stringify(said));
    }
  };

  #next() {
    if (this.#texts.length) return this.#texts.shift();
    for (const kept of this.#kept.values()) {
      if (kept.isRefused) continue;
      if (!kept.isDeclared) {
        kept.isDeclared = true;
        kept.cursor = kept.base;
        return { type: "series", base: kept.base, sent_at: Date.now() / 1000, ...kept.series };
      }
      if (kept.cursor < kept.next && kept.cursor - kept.base < WINDOW_SAMPLES) {
        const batch = kept.batches.find(({ seq, values }) => seq + values.length > kept.cursor);
        kept.cursor = batch.seq + batch.values.length;
        return { type: "samples", ...batch, sent_at: Date.now() / 1000 };
      }
    }
    for (const each of this.#heard.values()) {
      if (each.told >= each.next) continue;
      each.told = each.next;
      return { type: "got", sub: each.sub, device: each.series.device, series: each.series.series, next: each.next };
    }
    return null;
  }

  #onMessage = ({ data }) => {
    const said = JSON.parse(data);
    const kept = this.#kept.get(nameOf(said));
    switch (said.type) {
      case "welcome":
        this.#isWelcome = true;
        break;
      case "again":
        this.#begin();
        break;
      case "acked":
        if (!kept || said.next <= kept.base || said.next > kept.next) break;
        kept.base = said.next;
        kept.cursor = Math.max(kept.cursor, said.next);
        kept.batches = kept.batches.filter(({ seq, values }) => seq + values.length > said.next);
        break;
      case "resend":
        if (kept) kept.cursor = Math.min(Math.max(kept.base, said.next), kept.next);
        break;
      case "refused":
        if (kept && FINAL.has(said.code)) kept.isRefused = true;
        this.#emit("refused", said);
        break;
      case "series":
        this.#onSeries(said);
        break;
      case "samples":
        this.#onSamples(said);
        return; // confirmed by the timer, once for several
    }
    this.#pump();
  };

  #onSeries({ type, sub, next, ...series }) {
    if (!sub) return; // nobody's
    const known = this.#heard.get(keyOf({ sub, ...series }));
    const first = known?.next ?? 0;
    if (!known) this.#heard.set(keyOf({ sub, ...series }), { sub, series, next, told: next });
    else if (next > known.next) known.next = known.told = next;
    this.#emit("series", { sub, series });
    if (next > first) this.#emit("gap", { sub, series, first, next });
  }

  #onSamples({ type, sub, ...batch }) {
    const heard = this.#heard.get(keyOf({ sub, ...batch }));
    if (!heard || batch.seq + batch.values.length <= heard.next) return;
    if (batch.seq > heard.next) {
      this.#emit("gap", { sub, series: heard.series, first: heard.next, next: batch.seq });
      heard.next = batch.seq;
    }
    const fresh = after(batch, heard.next, heard.series.rate_hz);
    heard.next = fresh.seq + fresh.values.length;
    this.#emit("batch", { sub, series: heard.series, batch: fresh });
  }

  #emit(type, detail) {
    this.dispatchEvent(Object.assign(new Event(type), detail));
  }
}
