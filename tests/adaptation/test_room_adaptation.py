"""
One room's adaptation: what is measured and estimated becomes ladders, limits and who speaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import pytest

from telerelay.adaptation import Decisions, Feed, Line, RoomAdaptation
from telerelay.adaptation.room import ANY, BACK_BPS, FLOOR_BPS, FULL_BPS, NOMINAL_BPS, VOICE_LEAST_BPS
from telerelay.allocator import ConsultAllocator, Ladder, Profile, Rung, Track
from telerelay.events import Limit

SECOND_US = 1_000_000
CAMERA, VOICE = "camera", "voice"
RIDS = ("q", "h", "f")
RATES = {0: 150_000, 1: 500_000, 2: 1_700_000}


class Row(NamedTuple):
    """What a worker counts of a layer."""

    receiver: int
    encoding: int = 0
    spatial: int = 0
    temporal: int = 0
    loudness: int = 0
    rate_bps: int = 0
    peak_bps: int = 0


class Room:
    """Ada sends a camera and a voice; each of the others has a line that they are sent on, of its own number."""

    def __init__(self, *others: str, rids: tuple[str, ...] = RIDS, allocator: object = None) -> None:
        self.now_us = SECOND_US
        self.people = ["ada", *others]
        self.rids = rids
        self.paused: dict[str, frozenset[str]] = {}
        self.is_found = False
        self.adaptation = RoomAdaptation(allocator or ConsultAllocator())  # type: ignore[arg-type]
        self.arrange()

    def line(self, who: str) -> int:
        return 100 + self.people.index(who)

    def sender(self, who: str) -> int:
        """Of the camera; the voice's is the next."""
        return 10 * self.line(who)

    def arrange(self) -> None:
        feeds = [
            Feed(CAMERA, "ada", "video", "camera", 1, self.rids),
            Feed(VOICE, "ada", "audio", "microphone", 2),
        ]
        lines = [
            Line(
                self.line(who),
                who,
                {self.sender(who): CAMERA, self.sender(who) + 1: VOICE},
                self.paused.get(who, frozenset()),
                is_found=self.is_found,
            )
            for who in self.people[1:]
        ]
        self.adaptation.arrange(self.people, feeds, lines)

    def measure(self, rates: Mapping[int, int] = RATES, seconds: float = 0.5) -> Decisions:
        """What arrives now, and what follows, that long after the look before."""
        self.now_us += int(seconds * SECOND_US)
        for encoding, bps in rates.items():
            self.adaptation.on_rate(Row(1, encoding, rate_bps=bps, peak_bps=bps), self.now_us)
        self.adaptation.on_rate(Row(2, rate_bps=20_000, peak_bps=20_000), self.now_us)
        self.adaptation.on_rates_read()
        return self.adaptation.decide(self.now_us)

    def estimate(self, who: str, bps: int, rung: int | None = None) -> bool:
        """What the worker says of a line; it stands on that rung of the ladder it was given last, or as it pays."""
        return self.adaptation.on_estimate(self.line(who), bps, 0 if rung is None else rung)


def encodings(rungs: Sequence[Rung], sender: int) -> list[int]:
    return list(dict.fromkeys(each.encoding for each in rungs if each.sender == sender and not each.is_paused))


def test_each_line_gets_a_ladder_at_once_and_another_when_rates_are_known() -> None:
    """
    At nominal costs before anything was measured; the voice is in each cost; no ladder is told twice.
    """
    room = Room("bob", "cem")
    first = room.adaptation.decide(room.now_us)
    again = room.adaptation.decide(room.now_us)
    measured = room.measure({0: 120_000, 1: 400_000, 2: 1_400_000})
    still = room.measure({0: 120_000, 1: 400_000, 2: 1_400_000})

    assert {101, 102} == set(first.ladders)
    voice_bps = VOICE_LEAST_BPS * 110 // 100
    assert [NOMINAL_BPS[3][index] + voice_bps for index in range(3)] == [
        each.cost_bps for each in first.ladders[101] if not each.is_paused
    ]
    assert {} == again.ladders
    assert {101, 102} == set(measured.ladders)
    assert [0, 1, 2] == encodings(measured.ladders[101], room.sender("bob"))
    assert {} == still.ladders


