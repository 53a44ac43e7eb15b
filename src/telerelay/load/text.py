"""
A report for people: the figures and the verdict as lines of text, and two reports side by side.

Pure.
"""

import json
from pathlib import Path
from typing import Any

from telerelay.errors import ConfigError

Row = tuple[str, str]


def ms(value_us: float | None) -> str:
    """Microseconds, shown in milliseconds."""
    return "–" if value_us is None else f"{value_us / 1e3:,.2f} ms"


def number(value: float | None, unit: str = "", digits: int = 0) -> str:
    """A count with its unit; a dash for what was not measured."""
    return "–" if value is None else f"{value:,.{digits}f}{' ' + unit if unit else ''}"


def percent(share: float | None, digits: int = 3) -> str:
    return "–" if share is None else f"{share * 100:.{digits}f} %"


def rows(report: dict[str, Any]) -> list[Row]:
    """Every figure by name, in the order people ask for them."""
    latency, joins, generator, server = (report[key] for key in ("latency_us", "joins", "generator", "server"))
    media = report["media"]
    found: list[Row] = [
        ("people at the end", number(report["people"])),
        ("measured", number(report["measured_s"], "s", 1)),
        ("packets sent to receivers", number(report["sent"])),
        ("received", number(report["received"])),
        ("lost", f"{number(report['lost'])} ({percent(report['loss'], 4)})"),
        ("in flight", number(report["in_flight"])),
        ("duplicates, reordered", f"{number(report['duplicates'])}, {number(report['reordered'])}"),
        ("authentication failures", number(report["auth_failures"])),
        ("repaired by resends", number(media["repaired"])),
        ("latency p50", ms(latency["p50"])),
        ("latency p99", ms(latency["p99"])),
        ("latency p99.9", ms(latency["p999"])),
        ("latency max", ms(latency["max"])),
        ("freezes", f"{report['freezes']['count']} ({report['freezes']['ms']:.0f} ms)"),
        ("joins, failed", f"{joins['attempted']}, {joins['failed']}"),
        ("click to first media p50, p99", _pair(joins["first_media_ms"])),
        ("click to picture both ways p50, p99, max", _pair(joins["both_ways_ms"], with_max=True)),
        ("complete joins a second", number(joins["per_s"], digits=1)),
    ]
    if joins["back_ms"]:
        found.append(("all back after leaving at once, last", number(joins["back_ms"]["max"], "ms")))
    if server:
        found += [
            ("server CPU per forwarded packet", number(server["cpu_ns_per_packet"], "ns")),
            ("server CPU", percent(server["cpu_share"], 1)),
            ("server memory per participant", number(_kib(server["memory_per_participant_bytes"]), "KiB", 1)),
            ("server memory, empty to full", _memory(server)),
        ]
    found += [
        ("generator CPU per packet", number(generator["cpu_ns_per_packet"], "ns")),
        ("generator CPU, its engine and its signalling", _generator_cpu(report)),
        ("generator GSO, GRO", f"{_gso(generator)}; {'on' if generator['has_gro'] else 'off'}"),
    ]
    return found


def _pair(spread: dict[str, Any], *, with_max: bool = False) -> str:
    keys = ("p50", "p99", "max") if with_max else ("p50", "p99")
    return ", ".join(number(spread[key], "ms") for key in keys)


def _kib(value: float | None) -> float | None:
    return None if value is None else value / 1024


def _memory(server: dict[str, Any]) -> str:
    return f"{server['memory_empty_bytes'] / 2**20:.1f} to {server['memory_after_bytes'] / 2**20:.1f} MiB"


def _generator_cpu(report: dict[str, Any]) -> str:
    control = report["generator"]["control_cpu_ns"] / max(1.0, report["measured_s"] * 1e9)
    return f"{percent(report['generator']['cpu_share'], 1)}, {percent(control, 1)}"


def _gso(generator: dict[str, Any]) -> str:
    runs = number(generator["packets_per_message"], "packets a send", 2)
    return f"{'on' if generator['has_gso'] else 'off'}, {runs}"


