"""
What leaves while layers are added and left out decodes without an error, and each picture is, to the last sample, one
that the layers it has make. The publisher is libwebrtc; loss is on either side of the relay's own receiver and sender,
and all wraps of numbers on the way.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import groupby, pairwise
from typing import Any

import pytest
import webrtc

from support import descriptors, recording, replay, whole_pictures
from support.recording import Recording, layer_of
from support.replay import ANY, Decoder, Packet

pytestmark = [pytest.mark.slow]
LASTS_S = 9.6
VIDEO = (640, 360, 30)


def encodings(*options: dict[str, Any]) -> list[Any]:
    return [webrtc.RTCRtpEncodingParameters(**each) for each in options]


def with_layers(codec: str, packets: list[Packet]) -> list[tuple[Packet, int]]:
    """Each packet with its spatial layer; one in the middle of an OBU is of its predecessor's."""
    out, spatial = [], 0
    for packet in packets:
        if codec != "AV1" or not packet.payload[0] & 0x80:
            spatial = layer_of(codec, packet)[0]
        out.append((packet, spatial))
    return out


def known(codec: str, packets: list[Packet], spatial: int) -> dict[Any, list[int]]:
    """All pictures of the layers up to this one, and their places: a scene that stands still has equal ones."""
    decoder = Decoder(codec)
    found: dict[Any, list[int]] = {}
    kept = [packet for packet, each in with_layers(codec, packets) if each <= spatial]
    pictures = [list(each) for _, each in groupby(kept, key=lambda packet: packet.ts)]
    for picture in [*pictures, None]:
        data = picture and replay.assembled(codec, [packet.payload for packet in picture])
        for each, place in decoder.decode_at(data, picture[0].ts - packets[0].ts if picture else 0):
            found.setdefault(each, []).append(place)
    assert len(pictures) == sum(len(places) for places in found.values())
    return found


def structures(packets: list[Packet]) -> int:
    """How many, one after the other, the dependency descriptors of these packets have; 1 where there are none."""
    reader, found = descriptors.Reader(), []
    for packet in packets:
        if (data := packet.elements.get(recording.DESCRIPTOR_ID)) is not None:
            reader.read(data)
            found.append(reader.structure)
    return max(1, len(list(groupby(found))))


def check(
    codec: str,
    packets: list[Packet],
    wish: Callable[[random.Random], tuple[int, int, int]],
    *,
    loss: int,
    has_rtx: bool,
) -> tuple[set[int], int]:
    """Replay with wishes at random. The spatial layers seen, and how many pictures."""
    chance = random.Random(f"{codec} {loss} {has_rtx}")
    packets = recording.from_keyframe(codec, [packet for packet in packets if packet.payload])
    begun_us = packets[0].at_us
    wishes = [(at, wish(chance)) for at in range(0, packets[-1].at_us - begun_us, 500_000)]
    sent = recording.sent(codec, 0, packets)
    out = replay.replay(codec, 1, sent, wishes, loss_in=loss, loss_out=loss, has_rtx=has_rtx, seed=5)
    # Where there is no RTX what was lost just before a keyframe with another structure is not resent (docs/layers.md).
    keyframes = sum(recording.is_keyframe(codec, packet) for packet in packets)
    assert out.counts["missing"] <= (0 if has_rtx or not loss else keyframes)

    top = max(spatial for _, spatial in with_layers(codec, packets))
    places = [known(codec, packets, spatial) for spatial in range(top + 1)]
    # An encoder that is short of time leaves the highest layer out of a picture, which ends without a marker then.
    cut_short = {each[-1].ts - packets[0].ts for each in replay.pictures(packets) if not each[-1].marker}
    # What was lost just before a keyframe that brings another structure, and comes behind it, leaves empty
    # (docs/layers.md): its picture cannot be decoded, and a receiver waits for that keyframe. Of a keyframe that itself
    # comes late what followed it may be left out; then a receiver waits for the next, which the relay asks for.
    emptied = {packet.ts for packet in out.packets if codec == "VP8" and not packet.payload}
    decoder, shown, emptied_pictures, cut_keyframes, cut_pictures, waits = Decoder(codec), [], 0, 0, 0, False
    left = replay.pictures(out.packets)
    if loss and not left[-1][-1].marker:  # nothing comes behind the last packet that would tell of its loss
        left.pop()
    for picture in left:
        is_emptied = picture[0].ts in emptied
        emptied_pictures += is_emptied
        since = (picture[-1].ts - out.packets[0].ts) & 0xFFFFFFFF
        begins = recording.is_keyframe(codec, picture[0])
        is_cut = bool(loss) and not is_emptied and not picture[-1].marker and since not in cut_short
        cut_keyframes += is_cut and begins
        cut_pictures += is_cut and not begins
        waits = is_cut or is_emptied or (waits and not begins)
        if waits:
            continue
        assert picture[-1].marker or since in cut_short
        assert replay.is_start(codec, picture[0].payload)
        shown += decoder.decode(replay.assembled(codec, [each.payload for each in picture]))
    shown += decoder.decode(None)
    assert emptied_pictures <= (keyframes if loss else 0)
    assert cut_keyframes <= structures(packets) - 1
    assert cut_pictures <= out.counts["missing"]
    seen: set[int] = set()
    last = -1
    for each in shown:
        spatial = next(spatial for spatial in reversed(range(top + 1)) if each in places[spatial])
        last = next(place for place in places[spatial][each] if place > last)
        seen.add(spatial)
    return seen, len(shown)


