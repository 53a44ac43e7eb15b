"""Where a new room goes."""

from telerelay.signaling.placement import CONSULT_PPS, SETTLING_S, Placement


def test_rooms_opened_at_once_are_spread() -> None:
    """
    None of them carries a packet yet, and still no worker gets two more than another.
    """
    placement = Placement()
    chosen = []
    for _ in range(7):
        chosen.append(placement.choose(0.0, [(0, 0), (1, 0), (2, 0)]))
        placement.opened(0.0, chosen[-1])
    assert [0, 1, 2, 0, 1, 2, 0] == chosen


def test_packets_count_and_not_rooms() -> None:
    """
    A worker with one webinar has more to do than one with two consults.
    """
    placement = Placement()
    for second in range(30):
        placement.seen(float(second), 0, second * 20000)
        placement.seen(float(second), 1, second * 1444)
    assert abs(placement.load_pps(30.0, 0) - 20000) < 1
    assert 1 == placement.choose(30.0, [(0, 8), (1, 900)])


def test_equally_loaded_workers_are_told_apart_by_their_transports() -> None:
    """
    People who are connected and send nothing may begin to.
    """
    placement = Placement()
    assert 1 == placement.choose(0.0, [(0, 5), (1, 4), (2, 4)])


def test_a_room_counts_by_guess_until_it_can_be_seen() -> None:
    """
    For ten seconds.
    """
    placement = Placement()
    placement.opened(0.0, 0)
    assert CONSULT_PPS == placement.load_pps(SETTLING_S - 0.1, 0)
    placement.seen(SETTLING_S, 0, 0)
    assert 0.0 == placement.load_pps(SETTLING_S, 0)


def test_a_worker_that_was_replaced_begins_at_nothing() -> None:
    """
    Its counters do.
    """
    placement = Placement()
    for second in range(10):
        placement.seen(float(second), 0, second * 1000)
    assert placement.load_pps(10.0, 0) > 900
    placement.seen(10.0, 0, 5)
    assert 0.0 == placement.load_pps(10.0, 0)
    placement.seen(11.0, 0, 105)
    assert 0 < placement.load_pps(11.0, 0) < 100


def test_a_look_twice_at_the_same_moment_divides_by_nothing() -> None:
    """
    A late loop may look again at once.
    """
    placement = Placement()
    placement.seen(1.0, 0, 10)
    placement.seen(1.0, 0, 20)
    assert 0.0 == placement.load_pps(1.0, 0)
