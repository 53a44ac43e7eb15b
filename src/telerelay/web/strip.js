/**
 * The measurement strip of the consult page: a live wave for each that is measured so, and the latest of each value.
 *
 * Uses measurements.js and the document's `strip`. Nothing that was measured is kept beyond what is shown, and all of it
 * goes with the call.
 */

import { Measurements } from "./measurements.js";
import { $, page, say, setText } from "./state.js";

/** Who examines, and whom measurements are for. */
const READERS = new Set(["practitioner", "requester", "expert", "assistant"]);

// Six seconds across, as on paper: a beat is as wide as a doctor is used to.
const SHOWN_S = 6;
// So old a value is not what is now.
const STALE_MS = 10_000;

/** Values whose name the page has words for (strings.js, `measured_…`); of others the sender's word is shown. */
const KNOWN = new Set(["ecg", "pleth", "heart_rate", "spo2", "temperature", "respiratory_rate", "body_weight"]);

let measurements = null;
const rows = new Map(); // sub, device and series -> row

/** Open the channel once somebody is there who measures; after the call nothing is left. */
export function renderStrip() {
  const { call } = page;
  if (!call) {
    forget();
    return;
  }
  const isMeasured = [...call.participants.values()].some(({ role }) => role === "device");
  if (!measurements && isMeasured && call.admitted && READERS.has(call.role)) open(call);
  $("strip").hidden = !rows.size;
  for (const row of rows.values()) label(row);
}

function open(call) {
  measurements = new Measurements(call, { receive: true });
  measurements.addEventListener("series", ({ sub, series }) => {
    rowOf(sub, series);
    page.render();
  });
  measurements.addEventListener("batch", ({ sub, series, batch }) => take(rowOf(sub, series), batch));
}

function forget() {
  measurements?.close();
  measurements = null;
  for (const { element } of rows.values()) element.remove();
  rows.clear();
}

function rowOf(sub, series) {
  const key = [sub, series.device, series.series].join("\n");
  if (rows.has(key)) return rows.get(key);
  const element = $(series.kind === "wave" ? "strip-wave" : "strip-value").content.firstElementChild.cloneNode(true);
  const [name, value, canvas] = [".name", ".value", "canvas"].map((each) => element.querySelector(each));
  const row = { element, name, value, canvas, series, samples: [], latest_ms: 0, isDue: false };
  rows.set(key, row);
  $("strip-rows").append(element);
  label(row);
  return row;
}

function label({ series, name, element, latest_ms, canvas }) {
  const words = KNOWN.has(series.of) ? say(`measured_${series.of}`) : series.of;
  setText(name, words);
  element.dataset.stale = latest_ms > 0 && performance.now() - latest_ms > STALE_MS;
  canvas?.setAttribute("aria-label", say("strip_wave", { what: words }));
}

function take(row, batch) {
  row.latest_ms = performance.now();
  const { values } = batch;
  if (row.canvas) {
    row.samples.push(...values);
    const most = Math.round(SHOWN_S * row.series.rate_hz);
    if (row.samples.length > most) row.samples.splice(0, row.samples.length - most);
    if (!row.isDue) {
      row.isDue = true;
      requestAnimationFrame(() => draw(row));
    }
    return;
  }
  const value = values.at(-1);
  const number = value === null ? "–" : new Intl.NumberFormat(page.language, { maximumFractionDigits: 2 }).format(value);
  setText(row.value, row.series.unit ? `${number} ${row.series.unit}` : number);
}

/** The newest at the right edge; where nothing was measured the line has a hole. */
function draw(row) {
  row.isDue = false;
  const { canvas, samples } = row;
  const scale = globalThis.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth * scale, canvas.clientHeight * scale].map(Math.round);
  if (!width || !height) return;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  const found = samples.filter((value) => value !== null);
  const [low, high] = [Math.min(...found), Math.max(...found)];
  const span = high - low || 1;
  const most = Math.round(SHOWN_S * row.series.rate_hz);
  context.strokeStyle = getComputedStyle(canvas).color;
  context.lineWidth = 1.5 * scale;
  context.beginPath();
  let isDown = false;
  for (const [index, value] of samples.entries()) {
    if (value === null) {
      isDown = false;
      continue;
    }
    const x = (width * (most - samples.length + index)) / most;
    const y = height * (0.92 - (0.84 * (value - low)) / span);
    if (isDown) context.lineTo(x, y);
    else context.moveTo(x, y);
    isDown = true;
  }
  context.stroke();
}
