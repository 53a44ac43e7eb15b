"""
What load is made: how many rooms of whom, what they send, when they come and go.

Pure but for reading the one file it is given. A profile is a few flat sections, each field with its default, its unit
and a sentence; `describe` prints them, and that print read back is the same profile. An unknown key is refused by name.
"""

import dataclasses
import difflib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from telerelay.errors import ConfigError

Check = Callable[[Any], str | None]
"""What is wrong with a value, as the end of a sentence that begins with the key; None where nothing is."""


def _range(low: float, high: float) -> Check:
    return lambda value: None if low <= value <= high else f"must be {low:g} to {high:g}, not {value}"


def _one_of(*words: str) -> Check:
    return lambda value: None if value in words else f"must be one of {', '.join(words)}, not {value!r}"


def _option(default: Any, doc: str, check: Check | None = None) -> Any:
    return field(default=default, metadata={"doc": doc, "check": check})


# What the engine's tables hold: more than that from one process is not a load test of a consult server any more.
MAX_ROOMS = 5000
MAX_IN_ROOM = 200


@dataclass(frozen=True, slots=True)
class Shape:
    """Who is in a room."""

    rooms: int = _option(10, "How many rooms.", _range(1, MAX_ROOMS))
    publishers: int = _option(2, "People of a room who send, and receive from the others who do.", _range(1, 32))
    viewers: int = _option(0, "People of a room who only receive.", _range(0, MAX_IN_ROOM))


@dataclass(frozen=True, slots=True)
class Video:
    """What each publisher's camera sends."""

    is_on: bool = _option(True, "Whether there is video at all.")
    codec: str = _option("VP8", "VP8 or H264.", _one_of("VP8", "H264"))
    bitrate_bps: int = _option(1_500_000, "Of all encodings together, bits a second.", _range(16_000, 50_000_000))
    fps: float = _option(30.0, "Frames a second.", _range(0.5, 120))
    pattern: str = _option(
        "camera",
        "camera: a frame's packets leave at once, as an encoder hands them over; smooth: evenly over the frame's time.",
        _one_of("camera", "smooth"),
    )
    keyframe_s: float = _option(
        10.0, "A keyframe at least so often, seconds; more when asked (PLI).", _range(0.2, 3600)
    )
    encodings: int = _option(1, "Simulcast encodings (RIDs q, h, f), each twice as wide as the last.", _range(1, 3))
    is_jittered: bool = _option(True, "Frame sizes vary as a camera's do, with large keyframes; false: all alike.")


@dataclass(frozen=True, slots=True)
class Audio:
    """What each publisher's microphone sends."""

    is_on: bool = _option(True, "Whether there is audio at all.")
    bitrate_bps: int = _option(32_000, "Opus, bits a second.", _range(6_000, 510_000))
    packet_ms: int = _option(20, "Time in one packet, milliseconds.", _range(10, 60))


@dataclass(frozen=True, slots=True)
class Repair:
    """What the generator offers to have repaired."""

    has_nack: bool = _option(True, "Offer negative acknowledgements (RFC 4585); without them loss shows as it is.")
    has_rtx: bool = _option(True, "Offer resends on a stream of their own (RFC 4588).")
    has_twcc: bool = _option(True, "Offer transport-wide feedback, and give it.")

    @property
    def uses_rtx(self) -> bool:
        """A resend is only made for who asks for it."""
        return self.has_nack and self.has_rtx