@pytest.mark.parametrize("said", [None, *Profile])
def test_what_a_publisher_says_of_its_picture_reaches_the_allocator(said: Profile | None) -> None:
    """
    Where it says nothing, its source does: a camera shows a face.
    """
    seen: list[Track] = []

    class Watching:
        def allocate(self, tracks: Sequence[Track]) -> Sequence[Rung]:
            seen.extend(tracks)
            return ConsultAllocator().allocate(tracks)

    room = Room("bob", allocator=Watching())
    feed = Feed(CAMERA, "ada", "video", "camera", 1, RIDS, profile=said)
    room.adaptation.arrange(room.people, [feed], [Line(room.line("bob"), "bob", {1000: CAMERA})])
    room.adaptation.decide(room.now_us)

    assert {said or Profile.TALK} == {each.task for each in seen if each.kind == "video"}


def test_what_comes_a_moment_later_than_the_least_is_not_missed_meanwhile() -> None:
    """
    A publisher's encodings do not begin in the same half second: those not measured yet cost what they usually do. What
    has not come after three seconds is on no rung.
    """
    room = Room("bob")
    room.adaptation.decide(room.now_us)
    first = room.measure({0: 120_000}).ladders[101]
    later = [room.measure({0: 120_000}).ladders for _ in range(6)]

    assert [0, 1, 2] == encodings(first, room.sender("bob"))
    assert [{}] * 5 == later[:5]
    assert [0] == encodings(later[5][101], room.sender("bob"))


def test_the_uppermost_layer_stands_for_all_above_it() -> None:
    """
    Temporal layers below it are named; of a worker's layers none is cut off that was not measured yet.
    """
    room = Room("bob", rids=())
    for temporal, bps in enumerate((100_000, 160_000, 250_000)):
        room.adaptation.on_rate(Row(1, 0, 0, temporal, rate_bps=bps), room.now_us)
    rungs = room.adaptation.decide(room.now_us).ladders[101]

    assert [(ANY, 0), (ANY, 1), (ANY, ANY)] == [(each.spatial, each.temporal) for each in rungs if not each.is_paused]


def test_a_line_from_before_this_process_keeps_its_ladder_until_rates_are_known() -> None:
    """
    The worker has one already, made of what was measured: nominal costs would only move people.
    """
    room = Room("bob")
    room.adaptation = RoomAdaptation(ConsultAllocator())
    room.is_found = True
    room.arrange()

    assert {} == room.adaptation.decide(room.now_us).ladders
    assert {101} == set(room.measure().ladders)


def test_a_picture_that_its_client_paused_is_on_no_rung() -> None:
    """
    The room it would take is others'.
    """
    room = Room("bob")
    room.measure()
    room.paused["bob"] = frozenset({CAMERA})
    room.arrange()

    assert {101: ()} == room.adaptation.decide(room.now_us).ladders


def test_encodings_that_no_line_has_room_for_are_switched_off_and_on() -> None:
    """
    Four seconds after the last line fell below; at once when one nears it again. One good line keeps all on.
    """
    room = Room("bob", "cem")
    room.estimate("bob", 10_000_000)
    room.estimate("cem", 300_000)
    assert {} == room.measure().limits
    room.estimate("bob", 400_000)
    falling = [room.measure().limits for _ in range(9)]
    room.estimate("bob", 1_400_000)
    back = room.adaptation.decide(room.now_us).limits

    assert [{}] * 8 == falling[:8]
    assert {"ada": {CAMERA: Limit(rids=("q", "h"))}} == falling[8]
    assert {"ada": {}} == back


