"""
Counts and histograms: percentiles are right at every edge, and every packet is accounted for.
"""

import bisect
import random

import pytest

from telerelay.load.engine import bucket_lows
from telerelay.load.measure import Histogram, Tally, bucket_low, quantile

LOWS = [bucket_low(bucket) for bucket in range(1408)]


def histogram(*values: int) -> Histogram:
    """As the engine fills one."""
    buckets = [0] * len(LOWS)
    for value in values:
        buckets[bisect.bisect_right(LOWS, value) - 1] += 1
    return Histogram(tuple(buckets), sum(values), max(values, default=0))


def test_buckets_are_single_microseconds_then_64_to_a_doubling() -> None:
    """
    So a value is known to 1.6 %.
    """
    assert [0, 1, 63, 64, 127, 128, 130] == [bucket_low(bucket) for bucket in (0, 1, 63, 64, 127, 128, 129)]
    assert all(bucket_low(b + 1) - bucket_low(b) <= max(1, bucket_low(b) / 64) for b in range(1407))


def test_the_engines_buckets_are_the_same() -> None:
    """
    C counts, Python reads: both must mean the same microseconds.
    """
    assert list(bucket_lows()) == LOWS


def test_nothing_has_no_percentile() -> None:
    """
    Not zero: that would be a very fast server.
    """
    assert (None, None) == (histogram().value(0.5), histogram().mean_us)


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_percentiles_of_one_to_a_hundred(share: float, value: int) -> None:
    """
    The value that a share of all does not exceed.
    """
    found = histogram(*range(1, 101)).value(share)

    assert found is not None
    assert value <= found <= value + 1


def test_percentiles_are_within_a_bucket_of_the_true_ones() -> None:
    """
    For any distribution; never below the true value, never above the greatest.
    """
    chance = random.Random(3)
    values = sorted(int(chance.lognormvariate(6, 1.5)) for _ in range(2000))
    measured = histogram(*values)
    for share in (0.5, 0.9, 0.99, 0.999, 1.0):
        true, found = values[max(0, int(len(values) * share) - 1)], measured.value(share)
        assert found is not None
        assert true <= found <= min(values[-1], true * (1 + 1 / 64) + 1)


def test_two_histograms_add_and_subtract() -> None:
    """
    What came since a moment is the difference.
    """
    before, later = histogram(10, 20), histogram(10, 20, 5000)

    assert histogram(10, 20, 30, 40) == histogram(10, 20) + histogram(30, 40)
    assert 1 == later.since(before).count
    assert 5000 == later.since(before).value(1.0)


def test_a_distribution_ends_at_one() -> None:
    """
    However much it is thinned.
    """
    points = histogram(*range(1, 3000)).distribution(50)

    assert len(points) <= 51
    assert (2999, 1.0) == points[-1]
    assert list(points) == sorted(points)


def test_packets_in_flight_when_counting_begins_belong_to_what_is_counted() -> None:
    """
    So sent = received + lost + in flight holds between any two moments.
    """
    before = Tally(sent=100, received=90, lost=4, in_flight=6)
    after = Tally(sent=300, received=285, lost=10, in_flight=5)
    between = after.since(before)

    assert (206, 195, 6, 5, 0) == (
        between.sent,
        between.received,
        between.lost,
        between.in_flight,
        between.unaccounted,
    )


def test_a_sum_that_is_off_shows() -> None:
    """
    By how many.
    """
    assert 3 == Tally(sent=10, received=6, lost=1, in_flight=0).unaccounted


@pytest.mark.parametrize(
    ("tally", "loss"),
    [
        (Tally(), None),
        (Tally(sent=100, received=99, lost=1), 0.01),
        (Tally(sent=110, received=99, lost=1, in_flight=10), 0.01),
    ],
)
def test_loss_is_of_what_is_settled(tally: Tally, loss: float | None) -> None:
    """
    What is on its way is neither lost nor received, and of nothing there is no loss.
    """
    assert loss == tally.loss


def test_quantiles_of_a_few_values() -> None:
    """
    The least value that the share does not exceed; none of none.
    """
    assert (None, 3.0, 5.0) == (quantile([], 0.5), quantile([5.0, 1.0, 3.0], 0.5), quantile([5.0, 1.0, 3.0], 0.99))
