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
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

FORMAT = 1
"""Of all notes: one more whenever an older reader would misunderstand a newer note."""

T = TypeVar("T")


def encode(value: Any) -> bytes:
    """A dataclass, whose fields are dataclasses, tuples, sets, dicts, strings, numbers, bytes or None."""
    return json.dumps([FORMAT, _plain(value)], separators=(",", ":")).encode()


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


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is tuple or kind is list:
        return [each if type(each) in _AS_THEY_ARE else _plain(each) for each in value]
    if kind is dict:
        return [[_plain(key), _plain(each)] for key, each in value.items()]
    if kind is set or kind is frozenset:
        return [_plain(each) for each in sorted(value)]
    if kind is bytes:
        return base64.b64encode(value).decode("ascii")
    if not dataclasses.is_dataclass(kind):
        raise TypeError(f"{kind.__name__} has no place in a note")
    plain = {}
    for name, default in _defaults(kind):
        each = getattr(value, name)
        if each is not default and (type(each) is not type(default) or each != default):
            plain[name] = _plain(each)
    return plain


_AS_THEY_ARE = frozenset({type(None), bool, int, float, str})


@cache
def _defaults(kind: type) -> tuple[tuple[str, Any], ...]:
    return tuple(
        (each.name, each.default if each.default_factory is dataclasses.MISSING else each.default_factory())
        for each in dataclasses.fields(kind)
    )


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
