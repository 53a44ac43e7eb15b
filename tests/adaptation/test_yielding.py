"""
Of one line that leaves a home what is examined comes first; who else sends over it makes room.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from telerelay.adaptation import Decisions, Feed, Line, RoomAdaptation
from telerelay.adaptation.yielding import (
    ENOUGH_BPS,
    HOLD_MOST_US,
    HOLD_US,
    LACKS_BPS,
    LACKS_US,
    LASTED_US,
    YIELD_BPS,
    Yielding,
)
from telerelay.allocator import ConsultAllocator
from telerelay.connection.transport import line_of
from telerelay.events import Limit

SECOND_US = 1_000_000
SHORT_BPS = 400_000
GIVES_WAY = Limit(YIELD_BPS)


class Row:
    """What a worker counts of a picture."""

    encoding = spatial = temporal = loudness = 0

    def __init__(self, receiver: int, rate_bps: int) -> None:
        self.receiver = receiver
        self.rate_bps = self.peak_bps = rate_bps


class Visit:
    """A nurse's page shows a wound, a resident's page a face; a doctor and an expert have both."""

    def __init__(self, *feeds: Feed) -> None:
        self.now_us = SECOND_US
        self.feeds = feeds or (
            Feed("wound", "nurse", "video", "scope", 1, uplink="198.51.100.7"),
            Feed("face", "resident", "video", "camera", 2, uplink="198.51.100.7"),
        )
        self.adaptation = RoomAdaptation(ConsultAllocator())
        self.arrange(self.feeds)

    def arrange(self, feeds: Iterable[Feed]) -> None:
        feeds = list(feeds)
        lines = [
            Line(100 + n, who, {10 * n + each.receiver: each.publication for each in feeds})
            for n, who in enumerate(("doctor", "expert"))
        ]
        self.adaptation.arrange(("nurse", "resident", "doctor", "expert"), feeds, lines)

    def look(self, wound_bps: int, held_back: Iterable[str] = (), seconds: float = 0.5) -> Decisions:
        """That much comes of the wound, and those pictures' clients say that their lines hold them back."""
        self.now_us += int(seconds * SECOND_US)
        for receiver, bps in ((1, wound_bps), (2, SHORT_BPS)):
            self.adaptation.on_rate(Row(receiver, bps), self.now_us)
        for each in ("wound", "face"):
            self.adaptation.on_reported(each, each in held_back)
        self.adaptation.on_rates_read()
        return self.adaptation.decide(self.now_us)

    def lacks(self) -> None:
        """For long enough that the face makes room."""
        self.look(SHORT_BPS, BOTH)
        assert {"resident": {"face": GIVES_WAY}} == self.look(SHORT_BPS, BOTH, LACKS_US / SECOND_US).limits


BOTH = ("wound", "face")


def test_the_face_makes_room_for_the_wound_and_comes_back_when_there_is_enough() -> None:
    """
    It is told so little once the wound has lacked room on their line for five seconds, and no limit any more ten
    seconds after it does not.
    """
    visit = Visit()
    before = [visit.look(SHORT_BPS).limits, *(visit.look(SHORT_BPS, BOTH).limits for _ in range(10))]
    first = visit.look(SHORT_BPS, BOTH)
    still = visit.look(ENOUGH_BPS - 1, BOTH, 30.0)
    enough = [visit.look(ENOUGH_BPS, ("face",), 5.0).limits for _ in range(3)]

    assert [{}] * 11 == before
    assert {"resident": {"face": GIVES_WAY}} == first.limits
    assert {} == still.limits
    assert [{}, {}, {"resident": {}}] == enough


