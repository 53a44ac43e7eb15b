/**
 * Documents and stills of a consult in the browser: send them, over cuts of the line; fetch them; take a still.
 *
 * An ES module by itself, for any page: it is given a Call of telerelay.js and uses its `headers()`. The protocol is tus
 * 1.0.0 (docs/documents.md). It touches fetch, crypto.subtle, ImageCapture, and a canvas of its own.
 */

/** Documents stand beside this file, under whatever prefix the relay is mounted. */
const DEFAULT_URL = new URL("./documents", import.meta.url).href;

// One request: small enough that a cut costs little on a line of 256 kbit/s, and that a voice beside it is not starved.
const PIECE_BYTES = 262144;
// Where one did not come through the next are smaller, for a line may carry less than any of that in PIECE_TIMEOUT_MS.
const LEAST_PIECE_BYTES = 32768;
// A line that is away is tried again after 0.5 s, then twice as long each time; a minute of nothing is no cut any more.
const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 5000;
const GIVE_UP_MS = 120_000;
// A request in which nothing moves for so long is dead, whatever the browser believes: 256 KiB on a rural line, twice.
const PIECE_TIMEOUT_MS = 30_000;
// A phone takes a second or two to focus; a camera that gives nothing by then gives nothing.
const PHOTO_MS = 10_000;
const FRAME_QUALITY = 0.92;

const TUS = { "Tus-Resumable": "1.0.0" };

/** What went wrong: `code` as in docs/signaling.md, or `no_network`, `aborted`, `wrong_hash`, `no_camera`. */
export class DocumentError extends Error {
  constructor(code, message = code) {
    super(message);
    this.name = "DocumentError";
    this.code = code;
  }
}

const later = (delay_ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, delay_ms);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** The SHA-256 of a Blob, in hex. */
export async function sha256(blob) {
  return hex(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
}

function metadata(values) {
  const encode = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  return Object.entries(values)
    .filter(([, value]) => value)
    .map(([key, value]) => `${key} ${encode(value)}`)
    .join(",");
}

/** Cuts a request in which nothing moves; `moved` says that something did. */
function watch(signal) {
  const cut = new AbortController();
  const abort = () => cut.abort();
  let timer;
  const moved = () => {
    clearTimeout(timer);
    timer = setTimeout(abort, PIECE_TIMEOUT_MS);
  };
  const over = () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  };
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  moved();
  return { signal: cut.signal, moved, over };
}

/**
 * One request; rejects with the relay's code, or `no_network`. `read(response, moved)` has the body of a good answer, as
 * long as it takes.
 */
async function ask(call, url, method, headers, { body = null, signal = null, read = null } = {}) {
  const watched = watch(signal);
  try {
    let response;
    try {
      const all = { ...(await call.headers()), ...headers };
      response = await fetch(url, { method, headers: all, body, signal: watched.signal, cache: "no-store", credentials: "omit" });
      watched.moved();
      if (response.ok) await read?.(response, watched.moved);
    } catch {
      throw new DocumentError(signal?.aborted ? "aborted" : "no_network");
    }
    if (response.ok) return response;
    const { error } = await response.json().catch(() => ({}));
    throw new DocumentError(error?.code ?? `http_${response.status}`, error?.message);
  } finally {
    watched.over();
  }
}

// After these the same may work later.
const PASSING = new Set(["no_network", "too_many_requests", "not_durable", "storage_full", "timeout", "conflict", "wrong_offset"]);

/**
 * Send a Blob; resolves with the document's id once the relay has it, its hash compared. Options: `name`, `type`, `label`,
 * `kind` ("document", "still"), `request` and `source` of a still, `hash` where it is known, `onprogress(sent, size)`,
 * `signal` (AbortSignal), `url`. Rejects with a DocumentError.
 */
