"""
Sound and picture of a file stand where they were captured, whatever came late, drifts or is missing.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import av
import pytest
from test_take import FPS, NOW, VOICE, Cutting, encoded, packets_of, picture, report

from telerelay.recording.clock import STRAY_S, WAIT_S, StreamClock
from telerelay.recording.sound import RATE, SoundLine, samples_of

SPOKEN = b"\xfc\xff\xfe"
MS = 0.001


@dataclass(slots=True)
class Person:
    """
    Who sends sound and pictures that are captured at the same times. Pictures come `lag_s` late; `reports_at` has when
    reports of sound and of pictures begin, `drift` how much faster their clocks are, `is_heard` when sound is sent.
    """

    lag_s: float = 0.15
    reports_at: tuple[float, float] = (0.5, 0.5)
    drift: tuple[float, float] = (0.0, 0.0)
    is_heard: Callable[[float], bool] = lambda at_s: True
    is_shown: Callable[[float], bool] = lambda at_s: True
    offset: Callable[[float], float] = lambda at_s: 0.0
    """By how much the relay takes their clock for a later one."""
    captured: list[float] = field(default_factory=list)
    """When each picture was that was sent."""
    spoken: int = 0
    """Packets of 20 ms by the sound card's clock, those that were not sent with them."""

    def record(self, seconds: float) -> Cutting:
        key, delta = encoded("vp8", 2)
        cutting = Cutting()
        cutting.take.begin(VOICE)
        cutting.take.begin(picture())
        waiting: list[tuple[float, int]] = []
        for tick in range(round(seconds * 100)):
            at_s = tick / 100
            now = NOW + at_s
            while self.spoken * 0.02 <= at_s * (1 + self.drift[0]) + 1e-9:
                if self.is_heard(self.spoken * 0.02):
                    cutting.send(now, 1, 0xFFFFF000 + self.spoken * 960 & 0xFFFFFFFF, SPOKEN)
                self.spoken += 1
            if tick % (100 // FPS) == 0 and self.is_shown(at_s):
                waiting.append((at_s, self.timestamp(1, at_s)))
            while waiting and waiting[0][0] + self.lag_s <= at_s:
                captured_s, timestamp = waiting.pop(0)
                pieces = delta if self.captured else key
                self.captured.append(captured_s)
                for place, piece in enumerate(pieces):
                    cutting.send(now, 2, timestamp, piece, place == len(pieces) - 1)
            if tick % 100 == 50:
                for stream in (0, 1):
                    if at_s >= self.reports_at[stream]:
                        told = self.timestamp(stream, at_s - self.offset(at_s))
                        cutting.take.rtcp(report(stream + 1, now, told))
            cutting.take.tick(now)
        cutting.take.close(NOW + seconds)
        return cutting

    def timestamp(self, stream: int, at_s: float) -> int:
        rate = (48000, 90000)[stream] * (1 + self.drift[stream])
        return round((0xFFFFF000, 5000)[stream] + at_s * rate) & 0xFFFFFFFF


def apart(person: Person, found: dict[str, list[float]], begun_at: float = NOW) -> list[tuple[float, float]]:
    """
    Of each picture, when it was captured, and how much later than sound of that time it is in the file; sound is end to
    end there, from its first packet on, which was captured when the file begins.
    """
    assert len(person.captured) == len(found["video"]), "pictures are missing"
    begins = found["audio"][0]
    heard = [begins + (NOW + at_s - begun_at) * (1 + person.drift[0]) for at_s in person.captured]
    return [(at_s, at - by) for at_s, at, by in zip(person.captured, found["video"], heard, strict=True)]


def is_end_to_end(times: list[float]) -> bool:
    return all(abs(later - at - 0.02) < 1.5 * MS for at, later in itertools.pairwise(times))


def in_one_file(cutting: Cutting) -> dict[str, list[float]]:
    (part,) = cutting.parts
    assert ("camera", "microphone") == part.sources
    return packets_of(bytes(cutting.files[0]))


@pytest.mark.parametrize("late_s", [0.5, 3.5, WAIT_S - 0.5])
def test_a_report_that_comes_late_is_waited_for(late_s: float) -> None:
    """
    All is in step from the beginning on, though pictures come 150 ms later than sound.
    """
    person = Person(reports_at=(0.5, late_s))
    found = in_one_file(person.record(WAIT_S + 2))

    assert max(abs(each) for _, each in apart(person, found)) < 2 * MS


def test_a_report_that_comes_later_still_brings_it_into_step() -> None:
    """
    Until then a picture is where it came: as late as its way was longer than sound's.
    """
    person = Person(reports_at=(0.5, WAIT_S + 4))
    found = in_one_file(person.record(WAIT_S + 8))
    after = [each for at_s, each in apart(person, found) if at_s > WAIT_S + 5]
    before = [each for _, each in apart(person, found)]

    assert max(map(abs, after)) < 2 * MS
    assert max(map(abs, before)) < 160 * MS


def test_without_any_report_it_is_by_arrival() -> None:
    """
    Of the quickest packet: what waits on its way now and then changes nothing.
    """
    person = Person(reports_at=(1e9, 1e9))
    found = in_one_file(person.record(WAIT_S + 2))

    assert max(abs(each - person.lag_s) for _, each in apart(person, found)) < 12 * MS


@pytest.mark.parametrize("drift", [(1e-3, -1e-3), (-1e-3, 1e-3)])
def test_clocks_that_drift_apart_stay_in_step(drift: tuple[float, float]) -> None:
    """
    By 2,000 ppm, twenty times what is usual: in half a minute 60 ms. No packet of sound is moved or left out for it.
    """
    person = Person(drift=drift)
    found = in_one_file(person.record(30))

    assert max(abs(each) for _, each in apart(person, found)) < 3 * MS
    assert (person.spoken, True) == (len(found["audio"]), is_end_to_end(found["audio"]))


def test_what_the_relay_thinks_of_their_clock_is_nothing_to_the_file() -> None:
    """
    It learns of a shorter way, and moves both streams' times by that.
    """
    person = Person(offset=lambda at_s: 0.08 if at_s < 3 else 0.0)
    found = in_one_file(person.record(8))

    assert max(abs(each) for _, each in apart(person, found)) < 2 * MS


@pytest.mark.parametrize(
    "is_heard",
    [
        pytest.param(lambda at_s: at_s % 1 < 0.5 or round(at_s * 100) % 40 == 0, id="silence left out"),
        pytest.param(lambda at_s: not 3 <= at_s < 6, id="three seconds of nothing"),
    ],
)
def test_sound_that_was_left_out_is_filled_with_packets_of_no_sound(is_heard: Callable[[float], bool]) -> None:
    """
    Players put packets end to end: what comes after a gap would be early by it.
    """
    person = Person(is_heard=is_heard)
    cutting = person.record(10)
    found = in_one_file(cutting)
    with av.open(cutting.reader()) as file:
        packets = [bytes(packet) for packet in file.demux(audio=0) if packet.size]
        assert all(frame.samples == 960 for frame in file.decode(audio=0))
    sent = [number for number in range(500) if is_heard(number * 0.02)]

    assert len(sent) == packets.count(SPOKEN)
    assert {SPOKEN, b"\xfc"} == set(packets)
    assert (sent[-1] + 1, True) == (len(packets), is_end_to_end(found["audio"]))
    assert max(abs(each) for _, each in apart(person, found)) < 2 * MS


def test_a_file_begins_with_sound_though_its_picture_was_there_before() -> None:
    """
    Players begin with the first packet of sound, wherever it is.
    """
    person = Person(is_heard=lambda at_s: at_s >= 0.33)
    cutting = person.record(4)
    found = in_one_file(cutting)

    assert (0.0, True) == (found["audio"][0], is_end_to_end(found["audio"]))
    assert abs(NOW + person.captured[0] - found["video"][0] - cutting.parts[0].begun_at) < 2 * MS
    assert max(abs(each) for _, each in apart(person, found, cutting.parts[0].begun_at)) < 2 * MS


def test_sound_and_picture_that_were_away_for_long_go_on_in_another_file() -> None:
    """
    Minutes are not filled.
    """

    def is_there(at_s: float) -> bool:
        return not 2 <= at_s < 70

    cutting = Person(is_heard=is_there, is_shown=lambda at_s: at_s < 2).record(75)

    assert ["video/webm", "audio/webm"] == [part.media_type for part in cutting.parts]
    assert [0.0, 70.0] == [round(part.begun_at - NOW, 1) for part in cutting.parts]


@pytest.mark.parametrize(("is_elsewhere", "most"), [(lambda n: n >= 500, 2), (lambda n: n % 2 == 1, 4)])
def test_a_stream_that_jumps_to_another_time_begins_another_file_and_seldom(
    is_elsewhere: Callable[[int], bool], most: int
) -> None:
    """
    Whoever sends nonsense makes few files, and few bytes.
    """
    cutting = Cutting()
    cutting.take.begin(VOICE)
    for number in range(1000):
        now, timestamp = NOW + number / 50, (number * 960 + is_elsewhere(number) * RATE * 3600) & 0xFFFFFFFF
        cutting.send(now, 1, timestamp, SPOKEN)
        if number % 50 == 10:
            cutting.take.rtcp(report(1, now, timestamp))
        cutting.take.tick(now)
    cutting.take.close(NOW + 20)

    assert most // 2 <= len(cutting.files) <= most
    assert sum(map(len, cutting.files)) < 30_000


def test_a_report_that_cannot_be_is_not_believed() -> None:
    """
    By when packets come it is known where about it should be.
    """
    clock = StreamClock(RATE)
    assert clock.see(NOW, 0)
    clock.report(NOW + 2 * STRAY_S, 0)
    assert (False, NOW) == (clock.is_known(NOW + 1), clock.at(0))
    assert (True, False) == (clock.see(NOW + 1, RATE), clock.see(NOW + 1, RATE * 60))
    clock.report(NOW - 0.2, 0)
    assert NOW + 0.8 == pytest.approx(clock.at(RATE))


def test_a_clock_is_right_after_a_day() -> None:
    """
    Timestamps of sound begin anew after 25 hours.
    """
    clock = StreamClock(RATE)
    for hour in range(30):
        assert clock.see(NOW + hour * 3600 + 0.1, hour * 3600 * RATE & 0xFFFFFFFF)
        if hour == 1:
            clock.report(NOW + 3600, 3600 * RATE)

    assert NOW + 29 * 3600 == pytest.approx(clock.at(29 * 3600 * RATE & 0xFFFFFFFF), abs=MS)


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (b"", 0),
        (b"\x00", 480),  # SILK, 10 ms
        (b"\x18", 2880),  # SILK, 60 ms
        (b"\x60", 480),  # hybrid, 10 ms
        (b"\x80", 120),  # CELT, 2.5 ms
        (b"\xfc", 960),  # CELT, 20 ms
        (b"\xfd\x01\x02", 1920),  # two
        (b"\xff\x03", 2880),  # three
        (b"\xff", 0),
        (b"\xff\x00", 0),
        (b"\x1b\x03", 0),  # 180 ms
    ],
)
def test_how_long_a_packet_of_opus_is(packet: bytes, samples: int) -> None:
    """
    RFC 6716, 3.1 and 3.2.
    """
    assert samples == samples_of(packet)


def test_a_line_has_each_place_once() -> None:
    """
    What comes when its place was filled is too late; what overlaps by less than half is put behind.
    """
    line = SoundLine(0xFFFFFC40)  # 960 before the wrap
    made = [at for timestamp in (0xFFFFFC40, 0, 2880, 960, 1920, 3800, 4800) for at, _ in line.add(timestamp, SPOKEN)]
    assert [0, 960, 1920, 2880, 3840, 4800, 5760] == made
