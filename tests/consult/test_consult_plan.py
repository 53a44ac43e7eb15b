"""
What a host may say of a consult, and what it is told of a plan that is none.
"""

from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerelay.consult.plan import ConsultPlan, Invited, PlanError


def test_a_plan_is_little_more_than_its_id() -> None:
    """
    All else has a default, and is left out where it is written down.
    """
    assert {"consult": "c1"} == ConsultPlan.from_json({"consult": "c1"}).to_json() == ConsultPlan("c1").to_json()


def test_a_whole_plan_survives_being_written() -> None:
    """
    Every field of it.
    """
    plain = {
        "consult": "c1",
        "tenant": "north",
        "queue": "dr-7",
        "starts_at": 1_700_000_000.0,
        "opens_before_s": 60.0,
        "closes_after_s": 120.0,
        "no_show_after_s": 30.0,
        "overrun_after_s": 1200.0,
        "seat_s": 90.0,
        "is_emergency": True,
        "policy": "p1",
        "policy_date": "2018-09-15",
        "region": "r-27",
        "invited": [{"sub": "pat", "role": "patient"}],
        "deciders": ["expert", "practitioner"],
        "third_parties": ["interpreter"],
        "labels": {"reference": "A-17"},
    }
    plan = ConsultPlan.from_json(plain)

    assert plain == plan.to_json()
    assert (1_699_999_940.0, 1_700_000_120.0) == (plan.opens_at, plan.closes_at)
    assert (Invited("pat", "patient"),) == plan.invited


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"consult": "no room"}, "bad_consult", "consult"),
        ({"consult": 7}, "bad_consult", "consult"),
        ({"starts_at": "tomorrow"}, "bad_time", "starts_at"),
        ({"starts_at": float("nan")}, "bad_time", "starts_at"),
        ({"starts_at": -1}, "bad_time", "starts_at"),
        ({"starts_at": True}, "bad_time", "starts_at"),
        ({"starts_at": 1_700_000_000_000_000}, "bad_time", "starts_at"),
        ({"seat_s": -1}, "bad_time", "seat_s"),
        ({"seat_s": None}, "bad_time", "seat_s"),
        ({"overrun_after_s": 1e12}, "bad_time", "overrun_after_s"),
        ({"is_emergency": 1}, "bad_value", "is_emergency"),
        ({"queue": "a\nb"}, "bad_value", "queue"),
        ({"region": "x" * 129}, "bad_value", "region"),
        ({"policy": 2018}, "bad_value", "policy"),
        ({"deciders": ["king"]}, "bad_role", "deciders"),
        ({"third_parties": ["king"]}, "bad_role", "third_parties"),
        ({"third_parties": ["patient"]}, "bad_role", "third_parties"),
        ({"third_parties": ["practitioner"]}, "bad_role", "third_parties"),
        ({"deciders": "practitioner"}, "bad_value", "deciders"),
        ({"deciders": [["practitioner"]]}, "bad_role", "deciders"),
        ({"invited": {"pat": "patient"}}, "bad_value", "invited"),
        ({"invited": [{"sub": "pat"}]}, "bad_value", "invited"),
        ({"invited": [{"sub": "pat", "role": "king"}]}, "bad_role", "invited"),
        ({"invited": [{"sub": "pat", "role": ["patient"]}]}, "bad_role", "invited"),
        ({"invited": [{"sub": "", "role": "patient"}]}, "bad_value", "invited"),
        ({"invited": [{"sub": "pat", "role": "patient"}] * 2}, "bad_value", "invited"),
        ({"invited": [{"sub": f"p{n}", "role": "patient"} for n in range(33)]}, "bad_value", "invited"),
        ({"labels": ["a"]}, "bad_value", "labels"),
        ({"labels": {"a": 1}}, "bad_value", "labels"),
        ({"labels": {"a": "x" * 257}}, "bad_value", "labels"),
        ({"labels": {str(n): "" for n in range(17)}}, "bad_value", "labels"),
        ({"start_at": 1}, "unknown_field", "starts_at"),
        ({"colour": "blue"}, "unknown_field", ""),
    ],
)
def test_a_wrong_plan_is_refused_by_field(changes: dict[str, object], code: str, field: str) -> None:
    """
    With a stable code, and without what was given.
    """
    with pytest.raises(PlanError) as caught:
        ConsultPlan.from_json({"consult": "c1"} | changes)

    assert (code, field) == (caught.value.code, caught.value.field)
    assert "tomorrow" not in str(caught.value)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["sub", "role", "a"]), inner),
    max_leaves=6,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from([each.name for each in fields(ConsultPlan)]), ANYTHING))
def test_whatever_a_host_sends_is_a_plan_or_a_plan_error(plain: dict[str, object]) -> None:
    """
    And a plan survives being written.
    """
    try:
        plan = ConsultPlan.from_json({"consult": "c1"} | plain)
    except PlanError:
        return
    assert plan == ConsultPlan.from_json(plan.to_json())


@pytest.mark.parametrize("plain", [None, [], "c1", {}, {"starts_at": 1}])
def test_what_is_no_plan_at_all_is_refused(plain: object) -> None:
    """
    It must be an object with an id.
    """
    with pytest.raises(PlanError):
        ConsultPlan.from_json(plain)
