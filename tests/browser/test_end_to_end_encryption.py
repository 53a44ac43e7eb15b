"""
Frames that the two browsers encrypt between themselves pass the relay: it never needs to see into a payload.

The "cipher" is an exclusive or; what matters is that the relay cannot read what it forwards. The first bytes of a frame
stay clear, as applications leave them: libwebrtc itself needs them.
"""

import asyncio

import pytest
from consulting import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

FRAMES = 60

# Each frame counts once it has passed; `key` 0 leaves it as it is.
WORKER = """
const CLEAR = { key: 10, delta: 3 };
onrtctransform = ({ transformer }) => {
  const { side, key } = transformer.options;
  let count = 0;
  const change = new TransformStream({
    transform(frame, controller) {
      const data = new Uint8Array(frame.data);
      for (let i = CLEAR[frame.type] ?? 1; i < data.length; i++) data[i] ^= key;
      frame.data = data.buffer;
      controller.enqueue(frame);
      postMessage([side, ++count]);
    },
  });
  transformer.readable.pipeThrough(change).pipeTo(transformer.writable);
};
"""

# Runs before the page: every sender and receiver gets a transform. `key` can be changed for who comes without it.
HOOK = """
globalThis.passed = {};
let worker;
const transform = (side) => {
  if (!worker) {
    worker = new Worker("/frames.js");
    worker.onmessage = ({ data: [which, count] }) => { passed[which] = (passed[which] ?? 0) + 1; };
  }
  return new RTCRtpScriptTransform(worker, { side, key: KEY });
};
const add = RTCPeerConnection.prototype.addTransceiver;
RTCPeerConnection.prototype.addTransceiver = function (track, options) {
  const transceiver = add.call(this, track, options);
  transceiver.sender.transform = transform(`send ${transceiver.sender.track.kind}`);
  return transceiver;
};
const Plain = RTCPeerConnection;
globalThis.RTCPeerConnection = class extends Plain {
  constructor(...given) {
    super(...given);
    this.addEventListener("track", ({ receiver, track }) => {
      receiver.transform = transform(`receive ${track.kind}`);
    });
  }
};
"""


async def test_encrypted_frames_pass_both_ways(open_page: OpenPage) -> None:
    """
    Two pages whose VP8 and Opus frames are encrypted end to end see and hear each other; whoever lacks the key is sent
    the frames and decodes none: they really were changed.
    """
    alice = await open_page("alice", role="practitioner", script=HOOK.replace("KEY", "0x5a"))
    bob = await open_page("bob", script=HOOK.replace("KEY", "0x5a"))
    eve = await open_page("eve", role="observer", script=HOOK.replace("KEY", "0"))
    for person in (alice, bob, eve):
        await person.page.route(
            "**/frames.js", lambda route: route.fulfill(body=WORKER, content_type="text/javascript")
        )
        await person.join()
    for person in (alice, bob):
        await person.sees()
        await person.hears()
        for side in ("send video", "send audio", "receive video", "receive audio"):
            await person.until(f"(passed[{side!r}] ?? 0) >= {FRAMES}")
    await eve.until(f"(passed['receive video'] ?? 0) >= {FRAMES}")
    async with asyncio.timeout(30):
        while max(track["frames"] for track in await alice.tracks("subscribe", "video")) < FRAMES:  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # decoding is a little behind

    assert [0, 0] == [track["frames"] for track in await eve.tracks("subscribe", "video")]
