"""
What comes of packets: files that play, in step, with what is missing told.
"""

import io
import struct
from fractions import Fraction
from functools import cache
from typing import Any

import av
import numpy as np
import pytest
from aiortc.rtp import RtpPacket

from support.payloads import payloads
from support.replay import digest
from telerelay.recording.clock import StreamClock, unix_s
from telerelay.recording.reorder import Gap, Reorder
from telerelay.recording.take import Part, Take, Track

NOW = 1_700_000_000.0
VOICE = Track(1, "pub-a", "pat", "microphone", "opus", "call")
FPS = 25


def picture(codec: str = "vp8", number: int = 2, publication: str = "pub-v") -> Track:
    return Track(number, publication, "pat", "camera", codec, "call")


ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "vp8": ("libvpx", {"deadline": "realtime", "lag-in-frames": "0", "auto-alt-ref": "0"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"}),
    "av1": ("libsvtav1", {"preset": "12", "svtav1-params": "pred-struct=1:lookahead=0"}),
    "h264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency"}),
    "h265": ("libx265", {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=0:repeat-headers=1"}),
}


@cache
def images(count: int, width: int, height: int) -> list[av.VideoFrame]:
    """Noise that no two share, so that a picture does not fit into one packet."""
    made = []
    for number in range(count):
        rng = np.random.default_rng(number)
        small = rng.integers(0, 255, (height // 16, width // 16, 3), dtype=np.uint8)
        image = av.VideoFrame.from_ndarray(np.kron(small, np.ones((16, 16, 1), dtype=np.uint8)), format="rgb24")
        made.append(image.reformat(format="yuv420p"))
    return made


@cache
def frames_of(codec: str, count: int, size: tuple[int, int] = (320, 240)) -> list[bytes]:
    """So many, the first a keyframe."""
    name, options = ENCODERS[codec]
    context: Any = av.CodecContext.create(name, "w")
    context.width, context.height, context.pix_fmt = *size, "yuv420p"
    context.time_base, context.framerate, context.gop_size, context.thread_count = Fraction(1, FPS), FPS, 1000, 1
    context.options = options
    made = []
    for number, image in enumerate(images(count, *size)):
        image.pts, image.pict_type = number, 1 if number == 0 else 0
        made += [bytes(packet) for packet in context.encode(image)]
    made += [bytes(packet) for packet in context.encode(None)]
    assert count == len(made)
    return made


def decoded(codec: str, frames: list[bytes]) -> list[str]:
    """What these show."""
    context: Any = av.CodecContext.create({"h265": "hevc", "av1": "libdav1d"}.get(codec, codec), "r")
    packets = [av.Packet(frame) for frame in frames]
    return [digest(frame) for packet in (*packets, None) for frame in context.decode(packet)]


def encoded(codec: str, count: int) -> list[list[bytes]]:
    """So many frames' payloads, the first a keyframe."""
    return [payloads(codec, frame, number) for number, frame in enumerate(frames_of(codec, count))]


def report(ssrc: int, at: float, timestamp: int) -> bytes:
    """A sender report (RFC 3550, 6.4.1)."""
    ntp = int((at + 2208988800) * (1 << 32))
    return struct.pack("!BBHIQIII", 0x80, 200, 6, ssrc, ntp, timestamp, 0, 0)


class Cutting:
    """A take, and the files it makes."""

    def __init__(self) -> None:
        self.files: list[bytearray] = []
        self.parts: list[Part] = []
        self.asked: list[str] = []
        self.take = Take(self._opened, lambda sub, group, part: self.parts.append(part), self.asked.append)
        self._numbers: dict[int, int] = {}

    def reader(self) -> io.BytesIO:
        """The first file's."""
        return io.BytesIO(bytes(self.files[0]))

    def _opened(self, sub: str, group: str, media_type: str, sources: tuple[str, ...]):
        self.files.append(bytearray())
        return self.files[-1].extend

    def send(self, now: float, ssrc: int, timestamp: int, payload: bytes, marker: bool = True, lost: bool = False):
        number = self._numbers[ssrc] = self._numbers.get(ssrc, 65530) + 1
        packet = RtpPacket(payload_type=96, marker=int(marker), sequence_number=number & 0xFFFF, timestamp=timestamp)
        packet.ssrc, packet.payload = ssrc, payload
        if not lost:
            self.take.rtp(now, packet.serialize())

    def play(self, codec: str, seconds: float = 2.0, lost_frames: tuple[int, ...] = ()) -> None:
        """Sound from timestamp 7000 and pictures from 90000, which were captured at once."""
        frames = encoded(codec, round(seconds * FPS))
        for tick in range(round(seconds * 100)):
            now = NOW + tick / 100
            if tick % 2 == 0:
                self.send(now, 1, 7000 + tick // 2 * 960, b"\xfc\xff\xfe")
            if tick % 4 == 0:
                picture = frames[tick // 4]
                for place, payload in enumerate(picture):
                    is_last = place == len(picture) - 1
                    self.send(now, 2, 90000 + tick // 4 * 3600, payload, is_last, tick // 4 in lost_frames)
            if tick == 50:
                self.take.rtcp(report(1, NOW + 0.5, 7000 + 24000))
                self.take.rtcp(report(2, NOW + 0.5, 90000 + 45000))
            self.take.tick(now)


def packets_of(data: bytes) -> dict[str, list[float]]:
    """When each packet begins, by the kind of its stream, seconds."""
    found: dict[str, list[float]] = {"audio": [], "video": []}
    with av.open(io.BytesIO(data)) as file:
        for packet in file.demux():
            if packet.pts is not None:
                found[packet.stream.type].append(float(packet.pts * packet.time_base))
    return found


CONTAINERS = [("vp8", "webm"), ("vp9", "webm"), ("av1", "webm"), ("h264", "mp4"), ("h265", "mp4")]


@pytest.mark.parametrize(("codec", "container"), CONTAINERS)
def test_a_file_plays_with_all_of_it_in_step(codec: str, container: str) -> None:
    """
    Sound and picture that were captured at once begin at once, whatever their timestamps; nothing is decoded for it.
    """
    cutting = Cutting()
    cutting.take.begin(VOICE)
    cutting.take.begin(picture(codec))
    cutting.play(codec)
    cutting.take.close(NOW + 2)
    (part,) = cutting.parts
    found = packets_of(bytes(cutting.files[0]))
    with av.open(io.BytesIO(bytes(cutting.files[0]))) as file:
        pictures = [digest(frame) for frame in file.decode(video=0)]

    assert (f"video/{container}", ("camera", "microphone"), 0) == (part.media_type, part.sources, part.counts.left_out)
    assert decoded(codec, frames_of(codec, 50)) == pictures
    assert (100, 50) == (len(found["audio"]), len(found["video"]))
    assert abs(found["audio"][0] - found["video"][0]) < 0.002
    assert abs(found["audio"][-1] - 1.98) < 0.002
    assert abs(NOW - part.begun_at) < 0.001


def test_a_picture_that_is_not_whole_is_left_out_with_all_up_to_the_next_keyframe() -> None:
    """
    And a keyframe is asked for, of that publication; sound goes on, and the gap is counted.
    """
    cutting = Cutting()
    cutting.take.begin(VOICE)
    cutting.take.begin(picture())
    cutting.play("vp8", lost_frames=(20,))
    cutting.take.close(NOW + 2)
    (part,) = cutting.parts
    found = packets_of(bytes(cutting.files[0]))

    assert 20 == len(found["video"])
    assert 100 == len(found["audio"])
    assert 29 == part.counts.left_out
    assert (1, True) == (part.counts.gaps, part.counts.lost >= 1)
    assert {"pub-v"} == set(cutting.asked)


def test_sound_alone_is_a_file_too_and_what_begins_later_begins_another() -> None:
    """
    A camera that comes on when the file has begun cannot get into it.
    """
    cutting = Cutting()
    cutting.take.begin(VOICE)
    for tick in range(0, 500, 2):
        now = NOW + tick / 100
        cutting.send(now, 1, tick // 2 * 960, b"\xfc\xff\xfe")
        cutting.take.tick(now)
        if tick == 100:
            cutting.take.rtcp(report(1, NOW, 0))
        if tick == 400:
            cutting.take.begin(picture())
            for place, payload in enumerate(first := encoded("vp8", 1)[0]):
                cutting.send(now, 2, 90000, payload, place == len(first) - 1)
            cutting.take.rtcp(report(2, now, 90000))
            cutting.take.tick(now)
    cutting.take.close(NOW + 5)

    assert ["audio/webm", "video/webm"] == [part.media_type for part in cutting.parts]
    assert [0, 1] == [len(packets_of(bytes(file))["video"]) for file in cutting.files]


def test_what_is_nobodys_and_what_is_no_packet_is_passed_over() -> None:
    """
    Nothing comes of it.
    """
    cutting = Cutting()
    cutting.take.begin(VOICE)
    cutting.send(NOW, 99, 0, b"x")
    cutting.take.rtp(NOW, b"\x80")
    cutting.take.rtcp(b"\x80\xc8\x00")
    cutting.take.close(NOW)

    assert [] == cutting.files


def numbered(number: int) -> RtpPacket:
    return RtpPacket(sequence_number=number & 0xFFFF)


def test_late_packets_are_waited_for_and_missing_ones_are_a_gap() -> None:
    """
    Over the wrap of the numbers, too.
    """
    order: Reorder[RtpPacket] = Reorder()
    told: list[object] = []
    for now, number in ((0.0, 65534), (0.1, 0), (0.2, 65535), (0.3, 2), (0.4, 65535), (1.0, 3)):
        for item in order.add(now, numbered(number)):
            told.append(item if isinstance(item, Gap) else item.sequence_number)

    assert [65534, 65535, 0, Gap(1), 2, 3] == told
    assert (1, 1) == (order.gaps, order.lost)


def test_a_stream_that_begins_anew_goes_on_from_there() -> None:
    """
    Nobody knows how much is missing then.
    """
    order: Reorder[RtpPacket] = Reorder()
    told = [item for number in (10, 11, 40000, 40001) for item in order.add(0.0, numbered(number))]
    assert [10, 11, Gap(0), 40000, 40001] == [item if isinstance(item, Gap) else item.sequence_number for item in told]


def test_time_is_by_reports_over_the_wrap_of_timestamps() -> None:
    """
    Before the first one by arrival, after some seconds.
    """
    clock = StreamClock(90000)
    clock.see(NOW, 0xFFFFFFF0)
    assert (False, True) == (clock.is_known(NOW + 7), clock.is_known(NOW + 8))
    assert NOW + 1 == clock.at((0xFFFFFFF0 + 90000) & 0xFFFFFFFF)
    clock.report(NOW + 1, 45000)
    assert (NOW + 0.5, NOW + 1.5) == (clock.at(0), clock.at(90000))
    assert NOW == unix_s(int(NOW + 2208988800) << 32)
