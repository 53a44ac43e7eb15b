"""
When a receiver that goes by libwebrtc's rules decodes which picture: of VP9, told by payload descriptors alone, and of
whatever comes with dependency descriptors by those.

A frame is whole when all its packets are there, and continuous when the frames it needs are. A picture (one time) is
whole when its last frame, the one with the marker, is continuous, whatever else of it is missing: then it is decoded,
and nothing older is any more. VP9 in flexible mode, in which libwebrtc publishes. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from support import descriptors
from support.recording import DESCRIPTOR_ID
from support.replay import Packet

SPATIAL = 8
"""Frame numbers are picture ids times this, and their spatial layer."""


@dataclass(slots=True)
class _Frame:
    number: int
    needs: list[int]
    ts: int
    is_last: bool = False
    is_continuous: bool = False


@dataclass(slots=True)
class Receiver:
    """`decoded` has time of arrival (us) and frame numbers of each picture that was decoded; `late` what came after."""

    decoded: list[tuple[int, list[int]]] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    _done: set[int] = field(default_factory=set)
    _frames: dict[int, _Frame] = field(default_factory=dict)

    def insert(self, at_us: int, frame: _Frame) -> None:
        if self._done and frame.number <= max(self._done):
            self.late.append(frame.number)
            return
        self._frames[frame.number] = frame
        for _, each in sorted(self._frames.items()):
            if all(number in self._done or self._is_continuous(number) for number in each.needs):
                each.is_continuous = True
        while (picture := self._next()) is not None:
            self.decoded.append((at_us, picture))
            self._done.update(picture)
            self._frames = {number: each for number, each in self._frames.items() if number > picture[-1]}

    def _is_continuous(self, number: int) -> bool:
        return number in self._frames and self._frames[number].is_continuous

    def _next(self) -> list[int] | None:
        picture: list[_Frame] = []
        for _, each in sorted(self._frames.items()):
            if picture and picture[0].ts != each.ts:
                picture = []
            picture.append(each)
            numbers = [one.number for one in picture]
            needs = [number for one in picture for number in one.needs]
            if each.is_last and all(number in self._done or number in numbers for number in needs):
                return numbers
        return None


def decoded(packets: Iterable[Packet], *, minds_layers: bool = True) -> Receiver:
    """
    Of `packets` in the order of their numbers, with the times they came. `minds_layers`: by what descriptors say of the
    layer below; else by that of keyframes alone, as k-SVC is published.
    """
    frames: list[tuple[int, _Frame]] = []
    pictures: int | None = None
    frame: _Frame | None = None
    whole_us = following = 0
    for packet in packets:
        if not packet.payload:
            continue
        payload = packet.payload
        flags, number, layers = payload[0], int.from_bytes(payload[1:3], "big") & 0x7FFF, payload[3]
        assert flags & 0xB0 == 0xB0, "picture ids, layers, flexible mode"
        assert payload[1] & 0x80, "of 15 bits"
        if flags & 0x08:
            pictures = number if pictures is None else pictures
            pictures += ((number - pictures + 0x4000) & 0x7FFF) - 0x4000
            spatial = layers >> 1 & 7
            needs, at = [], 4
            while flags & 0x40:
                needs.append((pictures - (payload[at] >> 1)) * SPATIAL + spatial)
                at += 1
                if not payload[at - 1] & 1:
                    break
            if layers & 1 and (minds_layers or not flags & 0x40):
                needs.append(pictures * SPATIAL + spatial - 1)
            frame, whole_us = _Frame(pictures * SPATIAL + spatial, needs, packet.ts), packet.at_us
        elif following != packet.seq:
            frame = None
        following = (packet.seq + 1) & 0xFFFF
        if frame is None:
            continue
        whole_us = max(whole_us, packet.at_us)
        if flags & 0x04:
            frame.is_last = packet.marker
            frames.append((whole_us, frame))
            frame = None
    return _received(frames)


def _received(frames: list[tuple[int, _Frame]]) -> Receiver:
    receiver = Receiver()
    for at_us, each in sorted(frames, key=lambda one: (one[0], one[1].number)):
        receiver.insert(at_us, each)
    return receiver


def described(packets: Iterable[Packet], *, minds_layers: bool = True) -> Receiver:
    """The same by dependency descriptors. `minds_layers`: also by what the relay says of the layer below."""
    reader = descriptors.Reader()
    frames: list[tuple[int, _Frame]] = []
    number: int | None = None
    frame: _Frame | None = None
    whole_us = following = 0
    for packet in packets:
        said = reader.read(packet.elements[DESCRIPTOR_ID]) if packet.payload else None
        if said is None:
            continue
        if said.is_start:
            number = said.frame if number is None else number
            number += ((said.frame - number + 0x8000) & 0xFFFF) - 0x8000
            needs = said.needs[1:] if said.is_tied and not minds_layers else said.needs
            frame, whole_us = _Frame(number, [number - before for before in needs], packet.ts), packet.at_us
        elif following != packet.seq:
            frame = None
        following = (packet.seq + 1) & 0xFFFF
        if frame is None:
            continue
        whole_us = max(whole_us, packet.at_us)
        if said.is_end:
            frame.is_last = packet.marker
            frames.append((whole_us, frame))
            frame = None
    return _received(frames)
