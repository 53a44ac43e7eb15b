"""
The compiled ladder under what the allocator makes: the same rungs, climbed by an estimate.
"""

import pytest

from telerelay.allocator import MAX_RUNGS, ConsultAllocator, Layer, Rung, Track
from telerelay.dataplane import ladder as native
from telerelay.dataplane.ladder import Climber
from telerelay.errors import NativeError

SECOND = 1_000_000


def tracks() -> tuple[Track, ...]:
    faces = tuple(Layer(encoding, 0, 2, rate) for encoding, rate in enumerate((150_000, 500_000)))
    return tuple(Track(sender, "video", faces, is_on_stage=True) for sender in (7, 8))


def test_climber_stands_where_the_ladder_says() -> None:
    """
    At any estimate the first time, its layers are those that the ladder has for a line of that rate.
    """
    ladder = ConsultAllocator().allocate(tracks())
    for bps in range(0, 1_200_000, 50_000):
        climber = Climber()
        assert [] == climber.set(ladder.rungs, 0)
        layers = {each.sender: each for each in climber.on_estimate(bps, 0, 0) if not each.is_paused}

        assert ladder.layers_at(bps) == layers


def test_only_who_changed_is_told() -> None:
    """
    The pause is of both; what comes back with it is told, and nothing twice.
    """
    climber = Climber()
    climber.set(ConsultAllocator().allocate(tracks()).rungs, 0)
    first = climber.on_estimate(400_000, 0, 0)
    again = climber.on_estimate(400_000, 0, 25_000)
    climber.on_estimate(20_000, 90_000, SECOND)
    paused = climber.on_estimate(20_000, 90_000, 3 * SECOND)

    assert [(7, 0), (8, 0)] == [(each.sender, each.encoding) for each in first]
    assert [] == again
    assert [True] == [each.is_paused for each in paused]
    assert 345_000 == climber.wanted_bps


def test_what_is_no_ladder_is_refused() -> None:
    """
    Costs that fall, or more rungs than a command holds; both sides mean the same number by that.
    """
    climber = Climber()
    with pytest.raises(NativeError):
        climber.set([Rung(1, 200), Rung(2, 100)], 0)
    with pytest.raises(NativeError):
        climber.set([Rung(1, 200)] * (MAX_RUNGS + 1), 0)

    assert MAX_RUNGS == native.MAX_RUNGS
    assert 0 == climber.rung