@pytest.fixture(scope="module")
def vp9() -> Recording:
    return recording.make("VP9", encodings({"scalability_mode": "L3T3_KEY", "max_bitrate": 1_500_000}), VIDEO, LASTS_S)


@pytest.fixture(scope="module")
def av1() -> Recording:
    return recording.make("AV1", encodings({"scalability_mode": "L2T3_KEY", "max_bitrate": 1_000_000}), VIDEO, LASTS_S)


def vp8(*, is_described: bool) -> Recording:
    layers = encodings({"scalability_mode": "L1T3", "max_bitrate": 700_000})
    return recording.make("VP8", layers, VIDEO, LASTS_S, is_described=is_described)


@pytest.fixture(scope="module")
def vp8_by_descriptor() -> Recording:
    return vp8(is_described=True)


@pytest.fixture(scope="module")
def vp8_by_payload() -> Recording:
    return vp8(is_described=False)


def anything(chance: random.Random) -> tuple[int, int, int]:
    return ANY, chance.choice([0, 1, 2, ANY]), chance.choice([0, 1, 2, ANY])


@pytest.mark.parametrize(("loss", "has_rtx"), [(0, True), (3, True), (3, False)])
def test_vp9(vp9: Recording, loss: int, has_rtx: bool) -> None:
    """
    L3T3_KEY: spatial layers that need each other at keyframes alone, of three temporal ones; of a picture this small
    libwebrtc makes two.
    """
    seen, pictures = check("VP9", vp9.encodings[0], anything, loss=loss, has_rtx=has_rtx)

    assert {0, 1} == seen
    assert pictures > 60


def still_us(received: whole_pictures.Receiver) -> int:
    """How long there was no picture, in all; of the lowest of three temporal layers there is one each 133 ms."""
    steps = [after - before for (before, _), (after, _) in pairwise(received.decoded)]
    return sum(step for step in steps if step > 400_000)


@pytest.mark.parametrize(
    ("codec", "decoded"),
    [("VP9", whole_pictures.decoded), ("VP9", whole_pictures.described), ("AV1", whole_pictures.described)],
    ids=["VP9 by payload", "VP9 by descriptor", "AV1"],
)
def test_layers_do_not_stand_still_at_a_receiver_that_decodes_what_seems_whole(
    request: pytest.FixtureRequest, codec: str, decoded: Callable[..., whole_pictures.Receiver]
) -> None:
    """
    Ten runs with 3 % lost on either side: what is repaired after an upper layer has come is waited for. Went the same
    receiver by the publisher's own word, which is that upper layers need nothing of the lower, some runs would have it
    wait for a keyframe, of which there is one each 1.2 s. A publisher that is short of time leaves out layers of single
    pictures; what that costs without loss is not counted.
    """
    made: Recording = request.getfixturevalue(codec.lower())
    packets = recording.from_keyframe(codec, [packet for packet in made.encodings[0] if packet.payload])
    sent = recording.sent(codec, 0, packets)
    shares, more_us, more_as_published_us = [], [], []
    for seed in range(10):
        chance = random.Random(seed)
        wishes = [(at, (ANY, 1, chance.choice([0, 1, ANY]))) for at in range(0, sent[-1].at_us, 500_000)]
        whole = decoded(replay.replay(codec, 1, sent, wishes).packets)
        out = replay.replay(codec, 1, sent, wishes, loss_in=3, loss_out=3, seed=seed)
        received = decoded(out.packets)
        as_published = decoded(out.packets, minds_layers=False)
        shares.append(len(received.decoded) / len(whole.decoded))
        more_us.append(still_us(received) - still_us(whole))
        more_as_published_us.append(still_us(as_published) - still_us(whole))

    assert min(shares) >= 0.85
    assert max(more_us) <= 500_000
    assert sum(more_as_published_us) > sum(more_us) + 500_000


@pytest.mark.parametrize(("loss", "has_rtx"), [(0, True), (3, True), (3, False)])
def test_av1(av1: Recording, loss: int, has_rtx: bool) -> None:
    """
    L2T3_KEY, by dependency descriptor.
    """
    seen, pictures = check("AV1", av1.encodings[0], anything, loss=loss, has_rtx=has_rtx)

    assert {0, 1} == seen
    assert pictures > 60


@pytest.mark.parametrize(("loss", "has_rtx"), [(0, True), (3, True), (3, False)])
@pytest.mark.parametrize("by", ["descriptor", "payload"])
def test_vp8(request: pytest.FixtureRequest, by: str, loss: int, has_rtx: bool) -> None:
    """
    L1T3. With a dependency descriptor libwebrtc's payload descriptors have neither numbers nor layers; without one they
    have both. A quarter of the pictures and more is left out either way.
    """
    made: Recording = request.getfixturevalue(f"vp8_by_{by}")
    packets = made.encodings[0]
    has_numbers = [bool(replay.places("VP8", packet.payload)[0]) for packet in packets if packet.payload]
    _, pictures = check("VP8", packets, anything, loss=loss, has_rtx=has_rtx)

    assert [by == "payload"] * len(has_numbers) == has_numbers
    made_pictures = len(replay.pictures(recording.from_keyframe("VP8", packets)))
    assert made_pictures / 4 < pictures < 0.85 * made_pictures
