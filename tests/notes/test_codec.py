"""Notes: values to bytes and back, and nothing else out of bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerelay.notes import FORMAT, decode, encode


@dataclass(frozen=True, slots=True)
class Inner:
    name: str
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Outer:
    kind: Literal["audio", "video"]
    raw: bytes
    at: float
    pair: tuple[int, str]
    names: frozenset[str]
    by_id: dict[int, Inner]
    inner: Inner | None = None
    is_on: bool = False
    more: dict[str, tuple[int, int]] = field(default_factory=dict)


inners = st.builds(Inner, st.text(), st.lists(st.integers()).map(tuple))
outers = st.builds(
    Outer,
    kind=st.sampled_from(["audio", "video"]),
    raw=st.binary(),
    at=st.floats(allow_nan=False, allow_infinity=False),
    pair=st.tuples(st.integers(), st.text()),
    names=st.frozensets(st.text()),
    by_id=st.dictionaries(st.integers(), inners),
    inner=st.none() | inners,
    is_on=st.booleans(),
    more=st.dictionaries(st.text(), st.tuples(st.integers(), st.integers())),
)


@given(outers)
def test_what_goes_in_comes_out(value: Outer) -> None:
    """
    Equal, and of the same types.
    """
    again = decode(Outer, encode(value))
    assert value == again
    assert type(value.names) is type(again.names)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    )
)
def test_other_json_is_refused_and_nothing_worse(value: object) -> None:
    """
    Whatever it is: a ValueError, never another exception, never half a value.
    """
    for body in (json.dumps(value).encode(), json.dumps([FORMAT, value]).encode()):
        with pytest.raises(ValueError):  # noqa: PT011
            decode(Outer, body)


@pytest.mark.parametrize(
    ("plain", "why"),
    [
        ({"name": "x", "colour": "red"}, "an unknown field"),
        ({"numbers": [1]}, "a field that is missing"),
        ({"name": 1}, "a value of another type"),
        ({"name": "x", "numbers": [True]}, "a bool for a number"),
        ({"name": "x", "numbers": "12"}, "a string for a list"),
    ],
)
def test_a_note_that_does_not_fit_is_refused(plain: object, why: str) -> None:
    """
    A successor of another build does not guess.
    """
    with pytest.raises(ValueError):  # noqa: PT011
        decode(Inner, json.dumps([FORMAT, plain]).encode())
    with pytest.raises(ValueError):  # noqa: PT011
        decode(Inner, json.dumps([FORMAT + 1, {"name": "x"}]).encode())


def test_a_field_with_its_default_is_left_out() -> None:
    """
    So that a later build may add fields.
    """
    assert json.dumps([FORMAT, {"name": "x"}], separators=(",", ":")).encode() == encode(Inner("x"))


def test_what_has_no_place_in_a_note_is_refused() -> None:
    """
    A mistake in this program, found at once.
    """

    @dataclass
    class Odd:
        value: object

    with pytest.raises(TypeError):
        encode(Odd(object()))
