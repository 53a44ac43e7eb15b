/**
 * One-time links: changed for a token, once.
 *
 * Part of telerelay.js; touches fetch and crypto.
 */

import { TelerelayError } from "./errors.js";

/** What nobody else can know: 192 random bits, as `useLink` wants them. */
export function newNonce() {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

/**
 * Change a one-time link for `{room, token}`. A link is good once: keep what comes of it, for this tab. `url` is the
 * relay's `/link`, by default beside this module. Who gives the same `nonce` (of `newNonce`) within half a minute is
 * answered again: keep it before asking, for a reload may lose the answer. Rejects with `forbidden` where the link was
 * used, or is over.
 */
export async function useLink(link, url = new URL("./link", import.meta.url).href, nonce = newNonce()) {
  let response;
  try {
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify({ link, nonce });
    response = await fetch(url, { method: "POST", headers, body, credentials: "omit" });
  } catch (cause) {
    throw new TelerelayError("no_network", undefined, { cause });
  }
  const body = await response.json();
  if (!response.ok) throw new TelerelayError(body.error.code, body.error.message);
  return body;
}
