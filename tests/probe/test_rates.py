"""What a connection carries."""

from __future__ import annotations

import pytest

from telerelay.probe.rates import Rate


def test_the_slow_start_is_left_out() -> None:
    """
    Half a second of little, then 1 Mbit/s: 1 Mbit/s.
    """
    rate = Rate(10.0)
    for step in range(5):
        rate.add(10.0 + step / 10, 100)
    for step in range(101):
        rate.add(10.6 + step / 100, 1250)

    assert 1e6 == pytest.approx(rate.bps)
    assert 500 + 101 * 1250 == rate.bytes


def test_what_is_over_at_once_counts_as_a_whole() -> None:
    """
    A very fast line: nothing was on its way any more once it was warm.
    """
    rate = Rate(10.0)
    for step in range(1, 11):
        rate.add(10.0 + step / 100, 1250)

    assert 1e6 == pytest.approx(rate.bps)


def test_a_very_slow_line_counts_as_a_whole() -> None:
    """
    Two pieces in two seconds.
    """
    rate = Rate(0.0)
    rate.add(1.0, 4000)
    rate.add(2.0, 4000)

    assert 32000 == pytest.approx(rate.bps)


def test_nothing_is_no_rate() -> None:
    """
    Not even 0: it was not measured.
    """
    assert Rate(1.0).bps is None
