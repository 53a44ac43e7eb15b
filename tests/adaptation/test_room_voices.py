"""What voices get on lines that lose packets, and on thin ones: plans for workers."""

from telerelay.adaptation import Voices
from telerelay.allocator import VoicePlan
from telerelay.quality import Stream

GOOD = Stream(2.0, 100, 100 * 100, 0, 0, 0, 1.0, 40.0, 0, 0.0, True, True)
"""Two seconds of a voice: 50 packets a second of 100 bytes, RTP and SRTP in it."""

LOSSY = GOOD._replace(asked=6, gaps=6)

ESTIMATES = {1: 1_000_000}


def plans(voices: Voices, stream: Stream, estimate_bps: int = 1_000_000, looks: int = 1) -> list[dict[int, VoicePlan]]:
    return [voices.look({1: {7: stream}}, {1: estimate_bps}, frozenset()) for _ in range(looks)]


def test_a_good_line_is_left_alone() -> None:
    """Nothing is told to a worker that holds no plan."""
    voices = Voices()
    assert [{}] * 5 == plans(voices, GOOD, looks=5)
    assert {} == voices.copies_bps


def test_copies_are_asked_for_once_and_ended_once() -> None:
    """Six in a hundred lost by chance bring one copy; three clean looks end it."""
    voices = Voices()
    assert [{7: VoicePlan((1,))}, {}, {}] == plans(voices, LOSSY, looks=3)
    assert [{}, {}, {7: VoicePlan()}, {}] == plans(voices, GOOD, looks=4)


def test_what_copies_take_is_known() -> None:
    """The voice alone is 56 of 100 bytes, and each copy has a header of 4: 24 kbit/s at 50 packets a second."""
    voices = Voices()
    plans(voices, LOSSY)
    assert {7: 24_000} == voices.copies_bps


def test_a_thin_line_gets_longer_packets_and_no_copies() -> None:
    """Below 40 kbit/s headers are what there is no room for."""
    voices = Voices()
    assert [{7: VoicePlan((), 60)}, {}] == plans(voices, LOSSY, estimate_bps=35_000, looks=2)
    assert {} == voices.copies_bps


def test_a_line_with_two_voices_gets_longer_packets_for_both() -> None:
    """62 kbit/s each on the wire, 24 of them the sender's: together more than a line of 100 carries."""
    voices = Voices()
    looks = [voices.look({1: {7: GOOD, 8: GOOD}}, {1: 100_000}, frozenset()) for _ in range(2)]
    assert [{7: VoicePlan((), 60), 8: VoicePlan((), 60)}, {}] == looks


def test_who_left_is_forgotten() -> None:
    """The id of a sender that comes later is another's."""
    voices = Voices()
    plans(voices, LOSSY)
    assert {} == voices.look({}, ESTIMATES, frozenset())
    assert {} == voices.copies_bps
    assert [{}] == plans(voices, GOOD)


def test_what_another_process_left_is_told_anew() -> None:
    """A worker whose control died may hold any plan: it is told even that there is none, once."""
    voices = Voices()
    looks = [voices.look({1: {7: GOOD}}, ESTIMATES, frozenset({1})) for _ in range(2)]
    assert [{7: VoicePlan()}, {}] == looks
