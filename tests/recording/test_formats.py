"""
Pictures out of payloads of VP9, AV1 and H.265: layers are one picture, parts are put together, nonsense is refused.
"""

import random
from collections.abc import Iterator
from contextlib import suppress

import av
import pytest
from aiortc.rtp import RtpPacket
from test_take import frames_of

from support.payloads import payloads, vp9_layers
from telerelay.recording.formats import FORMATS
from telerelay.recording.frames import Frame, Pictures
from telerelay.recording.reorder import Gap


def packets(pieces: list[bytes], timestamp: int = 0, *, has_marker: bool = True) -> Iterator[RtpPacket]:
    for place, payload in enumerate(pieces):
        packet = RtpPacket(marker=int(has_marker and place == len(pieces) - 1), timestamp=timestamp)
        packet.payload = payload
        yield packet


def made(pictures: Pictures, items: Iterator[RtpPacket | Gap]) -> list[Frame]:
    return [frame for item in items for frame in pictures.add(item)]


def two_layers(is_key: bool = True) -> list[bytes]:
    frames = [frames_of("vp9", 2, size)[not is_key] for size in ((160, 120), (320, 240))]
    return vp9_layers(frames, 5, is_key)


def test_layers_of_vp9_are_one_picture_of_the_largest_size() -> None:
    """
    As a superframe (VP9 bitstream specification, Annex B): a decoder that knows of it shows the last of them.
    """
    (frame,) = made(Pictures("vp9"), packets(two_layers()))
    decoder = av.CodecContext.create("libvpx-vp9", "r")
    shown = [(each.width, each.height) for each in decoder.decode(av.Packet(frame.data))]

    assert (True, (320, 240)) == (frame.is_keyframe, (frame.width, frame.height))
    assert [(320, 240)] == shown


def test_a_picture_whose_highest_layer_never_comes_is_whole_without_it() -> None:
    """
    It has no marker, but its last frame an end; of one that has neither a packet is missing.
    """
    cut_short = [each for each in two_layers() if not each[3] >> 1]
    assert cut_short[-1][0] & 0x04
    for pieces, count in ((cut_short, 1), (cut_short[:-1], 0)):
        pictures = Pictures("vp9")
        found = made(pictures, packets(pieces, has_marker=False))
        found += made(pictures, packets(two_layers(is_key=False), 3000))

        assert count == sum(each.timestamp == 0 for each in found)


@pytest.mark.parametrize("codec", ["vp9", "av1", "h265"])
def test_a_keyframe_is_told_and_nothing_else_is_one(codec: str) -> None:
    """
    Before it nothing is kept.
    """
    key, delta = (payloads(codec, frame, number) for number, frame in enumerate(frames_of(codec, 2)))
    pictures = Pictures(codec)
    before = made(pictures, packets(delta))
    found = [each.is_keyframe for pieces, at in ((key, 1), (delta, 2)) for each in made(pictures, packets(pieces, at))]

    assert ([], 1, [True, False]) == (before, pictures.left_out, found)


@pytest.mark.parametrize("codec", ["vp9", "av1", "h265"])
def test_a_picture_of_which_a_packet_is_missing_is_left_out(codec: str) -> None:
    """
    Whichever it is: what is left of it is not taken for a whole one.
    """
    pieces = payloads(codec, frames_of(codec, 1)[0], 0)
    assert len(pieces) > 2
    for missing in range(len(pieces)):
        items: list[RtpPacket | Gap] = list(packets(pieces))
        items[missing] = Gap(1)

        assert [] == made(Pictures(codec), iter(items))


@pytest.mark.parametrize("codec", sorted(FORMATS))
def test_payloads_that_are_nonsense_are_refused_and_nothing_else_happens(codec: str) -> None:
    """
    Cut, turned over, or made up: they come to a picture or to none.
    """
    chance = random.Random(codec)
    whole = payloads(codec, frames_of(codec, 1)[0], 0)
    for _ in range(1500):
        pieces = [bytearray(each) for each in whole]
        for _ in range(chance.randrange(1, 4)):
            piece = chance.choice(pieces)
            if piece and chance.random() < 0.5:
                piece[chance.randrange(min(len(piece), 12))] = chance.randrange(256)
            else:
                del piece[chance.randrange(len(piece) + 1) :]
        made(Pictures(codec), packets([bytes(each) for each in pieces]))
        with suppress(ValueError):
            FORMATS[codec].size(chance.randbytes(chance.randrange(20)))
