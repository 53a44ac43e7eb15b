"""
What is worth sending of a publication: encodings that somebody wants, and the limit where one receiver alone gets it.
"""

from telerelay.allocator import ConsultAllocator, Dynacast, Layer, SoleLimit, Track, following

SECOND = 1_000_000
KBPS = 1_000


def test_encoding_nobody_wants_is_off_after_four_seconds_and_back_at_once() -> None:
    """
    The middle one is what both get; the top one comes back with the first who wants it.
    """
    dynacast = Dynacast(3)
    first = dynacast.on_wanted("anna", {0, 1}, 0)
    early = [dynacast.on_time(at * SECOND) for at in range(1, 4)]
    late = dynacast.on_time(4 * SECOND)

    assert [False] * 4 == [first, *early]
    assert late
    assert {0, 1} == dynacast.active
    assert not dynacast.on_wanted("ben", {1}, 6 * SECOND)
    assert dynacast.on_wanted("ben", {1, 2}, 7 * SECOND)
    assert {0, 1, 2} == dynacast.active


def test_short_fall_switches_nothing_off() -> None:
    """
    Who is back within four seconds finds its encoding there; the four seconds begin anew with the next fall.
    """
    dynacast = Dynacast(2)
    changes = [dynacast.on_wanted("anna", wanted, at * SECOND) for at, wanted in enumerate(({0, 1}, {0}, {0, 1}, {0}))]

    assert [False] * 4 == changes
    assert not dynacast.on_time(6 * SECOND)
    assert dynacast.on_time(7 * SECOND)
    assert {0} == dynacast.active


def test_nothing_is_worth_sending_to_nobody() -> None:
    """
    Four seconds after the last receiver has left; a receiver that left wants nothing any more.
    """
    dynacast = Dynacast(2)
    dynacast.on_wanted("anna", {0}, 0)
    dynacast.on_left("anna", 6 * SECOND)
    dynacast.on_left("ben", 7 * SECOND)

    assert not dynacast.on_time(9 * SECOND)
    assert dynacast.on_time(10 * SECOND)
    assert frozenset() == dynacast.active
    assert dynacast.on_wanted("cora", {1}, 12 * SECOND)
    assert {1} == dynacast.active


def test_sole_receiver_limits_its_publisher_down_at_once_and_up_once_a_second() -> None:
    """
    A twentieth of the line and what else goes over it are left free; small changes are not told, a quarter more is told
    at once; the floor is kept.
    """
    limit = SoleLimit(100 * KBPS)
    told = [
        limit.on_estimate(bps * KBPS, 100 * KBPS, round(at * SECOND))
        for at, bps in ((0, 1_000), (0.1, 990), (0.2, 900), (0.3, 1_000), (1.2, 1_000), (1.3, 1_400), (1.4, 50))
    ]
    limits = [SoleLimit(100 * KBPS) for _ in range(2)]
    for each, bps in zip(limits, (1_000, 50), strict=True):
        each.on_estimate(bps * KBPS, 100 * KBPS, 0)

    assert [True, False, True, False, True, True, True] == told
    assert [850 * KBPS, 100 * KBPS] == [each.limit_bps for each in limits]


def test_limit_ends_with_the_second_receiver() -> None:
    """
    Once; and the next estimate, when one is alone again, is told whatever it is.
    """
    limit = SoleLimit(100 * KBPS)
    limit.on_estimate(1_000 * KBPS, 0, 0)

    assert [False, True, False] == [limit.on_receivers(count) for count in (1, 2, 3)]
    assert limit.limit_bps is None
    assert limit.on_estimate(1_000 * KBPS, 0, 1)


def test_source_that_follows_is_not_paused_for_what_it_was_measured_at() -> None:
    """
    2 Mbit/s a moment ago: on a line of 300 kbit/s it is forwarded all the same, for it will have come down.
    """
    layer = Layer(0, 0, 0, rate_bps=2_000 * KBPS, peak_bps=2_500 * KBPS)
    tracks = [Track(7, "video", (each,), is_on_stage=True) for each in (layer, following(layer, 100 * KBPS))]

    assert [[], [7]] == [list(ConsultAllocator().allocate([each]).layers_at(300 * KBPS)) for each in tracks]
