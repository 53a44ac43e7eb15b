"""
A booth measures during a call, over a line that loses 3 %: a wave of 250 Hz and single values beside two pictures and
two sounds. The control process is killed in the middle of it. The doctor has every sample, in order and once, can line
them up with the picture, and gets the stethoscope's packets byte for byte, while no control process is there too.
"""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from statistics import median, quantiles

import pytest
from aiortc import clock as aiortc_clock

from support.calls import restart_control, small_picture, widen
from support.heart import HeartSound
from support.impairment import Impairment, UdpImpairment
from support.lined_up import by_relay_s, digest_of, errors_s, sent_by, watch_reports, watching_sent
from support.relay_process import RelayProcess
from support.starved import Starved
from support.waiting import until
from telerelay.client import Client, Tone
from telerelay.client.measurements import Measurements
from telerelay.client.tap import RtpPacket
from telerelay.measurements import Batch, Series

ECG = Series("ecg-1", "s1", "wave", "ecg", "mV", 250.0, (("loinc", "131328"),))
PULSE = Series("oxi-1", "s2", "value", "heart_rate", "/min", 0.0, (("loinc", "8867-4"),))
LINE = Impairment(loss=0.03, delay_ms=25, jitter_ms=10)
SHIFT_S = 37.25
"""The booth's clock is that much ahead of the relay's."""
MOST_MS = 100.0
RUNS, ENOUGH, STARVED_SHARE = 5, 3, 0.002
"""
Of a run's time, in which this process was ready and did not get to run: more, and it is run again. A relay that is kept
waiting as much takes seconds to start, and what was kept meanwhile is placed by messages that wait for it, too.
"""
LEAST_SHARE = 0.8
"""
Of the stethoscope's packets. 94 % come over two lines that lose 3 % each, where neither end asks for sound again; of a
hundred of them that is six standard deviations above this.
"""


def booth_clock() -> float:
    return time.time() + SHIFT_S


class Instruments:
    """Device and wave: sample n of the wave has the value n, and was measured at `began + n / 250`."""

    def __init__(self, measurements: Measurements) -> None:
        self._measurements = measurements
        self.waves = self.pulses = 0
        self.began_s = booth_clock()
        for series in (ECG, PULSE):
            measurements.declare(series)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            due = int((booth_clock() - self.began_s) * 250)
            if due > self.waves:
                at = self.began_s + self.waves / 250
                self._measurements.record(ECG, (at,), tuple(range(self.waves, due)), device_at=self.waves / 250)
                self.waves = due
            if due // 250 > self.pulses:
                self._measurements.record(PULSE, (self.began_s + self.pulses,), (self.pulses,))
                self.pulses += 1


class Doctor:
    """What one receives."""

    def __init__(self) -> None:
        self.values: dict[str, list[float | None]] = {"ecg": [], "heart_rate": []}
        self.gaps: list[tuple[str, int, int]] = []
        self.seen_s: list[tuple[float, float]] = []
        """Of the wave: when a sample was measured by the relay's clock, and the value, which says when it was."""
        self.payloads: dict[int, list[bytes]] = {}
        self.stamps: dict[bytes, int] = {}

    def on_batch(self, sub: str, series: Series, batch: Batch) -> None:
        self.values[series.type].extend(batch.values)
        if series is not PULSE and batch.media_offset_s is not None and series.type == "ecg":
            first = batch.values[0]
            assert first is not None
            self.seen_s.append((batch.times[0] + batch.media_offset_s, first))

    def on_gap(self, sub: str, series: Series, first: int, next: int) -> None:
        self.gaps.append((series.type, first, next))

    def on_packet(self, packet: RtpPacket, _at: int) -> None:
        digest = digest_of(packet.payload)
        self.payloads.setdefault(packet.ssrc, []).append(digest)
        self.stamps[digest] = packet.timestamp


