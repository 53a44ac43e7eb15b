"""
Pictures of VP8 as they come, by their packets alone: which could be decoded, and how large keyframes are.

A frame counts that is whole, in order, and needs nothing that is missing: after one that is not, none does until the
next keyframe. What is resent comes too late for that, so this counts rather too few. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

_START = b"\x9d\x01\x2a"
"""What opens a keyframe, before its width and height (RFC 6386, 9.1); behind a descriptor of some bytes."""
_WITHIN = 16


class Packet(Protocol):
    """The fields of RTP that are needed."""

    @property
    def ssrc(self) -> int: ...
    @property
    def seq(self) -> int: ...
    @property
    def marker(self) -> bool: ...
    @property
    def payload(self) -> bytes: ...


@dataclass(slots=True)
class _Stream:
    frames: int = 0
    height: int = 0
    next_seq: int | None = None
    is_whole: bool = False
    """The frame that is coming, so far, with all that it needs."""


@dataclass(slots=True)
class Pictures:
    """`on_frame` is told of the SSRC of each frame that could be decoded, as its last packet comes."""

    on_frame: Callable[[int], None] = lambda ssrc: None
    _streams: dict[int, _Stream] = field(default_factory=dict)

    def add(self, packet: Packet) -> None:
        """The next packet of any stream."""
        stream = self._streams.setdefault(packet.ssrc, _Stream())
        if stream.next_seq is not None and packet.seq != stream.next_seq:
            stream.is_whole = False
        at = packet.payload.find(_START, 0, _WITHIN)
        is_key = at >= 0 and bool(packet.payload[0] & 0x10)  # the descriptor's S: the start of a partition (RFC 7741)
        if is_key:
            stream.is_whole = True
            stream.height = int.from_bytes(packet.payload[at + 5 : at + 7], "little") & 0x3FFF
        stream.next_seq = (packet.seq + 1) & 0xFFFF
        if packet.marker and stream.is_whole:
            stream.frames += 1
            self.on_frame(packet.ssrc)

    def frames(self, ssrc: int) -> int:
        """How many of that stream could be decoded so far."""
        return self._streams[ssrc].frames if ssrc in self._streams else 0

    def height(self, ssrc: int) -> int:
        """Lines of its latest keyframe; 0: there was none."""
        return self._streams[ssrc].height if ssrc in self._streams else 0
