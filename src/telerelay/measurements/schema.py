"""
What a measurement is, and how its messages are written: series, batches, and what both ends say of them.

Pure. Everything that comes in is read against one table a message; what that does not name is refused, with a code.
The relay understands kind, time and number; type, unit and codes are words to it.
"""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, NoReturn

from telerelay.errors import RemoteProtocolError
from telerelay.protocol import objects

LABEL = "measurements"
"""Of the data channel, by convention; what counts is its protocol."""
PROTOCOL = "telerelay.measurements.1"
"""The subprotocol of the data channel (RFC 8832, 5.1): the relay takes part in what is said on such a one."""

Kind = Literal["value", "wave"]
KINDS: tuple[Kind, ...] = ("value", "wave")

MAX_SAMPLES = 2000
"""Of one batch: eight seconds of a wave of 250 Hz."""
MAX_RATE_HZ = 20_000.0
MAX_SEQ = 2**53 - 1
"""What JavaScript counts exactly."""
MAX_ABS = 1e15
"""A larger number is no measurement, and JSON readers do not agree on it."""
MAX_CODES = 8
MAX_WORD_CHARS = 64
MAX_UNIT_CHARS = 32
MAX_ACKED = 64
"""Series in one list of positions."""

Value = float | None
"""None: the device measured nothing then (a lead is off); the sample has its number all the same."""


class SeriesKey(NamedTuple):
    """Whose series it is: the sender's sub, the device and the series' own name."""

    sub: str
    device: str
    series: str


@dataclass(frozen=True, slots=True)
class Series:
    """
    One quantity of one device, with numbers of its own from 0 on. `rate_hz` is that of a wave, 0 of single values.
    `unit` is a UCUM unit and `codes` further names of what is measured, each with its
    system (`loinc`), both as the sender
    has them: the relay looks nothing up.
    """

    device: str
    series: str
    kind: Kind
    type: str
    unit: str = ""
    rate_hz: float = 0.0
    codes: tuple[tuple[str, str], ...] = ()

    def key(self, sub: str) -> SeriesKey:
        return SeriesKey(sub, self.device, self.series)

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "device": self.device,
            "series": self.series,
            "kind": self.kind,
            "of": self.type,
        }
        if self.unit:
            value["unit"] = self.unit
        if self.rate_hz:
            value["rate_hz"] = self.rate_hz
        if self.codes:
            value["codes"] = dict(self.codes)
        return value


@dataclass(frozen=True, slots=True)
class Batch:
    """
    Samples of one series that follow each other: the first has the number `seq`.

    `times` are Unix seconds by the clock of the machine that sends camera and samples: one for each value, or, of a
    wave, that of the first sample alone. `device_at` is the instrument's own time of the first sample, where it has a
    clock of its own. `sent_at` is when the message left. `media_offset_s`, the relay's word, is added to `times` to
    have them by the clock of the relay's sender reports.
    """

    device: str
    series: str
    seq: int
    times: tuple[float, ...]
    values: tuple[Value, ...]
    device_at: float | None = None
    sent_at: float | None = None
    media_offset_s: float | None = None

    @property
    def end(self) -> int:
        """The number after its last sample's."""
        return self.seq + len(self.values)

    def key(self, sub: str) -> SeriesKey:
        return SeriesKey(sub, self.device, self.series)

    def after(self, seq: int, rate_hz: float) -> "Batch":
        """The same without the samples before `seq`, which is within it."""
        cut = seq - self.seq
        if cut <= 0:
            return self
        is_wave = len(self.times) == 1 and rate_hz > 0
        times = (self.times[0] + cut / rate_hz,) if is_wave else self.times[cut:]
        device_at = self.device_at
        if device_at is not None:
            device_at += cut / rate_hz if is_wave else self.times[cut] - self.times[0]
        return Batch(
            self.device, self.series, seq, times, self.values[cut:], device_at, self.sent_at, self.media_offset_s
        )

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "device": self.device,
            "series": self.series,
            "seq": self.seq,
            "times": list(self.times),
            "values": list(self.values),
        }
        for name in ("device_at", "sent_at", "media_offset_s"):
            if (found := getattr(self, name)) is not None:
                value[name] = found
        return value


# -------------------------------------------------------------------- messages


