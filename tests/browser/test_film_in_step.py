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
import numpy as np
import pytest
from consulting import OpenPage
from test_page_recording import ADMIN_PORT, ask

from support.flashes import Beeping, Flashing, report_exactly
from support.relay_process import RelayProcess, free_port
from telerelay.client import Client

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

RECORDED_S = 12.0
MOST_S = 0.040


def beeps_of(data: bytes) -> list[float]:
    """When each beep begins on the file's own clock, seconds."""
    beeps, loud_at = list[float](), 0.0
    with av.open(io.BytesIO(data)) as file:
        for frame in file.decode(audio=0):
            samples = np.abs(frame.to_ndarray()[0]).astype(float)
            scale = 32768.0 if samples.max(initial=0.0) > 1.5 else 1.0
            for index in np.nonzero(samples / scale > 0.1)[0]:
                at = float(frame.pts * frame.time_base) + int(index) / frame.sample_rate
                if at - loud_at > 0.2:
                    beeps.append(at)
                loud_at = at
    return beeps


# Plays the file as a page would: the media time of the first bright picture of each flash, and of the picture before.
PLAYED = """async ({data, type}) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const video = document.createElement("video");
  video.muted = true;
  document.body.append(video);
  const pen = new OffscreenCanvas(16, 12).getContext("2d", {willReadFrequently: true});
  const flashes = [];
  let before = null, wasBright = true;
  const look = (now, {mediaTime}) => {
    pen.drawImage(video, 0, 0, 16, 12);
    const isBright = pen.getImageData(8, 6, 1, 1).data[1] > 128;
    if (isBright && !wasBright && before !== null) flashes.push({at: mediaTime, before});
    [wasBright, before] = [isBright, mediaTime];
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  video.src = URL.createObjectURL(new Blob([bytes], {type}));
  await video.play();
  await new Promise((resolve, reject) => { video.onended = resolve; video.onerror = () => reject(video.error); });
  return {flashes, width: video.videoWidth, sound_bytes: video.webkitAudioDecodedByteCount};
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
    start = time.monotonic() + 2.0
    await doctor.publish([Beeping(start), Flashing(start)], ["microphone", "camera"])
    publishing = doctor._publish
    assert publishing is not None
    report_exactly(publishing.getSenders(), time.time() + start - time.monotonic())
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
    beeps = beeps_of(data)
    apart = []
    for flash in played["flashes"]:
        if flash["at"] - flash["before"] < 0.05:  # the picture before it was shown, so it is the first bright one
            nearest = min(beeps, key=lambda beep: abs(beep - flash["at"]))
            apart.append(nearest - flash["at"])
    print(file, len(data), [round(each * 1000) for each in apart])

    assert ("video/webm", 160) == (file["media_type"], played["width"])
    assert len(apart) >= 3
    assert played["sound_bytes"] > 0
    assert abs(statistics.median(apart)) <= MOST_S