def lines(report: dict[str, Any]) -> list[str]:
    """The whole report in text: set-up, figures, warnings, verdict."""
    set_up = report["set_up"]
    width = max(len(name) for name, _ in rows(report))
    text = [f"{set_up['target']}, profile {set_up['profile']}, seed {set_up['seed']}; {set_up['machine']}"]
    text += [f"  {name:<{width}}  {value}" for name, value in rows(report)]
    text += [f"warning: {warning}" for warning in report["warnings"]]
    for each in report["slo"]:
        text.append(f"{'met' if each['is_met'] else 'NOT MET'}: {each['bound']} (measured {each['shown']})")
    return text


# -------------------------------------------------------------------- two of them


_COMPARED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("sent", ("sent",)),
    ("received", ("received",)),
    ("lost", ("lost",)),
    ("loss", ("loss",)),
    ("duplicates", ("duplicates",)),
    ("reordered", ("reordered",)),
    ("auth_failures", ("auth_failures",)),
    ("latency p50 us", ("latency_us", "p50")),
    ("latency p99 us", ("latency_us", "p99")),
    ("latency p99.9 us", ("latency_us", "p999")),
    ("latency max us", ("latency_us", "max")),
    ("join p50 ms", ("join_ms", "p50")),
    ("join p99 ms", ("join_ms", "p99")),
    ("both ways p99 ms", ("joins", "both_ways_ms", "p99")),
    ("failed joins", ("joins", "failed")),
    ("freezes", ("freezes", "count")),
    ("server CPU ns/packet", ("server_cpu_ns_per_packet",)),
    ("server memory/person B", ("server", "memory_per_participant_bytes")),
    ("generator CPU ns/packet", ("generator_cpu_ns_per_packet",)),
)


def read(path: Path) -> dict[str, Any]:
    """A report from a file that holds --json's line, alone or as the last one. Raises ConfigError."""
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("bad_file", f"cannot read the report {path}: {error}") from None
    try:
        report = json.loads(text.rpartition("\n")[2] if not text.startswith("{\n") else text)
    except ValueError:
        raise ConfigError("bad_file", f"{path} holds no report: its last line is not JSON") from None
    if not isinstance(report, dict) or report.get("tool") != "telerelay load":
        raise ConfigError("bad_file", f"{path} is no report of telerelay load")
    return report


def _at(report: dict[str, Any], path: tuple[str, ...]) -> float | None:
    value: Any = report
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """What differs in set-up, so that nobody compares a lamp with a lion: (key, first, second)."""
    return _different("", first["set_up"], second["set_up"])


def _different(prefix: str, first: dict[str, Any], second: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    for key in dict.fromkeys([*first, *second]):
        a, b = first.get(key), second.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += _different(f"{prefix}{key}.", a, b)
        elif a != b and key != "command":
            found.append((f"{prefix}{key}".removeprefix("values."), a, b))
    return found


def compare(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Both values and their ratio (second to first) of each figure, and what differs in set-up."""
    figures = {}
    for name, path in _COMPARED:
        a, b = _at(first, path), _at(second, path)
        figures[name] = {"first": a, "second": b, "ratio": b / a if a and b is not None else None}
    return {
        "figures": figures,
        "set_up": [{"key": key, "first": a, "second": b} for key, a, b in differences(first, second)],
    }


def compare_lines(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """The comparison in text."""
    result = compare(first, second)
    text = [f"{'':<26} {'A':>14} {'B':>14} {'B/A':>8}"]
    for name, each in result["figures"].items():
        cells = [_cell(each["first"]), _cell(each["second"])]
        ratio = "–" if each["ratio"] is None else f"{each['ratio']:.2f}"
        text.append(f"{name:<26} {cells[0]:>14} {cells[1]:>14} {ratio:>8}")
    text.append("set-up: the same" if not result["set_up"] else "set-up differs in:")
    text += [f"  {each['key']}: {each['first']} | {each['second']}" for each in result["set_up"]]
    return text


def _cell(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"
