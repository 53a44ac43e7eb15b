"""
What leaves while encodings of a simulcast publisher are switched decodes without an error, and each picture is, to the
last sample, one that the publisher's encoder made: nothing is torn. Real encoders, the relay's own receiver and sender,
loss on either side, and all wraps of numbers on the way.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from support import replay
from support.encoded import FRAME_US, FRAMES, KEY_EVERY, RATE, SIZES, encoded
from support.replay import ANY, Decoder, Sent

pytestmark = [pytest.mark.slow]


@cache
def known(codec: str) -> dict[Any, tuple[int, int]]:
    """All pictures there are: by what a decoder that gets everything makes of them, encoding and number."""
    found = {}
    for encoding in range(len(SIZES)):
        decoder = Decoder(codec)
        shown = [each for frame in encoded(codec, encoding) for each in decoder.decode(frame)] + decoder.decode(None)
        assert len(shown) == FRAMES
        found.update({each: (encoding, n) for n, each in enumerate(shown)})
    assert len(found) == len(SIZES) * FRAMES
    return found


def recorded(codec: str) -> list[Sent]:
    """All encodings as one publisher sends them, one after the other at each frame."""
    sent = []
    seqs = [replay.EPOCH_SEQ] * len(SIZES)
    for n in range(FRAMES):
        for encoding in range(len(SIZES)):
            payloads = list(replay.fragments(codec, encoded(codec, encoding)[n], replay.EPOCH_PICTURE + n))
            for i, payload in enumerate(payloads):
                ts = replay.EPOCH_TS + encoding * 777_777 + n * 90_000 // RATE
                data = replay.rtp(encoding, seqs[encoding], ts, i == len(payloads) - 1, payload)
                sent.append(Sent(n * FRAME_US + encoding * 3000 + i * 200, encoding, data))
                seqs[encoding] += 1
    return sent


@pytest.mark.parametrize(("loss_in", "loss_out", "has_rtx"), [(0, 0, True), (3, 3, True), (3, 3, False)])
@pytest.mark.parametrize("codec", ["VP8", "VP9", "H264"])
def test_each_picture_is_one_that_was_made(codec: str, loss_in: int, loss_out: int, has_rtx: bool) -> None:
    """
    Up and down every 0.9 s. Within an encoding no picture is missing; a change begins no later than the next one.
    """
    wanted = (0, 2, 1, ANY, 0, 1)
    wishes = [(n * 900_000, (encoding, ANY, ANY)) for n, encoding in enumerate(wanted)]
    out = replay.replay(
        codec, len(SIZES), recorded(codec), wishes, loss_in=loss_in, loss_out=loss_out, has_rtx=has_rtx, seed=7
    )
    assert 0 == out.counts["missing"]

    decoder, cut = Decoder(codec), 0
    shown: list[Any] = []
    ids: list[int] = []
    for packets in replay.pictures(out.packets):
        if not packets[-1].marker:  # another encoding's keyframe came in its place: a decoder passes it over
            cut += 1
            continue
        assert replay.is_start(codec, packets[0].payload)
        shown += decoder.decode(replay.assembled(codec, [each.payload for each in packets]))
        if codec != "H264":
            ids.append(replay.picture_id(codec, packets[0].payload))
    shown += decoder.decode(None)

    places = [known(codec)[each] for each in shown]
    switches = 0
    for before, after in pairwise(places):
        if before[0] == after[0]:
            assert before[1] + 1 == after[1]
            continue
        switches += 1
        assert after[1] % KEY_EVERY == 0
        assert after[1] <= before[1] + 2
    assert switches >= 4
    assert cut <= switches + 2
    assert FRAMES - 1 == places[-1][1]
    assert cut or all((after - before) % 0x8000 == 1 for before, after in pairwise(ids))
