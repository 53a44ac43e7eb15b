/**
 * Camera and microphone: opened as far as they can be, and why not.
 *
 * Part of telerelay.js; touches mediaDevices and permissions.
 */

import { TelerelayError } from "./errors.js";
import { profileOf } from "./sending.js";

const DEVICE_CODES = {
  NotAllowedError: "permission_denied",
  SecurityError: "permission_denied",
  NotFoundError: "no_device",
  NotReadableError: "device_busy",
  AbortError: "device_busy",
};

/** What is asked of a device; two cores do not encode 720 lines and decode the others at full rate: whoever asks may try. */
export function constraints(kind, wish, profile) {
  if (!wish) return false;
  const more = typeof wish === "object" ? wish : {};
  if (kind === "audio") return { echoCancellation: true, noiseSuppression: true, autoGainControl: true, ...more };
  const { frameRate = 30 } = profileOf(profile);
  const size = (navigator.hardwareConcurrency ?? 4) > 2 || frameRate > 30 ? [1280, 720] : [640, 480];
  const facing = more.deviceId ? {} : { facingMode: "user" };
  const [width, height] = size.map((ideal) => ({ ideal }));
  return { width, height, frameRate: { ideal: frameRate, max: frameRate }, ...facing, ...more };
}

export async function getUserMedia(wanted) {
  const media = navigator.mediaDevices;
  if (!media?.getUserMedia) throw new TelerelayError(globalThis.isSecureContext ? "unsupported" : "insecure_context");
  try {
    return await media.getUserMedia(wanted).catch((error) => {
      if (error.name !== "OverconstrainedError") throw error;
      return media.getUserMedia({ audio: Boolean(wanted.audio), video: Boolean(wanted.video) });
    });
  } catch (error) {
    throw new TelerelayError(DEVICE_CODES[error.name] ?? "device_failed", undefined, { cause: error });
  }
}

/** The live PermissionStatus of "camera" or "microphone"; null from a browser that does not tell. */
export async function permissionOf(name) {
  try {
    return await navigator.permissions.query({ name });
  } catch {
    return null;
  }
}

const isDenied = async (name) => (await permissionOf(name))?.state === "denied";

/**
 * Open microphone and camera: `{audio, video}` are true, false or constraints, `profile` what the picture is for, as of
 * `Call.publish`. Never rejects, but for a profile there is not: gives `{stream, errors: {audio?, video?}}`, so that
 * whatever works can be used.
 */
export async function openMedia({ audio = true, video = true, profile } = {}) {
  const wanted = { audio: constraints("audio", audio), video: constraints("video", video, profile) };
  const kinds = Object.keys(wanted).filter((kind) => wanted[kind]);
  if (!kinds.length) return { stream: new MediaStream(), errors: {} };
  try {
    return { stream: await getUserMedia(wanted), errors: {} };
  } catch (error) {
    const errors = Object.fromEntries(kinds.map((kind) => [kind, error]));
    if (kinds.length < 2 || error.code === "insecure_context" || error.code === "unsupported") {
      return { stream: new MediaStream(), errors };
    }
    // Who said no to both is not asked again; who said no to one is not kept from the other.
    const denied = { audio: await isDenied("microphone"), video: await isDenied("camera") };
    if (error.code === "permission_denied" && denied.audio === denied.video) {
      return { stream: new MediaStream(), errors };
    }
    const stream = new MediaStream();
    for (const kind of kinds) {
      if (denied[kind]) {
        errors[kind] = new TelerelayError("permission_denied");
        continue;
      }
      try {
        const [track] = (await getUserMedia({ [kind]: wanted[kind] })).getTracks();
        stream.addTrack(track);
        delete errors[kind];
      } catch (problem) {
        errors[kind] = problem;
      }
    }
    return { stream, errors };
  }
}

/** All devices the browser shows: `[{kind, deviceId, label}]`; labels are empty before the first permission. */
export async function devices() {
  const found = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return found.map(({ kind, deviceId, label }) => ({ kind, deviceId, label }));
}
