"""
Facts are written down and read again as what they were; what no fact may hold is refused.
"""

import contextlib
import json
from typing import Annotated, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.courses import plan
from telerelay.consult import facts
from telerelay.consult.facts import KINDS, PERSONAL, Denied, Fact, Lost, Measured, Scheduled
from telerelay.consult.plan import ConsultPlan
from telerelay.errors import LocalProtocolError

TIMES = st.floats(0, 4e9)
IDS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=16)


def values_of(hint: object) -> st.SearchStrategy[object]:
    if get_origin(hint) is Annotated:
        mark = hint.__metadata__[0]  # type: ignore[attr-defined]
        return st.text(max_size=40) if mark == PERSONAL else st.sampled_from(mark)
    if hint == tuple[str, ...]:
        return st.lists(IDS, max_size=3).map(tuple)
    if get_origin(hint) is tuple:
        return st.lists(st.tuples(st.integers(1, 2160), TIMES), max_size=3).map(tuple)
    return {
        str: IDS,
        float: TIMES,
        bool: st.booleans(),
        int: st.integers(0, 10_000),
        ConsultPlan: st.sampled_from([plan(), plan(labels={"a": "b"}, is_emergency=True)]),
    }[hint]  # type: ignore[index]


def facts_of(kind: type[Fact]) -> st.SearchStrategy[Fact]:
    hints = {
        name: hint for name, hint in get_type_hints(kind, include_extras=True).items() if name not in ("kind", "self")
    }
    return st.builds(kind, **{name: values_of(hint) for name, hint in hints.items()})


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(sorted(KINDS)))
def test_every_fact_survives_being_written(data: st.DataObject, kind: str) -> None:
    """
    As JSON, clear and personal parts apart.
    """
    fact = data.draw(facts_of(KINDS[kind]))
    word, clear, personal = fact.to_json()

    assert kind == word
    assert fact == facts.from_json(word, fact.at, json.loads(json.dumps(clear)), json.loads(json.dumps(personal)))


def test_personal_parts_are_apart() -> None:
    """
    Notes, and a plan's labels.
    """
    denied = Denied(1.0, "com", "doc", note="his own words")
    scheduled = Scheduled(1.0, plan(labels={"reference": "his own words"}))

    for fact, personal in (
        (denied, {"note": "his own words"}),
        (scheduled, {"labels": {"reference": "his own words"}}),
    ):
        kind, clear, apart = fact.to_json()
        assert personal == apart
        assert "words" not in json.dumps(clear)
        assert fact != facts.from_json(kind, fact.at, clear, None)


def test_facts_whose_personal_parts_are_destroyed_are_read_all_the_same() -> None:
    """
    They are empty then.
    """
    kind, clear, _ = Denied(1.0, "com", "doc", note="gone").to_json()

    assert Denied(1.0, "com", "doc") == facts.from_json(kind, 1.0, clear, None)


def test_only_parts_that_somebody_wrote_are_personal() -> None:
    """
    Every other text is an id or a word of a list.
    """
    personal = {
        (kind, name)
        for kind, fact in KINDS.items()
        for name, hint in get_type_hints(fact, include_extras=True).items()
        if get_origin(hint) is Annotated and PERSONAL in get_args(hint)
    }

    notes = {("cancelled", "note"), ("denied", "note"), ("ended", "note"), ("noted", "note")}
    assert notes | {("document_received", "name"), ("still_requested", "reason")} == personal


@pytest.mark.parametrize(
    "parts",
    [
        ("lost", {"sub": "pat", "what": "temper"}),
        ("lost", {"sub": "pat\n", "what": "socket"}),
        ("lost", {"sub": "x" * 129, "what": "socket"}),
        ("lost", {"sub": 7, "what": "socket"}),
        ("lost", {"sub": "pat"}),
        ("lost", {"sub": "pat", "what": "socket", "more": 1}),
        ("held", {"sub": "pat", "position": 1.5}),
        ("clock_jumped", {"by_s": float("inf")}),
        ("consent", {"sub": "pat", "what": "recording", "is_given": "yes"}),
        ("scheduled", {"plan": {"consult": "no room"}}),
        ("scheduled", {}),
        ("routed", {"queue": "desk", "people": "doc"}),
        ("routed", {"queue": "desk", "people": ["doc\n"]}),
        ("routed", {"queue": "desk", "people": ["doc"] * 33}),
        ("eaten", {}),
    ],
)
def test_what_no_fact_may_hold_is_not_read(parts: tuple[str, dict[str, object]]) -> None:
    """
    ValueError, and nothing else, so that a journal may set it aside.
    """
    kind, clear = parts
    with pytest.raises(ValueError, match="fact"):
        facts.from_json(kind, 1.0, clear, {})


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = sorted({name for kind in KINDS.values() for name in kind.__match_args__} | {"labels"})


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=4), ANYTHING)
def test_whatever_stands_in_a_journal_is_a_fact_or_a_value_error(
    kind: str, clear: dict[str, object], personal: object
) -> None:
    """
    A file may be damaged anywhere.
    """
    with contextlib.suppress(ValueError):
        facts.from_json(kind, 1.0, clear, personal if isinstance(personal, dict) else None)


def test_a_wrong_fact_cannot_be_made() -> None:
    """
    By whoever makes one.
    """
    with pytest.raises(LocalProtocolError):
        Lost(1.0, "pat", "temper")
    with pytest.raises(LocalProtocolError):
        Measured(float("nan"))
    with pytest.raises(LocalProtocolError):
        Denied(1.0, "pat", "doc", note="x" * 4097)
