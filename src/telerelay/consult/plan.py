"""
What a host says of a consult before anyone connects: when, for whom, and how long things may take.

Pure. All ids are opaque to the relay. What the host writes freely belongs into `labels` and nowhere else: those are
kept as personal.
"""

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from telerelay.errors import TelerelayError
from telerelay.protocol.names import is_room_name, is_sub
from telerelay.rooms.policy import ROLES

MAX_INVITED = 32
"""Twice what a room holds by default: people are invited who then do not come."""

MAX_LABELS, MAX_LABEL_CHARS = 16, 256
"""Enough for a host's own references. Whoever has more to say keeps it at home, under one of them."""

MAX_IMAGES = 16
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)

MAX_SPAN_S = 366 * 24 * 3600.0
"""No time within a consult is longer than a year: what is longer is a wrong unit."""

MAX_UNIX_S = 253_402_300_800.0
"""The year 10000, where calendars end."""


class PlanError(TelerelayError):
    """
    A plan that cannot be one. `code` is bad_consult (its id), bad_time, bad_role, bad_value or unknown_field; `field`
    is the name of the field that is wrong. The message never holds the value.
    """

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(code, message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Invited:
    """Somebody who may come, and as what. Nobody else may come as well, once anybody is invited."""

    sub: str
    role: str

    def __post_init__(self) -> None:
        _check("invited", "bad_value", "must name subs of 1 to 128 printable characters", _is_sub(self.sub))
        _check(
            "invited", "bad_role", "must name roles that there are", isinstance(self.role, str) and self.role in ROLES
        )


@dataclass(frozen=True, slots=True)
class ConsultPlan:
    """
    One consult as the host wants it. Times are Unix seconds, names that end in `_s` seconds. Raises PlanError.
    """

    consult: str
    """Its id, which is the name of its room."""

    tenant: str = ""
    queue: str = ""
    """Whose desk people wait at: the opaque id of a practitioner or of a service."""

    starts_at: float | None = None
    """None: whenever people come."""

    opens_before_s: float = 900.0
    closes_after_s: float = 1800.0
    """From this long before the start to this long after it people may arrive for the first time."""

    no_show_after_s: float = 600.0
    """After the start: by then somebody who is not a decider has arrived, or it is a no-show."""

    overrun_after_s: float | None = None
    """From the first moment in progress; None: nobody minds."""

    seat_s: float = 120.0
    """How long the place of somebody is kept who was lost."""

    ring_s: float = 30.0
    """How long one person is rung before the next one of its route is."""

    is_emergency: bool = False
    policy: str = ""
    policy_date: str = ""
    region: str = ""
    invited: tuple[Invited, ...] = ()
    """Empty: whoever has a token."""

    deciders: tuple[str, ...] = ("practitioner",)
    """Roles that come in without being admitted, and may admit. Empty: only the host decides."""

    expertise: str = ""
    """The request for expertise that it was opened for, if it was."""

    images: tuple[str, ...] = ()
    """Pictures that it is about, by SHA-256 in hex: those of that request."""

    third_parties: tuple[str, ...] = ()
    """Roles that are let in only while each patient who is in consents to `third_party`. Empty: none needs consent."""

    labels: tuple[tuple[str, str], ...] = ()
    """The host's own words, name and value: personal, whatever they are."""

    def __post_init__(self) -> None:
        _check(
            "consult",
            "bad_consult",
            "must be 1 to 64 letters, digits, dots, dashes and underscores",
            isinstance(self.consult, str) and is_room_name(self.consult),
        )
        for name in ("tenant", "queue", "policy", "policy_date", "region"):
            value = getattr(self, name)
            _check(name, "bad_value", "must be at most 128 printable characters", value == "" or _is_sub(value))
        _check("expertise", "bad_value", "must be a request's id", self.expertise == "" or _is_id(self.expertise))
        _check("images", "bad_value", f"must be at most {MAX_IMAGES} SHA-256 in hex", _are_images(self.images))
        for name in ("opens_before_s", "closes_after_s", "no_show_after_s", "seat_s", "ring_s"):
            value = getattr(self, name)
            _check(name, "bad_time", "must be 0 s to a year", _is_span(value))
        _check("overrun_after_s", "bad_time", "must be 0 s to a year", _is_span(self.overrun_after_s, or_none=True))
        _check("starts_at", "bad_time", "must be Unix seconds", is_unix_s(self.starts_at, or_none=True))
        _check("is_emergency", "bad_value", "must be true or false", isinstance(self.is_emergency, bool))
        _check("invited", "bad_value", f"must be at most {MAX_INVITED} people", len(self.invited) <= MAX_INVITED)
        subs = {each.sub for each in self.invited}
        _check("invited", "bad_value", "must name each person once", len(subs) == len(self.invited))
        _check("deciders", "bad_role", "must be roles that there are", set(self.deciders) <= ROLES.keys())
        may_be_third = ROLES.keys() - {"patient", *self.deciders}
        _check(
            "third_parties",
            "bad_role",
            "must be roles that there are, but patient and those of deciders",
            set(self.third_parties) <= may_be_third,
        )
        _check("labels", "bad_value", "must be a few short texts, each under a name of its own", _are(self.labels))

    @property
    def opens_at(self) -> float | None:
        return None if self.starts_at is None else self.starts_at - self.opens_before_s

    @property
    def closes_at(self) -> float | None:
        return None if self.starts_at is None else self.starts_at + self.closes_after_s

    @classmethod
    def from_json(cls, plain: object) -> "ConsultPlan":
        """What `to_json` made, or a host wrote. Raises PlanError."""
        _check("", "bad_value", "a plan must be an object", isinstance(plain, Mapping))
        assert isinstance(plain, Mapping)
        known = {each.name for each in fields(cls)}
        for name in plain:
            if name not in known:
                raise _unknown(str(name), known)
        _check("consult", "bad_consult", "is missing", "consult" in plain)
        return cls(**{name: _READERS.get(name, _as_it_is)(name, value) for name, value in plain.items()})

    def to_json(self) -> dict[str, Any]:
        """As JSON has it; what is as it would be anyway is left out."""
        plain: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if value != each.default:
                plain[each.name] = _plain(each.name, value)
        return plain


def is_unix_s(value: object, *, or_none: bool = False) -> bool:
    """Whether this is a time between 1970 and the year 10000."""
    if value is None:
        return or_none
    return _is_number(value) and 0 <= value < MAX_UNIX_S  # type: ignore[operator]


def _is_span(value: object, *, or_none: bool = False) -> bool:
    if value is None:
        return or_none
    return _is_number(value) and 0 <= value <= MAX_SPAN_S  # type: ignore[operator]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_sub(value: object) -> bool:
    return isinstance(value, str) and is_sub(value)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and is_room_name(value)


def _are_images(images: object) -> bool:
    return (
        isinstance(images, tuple)
        and len(images) <= MAX_IMAGES
        and all(isinstance(each, str) and _SHA256.fullmatch(each) for each in images)
    )


def _are(labels: tuple[tuple[str, str], ...]) -> bool:
    return (
        len(labels) <= MAX_LABELS
        and len({name for name, _ in labels}) == len(labels)
        and all(isinstance(text, str) and len(text) <= MAX_LABEL_CHARS for pair in labels for text in pair)
    )


def _check(field: str, code: str, must: str, is_so: bool) -> None:
    if not is_so:
        raise PlanError(code, field, f"{field} {must}".strip())


def _unknown(name: str, known: set[str]) -> PlanError:
    # The name that was given may be anything a person typed: it is not repeated.
    nearest = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return PlanError("unknown_field", nearest[0] if nearest else "", f"a plan has no such field{hint}")


# -------------------------------------------------------------------- JSON


def _as_it_is(name: str, value: object) -> Any:
    if _is_number(value):
        return float(value)  # type: ignore[arg-type]
    return value


def _people(name: str, value: object) -> tuple[Invited, ...]:
    people = []
    for each in _list(name, value):
        is_person = isinstance(each, Mapping) and each.keys() == {"sub", "role"}
        _check(name, "bad_value", "must hold objects of a sub and a role", is_person)
        people.append(Invited(each["sub"], each["role"]))
    return tuple(people)


def _words(name: str, value: object) -> tuple[str, ...]:
    words = _list(name, value)
    _check(name, "bad_role", "must hold words", all(isinstance(each, str) for each in words))
    return tuple(words)


def _images(name: str, value: object) -> tuple[Any, ...]:
    return tuple(_list(name, value))


def _pairs(name: str, value: object) -> tuple[tuple[str, str], ...]:
    _check(name, "bad_value", "must be an object of texts", isinstance(value, Mapping))
    assert isinstance(value, Mapping)
    return tuple(value.items())


def _list(name: str, value: object) -> list[Any]:
    _check(name, "bad_value", "must be a list", isinstance(value, list | tuple))
    assert isinstance(value, list | tuple)
    return list(value)


_READERS: dict[str, Callable[[str, object], Any]] = {
    "invited": _people,
    "deciders": _words,
    "images": _images,
    "third_parties": _words,
    "labels": _pairs,
}


def _plain(name: str, value: Any) -> Any:
    match name:
        case "invited":
            return [{"sub": each.sub, "role": each.role} for each in value]
        case "deciders" | "images" | "third_parties":
            return list(value)
        case "labels":
            return dict(value)
    return value