@dataclass(frozen=True, slots=True)
class Timing:
    """When people come and go."""

    duration_s: float = _option(30.0, "From the end of the warm-up to the end, seconds.", _range(1, 604_800))
    warmup_s: float = _option(
        3.0, "After the last join of a ramp, before anything is counted, seconds.", _range(0, 3600)
    )
    arrival: str = _option(
        "ramp",
        "ramp: one after the other; at_once: all in the same moment; surge: as an online practice's morning grows.",
        _one_of("ramp", "at_once", "surge"),
    )
    joins_per_s: float = _option(20.0, "Of a ramp: people a second.", _range(0.01, 10_000))
    surge_growth: float = _option(
        50.0, "Of a surge: joins a second at its end over those at its start.", _range(1, 1000)
    )
    slot_s: float = _option(300.0, "Of a surge: from one appointment time to the next, seconds.", _range(1, 86_400))
    slot_rush_s: float = _option(
        120.0, "Of a surge: half of a slot's people come within this time.", _range(0.5, 86_400)
    )
    stay_s: float = _option(0.0, "How long people stay on average, seconds; 0: to the end.", _range(0, 604_800))
    away_s: float = _option(
        5.0, "How long they are away before they come back, on average, seconds.", _range(0, 86_400)
    )
    reconnect_every_s: float = _option(
        0.0, "All leave at once and come back at once, so often, seconds; 0: never.", _range(0, 86_400)
    )


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of load. Take one of PROFILES, `load` a file, and change it by `with_values`."""

    name: str = "consult"
    shape: Shape = field(default_factory=Shape)
    video: Video = field(default_factory=Video)
    audio: Audio = field(default_factory=Audio)
    repair: Repair = field(default_factory=Repair)
    timing: Timing = field(default_factory=Timing)

    @property
    def people(self) -> int:
        """How many people there are when all are there."""
        return self.shape.rooms * (self.shape.publishers + self.shape.viewers)

    @property
    def paths(self) -> int:
        """How many tracks somebody receives when all are there: what a server forwards."""
        tracks = self.video.is_on + self.audio.is_on
        receivers = self.shape.publishers * (self.shape.publishers - 1) + self.shape.publishers * self.shape.viewers
        return self.shape.rooms * receivers * tracks


def _profile(name: str, **sections: Mapping[str, object]) -> Profile:
    return with_values(Profile(name), sections)


_SECTIONS: dict[str, Any] = {"shape": Shape, "video": Video, "audio": Audio, "repair": Repair, "timing": Timing}


# -------------------------------------------------------------------- changing and reading


def with_values(profile: Profile, values: Mapping[str, Any]) -> Profile:
    """
    The profile with other values, section to key to value as in a file. Raises ConfigError with one line that names
    the key, and for an unknown one the nearest known.
    """
    sections: dict[str, Any] = {}
    for section, keys in values.items():
        if section not in _SECTIONS:
            _unknown("section", section, list(_SECTIONS))
        if not isinstance(keys, Mapping):
            raise ConfigError("bad_value", f"{section} is a section: write [{section}]")
        fields = {each.name: each for each in dataclasses.fields(_SECTIONS[section])}
        checked = {}
        for key, value in keys.items():
            if key not in fields:
                _unknown("key", f"{section}.{key}", _all_keys())
            checked[key] = _checked(f"{section}.{key}", fields[key], value)
        sections[section] = dataclasses.replace(getattr(profile, section), **checked)
    changed = dataclasses.replace(profile, **sections)
    _check_together(changed)
    return changed


def load(name: str) -> Profile:
    """
    The profile of that name, or of the TOML file of that name. A file may say `base = "webinar"` to begin from a
    profile other than consult. Raises ConfigError.
    """
    if name in PROFILES:
        return PROFILES[name]
    path = Path(name)
    if path.suffix != ".toml":
        near = difflib.get_close_matches(name, PROFILES, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(PROFILES)}; a file ends in .toml"
        raise ConfigError("unknown_profile", f"there is no profile {name!r}: {hint}")
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise ConfigError("bad_file", f"cannot read the profile {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("bad_file", f"the profile {path} is not TOML: {error}") from None
    base = values.pop("base", "consult")
    if base not in PROFILES:
        raise ConfigError("bad_value", f"base must be one of {', '.join(PROFILES)}, not {base!r}")
    return with_values(dataclasses.replace(PROFILES[base], name=path.stem), values)


def describe(profile: Profile) -> str:
    """The profile as a commented TOML file."""
    lines = [f"# Profile {profile.name}: {profile.people} people, {profile.paths} tracks to receive."]
    for section in _SECTIONS:
        value = getattr(profile, section)
        lines += ["", f"# {value.__doc__}", f"[{section}]"]
        for each in dataclasses.fields(value):
            lines += [f"# {each.metadata['doc']}", f"{each.name} = {_toml(getattr(value, each.name))}"]
    return "\n".join(lines) + "\n"


def as_values(profile: Profile) -> dict[str, dict[str, object]]:
    """Every key, as a report holds it."""
    return {section: dataclasses.asdict(getattr(profile, section)) for section in _SECTIONS}


def _all_keys() -> list[str]:
    return [f"{section}.{each.name}" for section, kind in _SECTIONS.items() for each in dataclasses.fields(kind)]


def _checked(name: str, each: dataclasses.Field[Any], value: object) -> object:
    kind: Any = each.type
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    words = {str: "a string", int: "an integer", float: "a number", bool: "true or false"}
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError("bad_value", f"{name} must be {words[kind]}, not {value!r}")
    check = each.metadata["check"]
    problem = check(value) if check else None
    if problem:
        raise ConfigError("bad_value", f"{name} {problem}")
    return value


def _check_together(profile: Profile) -> None:
    if not profile.video.is_on and not profile.audio.is_on:
        raise ConfigError("bad_value", "video.is_on and audio.is_on must not both be false")
    if profile.timing.slot_rush_s > profile.timing.slot_s:
        raise ConfigError("bad_value", "timing.slot_rush_s must not be longer than timing.slot_s")


def _unknown(what: str, name: str, known: list[str]) -> NoReturn:
    by_last = {each.rpartition(".")[2]: each for each in known}
    last = name.rpartition(".")[2]
    near = [by_last[last]] if last in by_last else difflib.get_close_matches(name, known, 1, 0.5)
    near = near or [by_last[each] for each in difflib.get_close_matches(last, list(by_last), 1, 0.5)]
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ConfigError("unknown_key", f"unknown {what} {name!r} in the profile{hint}")


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case _:
            return str(value)


# -------------------------------------------------------------------- the ones that come with it

PROFILES: dict[str, Profile] = {
    each.name: each
    for each in (
        _profile("consult"),
        _profile("expert", shape={"publishers": 4, "rooms": 5}),
        _profile("webinar", shape={"publishers": 1, "viewers": 50, "rooms": 1}),
        # R01: ten minutes, two slots, the growth of a day.
        _profile(
            "surge",
            shape={"rooms": 131},
            timing={"arrival": "surge", "duration_s": 600, "warmup_s": 0, "slot_s": 300},
        ),
        _profile("churn", timing={"stay_s": 10, "away_s": 2, "duration_s": 60}),
        _profile("reconnect", shape={"rooms": 50}, timing={"reconnect_every_s": 15, "duration_s": 40}),
        _profile("soak", timing={"duration_s": 3600, "stay_s": 600, "away_s": 5}),
    )
}
"""The profiles by name."""
