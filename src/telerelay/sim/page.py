"""
A report as one HTML page that needs nothing else: the scoreboard, every figure, and plots of rate, queue and layers.

Pure.
"""

import html
from collections.abc import Sequence
from typing import Any

from telerelay.document import document
from telerelay.plots import Line, plot
from telerelay.sim import text
from telerelay.sim.runner import Outcome

STYLES = ("a", "b", "c")
"""The colours there are; a fourth line has the first one's again."""

FLOWS_DRAWN = 3
"""More lines than that in one plot are not told apart: then it draws their sum and the least of them."""


def page(report: dict[str, Any], outcomes: Sequence[Outcome], command: str) -> str:
    """The whole document."""
    title = f"Simulation: {report['suite']}"
    headings, rows = text.table(report)
    scored = text.score_tables(report)
    parts = [
        f'<p class="dim">{_(", ".join(report["contenders"]))}; seeds 1 to {report["seeds"]}; '
        f"telerelay {_(report['version'])}</p>",
    ]
    if scored:
        for headings_of, rows_of in scored:
            parts += [f"<h2>Scoreboard, {text.kind(headings_of[-1])}</h2>", _table(headings_of, rows_of)]
        parts += [f'<p class="dim">{_(each)}</p>' for each in text.notes(report)]
    parts += ["<h2>All cases, means over seeds</h2>", _table(headings, rows), "<h2>Over time, first seed</h2>"]
    for case in report["cases"]:
        drawn = [each for each in outcomes if each.case == case["case"] and each.series is not None]
        if drawn:
            parts.append(f"<h2>{_(case['case'])}: {_(case['title'])}</h2>")
            parts.append(f'<div class="plots">{"".join(figure for each in drawn for figure in _plots(each))}</div>')
    parts += ["<h2>How to run it again</h2>", f"<p><code>{_(command)}</code></p>"]
    return document(title, parts)


def _(value: object) -> str:
    return html.escape(str(value))


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{_(each)}</th>' for each in headings)
    body = "".join("<tr>" + "".join(f"<td>{_(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _plots(outcome: Outcome) -> list[str]:
    series = outcome.series or {}
    times = series["seconds"]

    def line(name: str, values: Sequence[float | None], style: str) -> Line:
        return Line(name, tuple(zip(times, values, strict=True)), style)

    rates = series["rates_kbps"]
    drawn = []
    if series["capacity_kbps"] is not None:
        drawn.append(line("the line", _bounded(series["capacity_kbps"], rates), "c"))
    if len(rates) == 1:
        drawn += [line("allowed", _bounded(series["targets_kbps"][0], rates), "b"), line("received", rates[0], "a")]
    elif len(rates) <= FLOWS_DRAWN:
        drawn += [line(f"flow {at + 1}", each, STYLES[at % 3]) for at, each in enumerate(rates)]
    else:
        drawn += [
            line("all flows", [sum(each) for each in zip(*rates, strict=True)], "a"),
            line("the least", [min(each) for each in zip(*rates, strict=True)], "b"),
        ]
    if series["tcp_kbps"] is not None:
        drawn.append(line("TCP", series["tcp_kbps"], "b"))
    found = [
        plot(f"{outcome.contender}: rate", drawn, x_label="seconds", y_label="kbit/s"),
        plot(
            f"{outcome.contender}: queue",
            [line("peak of each second", series["queue_ms"], "b")],
            x_label="seconds",
            y_label="milliseconds",
        ),
    ]
    for name, forwarded, wanted in series.get("layers", ()):
        layers = [line("oracle", wanted, "c"), line("forwarded", forwarded, "a")]
        found.append(plot(f"{outcome.contender}: layer of {name}", layers, x_label="seconds", y_label="0 is none"))
    return found


def _bounded(capacity: Sequence[float], rates: Sequence[Sequence[float]]) -> list[float | None]:
    """As far as it matters: a line of 200 Mbit/s, or an oracle that allows 6, would make a flow of 2 invisible."""
    most = 2 * max((max(each) for each in rates if each), default=0)
    return [min(each, most) for each in capacity]