def test_what_was_switched_off_is_known_to_cost_what_it_did() -> None:
    """
    Its rung stays, so that a line can climb to it.
    """
    room = Room("bob")
    room.estimate("bob", 400_000)
    for _ in range(12):
        room.measure()
    for _ in range(30):
        room.measure({0: 150_000, 1: 500_000})
    room.arrange()

    assert {} == room.adaptation.decide(room.now_us).ladders
    assert 3 == len(encodings(room.adaptation._lines[101].rungs or (), room.sender("bob")))


def test_what_a_publisher_stopped_by_itself_is_on_no_rung_and_not_switched_off() -> None:
    """
    Its uplink may be too weak for the largest: it is not to be told to leave it off for ever.
    """
    room = Room("bob")
    room.estimate("bob", 10_000_000)
    for _ in range(20):
        decisions = room.measure({0: 150_000, 1: 500_000})
    room.arrange()
    room.adaptation.decide(room.now_us)

    assert {} == decisions.limits
    assert [0, 1] == encodings(room.adaptation._lines[101].rungs or (), room.sender("bob"))


def test_an_encoding_that_fails_to_come_is_not_switched_off_for_that() -> None:
    """
    Not the least one either, which nobody can have just now; it is there again when its publisher sends it again.
    """
    room = Room("bob")
    room.measure()
    room.estimate("bob", 10_000_000)
    room.adaptation.decide(room.now_us)
    gone = [room.measure({1: 500_000, 2: 1_700_000}).limits for _ in range(30)]
    without = encodings(room.adaptation._lines[101].rungs or (), room.sender("bob"))
    room.measure()

    assert [{}] * 30 == gone
    assert [1, 2] == without
    assert [0, 1, 2] == encodings(room.adaptation._lines[101].rungs or (), room.sender("bob"))


def test_a_picture_that_all_have_paused_is_not_sent() -> None:
    """
    After four seconds; with nobody there at all it is left alone, for who comes next.
    """
    room = Room("bob")
    room.estimate("bob", 10_000_000)
    room.paused["bob"] = frozenset({CAMERA})
    room.arrange()
    limits = [room.measure().limits for _ in range(12)]
    room.people.remove("bob")
    room.arrange()

    assert {"ada": {CAMERA: Limit(rids=())}} in limits
    assert {"ada": {}} == room.measure().limits


def test_the_only_receivers_line_limits_a_picture_without_layers() -> None:
    """
    Only where it is near to what is sent; then it follows, less at once; with a second receiver it ends.
    """
    room = Room("bob", rids=())
    room.estimate("bob", 3_000_000)
    roomy = room.measure({0: 1_500_000})
    is_urgent = room.estimate("bob", 1_000_000)
    tight = room.adaptation.decide(room.now_us)
    room.estimate("bob", 500_000)
    tighter = room.adaptation.decide(room.now_us)
    room.people.append("cem")
    room.arrange()
    ended = room.measure({0: 450_000})

    assert {} == roomy.limits
    assert is_urgent
    assert {"ada": {CAMERA: Limit(950_000 - VOICE_LEAST_BPS)}} == tight.limits
    assert {"ada": {CAMERA: Limit(475_000 - VOICE_LEAST_BPS)}} == tighter.limits
    assert {"ada": {}} == ended.limits


