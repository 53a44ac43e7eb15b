"""
The oracle of the payloads' fuzzer finds what it is there to find, and its corpus is good.
"""

from __future__ import annotations

import dataclasses
import random

import pytest

import fuzz_payloads
from telerelay.recording.formats import FORMATS, Format, Piece
from telerelay.recording.frames import Pictures

STREAMS = fuzz_payloads.corpus()


def test_every_codec_has_pictures_in_the_corpus() -> None:
    """
    Each file has a keyframe first and another picture after it, all of them whole; it is written as it was read.
    """
    assert set(FORMATS) == set(STREAMS)
    for codec, streams in STREAMS.items():
        for stream in streams:
            found = [each.is_keyframe for each in fuzz_payloads.frames(Pictures(codec), stream)]
            assert [True] + [False] * (len({row.timestamp for row in stream}) - 1) == found
            assert len(found) >= 2
    for path in fuzz_payloads.CORPUS.glob("*.jsonl"):
        assert path.read_text() == fuzz_payloads.written(fuzz_payloads.read(path))


@pytest.mark.parametrize("codec", sorted(FORMATS))
def test_what_is_good_is_no_finding(codec: str) -> None:
    """
    Nor is what is refused; both are counted.
    """
    judge = fuzz_payloads.Judge(codec, STREAMS[codec][0])
    empty = [dataclasses.replace(row, payload=row.payload[:1]) for row in STREAMS[codec][0]]

    assert ["", ""] == [judge.wrong(STREAMS[codec][0]), judge.wrong(empty)]
    assert judge.outcomes["pictures"] >= 2
    assert judge.outcomes["refused"] >= 1


def test_the_same_seed_makes_the_same_streams() -> None:
    """
    A finding can be made again.
    """
    stream = STREAMS["vp9"][0]
    made = [[fuzz_payloads.mutated(random.Random(7), stream, [stream]) for _ in range(3)] for _ in range(2)]

    assert made[0] == made[1]


@pytest.mark.parametrize("fault", ["exception", "join", "growth", "keyframe", "again", "time"])
def test_a_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Another exception than ValueError, of one payload or of a picture; a piece that is too long; a picture before a
    keyframe; a picture that is another when it is read again; one that takes too long.
    """
    judge = fuzz_payloads.Judge("av1", STREAMS["av1"][0])
    good = FORMATS["av1"]
    asked: list[bytes] = []

    def unsteady(data: bytes) -> tuple[int, int] | None:
        asked.append(data)
        return (0, 0) if len(asked) % 2 else None

    def failing(*_: object) -> bytes:
        raise IndexError

    faults: dict[str, Format] = {
        "exception": dataclasses.replace(good, piece=lambda payload: Piece(True, bytes([payload[4096]]))),
        "join": dataclasses.replace(good, join=failing),
        "growth": dataclasses.replace(good, piece=lambda payload: Piece(True, payload * 4)),
        "again": dataclasses.replace(good, size=unsteady),
    }
    if fault in faults:
        monkeypatch.setitem(FORMATS, "av1", faults[fault])
    elif fault == "time":
        monkeypatch.setattr(fuzz_payloads, "SLOW_S", 0.0)
    else:
        monkeypatch.setattr(Pictures, "wants_keyframe", property(lambda _: False, lambda *_: None), raising=False)

    first, *_ = stream = STREAMS["av1"][0]
    assert judge.wrong([row for row in stream if fault != "keyframe" or row.timestamp != first.timestamp])
