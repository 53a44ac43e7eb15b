"""
Dataclasses to bytes and back: JSON, led by the types of the fields.

Pure. Never pickle: a note is read as exactly the type that is asked for, or not at all. A field that has its default is
left out, so a later version may add fields that have one; any other difference needs another FORMAT.
"""

import base64
import dataclasses
import json
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from json.encoder import encode_basestring_ascii
from typing import Any, TypeVar

FORMAT = 1
"""Of all notes: one more whenever an older reader would misunderstand a newer note."""

WORTH_KEEPING = 128
"""Characters of a part: looking a shorter one up costs as much as writing it."""

MAX_RECENT = 512
"""Parts kept, some hundred kilobytes: those of twenty people who join at once."""

T = TypeVar("T")


def encode(value: Any) -> bytes:
    """
    A dataclass, whose fields are dataclasses, tuples, sets, dicts, strings, numbers, bytes or None.

    What is frozen must be so to its depths: a dict in it that has changed may be written as it was before.
    """
    return f"[{FORMAT},{_write(value)}]".encode()


def decode(kind: type[T], body: bytes) -> T:
    """The value again. Raises ValueError for a note of another format, or of another kind."""
    try:
        found, plain = json.loads(body)
        if found != FORMAT:
            raise ValueError("a note of another format")
        value: T = _value(kind, plain)
    except (TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError("not a note of this kind") from error
    return value


def _write(value: Any) -> str:
    """Text of the JSON, piece by piece: each note is made once for every event of a call, so it counts."""
    kind = type(value)
    return (_WRITERS.get(kind) or _learn(kind))(value)


def _write_list(values: Iterable[Any]) -> str:
    get = _WRITERS.get
    return f"[{','.join([(get(type(each)) or _learn(type(each)))(each) for each in values])}]"


def _write_pairs(values: dict[Any, Any]) -> str:
    return f"[{','.join([f'[{_write(key)},{_write(each)}]' for key, each in values.items()])}]"


_WRITERS: dict[type, Callable[[Any], str]] = {
    type(None): lambda value: "null",
    bool: lambda value: "true" if value else "false",
    int: int.__repr__,
    float: json.dumps,
    str: encode_basestring_ascii,
    bytes: lambda value: f'"{base64.b64encode(value).decode("ascii")}"',
    tuple: _write_list,
    list: _write_list,
    dict: _write_pairs,
    set: lambda value: _write_list(sorted(value)),
    frozenset: lambda value: _write_list(sorted(value)),
}
"""By type, and no type that only inherits from one of them; dataclasses are added as they come."""


_RECENT: dict[int, tuple[Any, str]] = {}
"""
What frozen values were written as, by their identity, which is theirs while they are held here. The notes of somebody
who joins are written at each step, and share all but a few of their parts with those of the step before.
"""


def _learn(kind: type) -> Callable[[Any], str]:
    if not dataclasses.is_dataclass(kind):
        raise TypeError(f"{kind.__name__} has no place in a note")
    fields = tuple(
        (each.name, f'"{each.name}":', default, type(default))
        for each, default in zip(dataclasses.fields(kind), _defaults(kind), strict=True)
    )
    get = _WRITERS.get
    is_frozen: bool = vars(kind)["__dataclass_params__"].frozen

    def write(value: Any) -> str:
        known = _RECENT.get(id(value))
        if known is not None and known[0] is value:
            return known[1]
        parts = []
        for name, lead, default, default_type in fields:
            each = getattr(value, name)
            if each is default:
                continue
            each_type = type(each)
            if each_type is not default_type or each != default:
                parts.append(lead + (get(each_type) or _learn(each_type))(each))
        text = f"{{{','.join(parts)}}}"
        if is_frozen and len(text) >= WORTH_KEEPING:
            if len(_RECENT) >= MAX_RECENT:
                _RECENT.clear()
            _RECENT[id(value)] = (value, text)
        return text

    _WRITERS[kind] = write
    return write


def _defaults(kind: type) -> list[Any]:
    return [
        each.default if each.default_factory is dataclasses.MISSING else each.default_factory()
        for each in dataclasses.fields(kind)
    ]


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return typing.get_type_hints(kind)


def _value(kind: Any, plain: Any) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if plain is None and type(None) in arguments:
            return None
        (kind,) = [each for each in arguments if each is not type(None)]
        return _value(kind, plain)
    if origin is typing.Literal:
        if plain not in arguments:
            raise ValueError("not one of its words")
        return plain
    if origin is tuple:
        if arguments[1:] == (...,):
            return tuple(_value(arguments[0], each) for each in _list(plain))
        return tuple(_value(each, part) for each, part in zip(arguments, _list(plain), strict=True))
    if origin in (list, set, frozenset):
        return origin(_value(arguments[0], each) for each in _list(plain))
    if origin is dict:
        return {_value(arguments[0], key): _value(arguments[1], each) for key, each in _list(plain)}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{name: _value(hints[name], each) for name, each in plain.items()})
    if kind is bytes:
        return base64.b64decode(plain, validate=True)
    if kind is float and type(plain) is int:
        return float(plain)
    if type(plain) is not kind:
        raise ValueError(f"not a {kind}")
    return plain


def _list(plain: Any) -> list[Any]:
    if not isinstance(plain, list):
        raise ValueError("not a list")
    return plain