@pytest.mark.parametrize(
    ("why", "feeds", "wound_bps", "held_back"),
    [
        ("the wound has enough", (), LACKS_BPS, BOTH),
        ("nothing holds the wound back", (), SHORT_BPS, ("face",)),
        ("nothing holds the face back: it comes another way", (), SHORT_BPS, ("wound",)),
        (
            "they come from two addresses",
            (
                Feed("wound", "nurse", "video", "scope", 1, uplink="198.51.100.7"),
                Feed("face", "resident", "video", "camera", 2, uplink="203.0.113.9"),
            ),
            SHORT_BPS,
            BOTH,
        ),
        (
            "nobody knows where they come from",
            (Feed("wound", "nurse", "video", "scope", 1), Feed("face", "resident", "video", "camera", 2)),
            SHORT_BPS,
            BOTH,
        ),
        (
            "both are faces",
            (
                Feed("wound", "nurse", "video", "camera", 1, uplink="198.51.100.7"),
                Feed("face", "resident", "video", "camera", 2, uplink="198.51.100.7"),
            ),
            SHORT_BPS,
            BOTH,
        ),
        (
            "what is beside it is a screen, which is of no use small",
            (
                Feed("wound", "nurse", "video", "scope", 1, uplink="198.51.100.7"),
                Feed("face", "resident", "video", "screen", 2, uplink="198.51.100.7"),
            ),
            SHORT_BPS,
            BOTH,
        ),
        (
            "the wound is muted",
            (
                Feed("wound", "nurse", "video", "scope", 1, is_muted=True, uplink="198.51.100.7"),
                Feed("face", "resident", "video", "camera", 2, uplink="198.51.100.7"),
            ),
            SHORT_BPS,
            BOTH,
        ),
    ],
)
def test_nobody_makes_room_where(why: str, feeds: tuple[Feed, ...], wound_bps: int, held_back: tuple[str, ...]) -> None:
    """
    No limit is told then.
    """
    visit = Visit(*feeds)
    visit.look(wound_bps)

    assert [{}] * 4 == [visit.look(wound_bps, held_back, 3.0).limits for _ in range(4)], why


def test_a_wound_that_is_shown_no_longer_sets_the_face_free() -> None:
    """
    At once: there is nothing to make room for.
    """
    visit = Visit()
    visit.lacks()
    visit.arrange(visit.feeds[1:])

    assert {"resident": {}} == visit.look(0, ("face",)).limits


def test_what_makes_room_is_not_asked_to_be_given_up() -> None:
    """
    Its client says that it is held back: by us.
    """
    visit = Visit()
    visit.lacks()
    visit.adaptation.asks = True
    asked = [each.publication for _ in range(20) for each in visit.look(SHORT_BPS, BOTH, 1.0).lacking]

    assert ["wound"] == asked


def test_it_waits_twice_as_long_after_each_time_that_it_did_not_last() -> None:
    """
    Up to a bound; what lasted begins anew.
    """
    yielding, now_us, held = Yielding(), 0, []
    lack = {"examined_bps": SHORT_BPS, "is_held_back": True, "are_others_held_back": True}
    has = {"examined_bps": LACKS_BPS, "is_held_back": False, "are_others_held_back": False}
    for pause_us in (0, 0, 0, 0, 0, 0, LASTED_US):
        now_us += pause_us + LACKS_US
        assert not yielding.look(now_us - LACKS_US, **lack)  # type: ignore[arg-type]
        assert yielding.look(now_us, **lack)  # type: ignore[arg-type]
        began_us = now_us
        while not yielding.look(now_us, **has):  # type: ignore[arg-type]
            now_us += SECOND_US
        held.append(now_us - began_us)

    assert [HOLD_US * each for each in (1, 2, 4, 8, 16, 16, 1)] == held
    assert HOLD_MOST_US == max(held)


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ("198.51.100.7 40000", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6 40000", "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.7 40000", "::ffff:198.51.100.7"),
        ("? 0", ""),
    ],
)
def test_a_line_is_an_address_or_an_ipv6_network(remote: str, expected: str) -> None:
    """
    A home has many IPv6 addresses, and one prefix; what is no address is no line.
    """
    assert expected == line_of(remote).replace("::ffff:c633:6407", "::ffff:198.51.100.7")