def test_while_a_picture_is_paused_its_publisher_is_told_no_less_than_it_comes_back_with() -> None:
    """
    Nobody sees it, and an encoder that has made itself small comes back small.
    """
    room = Room("bob", rids=())
    room.estimate("bob", 400_000)
    seen = room.measure({0: 1_500_000}).limits
    room.estimate("bob", 60_000, rung=1)
    paused = room.adaptation.decide(room.now_us).limits
    room.estimate("bob", 200_000, rung=2)
    back = room.adaptation.decide(room.now_us).limits

    assert {"ada": {CAMERA: Limit(380_000 - VOICE_LEAST_BPS)}} == seen
    assert {"ada": {CAMERA: Limit((BACK_BPS + VOICE_LEAST_BPS) * 95 // 100 - VOICE_LEAST_BPS)}} == paused
    assert {"ada": {CAMERA: Limit(190_000 - VOICE_LEAST_BPS)}} == back


def test_a_source_that_follows_costs_its_floor_and_one_that_does_not_what_it_sends() -> None:
    """
    So the picture of a client that obeys is not paused for what it sent a second ago.
    """
    room = Room("bob", rids=())
    room.estimate("bob", 400_000)
    room.measure({0: 1_500_000})
    voice_bps = VOICE_LEAST_BPS * 110 // 100

    def costs() -> list[int]:
        return [each.cost_bps for each in room.adaptation._lines[101].rungs or () if not each.is_paused]

    follows, wishes = costs()
    for _ in range(8):
        room.measure({0: 1_500_000})

    assert max(150_000, FLOOR_BPS + voice_bps) == follows
    assert follows + FULL_BPS - FLOOR_BPS == wishes
    assert [1_500_000 + voice_bps] == costs()


def test_more_is_looked_for_only_while_a_source_fills_its_limit() -> None:
    """
    The last rung gives nobody another picture; it says what to try for.
    """
    room = Room("bob", rids=())
    room.estimate("bob", 1_000_000)
    filled = room.measure({0: 900_000}).ladders[101]
    quiet = room.measure({0: 400_000}, seconds=5).ladders[101]

    assert 3 == len(filled)
    assert filled[1] == replace(filled[2], cost_bps=filled[1].cost_bps)
    assert 2 == len(quiet)


def test_a_line_that_nothing_is_estimated_of_gets_no_ladder_and_wants_all() -> None:
    """
    As before there were ladders.
    """
    room = Room("bob")
    line = Line(101, "bob", {1010: CAMERA, 1011: VOICE}, is_estimated=False)
    room.adaptation.arrange(room.people, [Feed(CAMERA, "ada", "video", "camera", 1, RIDS)], [line])
    decided = [room.measure() for _ in range(12)]

    assert [{}] * 12 == [each.ladders for each in decided]
    assert [{}] * 12 == [each.limits for each in decided]


def test_an_allocator_that_raises_leaves_the_ladder_there_is() -> None:
    """
    It is counted, and asked again when something has changed.
    """

    class Moody:
        def allocate(self, tracks: Sequence[Track]) -> Ladder:
            raise RuntimeError("not today")

    room = Room("bob", allocator=Moody())

    assert {} == room.adaptation.decide(room.now_us).ladders
    assert 1 == room.adaptation.take_failures()
    assert 0 == room.adaptation.take_failures()


def test_in_a_larger_room_who_speaks_is_on_stage() -> None:
    """
    Told once; then that one's picture comes first in everybody's ladder.
    """
    people = ["ada", "bob", "cem", "dan"]
    feeds = [Feed(f"{CAMERA}-{who}", who, "video", "camera", 10 + at, RIDS) for at, who in enumerate(people)]
    feeds += [Feed(f"{VOICE}-{who}", who, "audio", "microphone", 20 + at) for at, who in enumerate(people)]
    adaptation, now_us = RoomAdaptation(ConsultAllocator()), SECOND_US
    carried = {100 + at: feed.publication for at, feed in enumerate(feeds) if feed.participant != "dan"}
    adaptation.arrange(people, feeds, [Line(1, "dan", carried)])
    adaptation.decide(now_us)
    changes = []
    for _ in range(10):
        now_us += SECOND_US // 2
        for at, who in enumerate(people):
            adaptation.on_rate(Row(20 + at, loudness=95 if who == "cem" else 40, rate_bps=30_000), now_us)
        changes.append(adaptation.decide(now_us).has_speaker_changed)
    first = next(each for each in adaptation._lines[1].rungs or () if not each.is_paused)

    assert "cem" == adaptation.speaker.participant
    assert [True] + [False] * 9 == changes
    assert 102 == first.sender
