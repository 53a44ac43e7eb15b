"""
A report as tables of text, for people at a terminal.

Pure.
"""

from collections.abc import Sequence
from typing import Any

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("utilisation", "used", "share"),
    ("rate_kbps", "kbit/s", "whole"),
    ("queue_p95_ms", "p95 ms", "whole"),
    ("queue_p99_ms", "p99 ms", "whole"),
    ("own_loss", "lost %", "percent"),
    ("start_s", "start s", "tenth"),
    ("up_s", "up s", "tenth"),
    ("drop_s", "drop s", "tenth"),
    ("jain", "Jain", "share"),
    ("tcp_share", "of TCP", "share"),
    ("oscillation", "swing", "share"),
    ("freeze_s_per_10_min", "freeze s", "tenth"),
    ("paused", "paused %", "percent"),
    ("top_s", "top s", "tenth"),
    ("wrong_layer", "wrong %", "percent"),
    ("switches_per_min", "switch/m", "tenth"),
    ("audio_lost", "audio %", "percent"),
    ("audio_queue_p95_ms", "audio ms", "whole"),
    ("key_requests", "key req", "whole"),
)
"""Figure, heading, and how it is shown."""


def shown(value: float | None, how: str) -> str:
    """One figure, short."""
    if value is None:
        return "-"
    if how == "percent":
        return f"{value * 100:.2f}"
    return {"share": f"{value:.3f}", "whole": f"{value:.0f}", "tenth": f"{value:.1f}"}[how]


def table(report: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """(headings, rows): one row for each case and contender; columns no case has are left out."""
    used = [
        column
        for column in COLUMNS
        if any(column[0] in values for case in report["cases"] for values in case["means"].values())
    ]
    rows = []
    for case in report["cases"]:
        for at, name in enumerate(report["contenders"]):
            values = case["means"][name]
            cells = [shown(values.get(figure), how) for figure, _, how in used]
            rows.append([case["case"] if at == 0 else "", name, *cells])
    return ["case", "controller", *(heading for _, heading, _ in used)], rows


def score_table(report: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """(headings, rows): one row for each number of the scoreboard, one column for each contender."""
    contenders = report["contenders"]
    by_label: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for each in report["scores"]:
        by_label.setdefault((each["number"], each["label"]), []).append(each)
    rows = []
    for (number, label), found in by_label.items():
        gate = f"{'<=' if found[0]['at_most'] else '>='} {found[0]['gate']:g}"
        of = {each["contender"]: each for each in found}
        unit = f", {found[0]['unit']}" if found[0]["unit"] else ""
        rows.append([str(number), label + unit, gate, *(_scored(of.get(name)) for name in contenders)])
    if rows:
        totals = [report["composite"][name] for name in contenders]
        rows.append(["", "composite", "100", *("-" if each is None else f"{each:.0f}" for each in totals)])
    return ["row", "what", "gate", *contenders], rows


def _scored(score: dict[str, Any] | None) -> str:
    if score is None:
        return "-"
    return f"{score['value']:.3g}{'' if score['is_met'] else ' x'}"


def lines(report: dict[str, Any]) -> list[str]:
    """Both tables."""
    found = _aligned(*table(report))
    headings, rows = score_table(report)
    if rows:
        found += ["", *_aligned(headings, rows), "x: the gate is missed"]
    return found


def _aligned(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in (headings, *rows)) for at in range(len(headings))]
    left = {"case", "controller", "what", "gate"}

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if heading in left else cell.rjust(width)
            for cell, width, heading in zip(row, widths, headings, strict=True)
        ]
        return "  ".join(cells).rstrip()

    return [line(headings), *(line(row) for row in rows)]
