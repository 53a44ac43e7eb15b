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
