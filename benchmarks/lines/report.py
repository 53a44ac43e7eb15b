"""
What the runs came to: a table as text, a value for JSON, and one HTML page with plots. Pure.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from lines import figures
from lines.cases import CASES
from lines.figures import Figures
from lines.recording import Recording
from telerelay.document import document
from telerelay.plots import Line, plot

COLUMNS = {
    "setup_s": "set-up s",
    "carried_down_kbps": "down kbit/s",
    "queue_down_p95_ms": "queue down p95 ms",
    "dropped_down_pct": "dropped down %",
    "fps_down": "frames/s",
    "height_down": "lines",
    "frozen_s_per_min": "frozen s/min",
    "paused_s_per_min": "paused s/min",
    "concealed_down_pct": "concealed %",
    "switches_per_min": "switches/min",
    "queue_up_p95_ms": "queue up p95 ms",
    "fps_up": "frames/s up",
    "concealed_up_pct": "concealed up %",
    "others_top_pct": "others at top %",
}
"""Of every case; what a case of a kind is asked for comes below the table."""

OWN = {
    "squeeze": (
        "paused_after_s",
        "told_after_s",
        "said_after_s",
        "told_other_after_s",
        "stopped_after_s",
        "concealed_cut_down_pct",
        "concealed_down_pct",
        "back_after_s",
        "switches_per_min",
    ),
    "join": ("full_after_s",),
    "good": ("setup_s", "top_after_s", "frozen_s_per_min", "paused_s_per_min", "switches_after_top"),
    "apart": ("others_top_pct", "others_switches", "others_fps", "paused_after_s", "back_after_s"),
}

SHORT = ("carried_down_kbps", "queue_down_p95_ms", "frozen_s_per_min", "concealed_down_pct", "switches_per_min")
"""What is said of a run at once where its kind has no figures of its own."""


def word(value: float | None) -> str:
    """Three digits that matter; a dash for what there was none of."""
    return "—" if value is None else f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def result(case: str, is_adaptive: bool, runs: Sequence[Recording]) -> dict[str, Any]:
    """Of all runs of one case: figures of each, medians of those that count, what was asked and missed."""
    rows = []
    for run in runs:
        reasons = figures.void_reasons(run)
        rows.append({"figures": figures.figures(run), "void": reasons})
    counted: list[Figures] = [row["figures"] for row in rows if not row["void"]]
    median = figures.median(counted)
    return {
        "case": case,
        "line": CASES[case].schedule.says,
        "adaptation": "on" if is_adaptive else "off",
        "runs": rows,
        "void": len(rows) - len(counted),
        "median": median,
        "missed": figures.failures(CASES[case], median) if counted else [],
    }


def _cells(row: dict[str, Any]) -> list[str]:
    counted = len(row["runs"]) - row["void"]
    of_runs = f"{counted}/{len(row['runs'])}"
    return [row["case"], row["adaptation"], of_runs, *(word(row["median"].get(name)) for name in COLUMNS)]


HEADINGS = ["case", "adaptation", "runs", *COLUMNS.values()]


def table(results: Sequence[dict[str, Any]]) -> str:
    """One row a case, medians; void runs and what was missed below it."""
    rows = [HEADINGS, *(_cells(each) for each in results)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", *notes(results)]) + "\n"


def notes(results: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each case that has figures of its own, for what it missed, and for each void run."""
    found = []
    for row in results:
        title = f"{row['case']}, adaptation {row['adaptation']}"
        own = OWN.get(CASES[row["case"]].kind, ())
        if own and row["median"]:
            said = ", ".join(f"{name} {word(row['median'].get(name))}" for name in own)
            verdict = "missed: " + "; ".join(row["missed"]) if row["missed"] else "all that is asked is met"
            found.append(f"{title}: {said}. {verdict}")
        for number, run in enumerate(row["runs"], 1):
            if run["void"]:
                found.append(f"{title}: run {number} is void: {'; '.join(run['void'])}")
    return found


def page(results: Sequence[dict[str, Any]], runs: dict[tuple[str, bool], Sequence[Recording]], command: str) -> str:
    """The whole document; plots are of each case's first run that counts."""
    head = "".join(f'<th scope="col">{html.escape(each)}</th>' for each in HEADINGS)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(each)) + "</tr>" for each in results
    )
    parts = [
        '<p class="dim">Medians over the runs that count. Down is towards the browser on the bad line.</p>',
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>",
        *(f'<p class="dim">{html.escape(each)}</p>' for each in notes(results)),
    ]
    for row in results:
        case, is_adaptive = row["case"], row["adaptation"] == "on"
        counted = [run for run, kept in zip(runs[case, is_adaptive], row["runs"], strict=True) if not kept["void"]]
        drawn = (counted or runs[case, is_adaptive])[:1]
        title = f"{case}, adaptation {row['adaptation']}: {row['line']}" + ("" if counted else " (void)")
        parts.append(f"<h2>{html.escape(title)}</h2>")
        parts += [f'<div class="plots">{"".join(plots(run))}</div>' for run in drawn]
    parts += ["<h2>How to run it again</h2>", f"<p><code>{html.escape(command)}</code></p>"]
    return document("Calls over emulated lines", parts)


def plots(run: Recording) -> list[str]:
    """Rates and queue of the line towards the browser, and what it made of it."""
    start = run.began_at

    def line(name: str, points: list[tuple[float, float | None]], style: str = "a") -> Line:
        return Line(name, tuple((at - start, y) for at, y in points), style)

    rows = [each for each in run.link if run.joined_at <= each["at"] <= run.ended_at]
    carried: list[tuple[float, float | None]] = []
    for before, now in zip(rows, rows[5:], strict=False):
        bits = 8 * (now["a_to_b"].get("out_bytes", 0) - before["a_to_b"].get("out_bytes", 0))
        carried.append((now["at"], bits / (now["at"] - before["at"]) / 1000))
    capacity = [(each["at"], each["a_to_b"]["rate_bps"] / 1000) for each in rows]
    queue: list[tuple[float, float | None]] = []
    for each in rows:
        down = each["a_to_b"]
        queue.append((each["at"], 8000 * down["queued_bytes"] / down["rate_bps"] if down["rate_bps"] > 1 else None))
    sent = [
        (at, bps / 125)
        for stream in figures.series(run.browser, "outbound-rtp", "video").values()
        for at, bps in figures.rates(stream, "bytesSent")
    ]
    videos = list(figures.series(run.browser, "inbound-rtp", "video").values())
    styles = "abc"
    frames = [
        line(f"picture {n + 1}", list(figures.rates(each, "framesDecoded")), styles[n % 3])
        for n, each in enumerate(videos)
    ]
    sizes = [
        line(f"picture {n + 1}", [(at, float(row.get("frameHeight", 0))) for at, row in each], styles[n % 3])
        for n, each in enumerate(videos)
    ]
    return [
        plot(
            "Towards the browser",
            [line("line", capacity, "c"), line("carried", carried), line("its own picture, up", sent, "b")],
            x_label="seconds",
            y_label="kbit/s",
        ),
        plot("Queue towards the browser", [line("queue", queue)], x_label="seconds", y_label="ms"),
        plot("Frames decoded", frames, x_label="seconds", y_label="frames/s"),
        plot("Size of the picture", sizes, x_label="seconds", y_label="lines"),
    ]
