"""Notes: values to bytes and back, and nothing else out of bytes."""

from __future__ import annotations

import base64
import dataclasses
import enum
import json
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerelay.notes import FORMAT, codec, decode, encode


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


class Colour(enum.StrEnum):
    RED = "red"


class Size(enum.IntEnum):
    LARGE = 3


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


@dataclass(frozen=True, slots=True)
class Odder:
    """Dicts where they are rare."""

    deep: tuple[dict[str, Inner], ...] = ()
    deeper: dict[str, dict[int, bytes]] = field(default_factory=dict)
    either: Inner | dict[str, int] | None = None
    keyed: dict[tuple[int, str], frozenset[int]] = field(default_factory=dict)
    inners: tuple[Inner, ...] = ()
    outer: Outer | None = None
    anything: object = None
    number: float | None = None


odders = st.builds(
    Odder,
    deep=st.lists(st.dictionaries(st.text(), inners)).map(tuple),
    deeper=st.dictionaries(st.text(), st.dictionaries(st.integers(), st.binary())),
    either=st.none() | inners | st.dictionaries(st.text(), st.integers()),
    keyed=st.dictionaries(st.tuples(st.integers(), st.text()), st.frozensets(st.integers())),
    inners=st.lists(inners).map(tuple),
    outer=st.none() | outers,
    anything=st.none() | st.booleans() | outers | st.dictionaries(st.text(), inners) | st.lists(st.binary()),
    number=st.none() | st.floats(allow_nan=False) | st.integers(),
)


@given(outers | odders | inners | st.dictionaries(st.integers(), outers) | st.lists(odders).map(tuple))
def test_a_note_is_the_json_of_its_plain_value(value: object) -> None:
    """
    Byte for byte, as json.dumps writes it: lists for tuples and sorted sets, pairs for dicts, no field at its default.
    """
    assert json.dumps([FORMAT, plain(value)], separators=(",", ":")).encode() == encode(value)


@given(st.lists(outers, min_size=1, max_size=5))
def test_values_that_share_parts_are_each_written_whole(values: list[Outer]) -> None:
    """
    A part that has not changed is not written again.
    """
    for turn in range(3):
        for each in values:
            changed = dataclasses.replace(each, at=float(turn))
            assert json.dumps([FORMAT, plain(changed)], separators=(",", ":")).encode() == encode(changed)


def test_few_parts_are_remembered_and_none_for_another() -> None:
    """
    One that is forgotten may leave its identity to the next.
    """
    for turn in range(2 * codec.MAX_RECENT + 8):
        inner = Inner("x" * codec.WORTH_KEEPING, (turn,))
        assert json.dumps([FORMAT, plain(inner)], separators=(",", ":")).encode() == encode(inner)
    assert len(codec._RECENT) <= codec.MAX_RECENT


def plain(value: object) -> object:
    """The format as it is defined, slow and clear."""
    match value:
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case tuple() | list():
            return [plain(each) for each in value]
        case set() | frozenset():
            return [plain(each) for each in sorted(value)]
        case dict():
            return [[plain(key), plain(each)] for key, each in value.items()]
        case None | bool() | int() | float() | str():
            return value
    assert dataclasses.is_dataclass(value)
    found = {}
    for each in dataclasses.fields(value):
        of_field = getattr(value, each.name)
        default = each.default if each.default_factory is dataclasses.MISSING else each.default_factory()
        if type(of_field) is not type(default) or of_field != default:
            found[each.name] = plain(of_field)
    return found


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan"), 1e300, -0.0, 2**70, "\ud800", 'é\n"'])
def test_odd_numbers_and_letters_are_written_as_json_has_them(value: object) -> None:
    """
    Those that other ways of writing would get wrong.
    """
    assert json.dumps([FORMAT, [value]], separators=(",", ":")).encode() == encode((value,))


@pytest.mark.parametrize("value", [Colour.RED, Size.LARGE, (Size.LARGE,), {"a": Colour.RED}])
def test_what_only_inherits_from_a_known_type_is_refused(value: object) -> None:
    """
    It would come back as something else.
    """
    with pytest.raises(TypeError):
        encode(value)


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
