"""
Fuzzes what the recorder reads of pictures, from the payloads in tests/data/corpus/payloads:
python tests/fuzz_payloads.py --seconds N (make fuzz-payloads SECONDS=N).

A file of the corpus is a few pictures of one stream, a packet a line: timestamp, marker, payload in hex. Mutations
change bytes (where descriptors and sizes stand above all), cut, double, swap, drop and mix packets, also of other
codecs. The oracle: of one payload comes a piece, not much longer than it, or ValueError; a stream raises nothing and
keeps no more than a picture; what is a picture is one again when it is read again; and after all that a whole keyframe
and what follows it come out as they would have at first. None takes longer than the bound, but for the machine's noise.

A finding ends the run with status 1 and stands in build/fuzz-payloads/, with the seed that made it. One thread, no
network.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiortc.rtp import RtpPacket

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "src"))

from telerelay.recording.formats import FORMATS  # noqa: E402
from telerelay.recording.frames import MAX_FRAME_BYTES, Frame, Pictures  # noqa: E402
from telerelay.recording.reorder import Gap  # noqa: E402

CORPUS = HERE / "data" / "corpus" / "payloads"
FOUND = HERE.parent / "build" / "fuzz-payloads"
# A stream of some dozen packets takes a millisecond; what takes this in the best of three is no noise of the machine.
SLOW_S = 0.05
# An aggregation of H.265 has two bytes for a unit's size, a file four for its start.
MOST_GROWTH = 3
EDGES = (0x00, 0x01, 0x7F, 0x80, 0x81, 0xC0, 0xE0, 0xFE, 0xFF)
# Timestamps of what comes after the nonsense: no mutation makes them.
LATER = 1 << 24


@dataclass(frozen=True, slots=True)
class Row:
    """One packet."""

    timestamp: int
    marker: int
    payload: bytes

    def packet(self, after: int = 0) -> RtpPacket:
        made = RtpPacket(marker=self.marker, timestamp=self.timestamp + after)
        made.payload = self.payload
        return made


Stream = list[Row]


def read(path: Path) -> Stream:
    """A file of the corpus."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [Row(timestamp, int(marker), bytes.fromhex(payload)) for timestamp, marker, payload in rows]


def written(stream: Stream) -> str:
    """As a file of the corpus."""
    return "".join(json.dumps([row.timestamp, row.marker, row.payload.hex()]) + "\n" for row in stream)


def corpus() -> dict[str, list[Stream]]:
    """By codec, which the name of a file begins with."""
    found: dict[str, list[Stream]] = {}
    for path in sorted(CORPUS.glob("*.jsonl")):
        found.setdefault(path.name.split("-")[0], []).append(read(path))
    return found


def mutated(rng: random.Random, stream: Stream, others: Sequence[Stream]) -> Stream:
    """With one to six changes."""
    rows = list(stream)
    for _ in range(rng.randrange(1, 7)):
        if not rows:
            rows = list(rng.choice(others))
        at = rng.randrange(len(rows))
        row = rows[at]
        match rng.randrange(9):
            case 0:
                del rows[at]
            case 1:
                rows.insert(rng.randrange(len(rows) + 1), row)
            case 2:
                to = rng.randrange(len(rows))
                rows[at], rows[to] = rows[to], rows[at]
            case 3:
                rows.insert(at, rng.choice(rng.choice(others)))
            case 4:
                rows[at] = Row(rng.choice(rows).timestamp, rng.randrange(2), row.payload)
            case 5:
                rows[at] = Row(row.timestamp, row.marker, row.payload[: rng.randrange(len(row.payload) + 1)])
            case 6:
                rows[at : at + 1] = [row] * rng.choice([2, 9, 40])
            case _:
                rows[at] = Row(row.timestamp, row.marker, _with_noise(rng, row.payload))
    return rows


def _with_noise(rng: random.Random, payload: bytes) -> bytes:
    """A few bytes changed, put in or cut out; more often than not among the first ones."""
    data = bytearray(payload)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(min(len(data), 12 if rng.random() < 0.8 else len(data)) + 1)
        made = bytes([rng.choice(EDGES)]) if rng.random() < 0.5 else rng.randbytes(rng.randrange(3))
        data[at : at + rng.randrange(3)] = made
    return bytes(data)


