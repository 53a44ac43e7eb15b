"""
Dependency descriptors (AV1 RTP specification, A.8), read for tests: what a frame is, and which frames it needs.

Written from the specification, so that what the relay makes of descriptors is judged by a second reading. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field


class _Bits:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> int:
        assert self.at + count <= 8 * len(self.data), "cut short"
        value = 0
        for _ in range(count):
            value = value << 1 | self.data[self.at // 8] >> 7 - self.at % 8 & 1
            self.at += 1
        return value

    def take_of(self, count: int) -> int:
        """ns(n)."""
        width = count.bit_length()
        short = (1 << width) - count
        value = self.take(width - 1)
        return value if value < short else (value << 1) - short + self.take(1)


@dataclass(frozen=True, slots=True)
class Template:
    """`needs`: how many frames before it those are that it needs."""

    spatial: int
    temporal: int
    needs: tuple[int, ...]
    indications: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Structure:
    """What comes with a keyframe."""

    offset: int
    targets: int
    chains: int
    templates: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class Described:
    """One packet's descriptor."""

    is_start: bool
    is_end: bool
    frame: int
    spatial: int
    temporal: int
    needs: tuple[int, ...]
    has_structure: bool
    is_tied: bool
    """An upper layer's frame that needs the one just before it, which is the relay's word: k-SVC says so of keyframes
    alone, where it is all that is needed."""


def _structure(bits: _Bits) -> Structure:
    offset, targets = bits.take(6), bits.take(5) + 1
    layers, spatial, temporal = [], 0, 0
    while True:
        layers.append((spatial, temporal))
        step = bits.take(2)
        if step == 3:
            break
        temporal = temporal + 1 if step == 1 else 0 if step == 2 else temporal
        spatial += step == 2
    indications = [tuple(bits.take(2) for _ in range(targets)) for _ in layers]
    needs = []
    for _ in layers:
        each = []
        while bits.take(1):
            each.append(bits.take(4) + 1)
        needs.append(tuple(each))
    chains = bits.take_of(targets + 1)
    if chains:
        for _ in range(targets):
            bits.take_of(chains)
        bits.take(4 * len(layers) * chains)
    if bits.take(1):
        bits.take(32 * (layers[-1][0] + 1))
    return Structure(
        offset, targets, chains, tuple(Template(*of, n, i) for of, n, i in zip(layers, needs, indications, strict=True))
    )


@dataclass(slots=True)
class Reader:
    """Of one stream, in the order of its numbers."""

    structure: Structure | None = field(default=None)
    size: int = field(default=0)
    """Of the last one, behind its first three bytes; in bits, without what fills its last byte."""

    def read(self, data: bytes) -> Described | None:
        """None: there is no structure yet, or it is of another."""
        number, frame = data[0] & 63, int.from_bytes(data[1:3], "big")
        bits = _Bits(data[3:])
        has_structure, has_active, has_indications, has_needs, has_chains = (
            bool(len(data) > 3 and bits.take(1)) for _ in range(5)
        )
        if has_structure:
            self.structure = _structure(bits)
        if self.structure is None or (number - self.structure.offset) % 64 >= len(self.structure.templates):
            return None
        template = self.structure.templates[(number - self.structure.offset) % 64]
        needs = list(template.needs)
        bits.take(self.structure.targets * (has_active + 2 * has_indications))
        if has_needs:
            needs = []
            while size := bits.take(2):
                needs.append(bits.take(4 * size) + 1)
        bits.take(8 * self.structure.chains * has_chains)
        self.size = bits.at
        assert len(data) == 3 or 8 * len(data) - 24 - bits.at < 8, "bytes left over"
        return Described(
            bool(data[0] & 0x80),
            bool(data[0] & 0x40),
            frame,
            template.spatial,
            template.temporal,
            tuple(needs),
            has_structure,
            bool(template.spatial and has_needs and len(needs) > 1 and needs[0] == 1),
        )

    def untied(self, data: bytes) -> bytes:
        """As it was published, before the relay said that the layer below is needed; of the structure last read."""
        said = self.read(data)
        if said is None or not said.is_tied or self.structure is None:
            return data
        bits = "".join(f"{byte:08b}" for byte in data[3:])
        at = 5 + self.structure.targets * (int(bits[1]) + 2 * int(bits[2]))
        template = self.structure.templates[(data[0] - self.structure.offset) % 64]
        assert bits[at : at + 6] == "010000"
        if bits[:5] == "00010" and said.needs[1:] == template.needs:
            return data[:3]
        bits = bits[:at] + bits[at + 6 : self.size]
        bits += "0" * (-len(bits) % 8)
        return data[:3] + bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