@pytest.fixture
def _shifted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The booth's RTCP goes by the booth's clock; nobody else in this process sends media."""
    now = aiortc_clock.current_ntp_time
    monkeypatch.setattr("aiortc.rtcrtpsender.clock.current_ntp_time", lambda: now() + round(SHIFT_S * 2**32))


def is_heard_since(since_s: float, sent: dict[bytes, tuple[float, int]], heard: list[bytes]) -> bool:
    """Whether something has come that left later than that, so what left before is here or lost."""
    return any(sent[digest][0] > since_s for digest in heard[-10:] if digest in sent)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("_shifted")
async def test_no_sample_is_lost_and_the_doctor_can_line_them_up(relay: RelayProcess) -> None:
    """
    Two deaths of the control process, 3 % loss each way on both legs. Sample against picture: p95 within 100 ms, the
    median of three calls in which the machine lets booth and doctor run; another says nothing of times, but of all
    else. Each call loses other packets.
    """
    found: list[float] = []
    for number in range(RUNS):
        began = time.monotonic()
        with Starved() as starved:
            p95_ms = await played(relay, f"r11-{number}", seed=11 + 10 * number)
        share = starved.total_s / (time.monotonic() - began)
        print(f"sample against picture p95 {p95_ms:.1f} ms, starved for {share:.1%} of the time")
        if share <= STARVED_SHARE:
            found.append(p95_ms)
        if len(found) == ENOUGH:
            break
    if not found:
        pytest.skip(f"the machine was too busy for booth and doctor in {RUNS} calls: all but times was measured")
    assert median(found) <= MOST_MS


async def played(relay: RelayProcess, room: str, seed: int) -> float:
    """One call with two deaths in it; how far sample and picture of one moment are apart, p95, ms."""
    doctor_sees = Doctor()
    with (
        watching_sent(booth_clock) as by_ssrc,
        UdpImpairment(relay.udp_address, up=LINE, down=LINE, seed=seed) as near,
        UdpImpairment(relay.udp_address, up=LINE, down=LINE, seed=seed + 1) as far,
    ):
        async with (
            await Client.join(relay.url, relay.token(room, "cab-1", "device"), room, relay_port=near.port) as booth,
            await Client.join(relay.url, relay.token(room, "doc", "practitioner"), room, relay_port=far.port) as doctor,
        ):
            tracks = [Tone(), HeartSound(), small_picture(), small_picture()]
            await booth.publish(tracks, ["microphone", "stethoscope", "camera", "scope"])
            doctor.tap.on_packet = doctor_sees.on_packet
            sent = sent_by(booth, by_ssrc)
            async with (
                Measurements(booth, clock=booth_clock) as measuring,
                Measurements(doctor, doctor_sees.on_batch, doctor_sees.on_gap) as receiving,
            ):
                await until(lambda: len(doctor.remote_tracks) == 4, timeout_s=60)
                sources = {each.source: each for each in doctor.remote_tracks.values()}
                stethoscope = sources["stethoscope"].ssrc
                widen(doctor._subscribe)
                reports = watch_reports(doctor)
                await until(lambda: stethoscope in doctor_sees.payloads, timeout_s=60)
                instruments = Instruments(measuring)
                running = asyncio.create_task(instruments.run())
                turns_s = [booth_clock()]
                """Control is there, is not, is there …: from when on, by the booth's clock."""
                for _ in range(2):
                    await asyncio.sleep(4)
                    comebacks = booth.comebacks, doctor.comebacks
                    turns_s.append(booth_clock())
                    await restart_control(relay)
                    await until(
                        lambda: booth.comebacks > comebacks[0] and doctor.comebacks > comebacks[1],  # noqa: B023
                        timeout_s=60,
                    )
                    turns_s.append(booth_clock())
                await asyncio.sleep(6)
                running.cancel()
                turns_s.append(booth_clock())
                await until(
                    lambda: is_heard_since(turns_s[-1], sent["stethoscope"], doctor_sees.payloads[stethoscope]),
                    timeout_s=60,
                )
                await measuring.delivered(60)
                assert 0 == receiving.outbox.kept_samples
            offers = [each["sdp"] for each in doctor.events if each["type"] == "offer"]

    assert [*range(instruments.waves)] == doctor_sees.values["ecg"]
    assert [*range(instruments.pulses)] == doctor_sees.values["heart_rate"]
    assert [] == doctor_sees.gaps
    heard = set(doctor_sees.payloads[stethoscope])
    assert set() == heard - set(sent["stethoscope"])
    stretches = list(pairwise(turns_s))
    for when, those in (("with control", stretches[::2]), ("without control", stretches[1::2])):
        packets = [
            digest for digest, (at, _) in sent["stethoscope"].items() if any(begin <= at < end for begin, end in those)
        ]
        share = len(heard.intersection(packets)) / len(packets)
        print(f"stethoscope {when}: {share:.1%} of {len(packets)} packets")
        assert share >= LEAST_SHARE
    assert not any("usedtx" in offer for offer in offers)

    # Sample and picture of one moment: by the relay's clock they have one time.
    stamps = doctor_sees.stamps
    pictures = {
        at: by_relay_s(stamps[digest], reports[sources["scope"].ssrc])
        for digest, (at, _) in sent["scope"].items()
        if digest in stamps
    }
    samples = {instruments.began_s + value / 250: told_s for told_s, value in doctor_sees.seen_s}
    errors_ms = [error_s * 1000 for error_s in errors_s(samples, pictures)]
    p95_ms = quantiles(errors_ms, n=20)[-1]
    print(
        f"samples {instruments.waves} + {instruments.pulses}, {len(errors_ms)} batches against {len(pictures)} packets"
    )
    assert len(samples) == len(errors_ms) > 100
    return p95_ms
