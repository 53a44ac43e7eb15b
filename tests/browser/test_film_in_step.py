"""
A recording plays in Chromium, with sound and picture in step (within 40 ms).
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Iterator
from typing import Any

import aiortc.codecs
import pytest
from consulting import OpenPage
from test_page_recording import ADMIN_PORT, ask

from support.flashes import Beeping, Flashing, apart, beeps_of, flashes_of, report_exactly
from support.relay_process import RelayProcess, free_port
from support.starved import Starved
from telerelay.client import Client

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

RECORDED_S = 8.0
MOST_S = 0.040
LAG_S = 0.2
"""So much later than its sound a picture is sent: who goes by arrival is out of step by that."""
# A run in which sender or browser had so little of the CPU tells nothing; so many are tried.
STARVED_S, RUNS = 0.5, 4

# Plays the file as a page would, and says when flashes are shown and when beeps leave, both in ms of one clock.
PLAYED = """async ({url}) => {
  const context = new AudioContext({latencyHint: 0});
  const code = `registerProcessor("ear", class extends AudioWorkletProcessor {
    constructor() { super(); this.loud = -1; }
    process([[samples]]) {
      for (let i = 0; samples && i < samples.length; i++) if (Math.abs(samples[i]) > 0.1) {
        const at = currentTime + i / sampleRate;
        if (at - this.loud > 0.2 && this.loud >= 0) this.port.postMessage(Date.now());
        this.loud = at;
      }
      return true;
    }
  });`;
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([code], {type: "text/javascript"})));
  const ear = new AudioWorkletNode(context, "ear");
  const beeps = [], flashes = [];
  ear.port.onmessage = ({data}) => beeps.push(data - performance.timeOrigin);
  const video = document.createElement("video");
  document.body.append(video);
  context.createMediaElementSource(video).connect(ear);
  ear.connect(context.destination);
  const pen = new OffscreenCanvas(16, 12).getContext("2d", {willReadFrequently: true});
  let before = null, wasBright = true;
  const look = (now, {mediaTime, expectedDisplayTime}) => {
    pen.drawImage(video, 0, 0, 16, 12);
    const isBright = pen.getImageData(8, 6, 1, 1).data[1] > 128;
    if (isBright && !wasBright && mediaTime - before < 0.06) flashes.push(expectedDisplayTime);
    [wasBright, before] = [isBright, mediaTime];
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  const over = new Promise((resolve, reject) => {
    video.onended = resolve;
    video.onerror = () => reject(new Error(video.error.message));
  });
  video.src = url;
  await context.resume();
  await video.play();
  await over;
  return {flashes, beeps, width: video.videoWidth};
}"""


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    """A relay that may record, and whose host plans consults over its admin listener."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ADMIN_PORT, str(free_port()))
        patch.setenv("TELERELAY_RECORDING_ENABLED", "true")
        with RelayProcess() as process:
            yield process


def asked(client: Client) -> set[str]:
    """The recordings that it was asked about."""
    return {each["recording"] for each in client.events if each["type"] == "recording" and each["state"] == "asked"}


async def recorded(relay: RelayProcess, room: str) -> tuple[dict[str, Any], bytes]:
    """One person's flashes and beeps, who agrees to that."""
    await ask(relay, "POST", "/consults", {"consult": room})
    doctor = await Client.join(relay.url, relay.token(room, "doc"), room)
    start = time.monotonic() + 2.0
    await doctor.publish([Beeping(start), Flashing(start, LAG_S)], ["microphone", "camera"])
    publishing = doctor._publish
    assert publishing is not None
    report_exactly(publishing.getSenders(), time.time() + start - time.monotonic())
    await doctor.wait_for(lambda client: client.is_publishing, 20)
    await ask(relay, "POST", f"/consults/{room}/recording")
    await doctor.wait_for(lambda client: bool(asked(client)), 20)
    (recording,) = asked(doctor)
    await doctor.request("answer_recording", recording=recording, agreed=True)
    await asyncio.sleep(RECORDED_S)
    await doctor.request("stop_recording")
    files: list[dict[str, Any]] = []
    async with asyncio.timeout(30):
        while not files or not all(each["whole"] for each in files):
            await asyncio.sleep(0.2)
            files = json.loads(await ask(relay, "GET", f"/consults/{room}/recordings"))["files"]
    await doctor.leave()
    file = max(files, key=lambda each: each["length_s"])  # of halves that began apart the later one has both
    return file, await ask(relay, "GET", f"/consults/{room}/recordings/{file['file']}")


async def played(open_page: OpenPage, file: dict[str, Any], data: bytes) -> tuple[list[float], int]:
    """How far beeps are behind flashes as Chromium plays it, seconds, and the picture's width."""
    person = await open_page("onlooker")
    await person.context.route(
        "**/film/*",
        lambda route: (
            route.fulfill(body=data, content_type=file["media_type"])
            if route.request.url.endswith("file")
            else route.fulfill(body="<!doctype html><body>", content_type="text/html")
        ),
    )
    origin = person.page.url.partition("/?")[0]
    await person.page.goto(f"{origin}/film/page")
    async with asyncio.timeout(120):
        found = await person.page.evaluate(PLAYED, {"url": f"{origin}/film/file"})
    print([round(each) for each in found["flashes"]], [round(each) for each in found["beeps"]])
    times = ([each / 1000 for each in found[name]] for name in ("flashes", "beeps"))
    return apart(*times), found["width"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("codec", "media_type"), [("VP8", "video/webm"), ("H264", "video/mp4")])
async def test_a_flash_and_its_beep_are_within_forty_milliseconds(
    open_page: OpenPage, relay: RelayProcess, room: str, monkeypatch: pytest.MonkeyPatch, codec: str, media_type: str
) -> None:
    """
    In the file, by its times, and as Chromium shows and sounds it: the median over all flashes that have the picture
    before.
    """
    first = sorted(aiortc.codecs.CODECS["video"], key=lambda each: codec not in each.mimeType.upper())
    monkeypatch.setitem(aiortc.codecs.CODECS, "video", first)
    for run in range(RUNS):
        with Starved() as starved:
            file, data = await recorded(relay, f"{room}-{run}")
        if starved.total_s < STARVED_S:
            break
    in_file = apart(flashes_of(data), beeps_of(data))
    for _ in range(RUNS):
        with Starved() as starved:
            as_played, width = await played(open_page, file, data)
        if starved.total_s < STARVED_S and len(as_played) >= 3:
            break
    print(file, [[round(each * 1000) for each in some] for some in (in_file, as_played)], starved.total_s)

    assert (media_type, ["camera", "microphone"], 160) == (file["media_type"], file["sources"], width)
    assert len(in_file) >= 3
    assert len(as_played) >= 3
    assert abs(statistics.median(in_file)) <= MOST_S
    assert abs(statistics.median(as_played)) <= MOST_S
