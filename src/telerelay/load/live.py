"""
What is seen while a run goes on, on standard error: one block redrawn on a terminal, one line a second elsewhere.

Event loop's thread. `line` and `block` are pure; `Live` writes.
"""

import sys
from typing import TextIO

from telerelay.load.measurement import Sample

_BAR_CHARS = 30


# Of the parts: how far it is, who is there, packets, bits; then what was lost, how late, whose time it took.
_FIRST_ROW = 4


def _parts(before: Sample | None, now: Sample, people: int, end_s: float) -> list[str]:
    wall_s = max(1e-6, now.at_s - (before.at_s if before else 0.0))
    media = now.totals.media.since(before.totals.media) if before else now.totals.media
    parts = [
        f"{now.at_s:6.1f}/{end_s:.0f} s",
        f"{now.people}/{people} people",
        f"{media.received / wall_s:,.0f} packets/s",
        f"{media.bytes * 8 / wall_s / 1e6:,.1f} Mbit/s",
        f"lost {media.lost}",
        f"p50 {_ms(now.latency.value(0.5))} p99 {_ms(now.latency.value(0.99))}",
    ]
    if now.server is not None and before is not None and before.server is not None:
        parts.append(f"server {(now.server.cpu_ns - before.server.cpu_ns) / wall_s / 1e7:.0f} %")
    if before is not None:
        parts.append(f"generator {(now.own_cpu_ns - before.own_cpu_ns) / wall_s / 1e7:.0f} %")
    if now.failed_joins:
        parts.append(f"{now.failed_joins} joins failed")
    return parts


def line(before: Sample | None, now: Sample, people: int, end_s: float) -> str:
    """One second in one line."""
    return "  ".join(_parts(before, now, people, end_s))


def block(before: Sample | None, now: Sample, people: int, measure_s: float, end_s: float) -> list[str]:
    """The same over three lines, with how far it is."""
    done = min(1.0, now.at_s / end_s) if end_s else 1.0
    filled = round(done * _BAR_CHARS)
    phase = "joining and warming up" if now.at_s < measure_s else "measuring"
    parts = _parts(before, now, people, end_s)
    rows = (parts[:_FIRST_ROW], parts[_FIRST_ROW:])
    return [f"[{'#' * filled}{'.' * (_BAR_CHARS - filled)}] {phase}", *("  ".join(row) for row in rows)]


def _ms(value_us: int | None) -> str:
    return "-" if value_us is None else f"{value_us / 1e3:.2f} ms"


class Live:
    """The view of one run. `quiet` writes nothing."""

    def __init__(self, people: int, measure_s: float, end_s: float, *, quiet: bool, out: TextIO = sys.stderr) -> None:
        self._people = people
        self._measure_s = measure_s
        self._end_s = end_s
        self._out = out
        self._is_quiet = quiet
        self._is_tty = out.isatty()
        self._before: Sample | None = None
        self._rows = 0

    def take(self, sample: Sample) -> None:
        """Show one second."""
        before, self._before = self._before, sample
        if self._is_quiet:
            return
        if not self._is_tty:
            print(line(before, sample, self._people, self._end_s), file=self._out, flush=True)
            return
        rows = block(before, sample, self._people, self._measure_s, self._end_s)
        up = f"\x1b[{self._rows}F" if self._rows else ""
        print(up + "\n".join(f"{row}\x1b[K" for row in rows), file=self._out, flush=True)
        self._rows = len(rows)
