"""
A recording plays in Chromium, with sound and picture in step.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import statistics
import time
from collections.abc import Iterator

import av
import pytest
from consulting import OpenPage
from test_page_recording import ADMIN_PORT, ask

from support.flashes import EVERY_S, Beeping, Flashing
from support.relay_process import RelayProcess, free_port
from telerelay.client import Client

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

RECORDED_S = 8.0
MOST_S = 0.040


def first_sound_s(data: bytes) -> float:
    """When the file's first sound begins: decoded by itself, it begins at nought."""
    with av.open(io.BytesIO(data)) as file:
        first = next(packet for packet in file.demux(audio=0) if packet.pts is not None)
        return float(first.pts * first.time_base)


# Plays the file as a page would. Flashes: the media time of the first bright picture of each. Beeps: of the first loud
# sample of each, in what the browser decodes of the same file.
PLAYED = """async ({data, type}) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const context = new OfflineAudioContext(1, 48000, 48000);
  const sound = await context.decodeAudioData(bytes.buffer.slice(0));
  const samples = sound.getChannelData(0);
  const beeps = [];
  for (let i = 0, quiet = 1e9; i < samples.length; i++) {
    if (Math.abs(samples[i]) > 0.1) {
      if (quiet > 9600) beeps.push(i / sound.sampleRate);
      quiet = 0;
    } else quiet++;
  }
  const video = document.createElement("video");
  video.muted = true;
  document.body.append(video);
  const canvas = new OffscreenCanvas(16, 12);
  const pen = canvas.getContext("2d", {willReadFrequently: true});
  const flashes = [], frames = [];
  let wasBright = true;
  const look = (now, {mediaTime}) => {
    pen.drawImage(video, 0, 0, 16, 12);
    const isBright = pen.getImageData(8, 6, 1, 1).data[1] > 128;
    if (isBright && !wasBright && frames.length) flashes.push({at: mediaTime, before: frames.at(-1)});
    wasBright = isBright;
    frames.push(mediaTime);
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  video.src = URL.createObjectURL(new Blob([bytes], {type}));
  await video.play();
  await new Promise((resolve, reject) => { video.onended = resolve; video.onerror = () => reject(video.error); });
  return {beeps, flashes, frames: frames.length, tracks: video.videoWidth, length: sound.duration};
}"""


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    """A relay that may record, and whose host plans consults over its admin listener."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ADMIN_PORT, str(free_port()))
        patch.setenv("TELERELAY_RECORDING_ENABLED", "true")
        with RelayProcess() as process:
            yield process


@pytest.mark.timeout(300)
async def test_a_flash_and_its_beep_are_within_forty_milliseconds(
    open_page: OpenPage, relay: RelayProcess, room: str
) -> None:
    """
    The median over all flashes of which the browser showed the picture before; one that it skipped tells nothing.
    """
    await ask(relay, "POST", "/consults", {"consult": room})
    doctor = await Client.join(relay.url, relay.token(room, "doc"), room)
    start = time.monotonic() + 0.2
    await doctor.publish([Beeping(start), Flashing(start)], ["microphone", "camera"])
    await doctor.wait_for(lambda client: client.is_publishing, 20)
    await ask(relay, "POST", f"/consults/{room}/recording")
    recording = next(each for each in reversed(doctor.events) if each["type"] == "recording")["recording"]
    await doctor.request("answer_recording", recording=recording, agreed=True)
    await asyncio.sleep(RECORDED_S)
    await doctor.request("stop_recording")
    files = []
    while not files or not all(each["whole"] for each in files):
        files = json.loads(await ask(relay, "GET", f"/consults/{room}/recordings"))["files"]
        await asyncio.sleep(0.2)
    await doctor.leave()
    (file,) = files
    data = await ask(relay, "GET", f"/consults/{room}/recordings/{file['file']}")
    person = await open_page("onlooker")
    await person.page.goto("about:blank")
    played = await person.page.evaluate(PLAYED, {"data": base64.b64encode(data).decode(), "type": file["media_type"]})
    beeps = [first_sound_s(data) + beep for beep in played["beeps"]]
    apart = []
    for flash in played["flashes"]:
        if flash["at"] - flash["before"] < 0.05:  # the picture before it was shown, so it is the first bright one
            nearest = min(beeps, key=lambda beep: abs(beep - flash["at"]))
            apart.append(nearest - flash["at"])
    print(file, len(data), [round(each * 1000) for each in apart], played["frames"], first_sound_s(data))

    assert ("video/webm", 160) == (file["media_type"], played["tracks"])
    assert len(apart) >= 3
    assert len(played["beeps"]) >= RECORDED_S / EVERY_S - 3
    assert abs(statistics.median(apart)) <= MOST_S