@dataclass(frozen=True, slots=True)
class Hello:
    """
    A client's first word on a channel, and again whenever the relay asks. `receives`: it wants what others send, and
    has of each of these series all before that number.
    """

    receives: bool
    has: tuple[tuple[SeriesKey, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Declare:
    """
    There is such a series; `base` is the first number that the relay has not acknowledged. `sent_at` is when this
    message left, by the clock of `times`.
    """

    series: Series
    base: int = 0
    sent_at: float | None = None


@dataclass(frozen=True, slots=True)
class Samples:
    batch: Batch


@dataclass(frozen=True, slots=True)
class Got:
    """A receiver has all of that series before that number."""

    key: SeriesKey
    next: int


Said = Hello | Declare | Samples | Got
"""What a client says."""


def hello_text(receives: bool, has: Mapping[SeriesKey, int] | None = None) -> str:
    listed = [_position(key, at) for key, at in (has or {}).items()]
    return _text({"type": "hello", "receive": receives} | ({"has": listed} if listed else {}))


def declare_text(series: Series, base: int, sent_at: float | None = None) -> str:
    sent = {} if sent_at is None else {"sent_at": sent_at}
    return _text({"type": "series", "base": base} | sent | series.to_json())


def samples_text(batch: Batch, sub: str | None = None) -> str:
    """`sub`: whose they are, as the relay tells receivers."""
    return _text({"type": "samples"} | _whose(sub) | batch.to_json())


def got_text(key: SeriesKey, next: int) -> str:
    return _text({"type": "got"} | _position(key, next))


def told_series_text(series: Series, sub: str, next: int) -> str:
    """The relay tells a receiver of a series, and the number of the first sample it will have of it."""
    return _text({"type": "series", "sub": sub, "next": next} | series.to_json())


def acked_text(device: str, series: str, next: int) -> str:
    """The relay tells a sender: all before `next` need not be kept."""
    return _text({"type": "acked", "device": device, "series": series, "next": next})


def resend_text(device: str, series: str, next: int) -> str:
    """The relay tells a sender: go on at `next`."""
    return _text({"type": "resend", "device": device, "series": series, "next": next})


def refused_text(code: str, message: str, batch: Batch | Series | None = None) -> str:
    named = {} if batch is None else {"device": batch.device, "series": batch.series}
    return _text({"type": "refused", "code": code, "message": message} | named)


WELCOME = '{"type":"welcome"}'
"""The relay's answer to each hello: it takes part in what is said here."""

HELLO_AGAIN = '{"type":"again"}'
"""The relay began anew and asks for a hello and for what is declared."""


def _position(key: SeriesKey, at: int) -> dict[str, Any]:
    return {"sub": key.sub, "device": key.device, "series": key.series, "next": at}


def _whose(sub: str | None) -> dict[str, Any]:
    return {} if sub is None else {"sub": sub}


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


# -------------------------------------------------------------------- reading


def read(text: str) -> Said:
    """What a client says. Raises RemoteProtocolError bad_message, which names the member."""
    value = objects.load(text)
    if not isinstance(value, dict):
        _bad("a measurement message must be an object")
    match value.pop("type", None):
        case "hello":
            _members(value, {"receive"}, {"has"})
            has = value.get("has", [])
            if not isinstance(has, list) or len(has) > MAX_ACKED:
                _bad(f"has must be a list of at most {MAX_ACKED} positions")
            return Hello(_bool(value, "receive"), tuple(_read_position(each) for each in has))
        case "series":
            base = _integer(value.pop("base", 0), "base")
            sent_at = _number(value.pop("sent_at"), "sent_at") if "sent_at" in value else None
            return Declare(read_series(value), base, sent_at)
        case "samples":
            return Samples(read_batch(value))
        case "got":
            return Got(*_read_position(value))
        case _:
            raise RemoteProtocolError("bad_message", "type must be hello, series, samples or got")


def read_series(value: object) -> Series:
    """One series as JSON has it. Raises RemoteProtocolError bad_message."""
    members = _members(value, {"device", "series", "kind", "of"}, {"unit", "rate_hz", "codes"})
    kind = members["kind"]
    if kind not in KINDS:
        _bad("kind must be value or wave")
    rate_hz = _number(members.get("rate_hz", 0), "rate_hz")
    if (kind == "wave") != (0 < rate_hz <= MAX_RATE_HZ) or rate_hz < 0:
        _bad(f"rate_hz must be over 0 and at most {MAX_RATE_HZ:g} of a wave, and is left out of single values")
    codes = members.get("codes", {})
    if not isinstance(codes, dict) or len(codes) > MAX_CODES:
        _bad(f"codes must be an object of at most {MAX_CODES} members")
    unit = members.get("unit", "")
    if not isinstance(unit, str) or len(unit) > MAX_UNIT_CHARS or not unit.isprintable():
        _bad(f"unit must be a string of at most {MAX_UNIT_CHARS} printable characters")
    return Series(
        device=_word(members["device"], "device"),
        series=_word(members["series"], "series"),
        kind=kind,
        type=_word(members["of"], "of"),
        unit=unit,
        rate_hz=rate_hz,
        codes=tuple((_word(system, "codes"), _word(code, "codes")) for system, code in codes.items()),
    )


def read_batch(value: object) -> Batch:
    """One batch as JSON has it. Raises RemoteProtocolError bad_message, too_large."""
    members = _members(
        value, {"device", "series", "seq", "times", "values"}, {"device_at", "sent_at", "media_offset_s"}
    )
    values, times = members["values"], members["times"]
    if not isinstance(values, list) or not isinstance(times, list) or not values:
        _bad("values and times must be lists, and not empty")
    if len(values) > MAX_SAMPLES:
        raise RemoteProtocolError("too_large", f"a batch may have {MAX_SAMPLES} samples")
    if len(times) not in (1, len(values)):
        _bad("times must have one time, or one for each value")
    for each in values:
        if each is not None:
            _number(each, "values")
    for each in times:
        _number(each, "times")
    if any(later < earlier for earlier, later in itertools.pairwise(times)):
        _bad("times must not go back")
    seq = _integer(members["seq"], "seq")
    if seq + len(values) > MAX_SEQ:
        _bad("seq is too large")
    optional = {
        name: _number(members[name], name) for name in ("device_at", "sent_at", "media_offset_s") if name in members
    }
    return Batch(
        device=_word(members["device"], "device"),
        series=_word(members["series"], "series"),
        seq=seq,
        times=tuple(map(float, times)),
        values=tuple(None if each is None else each for each in values),
        **optional,
    )


def check_shape(series: Series, batch: Batch) -> None:
    """Whether a batch is one of that series. Raises RemoteProtocolError bad_message."""
    if (len(batch.times) == 1) != (series.kind == "wave" or len(batch.values) == 1):
        _bad("a wave has the time of its first sample, single values have one each")


def _read_position(value: object) -> tuple[SeriesKey, int]:
    members = _members(value, {"sub", "device", "series", "next"}, set())
    sub = members["sub"]
    if not isinstance(sub, str) or not 1 <= len(sub) <= 128:
        _bad("sub must be a string of 1 to 128 characters")
    key = SeriesKey(sub, _word(members["device"], "device"), _word(members["series"], "series"))
    return key, _integer(members["next"], "next")


def _members(value: object, required: set[str], optional: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        _bad("a part of a measurement must be an object")
    if missing := sorted(required - value.keys()):
        _bad(f"{missing[0]} is missing")
    if unknown := len(value.keys() - required - optional):
        _bad(f"a measurement has {unknown} member(s) that it may not have")
    return value


def _word(value: object, name: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_WORD_CHARS or not value.isascii():
        _bad(f"{name} must be a word of 1 to {MAX_WORD_CHARS} characters")
    if not all(char.isalnum() or char in "-_.:+/" for char in value):
        _bad(f"{name} must be a word of 1 to {MAX_WORD_CHARS} characters")
    return value


def _bool(value: Mapping[str, Any], name: str) -> bool:
    found = value[name]
    if not isinstance(found, bool):
        _bad(f"{name} must be true or false")
    return found


def _integer(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_SEQ:
        _bad(f"{name} must be an integer from 0 to {MAX_SEQ}")
    return value


def _number(value: object, name: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= MAX_ABS:
        _bad(f"{name} must be a number of at most {MAX_ABS:g}")
    return float(value)


def _bad(message: str) -> NoReturn:
    raise RemoteProtocolError("bad_message", message)
