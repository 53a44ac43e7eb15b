"""
A report as tables of text, for people at a terminal.

Pure.
"""

from collections.abc import Sequence
from typing import Any

from telerelay.sim.consult import RED
from telerelay.sim.voice_world import PLANNED, REPAIRS, TODAY

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
    ("quick_switches", "quick", "whole"),
    ("audio_concealed", "audio %", "percent"),
    ("audio_queue_p95_ms", "audio ms", "whole"),
    ("audio_ear_p95_ms", "ear ms", "whole"),
    ("audio_mos", "MOS", "share"),
    ("audio_kbps", "audio kb", "whole"),
    ("first_s", "first s", "share"),
    ("pause_s", "pause s", "tenth"),
    ("back_s", "back s", "tenth"),
    ("key_storm", "key join", "whole"),
    ("key_requests", "key req", "whole"),
    ("top_p95_s", "top p95", "share"),
    ("off_s", "off s", "tenth"),
    ("on_s", "on s", "share"),
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
        for at, name in enumerate(case["means"]):
            values = case["means"][name]
            cells = [shown(values.get(figure), how) for figure, _, how in used]
            rows.append([case["case"] if at == 0 else "", name, *cells])
    return ["case", "controller", *(heading for _, heading, _ in used)], rows


def score_tables(report: dict[str, Any]) -> list[tuple[list[str], list[list[str]]]]:
    """
    (headings, rows) of each table: one row for each number of the scoreboard, one column for each contender.

    Controllers by themselves, pairs of a controller and an allocator, and voices alone run other cases, so they have
    tables of their own. Nothing where no row was measured.
    """
    found = []
    contenders = list(dict.fromkeys(each["contender"] for each in report["scores"]))
    of_kind: dict[str, list[str]] = {}
    for name in contenders:
        of_kind.setdefault(kind(name), []).append(name)
    for names in of_kind.values():
        rows = _score_rows(report, names)
        if rows:
            found.append((["row", "what", "bound", *names], rows))
    return found


def kind(contender: str) -> str:
    """What it is a contender of."""
    if contender in REPAIRS:
        return "voices"
    return "consults" if "+" in contender or contender == "oracle" else "controllers by themselves"


def _score_rows(report: dict[str, Any], names: Sequence[str]) -> list[list[str]]:
    by_row: dict[tuple[int, str], dict[str, dict[str, Any]]] = {}
    for each in report["scores"]:
        if each["contender"] in names:
            by_row.setdefault((each["number"], each["label"]), {})[each["contender"]] = each
    rows = []
    for (number, label), of in by_row.items():
        first = next(iter(of.values()))
        unit = f", {first['unit']}" if first["unit"] else ""
        mark = " *" if first["part"] else ""
        cells = [_scored(of.get(name)) for name in names]
        rows.append([str(number) if number else "", f"{label}{unit}{mark}", bound(first), *cells])
    if rows:
        # Who ran a few of the cases only is not compared by a mean.
        counts = {name: sum(name in of for of in by_row.values()) for name in names}
        most = max(counts.values())
        totals = [report["composite"][name] if 2 * counts[name] > most else None for name in names]
        rows.append(["", "composite", "100", *("-" if each is None else f"{each:.0f}" for each in totals)])
    return rows


def bound(score: dict[str, Any]) -> str:
    """What a row is held against; an aim in brackets."""
    if score["kind"] == "shown":
        return ""
    said = f"{'<=' if score['at_most'] else '>='} {score['gate']:g}"
    return f"({said})" if score["kind"] == "aim" else said


def _scored(score: dict[str, Any] | None) -> str:
    if score is None:
        return "-"
    value = brief(score["value"], 3)
    return value if score["is_met"] else f"{value} x {brief(score['missed_by'], 2)}"


def brief(value: float, digits: int) -> str:
    """With so many digits, and no powers of ten."""
    return f"{value:.0f}" if value >= 10**digits else f"{value:.{digits}g}"


def notes(report: dict[str, Any]) -> list[str]:
    """What a reader of the scoreboard has to know: what marks mean, and which rows are measured in part."""
    found = []
    if any(not each["is_met"] for each in report["scores"]):
        found.append("x: missed, and by how much")
    if any(each["kind"] == "aim" for each in report["scores"]):
        found.append("(in brackets): an aim; all others are gates")
    names = {each["contender"] for each in report["scores"]}
    if TODAY in names:
        found.append(f"{TODAY}: what the relay does; {PLANNED}: with RED, as where adaptation is on")
    if any(name.endswith(f"+{RED}") for name in names):
        found.append(f"+{RED}: the same with redundant voices (RED), as where adaptation is on")
    parts = dict.fromkeys((each["number"], each["label"], each["part"]) for each in report["scores"] if each["part"])
    return found + [f"* measured in part: {number}, {label}: {part}" for number, label, part in parts]


def lines(report: dict[str, Any]) -> list[str]:
    """All tables, the scoreboard last."""
    found = _aligned(*table(report))
    tables = score_tables(report)
    for each in tables:
        found += ["", *_aligned(*each)]
    return found + (notes(report) if tables else [])


def markdown(report: dict[str, Any]) -> str:
    """The scoreboard as Markdown, as docs/abr.md has it."""
    found = []
    for headings, rows in score_tables(report):
        found += [_piped(headings), _piped(["---"] * len(headings)), *map(_piped, rows), ""]
    # A star of ours would be one of Markdown's.
    return "\n".join([*found, *(f"- {each}" for each in notes(report)), ""]).replace("*", "\\*")


def _piped(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _aligned(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in (headings, *rows)) for at in range(len(headings))]
    left = {"case", "controller", "what", "bound"}

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if heading in left else cell.rjust(width)
            for cell, width, heading in zip(row, widths, headings, strict=True)
        ]
        return "  ".join(cells).rstrip()

    return [line(headings), *(line(row) for row in rows)]
