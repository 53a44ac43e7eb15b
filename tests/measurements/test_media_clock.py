"""A participant's clock is held against the relay's by the message that waited least."""

from telerelay.measurements import MediaClock


def test_nothing_is_known_before_anything_was_told() -> None:
    assert MediaClock().offset_s() is None


def test_the_message_that_waited_least_counts() -> None:
    """Theirs is 40 s behind, the way takes 25 ms, and most messages wait for something else besides."""
    clock = MediaClock()
    for at, wait_s in ((0.0, 0.3), (1.0, 0.0), (2.0, 1.2), (3.0, 0.05)):
        clock.told(at, at, at + 40.025 + wait_s)

    assert 40.025 == round(clock.offset_s() or 0, 6)


def test_a_longer_way_counts_after_a_window_without_a_shorter_one() -> None:
    """A change of network, or drift; one late message is neither."""
    clock = MediaClock()
    clock.told(0.0, 0.0, 0.025)
    for at in range(1, 25):
        clock.told(float(at), float(at), at + 0.1)

    assert 0.1 == round(clock.offset_s() or 0, 6)


def test_a_clock_that_was_set_counts_at_once() -> None:
    clock = MediaClock()
    clock.told(0.0, 0.0, 0.025)
    clock.told(1.0, 3601.0, 1.025)

    assert -3599.975 == round(clock.offset_s() or 0, 6)


def test_a_successor_goes_on_with_what_was_known_though_its_first_message_was_sent_again() -> None:
    clock = MediaClock(40.025)
    clock.told(1000.0, 1000.0, 1041.1)

    assert 40.025 == clock.offset_s()


def test_of_what_was_known_nothing_stays_that_a_whole_window_did_not_bear_out() -> None:
    clock = MediaClock(0.025)
    for at in range(1000, 1025):
        clock.told(float(at), float(at), at + 0.1)

    assert 0.1 == round(clock.offset_s() or 0, 6)
