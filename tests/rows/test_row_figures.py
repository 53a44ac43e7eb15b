"""
What rows make of what people tell can find what it looks for.
"""

from __future__ import annotations

from typing import Any

import pytest

from rows.acts import moments, per_day
from rows.row_r07 import _doubled, _overlaps, _overtaken
from rows.row_r11 import errors_ms, wrong
from rows.still import picture, size_of


def waiting(consult: str, *, emergency: bool = False) -> dict[str, Any]:
    return {"consult": consult, "emergency": emergency}


def given(consult: str, asked_at: float, answered_at: float, doctor: str = "d1") -> dict[str, Any]:
    return {"consult": consult, "asked_at": asked_at, "answered_at": answered_at, "doctor": doctor}


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (("urgent", "first", "second"), 0),
        (("urgent", "second", "first"), 1),
        (("first", "urgent", "second"), 1),
        (("second", "first", "urgent"), 2),
        (("urgent", "first"), 1),
    ],
)
def test_whoever_is_overtaken_or_forgotten_is_counted(order: tuple[str, ...], expected: int) -> None:
    """
    Emergencies are due first, then whoever came first.
    """
    waits = [waiting("first"), waiting("second"), waiting("urgent", emergency=True)]
    calls = [given(consult, 10.0 * n, 10.0 * n + 1) for n, consult in enumerate(order)]

    assert expected == _overtaken(waits, calls)


def test_of_calls_at_one_moment_either_may_come_first() -> None:
    """
    The second's answer was there before the first's, but both were under way.
    """
    waits = [waiting("first"), waiting("second")]

    assert 0 == _overtaken(waits, [given("second", 0.0, 1.0), given("first", 0.5, 2.0)])


@pytest.mark.parametrize(("ended_at", "expected"), [(4.0, 0), (6.0, 1), (None, 1)])
def test_a_doctor_with_two_patients_is_counted(ended_at: float | None, expected: int) -> None:
    """
    Handed the next one before the one before was over, or never over.
    """
    calls = [given("a", 0.0, 1.0), given("b", 4.5, 5.0), given("c", 0.0, 1.0, doctor="d2")]
    over = [{"consult": "a", "ended_at": ended_at}, {"consult": "b", "ended_at": 9.0}]

    assert expected == _doubled(calls, over)


@pytest.mark.parametrize(("begins", "expected"), [(20.0, 0), (19.0, 1)])
def test_times_that_share_a_moment_are_counted(begins: float, expected: int) -> None:
    """
    Of one doctor, over all attestations; a patient's do not count.
    """
    people = [
        {"sub": "d1", "role": "practitioner", "present": [[10.0, 20.0]]},
        {"sub": "p1", "role": "patient", "present": [[10.0, 20.0]]},
    ]
    later = [
        {"sub": "d1", "role": "practitioner", "present": [[begins, 30.0]]},
        {"sub": "p1", "role": "patient", "present": [[11.0, 30.0]]},
    ]

    assert expected == _overlaps([{"people": people}, {"people": later}])


@pytest.mark.parametrize(("acts", "peak"), [(50_000, 2_000), (10_000, 400), (1_000, 40)])
def test_two_months_have_their_acts_and_one_peak(acts: int, peak: int) -> None:
    """
    The last day alone has the most.
    """
    days = per_day(acts, peak)

    assert (61, acts, peak) == (len(days), sum(days), days[-1])
    assert max(days[:-1]) < peak
    assert acts == sum(1 for _ in moments(acts, peak))


def test_acts_without_a_peak_are_refused() -> None:
    """
    A peak lower than the other days is none.
    """
    with pytest.raises(ValueError, match="another day the peak"):
        per_day(50_000, 900)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([5, 6, 7], 0), ([5, 7], 1), ([5, 5, 6, 7], 1), ([5, 7, 6], 1), ([5, 6, 7, 8], 1), ([5, 6, None], 2), ([], 3)],
)
def test_what_is_missing_strange_twice_or_out_of_order_is_counted(values: list[float | None], expected: int) -> None:
    """
    Of the samples 5, 6 and 7.
    """
    assert expected == wrong(values, range(5, 8))


def test_a_sample_is_held_against_the_picture_next_to_it() -> None:
    """
    The relay's clock is 30 s behind; the second picture comes to lie 40 ms too late.
    """
    sent = {
        "began_at": 100.0,
        "sent": {"scope": [["a", 100.01, 7000], ["b", 101.01, 97_000]]},
        "taken": {"scope": [[0, 100.0], [90_000, 101.0]]},
    }
    came = {
        "samples": [[0, 70.0], [250, 71.0]],
        "payloads": {"scope": [["a", 1000], ["b", 91_000]]},
        "reports": {"scope": [[70.0, 1000], [71.04, 91_000]]},
    }

    assert [0.0, 40.0] == [pytest.approx(each, abs=1e-6) for each in errors_ms(sent, came, "scope")]


def test_a_still_has_its_size_to_the_byte_and_can_be_decoded() -> None:
    """
    What fills it up is comments.
    """
    data = picture(640, 360, 1, 200_000)

    assert 200_000 == len(data)
    assert (640, 360) == size_of(data)
