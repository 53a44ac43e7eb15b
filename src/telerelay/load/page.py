"""
A report as one HTML page that needs nothing else: plots, every figure, the verdict; dark, light and on paper.

Pure. No script, no font, no address: it can be kept for years, sent by mail and opened without a network.
"""

import html
import json
from typing import Any

from telerelay.document import document
from telerelay.load import text
from telerelay.plots import Line, plot


def page(report: dict[str, Any]) -> str:
    """The whole document."""
    set_up = report["set_up"]
    title = f"Load on {set_up['target']}"
    parts = [
        f'<p class="dim">{_(set_up["profile"])}, {report["people"]} people, seed {set_up["seed"]}; '
        f"{_(report['started_at'])}; {_(set_up['machine'])}</p>",
        _verdict(report),
        *(f'<p class="warning">{_(warning)}</p>' for warning in report["warnings"]),
        "<h2>Over time</h2>",
        f'<div class="plots">{"".join(_plots(report))}</div>',
        "<h2>All figures</h2>",
        f'<div class="tables">{_table(text.rows(report))}{_table(_set_up_rows(report))}</div>',
        _worst(report),
        "<h2>How to run it again</h2>",
        f"<p><code>{_(set_up['command'])}</code></p>",
    ]
    return document(title, parts)


def _(value: object) -> str:
    return html.escape(str(value))


def _verdict(report: dict[str, Any]) -> str:
    is_met = report["slo_met"]
    items = "".join(
        f"<li>{_(each['bound'])}: <b>{_(each['shown'])}</b></li>"
        if each["is_met"]
        else f'<li class="missed">{_(each["bound"])}: <b>{_(each["shown"])}</b>, not met</li>'
        for each in report["slo"]
    )
    words = "The objective is met" if is_met else "The objective is not met"
    return f'<div class="verdict{"" if is_met else " missed"}"><strong>{words}</strong><ul>{items}</ul></div>'


def _table(rows: list[text.Row]) -> str:
    cells = "".join(f'<tr><th scope="row">{_(name)}</th><td>{_(value)}</td></tr>' for name, value in rows)
    return f"<table><tbody>{cells}</tbody></table>"


def _set_up_rows(report: dict[str, Any]) -> list[text.Row]:
    set_up = report["set_up"]
    rows = [("telerelay", set_up["version"]), ("crypto of the generator", set_up["crypto"])]
    for section, values in set_up["values"].items():
        rows += [(f"{section}.{key}", json.dumps(value)) for key, value in values.items()]
    return rows


def _worst(report: dict[str, Any]) -> str:
    if not report["worst"]:
        return ""
    rows = "".join(
        f"<tr><td>{_(each['room'])}</td><td>{_(each['participant'])}</td><td>{_(each['kind'])}</td>"
        f"<td>{each['sent']}</td><td>{each['lost']}</td><td>{text.ms(each['latency_max_us'])}</td></tr>"
        for each in report["worst"]
    )
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("room", "receiver", "kind", "sent", "lost", "latency max")
    )
    return f"<h2>Tracks that lost most</h2><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _plots(report: dict[str, Any]) -> list[str]:
    series = report["series"]

    def over_time(key: str, scale: float = 1.0) -> tuple[tuple[float, float | None], ...]:
        return tuple((row["t"], None if row[key] is None else row[key] * scale) for row in series)

    def timed(title: str, y_label: str, *drawn: Line) -> str:
        return plot(title, drawn, x_label="seconds", y_label=y_label)

    cdf = tuple((max(1, value) / 1e3, share * 100) for value, share in report["latency_cdf"])
    return [
        plot("One-way latency", [Line("all", cdf)], x_label="milliseconds", y_label="% at most", is_log_x=True),
        timed(
            "Latency each second",
            "milliseconds",
            Line("p50", over_time("latency_p50_us", 1e-3), "a"),
            Line("p99", over_time("latency_p99_us", 1e-3), "b"),
        ),
        timed(
            "Packets",
            "each second",
            Line("sent to receivers", over_time("sent"), "b"),
            Line("received", over_time("received"), "a"),
        ),
        timed("Lost", "packets each second", Line("lost", over_time("lost"), "b")),
        timed(
            "Processor time",
            "% of one processor",
            Line("server", over_time("server_cpu", 100), "a"),
            Line("generator, engine", over_time("generator_cpu", 100), "b"),
            Line("generator, signalling", over_time("control_cpu", 100), "c"),
        ),
        timed("People", "connected", Line("people", over_time("people"), "a")),
        timed(
            "Joins",
            "each second",
            Line("begun", over_time("joins"), "a"),
            Line("failed", over_time("failed_joins"), "b"),
        ),
        timed("Server memory", "MiB", Line("memory", over_time("server_memory_bytes", 1 / 2**20), "a")),
    ]
