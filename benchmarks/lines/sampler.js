/**
 * Inside the page, before its own scripts: keeps what the browser's statistics say four times a second, every sign the relay
 * sends, and every sentence that the page says. Times are Unix milliseconds. Read at the end by the benchmark.
 */
(() => {
  const EVERY_MS = 250;
  const kept = { samples: [], signs: [], words: [] };
  globalThis.kept = kept;
  const connections = [];
  const NativeConnection = RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends NativeConnection {
    constructor(...given) {
      super(...given);
      connections.push(this);
    }
  };
  const NativeSocket = WebSocket;
  globalThis.WebSocket = class extends NativeSocket {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", ({ data }) => {
        const message = JSON.parse(data);
        if (/^(track_state|seen_by|limits|speaker|quality)$/.test(message.type)) kept.signs.push([Date.now(), message]);
      });
    }
  };
  const MEMBERS = {
    "inbound-rtp": `kind bytesReceived headerBytesReceived packetsReceived packetsLost framesDecoded keyFramesDecoded
      frameWidth frameHeight freezeCount totalFreezesDuration concealedSamples silentConcealedSamples totalSamplesReceived
      jitterBufferDelay jitterBufferEmittedCount nackCount pliCount`,
    "outbound-rtp": `kind rid bytesSent framesEncoded frameHeight qualityLimitationReason totalEncodeTime targetBitrate active`,
    "remote-inbound-rtp": "kind roundTripTime packetsLost",
    "media-source": "kind framesPerSecond frames width height",
    "candidate-pair": "nominated availableOutgoingBitrate currentRoundTripTime",
  };
  for (const [type, names] of Object.entries(MEMBERS)) MEMBERS[type] = names.split(/\s+/);
  const look = async () => {
    const live = connections.filter(({ connectionState }) => connectionState !== "closed");
    const reports = await Promise.all(live.map((pc) => pc.getStats().catch(() => null)));
    const entries = [];
    for (const report of reports) {
      for (const entry of report?.values() ?? []) {
        const names = MEMBERS[entry.type];
        if (!names || (entry.type === "candidate-pair" && !entry.nominated)) continue;
        const row = { type: entry.type, id: entry.trackIdentifier ?? entry.id };
        for (const name of names) if (entry[name] !== undefined) row[name] = entry[name];
        entries.push(row);
      }
    }
    kept.samples.push([Date.now(), entries]);
  };
  setInterval(look, EVERY_MS);
  addEventListener("DOMContentLoaded", () => {
    new MutationObserver((changes) => {
      for (const { addedNodes } of changes) {
        for (const { textContent } of addedNodes) kept.words.push([Date.now(), textContent.trim()]);
      }
    }).observe(document.getElementById("said"), { childList: true });
  });
})();
