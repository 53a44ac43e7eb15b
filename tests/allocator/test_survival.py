"""When a voice is sent with copies, and when in longer packets."""

import pytest

from telerelay.allocator.survival import VoiceLook, VoicePlan, VoiceRule, copies_bps


def look(asked: int = 0, runs: int = 0, **rest: float) -> VoiceLook:
    return VoiceLook(packets=100, asked=asked, runs=runs, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "distances"),
    [
        (look(), ()),
        (look(3, 3), ()),
        (look(5, 5), (1,)),
        (look(12, 11), (1, 2)),
        (look(20, 16), (1, 2)),
        (look(10, 4), (3, 6)),
        (look(10, 4, rtt_ms=200), (1, 3)),
        (look(fraction_lost=0.06), (1,)),
        (look(12, 11, estimate_bps=100_000, voices_bps=50_000), ()),
        (look(12, 11, estimate_bps=200_000, voices_bps=50_000), (1, 2)),
    ],
)
def test_copies_follow_what_is_lost_and_in_which_runs(seen: VoiceLook, distances: tuple[int, ...]) -> None:
    """
    None on a clean line, one back for single losses, two where they are many, far ones for runs; none where the line
    has no room.
    """
    assert VoicePlan(distances) == VoiceRule().look(seen)


def test_copies_stay_until_little_is_lost() -> None:
    """
    Between the two bounds what held goes on; a single clean look does not end it.
    """
    rule = VoiceRule()
    seen = [rule.look(each).distances for each in (look(5, 5), look(2, 2), look(3, 3), look(1, 1), look(), look())]

    assert [(1,), (1,), (1,), (1,), (), ()] == seen


def test_a_thin_line_has_long_packets_and_no_copies() -> None:
    """
    60 ms below 40 kbit/s, until the line carries more than they would take without; an unknown line changes nothing.
    """
    rule = VoiceRule()
    estimates = (100_000, 39_000, 50_000, 0, 57_000, 50_000)
    seen = [rule.look(look(12, 11, estimate_bps=each)) for each in estimates]

    assert [0, 60, 60, 60, 0, 0] == [each.packet_ms for each in seen]
    assert [(1, 2), (), (), (), (1, 2), (1, 2)] == [each.distances for each in seen]


def test_two_voices_are_thin_where_two_do_not_fit() -> None:
    """
    Whatever one alone would take: bounds are for each voice.
    """
    rule = VoiceRule()
    seen = [
        rule.look(look(estimate_bps=each, voices_bps=66_000, voices=2)).packet_ms for each in (100_000, 79_000, 100_000)
    ]

    assert [0, 60, 60] == seen


def test_voices_that_fill_a_line_have_long_packets() -> None:
    """
    112 kbit/s of voices on a line of 100 are 72 in packets of 60 ms; those stay until the line has room for more.
    """
    rule = VoiceRule()
    seen = [
        rule.look(look(estimate_bps=line, voices_bps=taken, voices=2)).packet_ms
        for line, taken in (
            (120_000, 112_000),
            (100_000, 112_000),
            (100_000, 72_000),
            (140_000, 72_000),
            (160_000, 72_000),
        )
    ]

    assert [0, 60, 60, 60, 0] == seen


def test_what_copies_take_is_known() -> None:
    """
    Each takes the sound once more, and four bytes a packet; no header of a packet.
    """
    assert 0 == copies_bps(32_000, 50, 0)
    assert 33_600 == copies_bps(32_000, 50, 1)
    assert 67_200 == copies_bps(32_000, 50, 2)
