"""
An objective: how it is written, and when it is met.
"""

import pytest

from telerelay.errors import ConfigError
from telerelay.load import slo


def test_the_default_is_what_a_consult_needs() -> None:
    """
    One packet in ten thousand, ten milliseconds, nobody left outside.
    """
    bounds = slo.parse(slo.DEFAULT)

    assert [("loss", 0.0001), ("p99", 10_000.0), ("failed_joins", 0.0)] == [(b.figure, b.most) for b in bounds]


@pytest.mark.parametrize(
    ("text", "figure", "most"),
    [
        ("p99<=10ms", "p99", 10_000),
        ("p50 <= 800us", "p50", 800),
        ("p99.9<=0.5s", "p999", 500_000),
        ("loss<=1%", "loss", 0.01),
        ("loss<=0.002", "loss", 0.002),
        ("join_p99<=2s", "join_p99", 2_000_000),
        ("freezes<=3", "freezes", 3),
    ],
)
def test_bounds_have_units(text: str, figure: str, most: float) -> None:
    """
    Times become microseconds, shares fractions.
    """
    (bound,) = slo.parse(text)

    assert (figure, pytest.approx(most)) == (bound.figure, bound.most)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no bound"),
        ("p99<10ms", "not like"),
        ("p99<=10", "unit"),
        ("loss<=1ms", "unit"),
        ("los<=1%", "did you mean loss"),
        ("speed<=1%", "unknown figure"),
        ("p99<=10ms;loss<=1%", "not like"),
    ],
)
def test_what_is_no_bound_is_refused(text: str, words: str) -> None:
    """
    Naming what is wrong with it.
    """
    with pytest.raises(ConfigError, match=words):
        slo.parse(text)


@pytest.mark.parametrize(("value", "is_met"), [(9_999.0, True), (10_000.0, True), (10_001.0, False), (None, False)])
def test_a_bound_is_met_up_to_its_value(value: float | None, is_met: bool) -> None:
    """
    What was not measured is not met.
    """
    verdicts = slo.judge(slo.parse("p99<=10ms"), {"p99": value})

    assert is_met == slo.is_met(verdicts)


def test_figures_are_shown_in_the_unit_people_use() -> None:
    """
    Milliseconds and percent.
    """
    p99, loss = slo.parse("p99<=10ms,loss<=1%")

    assert ("1.50 ms", "0.0200 %") == (slo.shown(p99, 1500), slo.shown(loss, 0.0002))
    assert "not measured" == slo.shown(p99, None)
