"""
Lines that change as real ones did: traces read from files, and made-up ones of the same classes.

Reads files; the rest is pure. A trace is capacity only; delay and queue come with the class of line that the name's
first part says.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from telerelay.errors import ConfigError
from telerelay.sim.capacity import Capacity
from telerelay.sim.clock import MS_US, SECOND_US, randomness

MAHIMAHI_BITS = 1_500 * 8
"""One line of a Mahimahi trace is a chance to deliver one packet of 1500 bytes."""

MAHIMAHI_BIN_MS = 200
"""Bins a Mahimahi trace is counted in: fine enough for a controller, coarse enough that a bin holds some packets."""

LEAST_QUEUE_BYTES = 15_000
"""Ten full packets: less than that no line has, however slow."""

MAX_BYTES = 64 << 20
"""A trace file larger than that is not one."""


@dataclass(frozen=True, slots=True)
class LineClass:
    """What kind of line a trace is of: one-way delay, and a queue as time at the mean rate."""

    delay_us: int
    queue_us: int


CLASSES: dict[str, LineClass] = {
    "3g": LineClass(80 * MS_US, 1_000 * MS_US),
    "4g": LineClass(30 * MS_US, 1_000 * MS_US),
    "lte": LineClass(30 * MS_US, 1_000 * MS_US),
    "adsl": LineClass(20 * MS_US, 300 * MS_US),
    "wired": LineClass(20 * MS_US, 300 * MS_US),
    "home": LineClass(20 * MS_US, 300 * MS_US),
    "wifi": LineClass(10 * MS_US, 300 * MS_US),
    "starlink": LineClass(25 * MS_US, 300 * MS_US),
}
"""By the first part of a trace's name. Bearers of mobile networks queue for long and hardly ever drop."""

OTHER_CLASS = LineClass(50 * MS_US, 300 * MS_US)


@dataclass(frozen=True, slots=True)
class Trace:
    """One trace: its name, how long it is, and its capacity."""

    name: str
    length_us: int
    steps: tuple[tuple[int, int], ...]

    @property
    def line(self) -> LineClass:
        """The class of line it is of."""
        return CLASSES.get(self.name.split("_")[0].split("-")[0].lower(), OTHER_CLASS)

    def capacity(self, length_us: int | None = None) -> Capacity:
        """As a capacity; a trace that is too short begins anew."""
        steps, whole, shift = list(self.steps), self.length_us, 0
        while length_us is not None and whole < length_us:
            shift += self.length_us
            whole += self.length_us
            steps += [(start + shift, rate) for start, rate in self.steps]
        return Capacity(_merged(steps))


