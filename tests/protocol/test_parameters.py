"""
Which codecs are the same to a decoder.
"""

from pathlib import Path

import pytest
from negotiating import OPUS, VP8, VP9, h264

from telerelay.protocol.parameters import EXTENSIONS, Codec, h264_profile

HEADER = Path(__file__).resolve().parents[2] / "native" / "include" / "telerelay.h"


@pytest.mark.parametrize(
    ("level", "profile"),
    [
        ("42e01f", "constrained-baseline"),
        ("42c034", "constrained-baseline"),
        ("4d8028", "constrained-baseline"),
        ("58c01f", "constrained-baseline"),
        ("42001f", "baseline"),
        ("58801f", "baseline"),
        ("4d001f", "main"),
        ("4D401F", "main"),
        ("64001f", "high"),
        ("640c1f", "constrained-high"),
        ("f4001f", "high-444-predictive"),
        ("", "constrained-baseline"),
        ("58001f", "5800"),
        ("xyz", "xyz"),
    ],
)
def test_a_profile_level_id_names_its_profile(level: str, profile: str) -> None:
    """
    RFC 6184, table 5; the level is no part of it.
    """
    assert profile == h264_profile(level)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (OPUS, Codec("OPUS", 48000, 2), True),
        (OPUS, Codec("opus", 48000, 1, (("stereo", "1"),)), True),
        (VP8, Codec("vp8", 90000, 1, (("max-fr", "30"),)), True),
        (VP8, VP9, False),
        (VP9, Codec("VP9", 90000), True),
        (VP9, Codec("VP9", 90000, 1, (("profile-id", "2"),)), False),
        (h264("42e01f"), h264("42e034"), True),
        (h264("42e01f"), h264("4d8028"), True),
        (h264("42e01f"), h264("42001f"), False),
        (h264("42e01f"), h264("42e01f", mode="0"), False),
        (h264("42e01f", mode="0"), Codec("H264", 90000), True),
        (Codec("AV1", 90000), Codec("AV1", 90000, 1, (("profile", "0"), ("tier", "0"))), True),
        (Codec("AV1", 90000), Codec("AV1", 90000, 1, (("profile", "1"),)), False),
        (Codec("H265", 90000), Codec("H265", 90000, 1, (("profile-id", "1"), ("tx-mode", "SRST"))), True),
        (Codec("H265", 90000), Codec("H265", 90000, 1, (("level-id", "180"), ("tx-mode", "srst"))), True),
        (Codec("H265", 90000), Codec("H265", 90000, 1, (("profile-id", "2"),)), False),
        (Codec("H265", 90000), Codec("H265", 90000, 1, (("tier-flag", "1"),)), False),
        (Codec("H265", 90000, 1, (("tier-flag", "0"),)), Codec("H265", 90000), True),
        (Codec("H265", 90000), Codec("H265", 90000, 1, (("profile-space", "1"),)), False),
        (Codec("H265", 90000), Codec("H265", 90000, 1, (("tx-mode", "MRST"),)), False),
        (Codec("red", 48000, 2, (("111/111", ""),)), Codec("RED", 48000, 2, (("96/96", ""),)), True),
        (Codec("red", 48000, 2), Codec("red", 90000), False),
        (Codec("L16", 48000, 1), Codec("L16", 48000, 2), False),
        (Codec("L16", 48000), Codec("L16", 44100), False),
    ],
)
def test_codecs_match_as_their_rfcs_say(one: Codec, other: Codec, is_same: bool) -> None:
    """
    In both directions.
    """
    assert (is_same, is_same) == (one.matches(other), other.matches(one))


def test_the_extensions_are_numbered_as_at_the_border() -> None:
    """
    enum tr_ext is the order.
    """
    text = HEADER.read_text()
    names = text[text.index("TR_EXT_MID") : text.index("TR_EXT_COUNT")].replace("= 0", "").split(",")[:-1]

    assert [
        "TR_EXT_MID",
        "TR_EXT_RID",
        "TR_EXT_REPAIRED_RID",
        "TR_EXT_AUDIO_LEVEL",
        "TR_EXT_TWCC",
        "TR_EXT_ABS_SEND_TIME",
        "TR_EXT_ABS_CAPTURE_TIME",
        "TR_EXT_VIDEO_ORIENTATION",
        "TR_EXT_PLAYOUT_DELAY",
        "TR_EXT_DEPENDENCY_DESCRIPTOR",
        "TR_EXT_VIDEO_LAYERS_ALLOCATION",
    ] == [name.strip() for name in names]
    assert list(range(11)) == list(EXTENSIONS.values())