def frames(pictures: Pictures, stream: Stream, after: int = 0) -> list[Frame]:
    """What comes out of a stream, timestamps as in it."""
    found = [frame for row in stream for frame in pictures.add(row.packet(after))]
    return [Frame(each.timestamp - after, each.data, each.is_keyframe, each.width, each.height) for each in found]


class Judge:
    """Runs one stream through a codec's reader and says what is wrong with it."""

    def __init__(self, codec: str, good: Stream) -> None:
        self.codec = codec
        self.outcomes: Counter[str] = Counter()
        self._good = good
        self._expected = frames(Pictures(codec), good)

    def wrong(self, stream: Stream) -> str:
        """What is wrong, "" for nothing."""
        for check in (self._pieces, self._stream):
            begun = time.thread_time()
            try:
                wrong = check(stream)
            except Exception as error:
                return f"{check.__name__}: {type(error).__name__}: {error}"
            if wrong:
                return f"{check.__name__}: {wrong}"
            if time.thread_time() - begun > SLOW_S and min(_cost_s(check, stream) for _ in range(3)) > SLOW_S:
                return f"{check.__name__}: takes longer than {SLOW_S} s"
        return ""

    def _pieces(self, stream: Stream) -> str:
        for row in stream:
            try:
                piece = FORMATS[self.codec].piece(row.payload)
            except ValueError:
                self.outcomes["refused"] += 1
                continue
            self.outcomes["read"] += 1
            if len(piece.data) > MOST_GROWTH * len(row.payload):
                return "a piece is much longer than its payload"
        return ""

    def _stream(self, stream: Stream) -> str:
        pictures = Pictures(self.codec)
        has_keyframe = False
        for row in stream:
            for frame in pictures.add(row.packet()):
                self.outcomes["pictures"] += 1
                has_keyframe = has_keyframe or frame.is_keyframe
                if not has_keyframe:
                    return "a picture came before the first keyframe"
                if not 0 < len(frame.data) <= 2 * MAX_FRAME_BYTES:
                    return "a picture is empty, or larger than one may be"
                if frame.is_keyframe != (FORMATS[self.codec].size(frame.data) is not None):
                    return "a picture is not read again as it was"
        list(pictures.add(Gap(1)))
        if frames(pictures, self._good, LATER) != self._expected:
            return "what is good is not read as such afterwards"
        return ""


def _cost_s(check: Callable[[Stream], str], stream: Stream) -> float:
    begun = time.thread_time()
    check(stream)
    return time.thread_time() - begun


def run(seconds: float, seed: int) -> tuple[int, Counter[str], tuple[str, str, Stream] | None]:
    """Streams tried, what came of them, and the first finding: its codec, what is wrong, and the stream."""
    streams = corpus()
    everything = [each for of_codec in streams.values() for each in of_codec]
    judges = {codec: Judge(codec, of_codec[0]) for codec, of_codec in streams.items()}
    rng = random.Random(seed)
    end, count = time.monotonic() + seconds, 0
    found = None
    while found is None and time.monotonic() < end:
        codec = rng.choice(sorted(streams))
        stream = mutated(rng, rng.choice(streams[codec]), everything)
        count += 1
        if wrong := judges[codec].wrong(stream):
            found = codec, wrong, stream
    return count, sum((each.outcomes for each in judges.values()), Counter()), found


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz what the recorder reads of pictures.")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="the same seed makes the same streams")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    count, outcomes, found = run(options.seconds, seed)
    print(f"fuzz_payloads: {count} streams, seed {seed}: {dict(outcomes.most_common())}")
    if found is None:
        return 0
    codec, wrong, stream = found
    FOUND.mkdir(parents=True, exist_ok=True)
    path = FOUND / f"{codec}-{seed}-{count}.jsonl"
    path.write_text(written(stream))
    print(f"fuzz_payloads: FOUND {codec}: {wrong}\nfuzz_payloads: the stream is in {path}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
