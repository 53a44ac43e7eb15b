"""
Line plots as SVG text, for a page that must not load anything.

Pure. Colours come from the page's CSS by class, so that dark, light and print each have their own.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 14, 12, 46

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot; gaps where a value is None. `style` is its CSS class: a, b or c."""

    name: str
    points: tuple[tuple[float, float | None], ...]
    style: str = "a"


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers from low to high."""
    if high <= low:
        return [low]
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough)
    first = math.ceil(low / step)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from low to high, with 2 and 5 between where there are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(powers) < 4 else (1,)
    return [each * 10.0**power for power in powers for each in steps if low <= each * 10.0**power <= high]


def plot(
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    is_log_x: bool = False,
) -> str:
    """One figure: title, axes, a legend where there is more than one line; a sentence where there is no data."""
    drawn = [line for line in lines if any(y is not None for _, y in line.points)]
    label = html.escape(title)
    if not drawn:
        return f'<figure><figcaption>{label}</figcaption><p class="none">nothing was measured</p></figure>'
    xs = [x for line in drawn for x, y in line.points if y is not None and (x > 0 or not is_log_x)] or [1.0]
    ys = [y for line in drawn for _, y in line.points if y is not None]
    x_low, x_high = min(xs), max(xs)
    if x_high <= x_low:
        x_high = x_low * 10 if is_log_x else x_low + 1
    y_low, y_high = min(0.0, *ys), max(ys)
    if y_high <= y_low:
        y_high = y_low + 1
    y_high += (y_high - y_low) * 0.05

    def x_at(x: float) -> float:
        low, high, value = (math.log(v) for v in (x_low, x_high, max(x, x_low))) if is_log_x else (x_low, x_high, x)
        return _LEFT + (value - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    def y_at(y: float) -> float:
        return HEIGHT - _BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - _TOP - _BOTTOM)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">']
    for y in ticks(y_low, y_high):
        at = y_at(y)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 5:.1f}" text-anchor="end">{y:,.10g}</text>')
    for x in log_ticks(x_low, x_high) if is_log_x else ticks(x_low, x_high, 8):
        at = x_at(x)
        parts.append(f'<line class="grid" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}" x1="{at:.1f}" x2="{at:.1f}"/>')
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - _BOTTOM + 19}" text-anchor="middle">{x:g}</text>')
    for line in drawn:
        parts += [
            f'<polyline class="line {line.style}" points="{" ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in run)}"/>'
            for run in _runs(line.points)
        ]
    parts.append(f'<text x="{WIDTH - _RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{html.escape(x_label)}</text>')
    parts.append("</svg>")
    legend = ""
    if len(drawn) > 1:
        items = "".join(f'<li class="{line.style}">{html.escape(line.name)}</li>' for line in drawn)
        legend = f'<ul class="legend">{items}</ul>'
    return f"<figure><figcaption>{label}, {html.escape(y_label)}</figcaption>{''.join(parts)}{legend}</figure>"


def _runs(points: Sequence[tuple[float, float | None]]) -> list[list[Point]]:
    """The stretches between gaps; a lone point is drawn as a dot of a line."""
    runs: list[list[Point]] = [[]]
    for x, y in points:
        if y is None:
            runs.append([])
        else:
            runs[-1].append((x, y))
    return [run if len(run) > 1 else [*run, (run[0][0] + 1e-9, run[0][1])] for run in runs if run]