export async function send(call, blob, options = {}) {
  const { name = blob.name ?? "", label = "", kind = "document", request = "", source = "", signal, onprogress } = options;
  const hash = options.hash ?? (await sha256(blob));
  const said = { sha256: hash, filename: name, filetype: options.type ?? blob.type, label, kind, request, source };
  const headers = { ...TUS, "Upload-Length": String(blob.size), "Upload-Metadata": metadata(said) };
  const collection = options.url ?? DEFAULT_URL;
  const made = await patiently(() => ask(call, collection, "POST", headers, { signal }), signal);
  const url = new URL(made.headers.get("Location"), collection).href;
  let offset = 0;
  let isSure = true;
  let piece_bytes = PIECE_BYTES;
  await patiently(async (moved) => {
    if (!isSure) {
      const head = await ask(call, url, "HEAD", TUS, { signal });
      const before = offset;
      offset = Number(head.headers.get("Upload-Offset"));
      isSure = true;
      piece_bytes = Math.max(LEAST_PIECE_BYTES, piece_bytes / 2);
      if (offset > before) {
        onprogress?.(offset, blob.size);
        moved(); // part of a piece: the line is thin, and not away
      }
    }
    while (offset < blob.size) {
      isSure = false;
      const body = blob.slice(offset, offset + piece_bytes);
      const piece = { ...TUS, "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" };
      const sent = await ask(call, url, "PATCH", piece, { body, signal });
      offset = Number(sent.headers.get("Upload-Offset"));
      isSure = true;
      onprogress?.(offset, blob.size);
      moved();
    }
  }, signal).catch((error) => {
    if (error.code === "aborted") ask(call, url, "DELETE", TUS).catch(() => {});
    throw error;
  });
  return url.slice(url.lastIndexOf("/") + 1);
}

/** Try again what may work later, for two minutes at the most in which nothing moves. */
async function patiently(act, signal) {
  let since_ms = Date.now();
  for (let delay_ms = RETRY_FIRST_MS; ; delay_ms = Math.min(2 * delay_ms, RETRY_MOST_MS)) {
    try {
      return await act(() => [since_ms, delay_ms] = [Date.now(), RETRY_FIRST_MS]);
    } catch (error) {
      if (signal?.aborted) throw new DocumentError("aborted");
      if (!PASSING.has(error.code) || Date.now() - since_ms > GIVE_UP_MS) throw error;
      await later(delay_ms, signal);
    }
  }
}

/**
 * Fetch a document of the list, over cuts of the line, its hash compared: a Blob. Options: `onprogress(got, size)`, `signal`,
 * `url`. Rejects with a DocumentError.
 */
export async function fetchDocument(call, { id, sha256: wanted }, { url = DEFAULT_URL, signal, onprogress } = {}) {
  let parts = [];
  let got = 0;
  let size = null;
  let type = "";
  await patiently(async (moved) => {
    if (got === size) return; // the cut came behind the last byte
    const read = async (response, alive) => {
      if (response.status !== 206) [parts, got] = [[], 0];
      type = response.headers.get("Content-Type") ?? "";
      size = got + Number(response.headers.get("Content-Length"));
      const reader = response.body.getReader();
      for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
        parts.push(value);
        got += value.length;
        onprogress?.(got, size);
        alive();
        moved();
      }
      if (got < size) throw new Error("cut");
    };
    await ask(call, `${url}/${id}`, "GET", got ? { Range: `bytes=${got}-` } : {}, { signal, read });
  }, signal);
  const blob = new Blob(parts, { type });
  if ((await sha256(blob)) !== wanted) throw new DocumentError("wrong_hash");
  return blob;
}

/**
 * Take a still of a camera's track: `{blob, source, hash}`. `source` is "photo", at the camera's full resolution, or, where
 * the browser or camera has no such thing, "frame": a picture out of the video. Rejects with `no_camera`.
 */
export async function takeStill(track) {
  if (!track || track.readyState !== "live") throw new DocumentError("no_camera");
  let source = "photo";
  const blob = await Promise.race([photo(track), later(PHOTO_MS).then(() => Promise.reject(new Error("late")))]).catch(() => {
    source = "frame";
    return frame(track);
  });
  return { blob, source, hash: await sha256(blob) };
}

async function photo(track) {
  const capture = new ImageCapture(track);
  const { imageWidth, imageHeight } = await capture.getPhotoCapabilities().catch(() => ({}));
  const size = imageWidth?.max && imageHeight?.max ? { imageWidth: imageWidth.max, imageHeight: imageHeight.max } : {};
  const blob = await capture.takePhoto(size).catch(() => capture.takePhoto());
  if (!blob?.size) throw new Error("empty");
  return blob;
}

async function frame(track) {
  const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
  video.srcObject = new MediaStream([track]);
  try {
    await Promise.race([video.play(), later(PHOTO_MS).then(() => Promise.reject(new Error("late")))]);
    const canvas = Object.assign(document.createElement("canvas"), { width: video.videoWidth, height: video.videoHeight });
    if (!canvas.width || track.muted) throw new Error("empty");
    canvas.getContext("2d").drawImage(video, 0, 0);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", FRAME_QUALITY));
    if (!blob) throw new Error("empty");
    return blob;
  } catch {
    throw new DocumentError("no_camera");
  } finally {
    video.srcObject = null;
  }
}
