"""
When it is asked what is given up on a line, and what follows from the answer.
"""

import pytest
from test_room_adaptation import CAMERA, RATES, SECOND_US, VOICE, Room, Row

from telerelay.adaptation import Decisions, Lacking
from telerelay.adaptation.degrading import ASKED_US, BLIND_US, CARRYING_US, LACKING_US, How, Lack, degraded
from telerelay.allocator import Rung
from telerelay.events import Limit


def test_it_is_asked_once_while_something_is_missing() -> None:
    """
    Not for what is over within five seconds, and again only when everything was carried and half a minute has passed.
    """
    lack = Lack()
    assert not lack.on_lacking(0)
    assert not lack.on_lacking(LACKING_US - 1)
    assert not lack.on_carried(LACKING_US)
    assert not lack.on_lacking(LACKING_US + 1)
    assert lack.on_lacking(2 * LACKING_US + 1)
    assert not lack.on_lacking(3 * LACKING_US)
    lack.on_answer("audio_only", 3 * LACKING_US)
    assert not lack.on_carried(4 * LACKING_US)
    assert lack.on_carried(4 * LACKING_US + CARRYING_US)
    assert ("usual", False) == (lack.how, lack.is_asked)
    again = 4 * LACKING_US + CARRYING_US + 1
    asked = [at for at in range(again, again + 2 * ASKED_US, SECOND_US) if lack.on_lacking(at)]
    assert [True] == [at >= 2 * LACKING_US + ASKED_US for at in asked]


def test_an_answer_that_comes_too_late_changes_nothing() -> None:
    """
    Everything is carried again; and the answer there is already is none.
    """
    lack = Lack()
    lack.on_lacking(0)
    assert lack.on_lacking(LACKING_US)
    assert not lack.on_answer("usual", LACKING_US)
    lack.on_carried(LACKING_US)
    assert not lack.on_carried(LACKING_US + CARRYING_US)
    assert not lack.on_answer("audio_only", LACKING_US + CARRYING_US)
    assert "usual" == lack.how


def test_what_nothing_is_known_of_is_tried_again_after_a_minute() -> None:
    """
    And asked of again, if it is missing still.
    """
    lack = Lack()
    lack.on_lacking(0)
    lack.on_lacking(LACKING_US)
    lack.on_answer("audio_only", LACKING_US)
    assert not lack.on_blind(LACKING_US + BLIND_US - 1)
    assert lack.on_blind(LACKING_US + BLIND_US)
    assert not lack.on_blind(LACKING_US + 2 * BLIND_US)


LADDER = (Rung(1, 60_000, is_paused=True), Rung(1, 210_000), Rung(2, 360_000), Rung(1, 900_000, 1))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("usual", LADDER),
        ("audio_only", tuple(Rung(each.sender, each.cost_bps, is_paused=True) for each in LADDER)),
        ("keep", (Rung(1, 1), Rung(1, 1), *LADDER[2:])),
    ],
)
def test_a_ladder_is_what_the_answer_makes_of_it(how: How, expected: tuple[Rung, ...]) -> None:
    """
    As many rungs, and none cheaper than the one below.
    """
    rungs = degraded(LADDER, how)

    assert expected == rungs
    assert sorted(each.cost_bps for each in rungs) == [each.cost_bps for each in rungs]
    assert () == degraded((), how)


def lacking(room: Room, seconds: float = 6.0, bps: int = 300_000, rung: int = 2) -> list[Lacking]:
    """What is asked while bob's line carries no more than that."""
    asked: list[Lacking] = []
    for _ in range(int(2 * seconds)):
        room.estimate("bob", bps, rung)
        asked += room.measure().lacking
    return asked


def opened() -> Room:
    room = Room("bob")
    room.adaptation.asks = True
    room.estimate("bob", 5_000_000, 64)
    room.measure()
    return room


def carried(room: Room, seconds: float = 12.0) -> list[Decisions]:
    found = []
    for _ in range(int(2 * seconds)):
        room.estimate("bob", 5_000_000, 64)
        found.append(room.measure())
    return found


def test_a_line_that_lacks_room_is_asked_about_once() -> None:
    """
    With the picture that is missed and what the line carries; where nobody has a rule, not at all.
    """
    room = opened()
    (asked,) = lacking(room, 20)
    assert Lacking("bob", "down", CAMERA, "camera", 300_000, room.line("bob")) == asked
    silent = opened()
    silent.adaptation.asks = False

    assert [] == lacking(silent, 20)


def test_sound_alone_pauses_the_picture_until_the_line_carries_everything() -> None:
    """
    The ladder that is posted has pauses alone, then the usual one again.
    """
    room = opened()
    (asked,) = lacking(room)
    usual = room.adaptation._lines[room.line("bob")].rungs
    assert room.adaptation.on_degrade(asked, "audio_only", room.now_us)
    ladder = room.measure().ladders[room.line("bob")]
    assert usual is not None
    assert {True} == {each.is_paused for each in ladder}
    assert [each.cost_bps for each in usual] == [each.cost_bps for each in ladder]
    decisions = carried(room)

    assert [("bob", "down")] == [each for found in decisions for each in found.restored]
    assert [usual] == [ladder for found in decisions for ladder in found.ladders.values()]


def test_a_picture_that_is_kept_costs_nothing_in_its_least_layer() -> None:
    """
    So that whatever the line carries it is sent.
    """
    room = opened()
    (asked,) = lacking(room)
    room.adaptation.on_degrade(asked, "keep", room.now_us)
    ladder = room.measure().ladders[room.line("bob")]

    assert [(room.sender("bob"), 1, 0, False)] == [
        (each.sender, each.cost_bps, each.encoding, each.is_paused) for each in ladder[:1]
    ]


def test_a_picture_that_its_own_line_holds_back_is_asked_about_and_given_up_at_its_source() -> None:
    """
    Its client is told that nothing of it is to be sent, and tries again after a minute.
    """
    room = opened()
    asked: list[Lacking] = []
    for _ in range(14):
        room.adaptation.on_reported(CAMERA, True)
        room.estimate("bob", 5_000_000, 64)
        asked += room.measure().lacking
    assert [Lacking("ada", "up", CAMERA, "camera", sum(RATES.values()))] == asked
    room.adaptation.on_degrade(asked[0], "audio_only", room.now_us)
    assert {"ada": {CAMERA: Limit(None, ())}} == room.measure({}).limits
    assert {CAMERA} == room.adaptation.given_up
    room.adaptation.on_reported(CAMERA, None)
    told = [room.measure({}, 10.0) for _ in range(7)]

    assert [("ada", "up")] == [each for found in told for each in found.restored]
    assert [{}] == [found.limits["ada"] for found in told if "ada" in found.limits]
    assert frozenset() == room.adaptation.given_up


def test_nobody_is_asked_about_sound() -> None:
    """
    Nor about a picture that its owner has muted, or that nothing is said of.
    """
    room = opened()
    asked: list[Lacking] = []
    for said in (None, False):
        for _ in range(20):
            room.adaptation.on_reported(VOICE, True)
            room.adaptation.on_reported(CAMERA, said)
            room.adaptation.on_rate(Row(2, rate_bps=20_000), room.now_us)
            room.estimate("bob", 5_000_000, 64)
            asked += room.measure().lacking

    assert [] == asked