def _merged(steps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, rate in steps:
        if not merged or merged[-1][1] != rate:
            merged.append((start, rate))
    return merged


def read(path: Path) -> Trace:
    """
    A trace file: `time_ms,capacity_kbps` rows with a header, or Mahimahi's, one millisecond a line.

    Raises ConfigError where it is neither.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError("bad_file", f"{path.name} is too large to be a trace")
        lines = path.read_text("utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("bad_file", f"cannot read {path.name}: {error}") from None
    try:
        return _from_csv(path.stem, lines) if "," in (lines or [""])[0] else _from_mahimahi(path.stem, lines)
    except (ValueError, IndexError):
        raise ConfigError("bad_file", f"{path.name} is no trace: neither time_ms,capacity_kbps nor Mahimahi") from None


def read_all(folder: Path) -> list[Trace]:
    """Every trace of a folder, by name. Raises ConfigError where there is none."""
    names = [each for each in sorted(folder.glob("*")) if each.suffix in {".csv", ".up", ".down", ".trace", ".log"}]
    if not names:
        raise ConfigError("bad_file", f"there is no trace (.csv, .up, .down, .trace) in {folder}")
    return [read(each) for each in names]


def _from_csv(name: str, lines: list[str]) -> Trace:
    rows = [line.split(",") for line in lines[1:]]
    steps = [(round(float(row[0]) * MS_US), round(float(row[1]) * 1_000)) for row in rows]
    first = steps[0][0]
    steps = [(start - first, rate) for start, rate in steps]
    if any(rate < 0 for _, rate in steps):
        raise ValueError
    bin_us = steps[1][0]
    Capacity(steps)
    return Trace(name, steps[-1][0] + bin_us, tuple(steps))


def _from_mahimahi(name: str, lines: list[str]) -> Trace:
    times = [int(line) for line in lines]
    counts = [0] * (times[-1] // MAHIMAHI_BIN_MS + 1)
    for time_ms in times:
        counts[time_ms // MAHIMAHI_BIN_MS] += 1
    bin_us = MAHIMAHI_BIN_MS * MS_US
    steps = tuple((at * bin_us, count * MAHIMAHI_BITS * 1_000 // MAHIMAHI_BIN_MS) for at, count in enumerate(counts))
    return Trace(name, len(counts) * bin_us, steps)


# ---------------------------------------------------------------------- made up


@dataclass(frozen=True, slots=True)
class Weather:
    """
    How a made-up line moves: the logarithm of its capacity returns to the median with `memory_s`, and is disturbed so
    that it spreads by `spread`; every `outage_gap_s` on average it is down for `outage_s` on average.
    """

    bin_ms: int
    median_kbps: int
    spread: float
    memory_s: float
    most_kbps: int
    outage_gap_s: float = 0.0
    outage_s: float = 0.0


WEATHERS: dict[str, Weather] = {
    "3g_drive": Weather(200, 900, 0.9, 4.0, 5_000, outage_gap_s=20, outage_s=1.8),
    "3g_tram": Weather(1_000, 700, 0.6, 12.0, 3_500),
    "lte_drive": Weather(200, 4_500, 0.9, 3.0, 14_000, outage_gap_s=60, outage_s=1.5),
    "lte_edge": Weather(200, 850, 0.45, 3.0, 1_600, outage_gap_s=40, outage_s=0.8),
    "adsl_evening": Weather(1_000, 1_200, 0.5, 30.0, 3_000),
    "adsl_night": Weather(1_000, 2_500, 0.18, 20.0, 3_600),
    "wifi_office": Weather(200, 4_000, 1.2, 1.5, 30_000, outage_gap_s=60, outage_s=0.5),
    "wifi_cafe": Weather(200, 1_500, 1.3, 2.5, 20_000, outage_gap_s=25, outage_s=1.2),
    "starlink_drive": Weather(1_000, 9_000, 0.6, 5.0, 35_000, outage_gap_s=45, outage_s=3.0),
}
"""Medians, spreads and outages in the range of published traces of each class; the numbers are ours."""

MADE_UP_S = 120
"""Length of a made-up trace."""


def made_up(name: str, length_s: int = MADE_UP_S) -> Trace:
    """The trace of that name in WEATHERS: always the same one."""
    weather = WEATHERS[name]
    source = randomness(0, "trace", name)
    keep = math.exp(-weather.bin_ms / 1_000 / weather.memory_s)
    push = weather.spread * math.sqrt(1 - keep * keep)
    level = source.gauss(0.0, weather.spread)
    down_until_ms = 0
    steps = []
    for at_ms in range(0, length_s * 1_000, weather.bin_ms):
        level = level * keep + source.gauss(0.0, push)
        if weather.outage_gap_s and source.random() < weather.bin_ms / 1_000 / weather.outage_gap_s:
            down_until_ms = at_ms + round(source.expovariate(1.0 / weather.outage_s) * 1_000)
        kbps = 0 if at_ms < down_until_ms else min(weather.most_kbps, weather.median_kbps * math.exp(level))
        steps.append((at_ms * MS_US, round(kbps) * 1_000))
    return Trace(name, length_s * SECOND_US, tuple(steps))


def all_made_up() -> list[Trace]:
    """Every made-up trace, by name."""
    return [made_up(name) for name in sorted(WEATHERS)]
