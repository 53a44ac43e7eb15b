"""
What people share on the consult page beside picture and sound: a live wave, written words, and a camera that is moved.
"""

from __future__ import annotations

import asyncio
import math
import time

import pytest
from consulting import PHONE, OpenPage

from support.relay_process import RelayProcess
from telerelay.client import Client
from telerelay.client.measurements import Measurements
from telerelay.measurements import Series

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

ECG = Series("ecg-1", "s1", "wave", "ecg", "mV", 250.0)
PULSE = Series("oxi-1", "s2", "value", "heart_rate", "/min")

INK = """(() => {
  const canvas = document.querySelector('[data-testid=wave] canvas');
  if (!canvas?.width) return 0;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let drawn = 0;
  for (let at = 3; at < data.length; at += 4) drawn += data[at] > 0;
  return drawn;
})()"""


def beat(n: int) -> float:
    """One sample of something that looks like a heart at 75 a minute."""
    at = (n / 250) % 0.8
    return round(1.2 * math.exp(-(((at - 0.3) / 0.015) ** 2)) + 0.2 * math.exp(-(((at - 0.55) / 0.05) ** 2)), 3)


async def measure(booth: Measurements, seconds: float) -> int:
    """As instruments do, five messages a second."""
    began, sent = time.time(), 0
    while (now := time.time()) - began < seconds:
        due = int((now - began) * 250)
        if due > sent:
            booth.record(ECG, (began + sent / 250,), [beat(n) for n in range(sent, due)])
            booth.record(PULSE, (now,), (72 + sent % 3,))
            sent = due
        await asyncio.sleep(0.2)
    return sent


async def test_a_doctor_sees_the_wave_moves_the_camera_and_writes(
    open_page: OpenPage, relay: RelayProcess, room: str
) -> None:
    """A booth in Python, a doctor at the page, a patient at another one, in French on a phone."""
    doctor = await open_page("doc", role="practitioner")
    await doctor.join()
    patient = await open_page("pat", language="fr-FR", viewport=PHONE)
    await patient.join()
    async with await Client.join(relay.url, relay.token(room, "cab", "device"), room) as booth:
        commands: list[dict[str, object]] = []

        async def answer() -> None:
            while True:
                await booth.wait_for(lambda each: sum(e["type"] == "camera" for e in each.events) > len(commands), 60)
                asked = [event for event in booth.events if event["type"] == "camera"][len(commands)]
                commands.append(asked)
                await booth.request("camera_moved", command=asked["command"], outcome="done", pan=0.6)

        answering = asyncio.create_task(answer())
        async with Measurements(booth) as measuring:
            measuring.declare(ECG)
            measuring.declare(PULSE)
            await measure(measuring, 4)
            await doctor.until(f"{INK} > 500", 30)
            await doctor.until("/7[234] .min/.test(document.querySelector('[data-testid=value]').textContent)")
            await doctor.see("camera-left").click()
            await doctor.see("open-chat").click()
            await doctor.see("chat-text").fill("Bonjour !\nRespirez calmement.")
            await doctor.see("chat-send").click()
            await patient.until("document.querySelector('[data-testid=open-chat]').textContent.includes('Nouveaux')")
            await patient.see("open-chat").click()
            await patient.until("document.querySelector('[data-testid=chat-said]').textContent.includes('calmement')")
            await patient.see("chat-text").fill("<b>Oui</b>")
            await patient.see("chat-send").click()
            await doctor.until("document.querySelector('[data-testid=chat-said]').textContent.includes('<b>Oui</b>')")
            await doctor.screenshot("objects-desktop")
            await patient.screenshot("objects-phone-fr")
            await measuring.delivered()
        answering.cancel()

    assert [(-0.1, 0, 0, False)] == [tuple(each[name] for name in ("pan", "tilt", "zoom", "home")) for each in commands]
    assert not await patient.see("measurements").is_visible()
    assert not await patient.see("camera-control").is_visible()
    assert PHONE["width"] == await patient.page.evaluate("document.documentElement.scrollWidth")
    assert [] == doctor.complaints + patient.complaints


async def test_a_page_that_is_a_device_moves_its_own_camera(open_page: OpenPage) -> None:
    """Chromium's fake camera has motors: it says where it stands; what it cannot do has its code."""
    booth = await open_page("cab", role="device")
    await booth.join()
    doctor = await open_page("doc", role="practitioner")
    await doctor.join()
    await doctor.see("camera-in").wait_for()
    moved = await doctor.page.evaluate(
        """async () => {
          const { call } = globalThis.consult;
          const [booth] = call.participants.values();
          return call.moveCamera(booth, { zoom: 0.5 }).then((stands) => ({ stands }), ({ code }) => ({ code }));
        }"""
    )
    settings = await booth.page.evaluate("globalThis.consult.call.publications.map(({ track }) => track.getSettings())")
    zooms = [each["zoom"] for each in settings if "zoom" in each]

    assert "code" not in moved or moved["code"] == "camera_unsupported"
    if "stands" in moved:
        assert moved["stands"]["zoom"] >= 0.5
        assert zooms
    assert [] == doctor.complaints + booth.complaints
