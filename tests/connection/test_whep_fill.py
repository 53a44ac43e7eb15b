"""Which track a WHEP section carries."""

import pytest

from telerelay.connection.source import Source
from telerelay.connection.whep import fill
from telerelay.protocol.parameters import Codec, Encoding, Kind, NegotiatedCodec, ReceiveParameters, SendParameters

OPUS = NegotiatedCodec(Codec("opus", 48000, 2), 111)
VP8 = NegotiatedCodec(Codec("VP8", 90000), 96)
H264 = NegotiatedCodec(
    Codec("H264", 90000, parameters=(("packetization-mode", "1"), ("profile-level-id", "42e01f"))), 98
)


def codec_of(kind: Kind) -> NegotiatedCodec:
    return OPUS if kind == "audio" else VP8


def source(name: str, codec: NegotiatedCodec | None = None) -> Source:
    kind: Kind = "audio" if name.startswith("a") else "video"
    params = ReceiveParameters("0", kind, (codec or codec_of(kind),), (Encoding(),), {})
    return Source(name, "someone", 1, params)


def section(kind: Kind, carried: str | None = None) -> tuple[SendParameters, str | None]:
    return SendParameters("0", "0", kind, 1, 2, "c", (codec_of(kind),), {}), carried


A, V = section("audio"), section("video")


@pytest.mark.parametrize(
    ("sections", "sources", "expected"),
    [
        ([A, V], [], [None, None]),
        ([A, V], ["v1", "a1"], ["a1", "v1"]),
        ([V, V], ["v1", "v2", "v3"], ["v1", "v2"]),
        ([V, V], ["v1"], ["v1", None]),
        ([A, A], ["v1"], [None, None]),
        ([section("video", "v2"), V], ["v1", "v2"], ["v2", "v1"]),
        ([section("video", "gone"), V], ["v1", "v2"], ["v1", "v2"]),
        ([section("video", "v1"), section("video", "gone")], ["v1"], ["v1", None]),
        ([V, section("video", "v1")], ["v1", "v2"], ["v2", "v1"]),
    ],
)
def test_sections_are_filled_in_order(
    sections: list[tuple[SendParameters, str | None]], sources: list[str], expected: list[str | None]
) -> None:
    """
    What a section has stays; an empty one takes the oldest track of its kind that is free.
    """
    assert expected == fill(sections, [source(name) for name in sources])


def test_a_track_the_client_cannot_decode_is_passed_over() -> None:
    """
    The section stays free for the next one it can.
    """
    assert ["v2"] == fill([V], [source("v1", H264), source("v2")])
